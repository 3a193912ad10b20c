"""The named endpoints: what the page can do, for `gradio_client` and for agents; their docstrings are its API page."""

import time
from collections.abc import Callable
from functools import wraps
from typing import Any

from hfcls.errors import UserError
from hfcls.serving.desk import BUG, Desk, Row, log_bug
from hfcls.serving.doubt import describe_doubt
from hfcls.serving.explanations import data_uri, list_methods
from hfcls.serving.jobs import Counter, Report
from hfcls.serving.limits import AT_ONCE, MAX_SECONDS, MAX_WAITING, TOP_K
from hfcls.serving.perturbing import build_perturbation
from hfcls.serving.predictor import Answer
from hfcls.serving.tabs.compare import describe_agreement
from hfcls.structures import find_class

# What a whole request of many pictures may take.
_MANY_SECONDS = 300.0


def build_api(gradio: Any, desk: Desk) -> None:
    """Gives each capability of the desk a named endpoint."""
    titles = list(desk.menu.offers)
    first = titles[0] if titles else ""
    _offer_models(gradio, desk, first)
    long_work = Counter(at_once=AT_ONCE, waiting=2 * AT_ONCE, seconds=MAX_SECONDS)
    _offer_answers(gradio, desk, first, titles[1] if len(titles) > 1 else first, long_work)
    _offer_explanations(gradio, desk, first, long_work)
    _offer_perturbations(gradio, desk, first)
    if desk.flags is not None:
        _offer_flags(gradio, desk, first)


def _offer_models(gradio: Any, desk: Desk, first: str) -> None:
    def models() -> list[dict[str, Any]]:
        """Lists the models by title: what the other endpoints take as `model`."""
        return [
            {"title": title, "page": offer.page, "loaded": desk.predictor(title).is_loaded}
            for title, offer in desk.menu.offers.items()
        ]

    def about(model: str = first) -> dict[str, Any]:
        """Tells of one model: its network, parameters, size of pictures, and the names of its classes.

        Args:
            model: a title of `models`.
        """
        facts = desk.facts(model)
        return {"model": model, **facts, "class_names": list(facts["class_names"])}

    _offer(gradio, models, "answers")
    _offer(gradio, about, "answers")


def _offer_answers(gradio: Any, desk: Desk, first: str, second: str, long_work: Counter) -> None:
    from gradio import FileData

    def predict(image: FileData, model: str = first, top_k: int = TOP_K) -> dict[str, Any]:
        """Classifies one picture.

        Args:
            image: a picture file (JPEG, PNG, GIF, WebP, BMP, TIFF, ...).
            model: a title of `models`.
            top_k: how many of the likeliest classes.
        """
        _check_top_k(top_k)
        return {"model": model, **_answer(desk.answer(model, image), top_k)}

    def compare(image: FileData, first: str = first, second: str = second, top_k: int = TOP_K) -> dict[str, Any]:
        """Classifies one picture by two models, and says whether they agree.

        Args:
            image: a picture file.
            first: a title of `models`.
            second: another one.
            top_k: how many of the likeliest classes.
        """
        _check_top_k(top_k)
        answers = [desk.answer(title, image) for title in (first, second)]
        verdict, sentence = describe_agreement((first, second), answers)
        both = [{"model": t, **_answer(a, top_k)} for t, a in zip((first, second), answers, strict=True)]
        return {"agreement": verdict, "sentence": sentence, "answers": both}

    def predict_many(images: list[FileData], model: str = first, top_k: int = TOP_K) -> list[dict[str, Any]]:
        """Classifies several pictures, or archives (zip, tar) of them; a bad one gets an error instead of predictions.

        Args:
            images: picture files and archives.
            model: a title of `models`.
            top_k: how many of the likeliest classes.
        """
        _check_top_k(top_k)
        rows: list[Row] = []
        with long_work.place():
            desk.answer_many(model, images, rows=rows, report=_until(_MANY_SECONDS))
        return [
            {"file": row.name, "error": row.problem or None, **(_answer(row.answer, top_k) if row.answer else {})}
            for row in rows
        ]

    _offer(gradio, predict, "answers")
    _offer(gradio, compare, "answers")
    _offer(gradio, predict_many, "long")


