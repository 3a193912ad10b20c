"""What answers a visitor: a title of the menu and an upload in, an answer out, or one sentence."""

import re
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from PIL.Image import Image

from hfcls.errors import BadImage, UserError
from hfcls.escaping import terminal_text
from hfcls.pages.thumbnails import make_thumbnail, shrink
from hfcls.serving.explanations import Explanation
from hfcls.serving.flags import FlagFolder
from hfcls.serving.jobs import Jobs, Report
from hfcls.serving.limits import MAX_BYTES, MAX_PIXELS, PAGE_SECONDS, SHOWN_SIDE
from hfcls.serving.menu import Menu
from hfcls.serving.perturbing import DIALS, Perturbation, perturb, sweep
from hfcls.serving.predictor import Answer, Predictor
from hfcls.serving.uploads import content_of, pictures_of

BUG = "Something went wrong on the server."
# Where things lie on this machine is nobody's business.
_PATH = re.compile(r"(?<![\w/:.])(?:/[^\s/,;:'\"()]+){2,}/?")
_SMALL_SIDE = 192


@dataclass(frozen=True)
class Row:
    """One of many pictures.

    Attributes:
        name: what the visitor calls it.
        answer: what it was taken for; None where `problem` says why not, to be read after the name.
        thumbnail: a data URI; "" without an answer.
    """

    name: str
    answer: Answer | None = None
    problem: str = ""
    thumbnail: str = ""


@dataclass(frozen=True)
class Trial:
    """A picture before and after it was perturbed.

    Attributes:
        before, after: RGB, of one size.
        original, answer: what either is taken for.
        curve: strengths of one dial, each with the probability of the original answer's first class.
    """

    before: Image
    after: Image
    original: Answer
    answer: Answer
    curve: list[tuple[float, float]]


