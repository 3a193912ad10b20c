"""What a run directory holds, read once for all sections of its report."""

import json
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from PIL.Image import Image

from hfcls.data.decode import decode_bytes
from hfcls.errors import BadImage, UserError
from hfcls.metrics.samples import Samples
from hfcls.pages.thumbnails import Thumbnail, make_thumbnail
from hfcls.structures import Predictions

# From sample ids to their images: encoded bytes or RGB, None for one that can't be had.
Pictures = Callable[[Sequence[str]], Sequence[bytes | Image | None]]
# From images and class indices to pictures of where the model looked, or to reasons why there is none.
Explain = Callable[[Sequence[Image], Sequence[int]], Sequence[Image | str]]
# Pixels of the longer side of a picture; shown at half of it, so that it is sharp on fine screens too.
SIDE = 192


@dataclass(frozen=True)
class MeasuredRun:
    """A run and the split that its report is about.

    Attributes:
        directory: the run.
        split: the one that the report is about.
        splits: by name, what ``metrics.json`` holds of each.
        speed, data, trainer_state, settings: the run's other files; empty where they are missing.
        predictions: of the split, labels known; None where the file is missing or is not what was measured.
        notices: what the reader must know about these files.
        pictures: fetches the images of the split.
        explain: shows where the model looked; None where it is not at hand.
    """

    directory: Path
    split: str
    splits: dict[str, Any]
    speed: dict[str, Any] = field(default_factory=dict)
    data: dict[str, Any] = field(default_factory=dict)
    trainer_state: dict[str, Any] = field(default_factory=dict)
    settings: dict[str, Any] = field(default_factory=dict)
    predictions: Predictions | None = None
    notices: tuple[str, ...] = ()
    pictures: Pictures | None = None
    explain: Explain | None = None

    @property
    def name(self) -> str:
        """Of the run; of an evaluation that lies inside one, that of the run as well."""
        place = self.directory.resolve()
        inside = place.parent.name == "evaluation" and place.parent.parent.name
        return f"{place.parent.parent.name}: {place.name}" if inside else place.name

    @property
    def measured(self) -> dict[str, Any]:
        """What ``metrics.json`` holds of the split."""
        found: dict[str, Any] = self.splits[self.split]
        return found

    @property
    def headline(self) -> dict[str, Any]:
        """The split's figures by name."""
        return self.measured.get("headline") or {}

    @cached_property
    def labels(self) -> list[str]:
        """K class names to show."""
        return label_classes(self.measured.get("class_names") or [])

    @cached_property
    def confusion(self) -> np.ndarray | None:
        """int64 (K, K), the row is the true class; None where nothing was measured."""
        counts = self.measured.get("confusion_matrix")
        return np.asarray(counts, dtype=np.int64) if counts else None

    @cached_property
    def samples(self) -> Samples | None:
        """The predictions, where figures can be drawn from them."""
        if self.predictions is None:
            return None
        samples = Samples(self.predictions)
        return None if samples.unusable else samples

    @cached_property
    def mistakes(self) -> np.ndarray:
        """Rows of the predictions that are wrong, the most confident first."""
        if self.samples is None:
            return np.zeros(0, dtype=np.int64)
        wrong = np.flatnonzero(~self.samples.correct)
        return wrong[np.argsort(-self.samples.confidence[wrong], kind="stable")]

    def other_predictions(self, split: str) -> Samples | None:
        """The predictions of another split, as `samples` are of this one."""
        if split not in self.splits:
            return None
        predictions, _ = _read_predictions(self.directory, split, self.splits[split])
        samples = Samples(predictions) if predictions is not None else None
        return None if samples is None or samples.unusable else samples

    def thumbnails(self, rows: Iterable[int]) -> dict[int, Thumbnail]:
        """Small pictures of some rows of the predictions, without those that can't be had."""
        if self.pictures is None or self.predictions is None:
            return {}
        ids, wanted = self.predictions.ids, list(dict.fromkeys(rows))
        new = [row for row in wanted if row not in self._thumbnails]
        for row, picture in zip(new, self.pictures([ids[row] for row in new]) if new else (), strict=True):
            self._thumbnails[row] = _thumbnail(picture, ids[row])
        made = ((row, self._thumbnails[row]) for row in wanted)
        return {row: thumbnail for row, thumbnail in made if thumbnail is not None}

    def overlays(self, rows: Sequence[int]) -> dict[int, Thumbnail | str]:
        """Of rows with a picture, where the model looked for the class that it predicted, or why there is no map."""
        if self.explain is None or self.pictures is None or self.predictions is None or self.samples is None:
            return {}
        ids = [self.predictions.ids[row] for row in rows]
        pairs = zip(rows, self.pictures(ids), ids, strict=True)
        images = {row: image for row, picture, name in pairs if (image := _decoded(picture, name)) is not None}
        targets = [int(self.samples.predicted[row]) for row in images]
        found = zip(images, self.explain(list(images.values()), targets), strict=True)
        return {row: one if isinstance(one, str) else make_thumbnail(one, side=SIDE) for row, one in found}

    @cached_property
    def _thumbnails(self) -> dict[int, Thumbnail | None]:
        return {}