def _offer_explanations(gradio: Any, desk: Desk, first: str, long_work: Counter) -> None:
    from gradio import FileData

    def explainers(model: str = first) -> list[dict[str, Any]]:
        """Lists the explanations that can be had of a model: the key, the title, and whether it takes long.

        Args:
            model: a title of `models`.
        """
        methods = list_methods(desk.predictor(model).classifier.model)
        return [{"method": one.key, "title": one.title, "slow": one.slow} for one in methods]

    def explain(
        image: FileData,
        model: str = first,
        method: str = "grad-cam",
        label: str = "",
        seconds: float = 60.0,
        opacity: float = 0.5,
    ) -> dict[str, Any]:
        """Shows where in a picture a class comes from, as PNGs in `data:` URLs: the heat map in grey, and laid over it.

        Args:
            image: a picture file.
            model: a title of `models`.
            method: a key of `explainers`.
            label: name of the class to explain; the likeliest one where empty.
            seconds: after which methods that can be cut short are; at most 120.
            opacity: of the colours laid over the picture, 0 to 1.
        """
        if not _is_number(seconds, 0, MAX_SECONDS) or seconds == 0:
            raise UserError(f"seconds is a number above 0 and up to {MAX_SECONDS:g}.")
        if not _is_number(opacity, 0, 1):
            raise UserError("opacity is a number from 0 to 1.")
        target = find_class(desk.predictor(model).classifier.class_names, str(label)) if label else None
        with long_work.place():
            found = desk.explain(
                model, image, method=method, target=target, seconds=float(seconds), report=_until(2 * seconds + 30)
            )
        heatmap = found.heatmap
        return {
            "model": model,
            "method": heatmap.method,
            "label": heatmap.class_name,
            "layer": heatmap.layer,
            "passes": heatmap.passes,
            "seconds": round(heatmap.seconds, 3),
            "complete": heatmap.complete,
            "heatmap": data_uri(found.grey()),
            "overlay": data_uri(found.blended(float(opacity))),
        }

    _offer(gradio, explainers, "answers")
    _offer(gradio, explain, "long")


def _offer_perturbations(gradio: Any, desk: Desk, first: str) -> None:
    from gradio import FileData

    def perturb(
        image: FileData,
        model: str = first,
        rotation: float = 0.0,
        blur: float = 0.0,
        noise: float = 0.0,
        brightness: float = 0.0,
        square: float = 0.0,
        square_x: float = 0.5,
        square_y: float = 0.5,
        seed: int = 0,
        curve: str = "",
        top_k: int = TOP_K,
    ) -> dict[str, Any]:
        """Classifies a picture as it is and after it was harmed, to see how firmly the answer stands.

        Args:
            image: a picture file.
            model: a title of `models`.
            rotation: degrees, anticlockwise, -180 to 180.
            blur: Gaussian, in per cent of the shorter side, 0 to 10.
            noise: Gaussian, as a share of white, 0 to 0.5.
            brightness: -1 (black) to 1 (white).
            square: side of a grey square, as a share of the shorter side, 0 to 1.
            square_x: its middle from the left, 0 to 1.
            square_y: its middle from the top, 0 to 1.
            seed: of the noise.
            curve: rotation, blur, noise, brightness or square: how likely the first answer is over its range.
            top_k: how many of the likeliest classes.
        """
        _check_top_k(top_k)
        sent = {"rotation": rotation, "blur": blur, "noise": noise, "brightness": brightness, "square": square}
        sent |= {"square_x": square_x, "square_y": square_y, "seed": seed}
        trial = desk.perturb(model, image, build_perturbation(sent), dial=curve or None)
        return {
            "model": model,
            "original": _answer(trial.original, top_k),
            "perturbed": _answer(trial.answer, top_k),
            "picture": data_uri(trial.after),
            "curve": [{"strength": strength, "score": score} for strength, score in trial.curve],
        }

    _offer(gradio, perturb, "answers")


def _offer_flags(gradio: Any, desk: Desk, first: str) -> None:
    from gradio import FileData

    def flag(image: FileData, label: str, model: str = first) -> str:
        """Keeps a picture that was taken for the wrong thing, with what it shows, to learn from.

        Args:
            image: a picture file; it is stored small and without its EXIF.
            label: name of the class that it shows, one of the model's.
            model: a title of `models`.
        """
        return desk.keep(model, image, find_class(desk.predictor(model).classifier.class_names, str(label)))

    _offer(gradio, flag, "answers")


def _until(seconds: float) -> Report:
    """Ends work that has taken so long: whoever asked may have gone."""
    end = time.monotonic() + seconds

    def report(done: int, total: int | None = None) -> None:
        if time.monotonic() > end:
            raise UserError(f"This took longer than the {seconds:.0f} seconds that it may take here.")

    return report


def _offer(gradio: Any, action: Callable[..., Any], line: str) -> None:
    """One endpoint: its errors are one sentence; light ones wait in line with the page's own questions."""

    @wraps(action)
    def answered(*inputs: Any) -> Any:
        try:
            return action(*inputs)
        except UserError as error:
            raise gradio.Error(str(error), print_exception=False) from None
        except Exception:
            log_bug()
            raise gradio.Error(BUG, print_exception=False) from None

    # The annotations are read from the function, where they have to be types, not names.
    # Long work has a line of its own, at a counter that turns away who is too many.
    limits = {"concurrency_limit": MAX_WAITING} if line == "long" else {}
    gradio.api(answered, api_name=action.__name__, concurrency_id=line, **limits)


def _answer(answer: Answer, top_k: int) -> dict[str, Any]:
    word, sentence = describe_doubt(answer)
    predictions = [{"label": name, "score": share} for name, share in answer.top(top_k)]
    possible = {} if answer.possible is None else {"possible": answer.possible}
    return {"predictions": predictions, "doubt": word, "sentence": sentence, **possible}


def _check_top_k(top_k: Any) -> None:
    if type(top_k) is not int or top_k < 1:
        raise UserError("top_k is a whole number from 1 on.")


def _is_number(value: Any, low: float, high: float) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and low <= value <= high
