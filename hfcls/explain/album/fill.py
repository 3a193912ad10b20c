"""Image after image into an album; what is done is on disk, whatever ends it."""

import re
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from PIL.Image import Image

from hfcls.data.decode import decode_image
from hfcls.data.transforms import Preprocessing
from hfcls.errors import BadImage, UserError
from hfcls.explain import EXPLAINERS, explain_images
from hfcls.explain.album.records import Album, ImageRecord, MapRecord, Scores
from hfcls.explain.base import device_of, undisturbed
from hfcls.explain.faithfulness import UNEXPLAINED, Faithfulness, Score, Subject
from hfcls.explain.overlay import overlay
from hfcls.models.architectures import Classifier
from hfcls.pages.thumbnails import shrink

# Pixels of the longer side of a written picture; below the second, nothing is lost to compression.
_SIDE, _LOSSLESS = 1024, 256
# Images for which slow explainers are asked for further maps, four for each.
SLOW_REPEATS = 3


@dataclass(frozen=True)
class Plan:
    """What is made of each image.

    Attributes:
        methods: names of ``EXPLAINERS``.
        target: index of the class to explain; the likeliest ones where None.
        top_k: how many of the likeliest.
        faithfulness: whether the maps are measured; of several classes those of the likeliest.
        seconds, passes: what a map may take, for methods that can be cut short.
        seed: of what is drawn.
        repeats: for how many images the measures may ask for further maps; for all by fast explainers and for
            `SLOW_REPEATS` by slow ones where None.
        max_pixels: of a stored image.
    """

    methods: tuple[str, ...]
    target: int | None = None
    top_k: int = 1
    faithfulness: bool = False
    seconds: float | None = None
    passes: int | None = None
    seed: int = 0
    repeats: int | None = None
    max_pixels: int = 89_478_485


# What is done, and how many passes of how many.
Tell = Callable[[str, int, int | None], None]


class Filler:
    """Fills an album.

    Args:
        album: may hold images; what it has is not made again.
        directory: of the album.
        tell: is called with the method, the passes done and their number; may raise to stop.
        step: is called after each map.
    """

    def __init__(
        self,
        album: Album,
        classifier: Classifier,
        plan: Plan,
        *,
        directory: Path,
        tell: Tell = lambda *_: None,
        step: Callable[[], None] = lambda: None,
    ):
        self._album, self._classifier, self._plan, self._directory = album, classifier, plan, directory
        self._tell, self._step, self._doing = tell, step, ""
        self._preprocessing = Preprocessing(classifier.image_processor)
        self._judge = Faithfulness(
            classifier, seed=plan.seed, seconds=plan.seconds, passes=plan.passes, progress=self._progress
        )

    def fill(self, samples: Iterable[tuple[str, dict[str, Any] | None, str | None]]) -> None:
        """Explains images: id, stored cell, true class where it is known."""
        known = {image.id: image for image in self._album.images}
        try:
            for number, (sample_id, cell, true) in enumerate(samples):
                record = known.get(sample_id)
                if record is None:
                    record = ImageRecord(sample_id, true)
                    self._album.images.append(record)
                if record.error is None:
                    self._explain(number, record, cell)
                self._album.save(self._directory)
        finally:
            self._album.save(self._directory)

    def _explain(self, number: int, record: ImageRecord, cell: dict[str, Any] | None) -> None:
        try:
            image = decode_image(cell, record.id, max_pixels=self._plan.max_pixels)
            pixels = self._preprocessing.checked_pixels(image, record.id)
        except BadImage as error:
            record.error = error.reason
            return
        probabilities = self._ask(self._preprocessing.normalize(pixels[None]))
        best = [int(index) for index in probabilities.argsort(descending=True)]
        names = self._classifier.class_names
        record.predicted, record.probability = names[best[0]], float(probabilities[best[0]])
        name = f"{number + 1:04d}-{_safe(record.id)}"
        record.picture = record.picture or self._save(image, f"{name}.original")
        targets = best[: self._plan.top_k] if self._plan.target is None else [self._plan.target]
        subject: Subject | None = None
        if self._plan.faithfulness:
            subject = self._judge.subject(image, targets[0], number=number)
        for rank, target in enumerate(targets):
            for method in self._plan.methods:
                if record.find(method, target) is None:
                    made = MapRecord(method, names[target], target, float(probabilities[target]))
                    rest = f"{name}.{method}" if rank == 0 else f"{name}.{method}.{rank + 1}"
                    self._make(made, image, subject if rank == 0 else None, name=rest, number=number)
                    record.maps.append(made)
                self._step()
        if subject is not None:
            for other in UNEXPLAINED:
                if other not in record.unexplained:
                    self._doing = other
                    record.unexplained[other] = _as_dicts(self._judge.measure_unexplained(subject, other))

    def _make(self, made: MapRecord, image: Image, subject: Subject | None, *, name: str, number: int) -> None:
        """One map, its picture, its figures; or why there is none."""
        self._doing = made.method
        try:
            (found,) = explain_images(
                self._classifier,
                [image],
                method=made.method,
                targets=[made.target_index],
                seconds=self._plan.seconds,
                passes=self._plan.passes,
                seed=self._plan.seed,
                progress=self._progress,
            )
        except UserError as error:
            made.error = str(error)
            return
        made.layer, made.passes, made.seconds, made.complete = found.layer, found.passes, found.seconds, found.complete
        made.picture = self._save(overlay(image, found), name)
        if subject is not None:
            made.scores = _as_dicts(self._judge.measure(subject, found, repeats=self._may_repeat(made.method, number)))

    def _may_repeat(self, method: str, number: int) -> bool:
        if self._plan.repeats is not None:
            return number < self._plan.repeats
        return EXPLAINERS[method].cost == "fast" or number < SLOW_REPEATS

    def _ask(self, pixel_values: torch.Tensor) -> torch.Tensor:
        """Probabilities of one image, (K,)."""
        model = self._classifier.model
        with undisturbed(model), torch.inference_mode():
            logits = model(pixel_values=pixel_values.to(device_of(model))).logits
        return logits[0].double().softmax(-1).cpu()

    def _save(self, image: Image, name: str) -> str:
        """Writes a picture; returns its place in the album."""
        image = shrink(image, _SIDE)
        small = max(image.size) <= _LOSSLESS
        path = Path("pictures", f"{name}.{'png' if small else 'webp'}")
        (self._directory / "pictures").mkdir(parents=True, exist_ok=True)
        settings: dict[str, Any] = {} if small else {"quality": 90, "method": 2}
        image.save(self._directory / path, **settings)
        return path.as_posix()

    def _progress(self, done: int, total: int | None) -> None:
        self._tell(self._doing, done, total)


def _as_dicts(scores: list[Score]) -> Scores:
    return {
        one.measure: {key: value for key, value in asdict(one).items() if key != "measure" and value is not None}
        for one in scores
    }


def _safe(sample_id: str) -> str:
    """The end of an id as part of a file name that any system takes."""
    return re.sub(r"[^A-Za-z0-9_-]+", "-", Path(sample_id).stem)[-40:].strip("-") or "image"