def read_run(directory: Path, pictures: Pictures | None = None, *, explain: Explain | None = None) -> MeasuredRun:
    """Reads a run directory; only `metrics.json` must be there.

    Raises:
        UserError: `metrics.json` is missing or empty, or a file of the run can't be read.
    """
    metrics = _read(directory / "metrics.json")
    splits: dict[str, Any] = metrics.get("splits") or {}
    if not splits:
        raise UserError(f"{directory / 'metrics.json'} holds no measured split; run `hfcls evaluate` on the run first.")
    split = choose_split(splits)
    predictions, notices = _read_predictions(directory, split, splits[split])
    return MeasuredRun(
        directory,
        split,
        splits,
        metrics.get("speed") or {},
        _read(directory / "data.json", optional=True),
        _read(directory / "trainer_state.json", optional=True),
        _read(directory / "run.yaml", optional=True),
        predictions,
        notices,
        pictures,
        explain,
    )


def choose_split(splits: Iterable[str]) -> str:
    """The split that a report is about: test if it was measured, else validation, else the first."""
    names = list(splits)
    return next((name for name in ("test", "validation") if name in names), names[0])


def label_classes(names: Sequence[str]) -> list[str]:
    """Returns names to show: a repeated or empty name gets its index, so that no two look the same."""
    counts = Counter(names)
    return [f"{name} #{i}".strip() if counts[name] > 1 or not name.strip() else name for i, name in enumerate(names)]


def _read_predictions(
    directory: Path, split: str, measured: dict[str, Any]
) -> tuple[Predictions | None, tuple[str, ...]]:
    """The predictions that the figures were computed from, told by their confusion matrix."""
    path = directory / "predictions" / f"{split}.parquet"
    if not path.is_file():
        missing = f"predictions/{split}.parquet is missing: what is drawn from single predictions is left out."
        return None, (missing,)
    predictions = Predictions.load(path).known
    k = len(predictions.class_names)
    same = len(predictions) == measured["n"] and list(predictions.class_names) == measured.get("class_names")
    counts = measured.get("confusion_matrix")
    if same and counts:
        cells = predictions.labels * k + predictions.logits.argmax(axis=1)
        same = np.array_equal(np.bincount(cells, minlength=k * k).reshape(k, k), np.asarray(counts))
    if not same:
        other = f"predictions/{split}.parquet is not what metrics.json was computed from: it is left out."
        return None, (other,)
    return predictions, ()


def _thumbnail(picture: bytes | Image | None, sample_id: str) -> Thumbnail | None:
    image = _decoded(picture, sample_id)
    return None if image is None else make_thumbnail(image, side=SIDE)


def _decoded(picture: bytes | Image | None, sample_id: str) -> Image | None:
    if isinstance(picture, bytes):
        try:
            picture = decode_bytes(picture, sample_id, at_least=SIDE).image
        except BadImage:
            return None
    return None if picture is None else picture.convert("RGB")


def _read(path: Path, *, optional: bool = False) -> dict[str, Any]:
    """Reads a JSON or YAML mapping; a missing optional file is an empty one."""
    if optional and not path.is_file():
        return {}
    try:
        text = path.read_text(encoding="utf-8")
        content = yaml.safe_load(text) if path.suffix == ".yaml" else json.loads(text)
    except FileNotFoundError:
        raise UserError(f"{path} is missing; run `hfcls evaluate` on the run directory first.") from None
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise UserError(f"{path} can't be read ({error}).") from None
    if not isinstance(content, dict):
        raise UserError(f"{path} holds a {type(content).__name__}; expected a mapping, as hfcls writes it.")
    return content
