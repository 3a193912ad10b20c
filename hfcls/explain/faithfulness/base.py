"""What a measure of faithfulness sees: one image, one class, one map of it."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, NamedTuple

import numpy as np
import torch
from PIL.Image import Image
from scipy.stats import rankdata
from torch import Tensor

from hfcls.data.transforms import Preprocessing
from hfcls.explain.base import device_of, undisturbed
from hfcls.explain.faithfulness.frames import to_network
from hfcls.explain.faithfulness.unexplained import smooth_noise
from hfcls.explain.geometry import find_frame
from hfcls.models.architectures import Classifier

# Images in one forward pass. On a CPU few large ones, whose activations stay in caches.
_BATCH, _PIXELS_ON_CPU = 32, 4 * 224 * 224


class Outcome(NamedTuple):
    """What a measure found.

    Attributes:
        value: the figure.
        curve: probabilities at even steps from 0 to 1, where the figure is the area under them.
    """

    value: float
    curve: tuple[float, ...] | None = None


class Subject:
    """One image and one class, as the network sees them; counts what the network is asked.

    All measures work in the network's frame: what lies outside its crop cannot change its answer.

    Args:
        classifier: is asked in eval mode, and left as it was.
        preprocessing: of the classifier.
        image: upright and RGB.
        target: index of the class.
        seed: of what the measures draw for this image.

    Attributes:
        pixels: uint8 (3, h, w), before they are normalized.
        frame: where they lie in the image.
        pixel_values: (3, h, w), on the model's device.
        spent: forward passes, of one image each.
    """

    def __init__(
        self, classifier: Classifier, preprocessing: Preprocessing, *, image: Image, target: int, seed: int = 0
    ):
        self.classifier, self.image, self.target, self.seed = classifier, image, target, seed
        self.frame = find_frame(preprocessing, (image.height, image.width))
        self._device = device_of(classifier.model)
        self.pixels = preprocessing.pixels(image)
        self.pixel_values = preprocessing.normalize(self.pixels[None])[0].to(self._device)
        self.spent = 0

    @property
    def size(self) -> tuple[int, int]:
        """(h, w) of what the network sees."""
        return (self.pixel_values.shape[1], self.pixel_values.shape[2])

    def logits(self, pixel_values: Tensor) -> Tensor:
        """(N, 3, h, w) to (N, K), float32."""
        height, width = self.size
        batch = max(1, min(_BATCH, _PIXELS_ON_CPU // (height * width))) if self._device.type == "cpu" else _BATCH
        with undisturbed(self.classifier.model), torch.inference_mode():
            parts = [self.classifier.model(pixel_values=part).logits.float() for part in pixel_values.split(batch)]
        self.spent += len(pixel_values)
        return torch.cat(parts)

    def probabilities(self, pixel_values: Tensor) -> np.ndarray:
        """Of the class: (N, 3, h, w) to float64 (N,)."""
        return self.logits(pixel_values).double().softmax(dim=1)[:, self.target].cpu().numpy()

    def replaced(self, where: np.ndarray, filler: Tensor) -> Tensor:
        """The image with other pixels at some places.

        Args:
            where: bool (N, h, w).
            filler: (3, 1, 1) or (3, h, w).

        Returns:
            (N, 3, h, w).
        """
        mask = torch.from_numpy(where).to(self._device)[:, None]
        return torch.where(mask, filler, self.pixel_values)

    @cached_property
    def mean_colour(self) -> Tensor:
        """The mean of the image's own pixels, (3, 1, 1): what is put where something is taken away."""
        return self.pixel_values.mean(dim=(1, 2), keepdim=True)

    def random_parts(self, share: float, draws: int) -> np.ndarray:
        """Parts of the image of some size, each a few connected patches: bool (draws, h, w)."""
        noise = [smooth_noise(self.size, seed=(self.seed, 1, draw)) for draw in range(draws)]
        return np.stack([self.order(values) < round(share * values.size) for values in noise])

    def order(self, values: np.ndarray) -> np.ndarray:
        """The place of each pixel, the largest first: int64 (h, w) from 0 on.

        Where a map says the same of many pixels, smooth noise decides: rows from the top, or a sprinkle, would be a
        preference of their own.
        """
        noise = smooth_noise(self.size, seed=(self.seed, 2))
        ranks = np.empty(values.size, np.int64)
        ranks[np.lexsort((-noise.ravel(), -values.ravel()))] = np.arange(values.size)
        return ranks.reshape(values.shape)

    def to_network(self, values: np.ndarray) -> np.ndarray:
        """A map in the coordinates of the image, (H, W), as one in the network's frame, (h, w)."""
        return to_network(values, self.frame, self.size)


# Maps of the same kind for a classifier and some images, uint8 (3, h, w), in the network's frame; None where one is
# empty.
Again = Callable[[Classifier, list[Tensor]], list[np.ndarray | None]]


class NoScore(Exception):
    """A further map that a measure asks for cannot be made."""


@dataclass(frozen=True)
class Case:
    """A map that is to be judged.

    Attributes:
        subject: of what.
        values: float32 (h, w) in the network's frame.
        again: makes maps of the same kind.
        randomized: the same classifier with random weights.
    """

    subject: Subject
    values: np.ndarray
    again: Again
    randomized: Callable[[], Classifier]

    @cached_property
    def ranks(self) -> np.ndarray:
        """See `Subject.order`."""
        return self.subject.order(self.values)


@dataclass(frozen=True)
class Measure:
    """One row of ``MEASURES``.

    Attributes:
        title: for people.
        meaning: in a few words, what the figure says.
        better: whether high or low is good.
        paper: where it is from.
        function: from a case to the figure.
        repeats: it asks for further maps, which a slow explainer makes slowly.
    """

    title: str
    meaning: str
    better: Literal["higher", "lower"]
    paper: str
    function: Callable[[Case], Outcome]
    repeats: bool = False


def agreement(one: np.ndarray, other: np.ndarray | None) -> float:
    """Spearman's rank correlation of two maps; 0 where one of them says nothing, since nothing agrees with nothing."""
    if other is None:
        return 0.0
    first, second = (rankdata(values.ravel()) for values in (one, other))
    if np.ptp(first) == 0 or np.ptp(second) == 0:
        return 0.0
    return float(np.corrcoef(first, second)[0, 1])
