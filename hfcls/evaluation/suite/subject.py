"""What the suite measures: a classifier, what it makes of the images of a split, and the images beside them."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tqdm.auto import tqdm

from hfcls.evaluation.observe import known_of, observe
from hfcls.evaluation.suite.stranger_sets import StrangerSet
from hfcls.models import Classifier, find_heads, kept_features
from hfcls.networks import Ensemble
from hfcls.structures import Predictions
from hfcls.uncertainty.strangers import Known, Seen
from hfcls.uncertainty.trust import draws_of

# Fewer of either half say nothing.
FEWEST = 20
SEED = 0


@dataclass(frozen=True)
class TrainImages:
    """Images that the network learned from.

    Attributes:
        n: how many.
        of: how many it learned from in all.
        labels: (n,).
        batches: makes them, as ``pixel_values``.
        record: of what they are.
    """

    n: int
    of: int
    labels: np.ndarray
    batches: Callable[[], Iterable[Any]]
    record: str


@dataclass(frozen=True)
class Subject:
    """What the steps of the suite are given.

    Attributes:
        name: of the model, for people.
        classifier: in eval mode, on `device`.
        split: that is measured.
        predictions: of its N images, with known labels.
        passed_features: (N, D) of the same pass; None where the network has no head that could be found, or where the
            predictions are those of an earlier evaluation.
        batches: makes some rows of the same images again, in that order, as ``pixel_values``.
        validation: predictions of the run's own validation split, to fit on; None where it has none, where one of its
            images is measured, or where they are of other weights.
        train: None where there is no train split, or it is measured.
        strangers: sets of images that show none of the classes.
        keep: a directory for what the network makes of further images.
        record: of the network and the images of the split.
        batch_size: images in one forward pass.
        learned: how many of the N images the model has learned from, as far as is known.
    """

    name: str
    classifier: Classifier
    device: torch.device
    split: str
    predictions: Predictions
    passed_features: np.ndarray | None
    batches: Callable[[np.ndarray], Iterable[Any]]
    validation: Predictions | None
    train: TrainImages | None
    strangers: tuple[StrangerSet, ...]
    keep: Path
    record: dict[str, Any]
    batch_size: int = 64
    quiet: bool = False
    learned: int = 0
    _loaded: dict[Path, Seen] = field(default_factory=dict, repr=False)

    @property
    def networks(self) -> int:
        """How many networks answer: the members of an ensemble, else 1."""
        model = self.classifier.model
        return len(model.members) if isinstance(model, Ensemble) else 1

    @property
    def features(self) -> np.ndarray | None:
        """(N, D) of the split's images; None where the network has no head that could be found."""
        if self.passed_features is not None or not has_head(self.classifier):
            return self.passed_features
        return self.see(*self._itself).features

    @property
    def _itself(self) -> tuple[str, str, Callable[[], Iterable[Any]], int]:
        """The split, for `see`."""
        n = len(self.predictions)
        return self.split, str(self.record["the images"]), lambda: self.batches(np.arange(n)), n

    def remember_features(self) -> None:
        """Keeps the features of the pass, so that whoever goes on needs no other."""
        if self.passed_features is not None:
            save_seen(Seen(self.predictions.logits, self.passed_features), self._file(self._itself[1]))

    @property
    def seen(self) -> Seen:
        """What the network makes of the split."""
        return Seen(self.predictions.logits, self.features)

    @cached_property
    def _fits(self) -> np.ndarray:
        """Whether each image of the split is one to fit on, bool (N,)."""
        if self.validation is not None:
            return np.zeros(len(self.predictions), dtype=bool)
        return draws_of([f"half of {name}" for name in self.predictions.ids]) < 0.5

    @property
    def fitting(self) -> Predictions:
        """What calibration and sets are fitted on: the run's validation split, or about half of the images."""
        return self.validation if self.validation is not None else rows_of(self.predictions, self._fits)

    @property
    def measured(self) -> np.ndarray:
        """Rows of the split that nothing was fitted on."""
        return np.flatnonzero(~self._fits)

    def passing(self, description: str) -> Iterable[Any]:
        """The batches of `measured`, with a bar."""
        total = -(-len(self.measured) // self.batch_size)
        return tqdm(
            self.batches(self.measured),
            desc=description,
            unit="batch",
            total=total,
            disable=self.quiet or None,
            leave=False,
        )

    @property
    def fresh(self) -> Predictions:
        """The predictions of `measured`."""
        return rows_of(self.predictions, self.measured)

    @property
    def fitted_on(self) -> str:
        """In words."""
        if self.validation is not None:
            return f"the {len(self.validation):,} images of the validation split"
        return f"{len(self.fitting):,} of the {len(self.predictions):,} images, measured on the others"

    @property
    def known(self) -> Known:
        """What the network makes of images that it learned from; there must be any, and features."""
        assert self.train is not None
        seen = self.see("train", self.train.record, self.train.batches, self.train.n)
        return known_of(self.classifier.model, seen, self.train.labels)

    def see_strangers(self, one: StrangerSet) -> Seen:
        """What the network makes of strangers."""
        return self.see(one.name, one.record, one.batches, one.n)

    def see(self, name: str, record: str, batches: Callable[[], Iterable[Any]], n: int) -> Seen:
        """What the network makes of some images, from the disk where it was seen before.

        Args:
            name: for people; a folder of strangers may be called as a split is.
            record: of what the images are.
        """
        file = self._file(record)
        if file in self._loaded:
            return self._loaded[file]
        if file.is_file():
            kept = np.load(file)
            seen = Seen(kept["logits"], kept.get("features"))
        else:
            seen = observe(
                self.classifier.model,
                batches(),
                device=self.device,
                description=f"Looking at {name}",
                total=-(-n // self.batch_size),
                features=has_head(self.classifier),
                quiet=self.quiet,
            )
            save_seen(seen, file)
        self._loaded[file] = seen
        return seen

    def _file(self, record: str) -> Path:
        hardware = f"{self.device.type} {torch.__version__}"
        made_from = f"{self.record['the model']} {record} {self.batch_size} {hardware}"
        key = blake2b(made_from.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()
        return self.keep / f"{key}.npz"


class KeptFeatures:
    """What a classifier head has read while `keeping_features` was open."""

    def __init__(self) -> None:
        self.parts: list[torch.Tensor] = []

    @property
    def features(self) -> np.ndarray | None:
        """Float32 (N, D); None where nothing was kept."""
        return np.concatenate([part.float().cpu().numpy() for part in self.parts]) if self.parts else None


@contextmanager
def keeping_features(classifier: Classifier, *, wanted: bool) -> Iterator[KeptFeatures]:
    """While open, keeps the features of all images that pass, if they are `wanted` and can be read."""
    kept = KeptFeatures()
    if not wanted or not has_head(classifier):
        yield kept
        return
    with kept_features(classifier.model) as kept.parts:
        yield kept


def has_head(classifier: Classifier) -> bool:
    """Whether features can be read off the network."""
    try:
        return bool(find_heads(classifier.model))
    except TypeError:
        return False


def rows_of(predictions: Predictions, rows: np.ndarray) -> Predictions:
    """Some of the predictions."""
    ids = tuple(np.asarray(predictions.ids, dtype=object)[rows].tolist())
    return replace(predictions, logits=predictions.logits[rows], labels=predictions.labels[rows], ids=ids)


def save_seen(seen: Seen, file: Path) -> None:
    """Writes what a network has seen aside, and then renames it."""
    file.parent.mkdir(parents=True, exist_ok=True)
    aside = file.with_suffix(".part")
    arrays: dict[str, Any] = {"logits": seen.logits} | ({} if seen.features is None else {"features": seen.features})
    with aside.open("wb") as stream:
        np.savez(stream, **arrays)
    aside.replace(file)
