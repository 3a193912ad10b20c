"""A classifier that is loaded once, on first use, and answers for one image at a time, from any thread."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
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
    from hfcls.explain.base import Heatmap
    from hfcls.models import Classifier
    from hfcls.uncertainty.trust import Judged, Trust

# transformers changes what all threads see (how weights begin) while it loads: one model after the other.
_LOADING = Lock()
# Whoever waits for another's explanation is asked so often whether they still want theirs.
_PATIENCE_SECONDS = 0.2


@dataclass(frozen=True)
class Answer:
    """What a classifier says of one image.

    Attributes:
        class_names: K names, in the order of the logits; names may repeat.
        logits: float32 (K,), of the network.
        trust: what was learned about the classifier's answers, if anything was.
    """

    class_names: tuple[str, ...]
    logits: np.ndarray
    trust: "Trust | None" = None

    @cached_property
    def judged(self) -> "Judged | None":
        """What is to be thought of it, where something was learned about the classifier's answers."""
        if self.trust is None:
            return None
        return self.trust.judge(self.logits[None])

    @property
    def possible(self) -> list[str] | None:
        """The classes that are held possible, the likeliest first; None where nothing is known of that."""
        if self.judged is None:
            return None
        order = np.argsort(-self.probabilities, kind="stable")
        return [self.class_names[index] for index in order if self.judged.sets[0, index]]

    @cached_property
    def probabilities(self) -> np.ndarray:
        """Softmax of the logits, scaled where the classifier is calibrated, float64 (K,)."""
        if self.judged is not None:
            return self.judged.probabilities[0]
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
    directory: Path
    trust: "Trust | None"


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
        self._twin: Classifier | None = None
        self._explaining = Lock()

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

    @property
    def directory(self) -> Path:
        """Where the model lies on this machine.

        Raises:
            UserError: it cannot be loaded.
        """
        return self._ready().directory

    @property
    def image_size(self) -> tuple[int, int]:
        """Height and width in pixels to which images are brought.

        Raises:
            UserError: the classifier cannot be loaded.
        """
        return self._ready().preprocessing.spec.size

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
        ready = self._ready()
        return Answer(ready.classifier.class_names, logits, ready.trust)

    def explain(
        self,
        image: bytes | Image,
        *,
        method: str = "grad-cam",
        target: int | None = None,
        seconds: float | None = None,
        seed: int = 0,
        progress: Callable[[int, int | None], None] | None = None,
        name: str = "image",
    ) -> "Heatmap":
        """Where in an image a class comes from; one explanation at a time, while `predict` goes on answering.

        Args:
            image: as `predict` takes it.
            method: a key of `hfcls.explain.EXPLAINERS`.
            target: index of the class; the predicted one where None.
            seconds: the time for methods that can be cut short; as long as they take where None.
            seed: of methods that draw.
            progress: is told of forward passes done, and of how many; it may raise to end the work.
            name: stands for the image in errors.

        Raises:
            BadImage: the image cannot be used.
            UserError: the classifier cannot be loaded, or the method cannot explain it.
        """
        from hfcls.explain import explain_images
        from hfcls.serving.twin import build_twin

        upright = self.decode(image, name=name)
        classifier = self._ready().classifier
        with self._one_at_a_time(progress):
            # Explainers hang hooks on the module, which a prediction beside them must not meet.
            self._twin = self._twin or replace(classifier, model=build_twin(classifier.model))
            (heatmap,) = explain_images(
                self._twin,
                [upright],
                method=method,
                targets=None if target is None else [target],
                seconds=seconds,
                seed=seed,
                progress=progress,
            )
        return heatmap

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

    @contextmanager
    def _one_at_a_time(self, progress: Callable[[int, int | None], None] | None) -> Iterator[None]:
        while not self._explaining.acquire(timeout=_PATIENCE_SECONDS):
            if progress is not None:
                progress(0, None)
        try:
            yield
        finally:
            self._explaining.release()

    def _ready(self) -> _Loaded:
        if self._loaded is None:
            with self._first:
                if self._loaded is None:
                    self._loaded = _load(self.model, self._device)
        return self._loaded


def _load(model: str, device: str | None) -> _Loaded:
    import torch

    from hfcls.data.transforms import Preprocessing
    from hfcls.evaluation.trusted import trust_of
    from hfcls.models import load_classifier
    from hfcls.pull import local_model

    directory = local_model(model, quiet=True)  # nobody else waits for a download
    with _LOADING:
        classifier = load_classifier(model, directory=directory)
    found = torch.accelerator.current_accelerator() if torch.accelerator.is_available() else None
    place = torch.device(device) if device is not None else found or torch.device("cpu")
    classifier.model.to(place).eval()
    trust = trust_of(classifier, directory)
    return _Loaded(classifier, Preprocessing(classifier.image_processor), place, directory, trust)


def _bad(name: str, reason: str) -> BadImage:
    return BadImage(f"{name!r} {reason}.", sample_id=name, reason=reason)
