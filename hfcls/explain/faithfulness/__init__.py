"""Which explanation to believe: what each map is worth, beside maps that know nothing.

To add a measure, write a function from a `Case` to an `Outcome`, and a row in ``MEASURES``.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from PIL.Image import Image, fromarray
from torch import Tensor

from hfcls.data.transforms import Preprocessing
from hfcls.errors import UserError
from hfcls.explain import EmptyMap, Heatmap, explain_pixels
from hfcls.explain.base import Progress, device_of
from hfcls.explain.faithfulness.base import Again, Case, Measure, NoScore, Subject
from hfcls.explain.faithfulness.confidence import drop
from hfcls.explain.faithfulness.curves import deletion, insertion
from hfcls.explain.faithfulness.randomization import randomization, randomize_weights
from hfcls.explain.faithfulness.road import road
from hfcls.explain.faithfulness.stability import stability
from hfcls.explain.faithfulness.unexplained import CENTRE, RANDOM, UNEXPLAINED, smooth_noise
from hfcls.models.architectures import Classifier
from hfcls.registry import Registry

_RISE = "Petsiuk et al. 2018, arXiv:1806.07421"
MEASURES: Registry[Measure] = Registry(
    "measure",
    {
        "insertion": Measure("Insertion", "area under the probability as the pixels come", "higher", _RISE, insertion),
        "deletion": Measure("Deletion", "area under the probability as the pixels go", "lower", _RISE, deletion),
        "road": Measure(
            "ROAD",
            "least important minus most important pixels filled in, halved",
            "higher",
            "Rong et al. 2022, arXiv:2202.00449",
            road,
        ),
        "drop": Measure(
            "Drop",
            "probability lost with the top fifth, above that of a random fifth",
            "higher",
            "after Samek et al. 2017, arXiv:1509.06321",
            drop,
        ),
        "stability": Measure(
            "Stability",
            "rank correlation with maps of the image plus 2 % noise",
            "higher",
            "Alvarez-Melis and Jaakkola 2018, arXiv:1806.08049",
            stability,
            repeats=True,
        ),
        "randomization": Measure(
            "Random weights",
            "rank correlation with the map of a network that has forgotten all",
            "lower",
            "Adebayo et al. 2018, arXiv:1810.03292",
            randomization,
            repeats=True,
        ),
    },
)

__all__ = ["CENTRE", "MEASURES", "RANDOM", "UNEXPLAINED", "Faithfulness", "Measure", "Score", "Subject"]


@dataclass(frozen=True)
class Score:
    """What one measure says of one map of one image.

    Attributes:
        measure: a name of ``MEASURES``, which says whether high or low is good.
        value: the figure.
        passes: forward passes spent, of one image each; those of the explainer itself are not among them.
        seconds: that took.
        curve: of probabilities at even steps, where there is one.
    """

    measure: str
    value: float
    passes: int
    seconds: float
    curve: tuple[float, ...] | None = None


class Faithfulness:
    """Judges the maps of one classifier.

    Args:
        classifier: a model, on any device, and its image processor.
        measures: names of ``MEASURES``; those that ask for further maps may be left out where maps are dear.
        seed: of all that is drawn: the same images, maps and seed give the same figures.
        seconds, passes: what a further map may take, as the first might.
        progress: is told of the passes of further maps; may raise to stop.

    Raises:
        UserError: a measure is unknown.
    """

    def __init__(
        self,
        classifier: Classifier,
        *,
        measures: Sequence[str] = tuple(MEASURES),
        seed: int = 0,
        seconds: float | None = None,
        passes: int | None = None,
        progress: Progress | None = None,
    ):
        self._measures = {name: MEASURES[name] for name in measures}
        self.classifier, self._seed = classifier, seed
        self._seconds, self._passes = seconds, passes
        self._progress = progress
        self._preprocessing = Preprocessing(classifier.image_processor)
        self._randomized: Classifier | None = None

    def subject(self, image: Image, target: int, *, number: int = 0) -> Subject:
        """An image and a class, for all maps of them.

        Args:
            number: of the image, so that what is drawn for it is not what is drawn for the next.
        """
        return Subject(self.classifier, self._preprocessing, image=image, target=target, seed=self._seed + number)

    def measure(self, subject: Subject, heatmap: Heatmap, *, repeats: bool = True) -> list[Score]:
        """Judges a map that `explain_images` made of the subject's image and class.

        Args:
            repeats: whether to run the measures that ask for further maps.

        Returns:
            A score for each measure, without those whose further maps cannot be made.
        """

        def again(classifier: Classifier, images: list[Tensor]) -> list[np.ndarray | None]:
            return [self._map(subject, classifier, pixels, heatmap) for pixels in images]

        return self._scores(subject, subject.to_network(heatmap.values), again, repeats)

    def measure_unexplained(self, subject: Subject, name: str) -> list[Score]:
        """Judges a map that knows nothing, a name of ``UNEXPLAINED``; each further one is another draw."""
        drawn = 0

        def draw() -> np.ndarray:
            nonlocal drawn
            drawn += 1
            return UNEXPLAINED[name](subject.size, seed=(subject.seed, 0, drawn))

        return self._scores(subject, draw(), lambda _, images: [draw() for _ in images], repeats=True)

    def _scores(self, subject: Subject, values: np.ndarray, again: Again, repeats: bool) -> list[Score]:
        case = Case(subject, values, again, self._randomized_classifier)
        scores = []
        for name, measure in self._measures.items():
            if measure.repeats and not repeats:
                continue
            before, begun = subject.spent, time.monotonic()
            try:
                outcome = measure.function(case)
            except NoScore:
                continue  # and the score is missing, which the tables show
            scores.append(Score(name, outcome.value, subject.spent - before, time.monotonic() - begun, outcome.curve))
        return scores

    def _map(self, subject: Subject, classifier: Classifier, pixels: Tensor, first: Heatmap) -> np.ndarray | None:
        try:
            (found,) = explain_pixels(
                classifier,
                [pixels],
                [subject.frame],
                preprocessing=self._preprocessing,
                method=first.method,
                targets=[subject.target],
                layer=first.layer,
                seed=self._seed,
                progress=self._progress,
                seconds=self._seconds,
                passes=self._passes,
            )
        except EmptyMap:
            return None
        except UserError as error:
            raise NoScore(str(error)) from error
        return subject.to_network(found.values)

    def _randomized_classifier(self) -> Classifier:
        """The classifier with random weights, made once; normalized by smooth noise, the same whatever the images."""
        if self._randomized is None:
            size = self._preprocessing.spec.size
            noise = np.stack([smooth_noise(size, seed=(self._seed, 4, channel)) for channel in range(3)], axis=-1)
            pixels = self._preprocessing.pixels(fromarray((255 * noise).astype(np.uint8)))
            pixel_values = self._preprocessing.normalize(pixels[None])
            model = self.classifier.model
            pixel_values = pixel_values.to(device_of(model))
            self._randomized = replace(self.classifier, model=randomize_weights(model, pixel_values, seed=self._seed))
        return self._randomized