class Desk:
    """Answers what the page and its API ask.

    Args:
        menu: what is offered.
        device: as `Predictor` takes it.
        flags: where wrong answers are kept; nowhere where None.
    """

    def __init__(self, menu: Menu, *, device: str | None = None, flags: FlagFolder | None = None):
        self.menu = menu
        self.flags = flags
        self.jobs = Jobs()
        self._predictors = {
            title: Predictor(offer.model, device=device, max_bytes=MAX_BYTES, max_pixels=MAX_PIXELS)
            for title, offer in menu.offers.items()
        }

    def predictor(self, title: str) -> Predictor:
        """The predictor of one offer.

        Raises:
            UserError: there is no such offer.
        """
        if not self.menu.offers:
            raise UserError(self.menu.note)
        return self._predictors[self.menu[title].title]

    def answer(self, title: str, upload: Any) -> Answer:
        """Classifies an uploaded file.

        Args:
            title: of an offer.
            upload: what Gradio says of it: a dict with a path, or with a ``data:`` URL.

        Raises:
            UserError: no answer, with the reason in a sentence for whoever sent the file.
        """
        predictor = self.predictor(title)
        with self._told(title):
            return predictor.predict(content_of(upload), name="file")

    def explain(
        self,
        title: str,
        upload: Any,
        *,
        method: str,
        target: int | None = None,
        seconds: float = PAGE_SECONDS,
        report: Report | None = None,
    ) -> Explanation:
        """Shows where in an uploaded picture a class comes from.

        Args:
            target: index of the class; the predicted one where None.
            seconds: after which methods that can be cut short are.
            report: is told of forward passes; may raise to end the work.

        Raises:
            UserError: no explanation, with the reason in a sentence.
        """
        predictor = self.predictor(title)
        with self._told(title):
            picture = shrink(predictor.decode(content_of(upload), name="file"), SHOWN_SIDE)
            count = len(predictor.classifier.class_names)
            if target is not None and not 0 <= target < count:
                raise UserError(f"There is no class {target}: expected 0 to {count - 1}.")
            heatmap = predictor.explain(
                picture, method=method, target=target, seconds=seconds, progress=report, name="file"
            )
        return Explanation(picture, heatmap)

    def answer_many(self, title: str, uploads: Any, *, rows: list[Row], report: Report | None = None) -> None:
        """Classifies all pictures of several uploads; bad ones become rows that say why.

        Args:
            rows: to which the pictures are appended one by one, so that nothing is lost where it ends early.
            report: is told how many are done; may raise to end the work.

        Raises:
            UserError: there is nothing to classify, or the model cannot be loaded.
        """
        predictor = self.predictor(title)
        with self._told(title):
            _ = predictor.classifier
            for name, content in pictures_of(uploads):
                if report is not None:
                    report(len(rows), None)
                rows.append(_row(predictor, name, content))

    def perturb(self, title: str, upload: Any, perturbation: Perturbation, *, dial: str | None = None) -> Trial:
        """Classifies a picture before and after it was perturbed.

        Args:
            dial: of which there is a curve; none where None.

        Raises:
            UserError: no answer, with the reason in a sentence.
        """
        if dial is not None and dial not in DIALS:
            raise UserError(f"Unknown dial {dial!r}: choose one of {', '.join(DIALS)}.")
        predictor = self.predictor(title)
        with self._told(title):
            before = shrink(predictor.decode(content_of(upload), name="file"), SHOWN_SIDE)
            after = perturb(before, perturbation)
            original, answer = predictor.predict(before, name="file"), predictor.predict(after, name="file")
            first = int(original.probabilities.argmax())
            curve = []
            for strength, step in sweep(perturbation, dial) if dial else []:
                harmed = predictor.predict(perturb(before, step), name="file")
                curve.append((strength, float(harmed.probabilities[first])))
        return Trial(before, after, original, answer, curve)

    def keep(self, title: str, upload: Any, index: int | None) -> str:
        """Keeps a picture with the class that it shows.

        Returns:
            A sentence of thanks.

        Raises:
            UserError: it is not kept, and why.
        """
        if self.flags is None:
            raise UserError("Nothing is kept here.")
        predictor = self.predictor(title)
        with self._told(title):
            picture = shrink(predictor.decode(content_of(upload), name="file"), SHOWN_SIDE)
            answer = predictor.predict(picture, name="file")
            if type(index) is not int or not 0 <= index < len(answer.class_names):
                raise UserError("Choose first what the picture shows.")
            label = answer.class_names[index]
            name, score = answer.top(1)[0]
            self.flags.add(picture, label, predicted=name, score=score, model=title)
        return f"Thank you: kept as “{label}”."

    def facts(self, title: str) -> dict[str, Any]:
        """What there is to say of a model: its network, its size, and ``class_names``.

        Raises:
            UserError: it cannot be loaded.
        """
        predictor = self.predictor(title)
        with self._told(title):
            classifier = predictor.classifier
            height, width = predictor.image_size
        config = classifier.model.config
        return {
            "Network": getattr(config, "architecture", None) or config.model_type,
            "Parameters": f"{sum(parameter.numel() for parameter in classifier.model.parameters()):,}",
            "Looks at": f"{height} × {width} pixels",
            "Chooses among": f"{len(classifier.class_names):,} classes",
            "class_names": classifier.class_names,
        }

    @contextmanager
    def _told(self, title: str) -> Iterator[None]:
        """Errors in words for a visitor, who knows neither ids nor places."""
        try:
            yield
        except BadImage as error:
            raise UserError(f"The file {error.reason}.") from None
        except UserError as error:
            offer = self.menu[title]
            named = str(error) if offer.on_hub else str(error).replace(offer.model, title)
            raise UserError(_PATH.sub("a folder of the server", named)) from None


def sentences(action: Callable[[], str], problem: Callable[[str], str]) -> str:
    """What an action has to show, or what `problem` makes of the sentence that says why there is nothing."""
    try:
        return action()
    except UserError as error:
        return problem(str(error))
    except Exception:
        log_bug()
        return problem(BUG)


def log_bug() -> None:
    """The traceback of the current exception, for whoever runs the server."""
    print(terminal_text(traceback.format_exc()).replace("\\n", "\n"), file=sys.stderr)


def _row(predictor: Predictor, name: str, content: bytes | UserError) -> Row:
    if isinstance(content, UserError):
        return Row(name, problem=_PATH.sub("a folder of the server", str(content)))
    try:
        image = predictor.decode(content, name="file")
        answer = predictor.predict(image, name="file")
    except BadImage as error:
        return Row(name, problem=error.reason)
    return Row(name, answer, thumbnail=make_thumbnail(image, side=_SMALL_SIDE).uri)
