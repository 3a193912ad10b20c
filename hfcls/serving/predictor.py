"""A classifier that is loaded once, on first use, and answers for one image at a time, from any thread."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING

import numpy as np
from PIL.Image import Image

from hfcls.data.decode import MAX_BYTES, MAX_PIXELS, decode_bytes, decode_opened
from hfcls.errors import BadImage

if TYPE_CHECKING:
    import torch

    from hfcls.data.transforms import Preprocessing
    from hfcls.models import Classifier

# transformers changes what all threads see (how weights begin) while it loads: one model after the other.
_LOADING = Lock()


@dataclass(frozen=True)
class Answer:
    """What a classifier says of one image.

    Attributes:
        class_names: K names, in the order of the logits; names may repeat.
        logits: float32 (K,).
    """

    class_names: tuple[str, ...]
    logits: np.ndarray

    @cached_property
    def probabilities(self) -> np.ndarray:
        """Softmax of the logits, float64 (K,)."""
        exponentials = np.exp(self.logits.astype(np.float64) - self.logits.max())
        return exponentials / exponentials.sum()

    def top(self, k: int) -> list[tuple[str, float]]:
        """The `k` likeliest classes (all, where there are fewer) with their probabilities, the likeliest first."""
        likeliest = np.argsort(-self.probabilities, kind="stable")[:k]
        return [(self.class_names[index], float(self.probabilities[index])) for index in likeliest]


@dataclass(frozen=True)
class _Loaded:
    classifier: "Classifier"
    preprocessing: "Preprocessing"
    device: "torch.device"


class Predictor:
    """Answers of one classifier. Making one costs nothing: torch and the weights wait for the first question.

    Args:
        model: a directory or a Hub id, as `hfcls.load_classifier` takes it; code that comes with it is never run.
        device: such as "cpu"; the machine's accelerator, if it has one, where None.
        max_bytes: of a stored image.
        max_pixels: of an image; at most twice `hfcls.data.decode.MAX_PIXELS`.
    """

    def __init__(
        self,
        model: str | Path,
        *,
        device: str | None = None,
        max_bytes: int = MAX_BYTES,
        max_pixels: int = MAX_PIXELS,
    ):
        self.model = str(model)
        self._device = device
        self._max_bytes = max_bytes
        self._max_pixels = max_pixels
        self._loaded: _Loaded | None = None
        self._first = Lock()

    @property
    def is_loaded(self) -> bool:
        """Whether the classifier is in memory already."""
        return self._loaded is not None

    @property
    def classifier(self) -> "Classifier":
        """The model and its image processor, loaded if need be.

        Raises:
            UserError: they cannot be had; the next call tries again.
        """
        return self._ready().classifier

    def predict(self, image: bytes | Image, *, name: str = "image") -> Answer:
        """Classifies one image, as `hfcls predict` does.

        Args:
            image: a stored image (JPEG, PNG, ...) or one in memory, in any mode.
            name: stands for the image in errors.

        Raises:
            BadImage: the image cannot be used.
            UserError: the classifier cannot be loaded.
        """
        # Before the model is asked for: who sends no image need not wait for it.
        upright = self.decode(image, name=name)
        logits = self.logits(self.pixels(upright, name=name)[None])[0].numpy()
        if not np.isfinite(logits).all():
            raise _bad(name, "has no answer: the model's output for it is not a number")
        return Answer(self.classifier.class_names, logits)

    def decode(self, image: bytes | Image, *, name: str = "image") -> Image:
        """The image upright and in 8-bit RGB.

        Raises:
            BadImage: it is broken, or larger than allowed.
        """
        if isinstance(image, Image):
            return decode_opened(image, name, max_pixels=self._max_pixels)
        if not image:
            raise _bad(name, "is an empty file")
        if len(image) > self._max_bytes:
            raise _bad(name, f"has {len(image) / 2**20:.1f} MiB, more than the limit of {self._max_bytes / 2**20:g}")
        return decode_bytes(image, name, max_pixels=self._max_pixels).image

    def pixels(self, image: Image, *, name: str = "image") -> "torch.Tensor":
        """An upright RGB image to uint8 (3, H, W) of the classifier's size.

        Raises:
            BadImage: it cannot be resized.
            UserError: the classifier cannot be loaded.
        """
        return self._ready().preprocessing.checked_pixels(image, name)

    def logits(self, pixels: "torch.Tensor") -> "torch.Tensor":
        """What the network says of a batch.

        Args:
            pixels: uint8 (N, 3, H, W).

        Returns:
            float32 (N, K), on the CPU.

        Raises:
            UserError: the classifier cannot be loaded.
        """
        import torch

        ready = self._ready()
        with torch.inference_mode():
            values = ready.preprocessing.normalize(pixels).to(ready.device)
            return ready.classifier.model(pixel_values=values).logits.float().cpu()

    def _ready(self) -> _Loaded:
        if self._loaded is None:
            with self._first:
                if self._loaded is None:
                    self._loaded = _load(self.model, self._device)
        return self._loaded


def _load(model: str, device: str | None) -> _Loaded:
    import torch

    from hfcls.data.transforms import Preprocessing
    from hfcls.models import load_classifier
    from hfcls.pull import local_model

    directory = local_model(model, quiet=True)  # nobody else waits for a download
    with _LOADING:
        classifier = load_classifier(model, directory=directory)
    found = torch.accelerator.current_accelerator() if torch.accelerator.is_available() else None
    place = torch.device(device) if device is not None else found or torch.device("cpu")
    classifier.model.to(place).eval()
    return _Loaded(classifier, Preprocessing(classifier.image_processor), place)


def _bad(name: str, reason: str) -> BadImage:
    return BadImage(f"{name!r} {reason}.", sample_id=name, reason=reason)
