"""A cleaned list of a data set: which images stay, which go and why, which belong together."""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from hfcls.errors import UserError
from hfcls.inspection.copy_checks import copy_groups
from hfcls.inspection.duplicates import group_pairs
from hfcls.inspection.images import Images
from hfcls.inspection.scan import Facts
from hfcls.inspection.tables import write_table

# What a copy is worth: evaluation stays whole, so train gives its copies away first.
_WORTH = {"train": 0, "validation": 1, "test": 2}
KEPT_COLUMNS, REMOVED_COLUMNS = ("id", "label", "split", "group"), ("id", "label", "split", "reason")


@dataclass(frozen=True)
class Cleaned:
    """What stays of a data set.

    Attributes:
        stays: bool (N,).
        reasons: why the others go, by row.
        counts: how many go for each kind of reason, in words.
        groups: the group of each image that has one, by row; only images that stay.
        near: how many groups stand for near duplicates.
    """

    stays: np.ndarray
    reasons: dict[int, str]
    counts: dict[str, int]
    groups: dict[int, str]
    near: int


def clean(images: Images, facts: Facts) -> Cleaned:
    """Decides which images go.

    In this order: those that can't be read; all copies of an image under two classes; all but one of exact copies
    (what stays is in test, else in validation, else in train); of near duplicates across splits those in train
    (all of a chain that reaches into evaluation, as a burst does), else the one in validation; classes that train
    then lacks. Near duplicates within a split stay and get a common
    group, unless the data has groups of its own.

    Raises:
        UserError: nothing would be left to train on.
    """
    removal = _Removal(images)
    for row, reason in sorted(facts.errors.items()):
        removal.take(row, "cannot be read", f"cannot be read: {reason}")
    worth = np.array([_WORTH.get(split, 0) for split in images.splits])[images.split_of]
    groups = copy_groups(facts.copies)
    for rows in groups:
        classes = sorted({images.label(row) for row in rows})
        if len(classes) > 1:
            for row in rows:
                removal.take(row, "under several classes", f"is filed under {' and '.join(map(repr, classes))}")
    for rows in groups:
        left = rows[removal.stays[rows]]
        if len(left) > 1:
            kept = int(left[np.argmax(worth[left])])
            for row in left[left != kept].tolist():
                removal.take(row, "exact copies", f"is a copy of {images.ids([kept])[0]!r} in {images.split(kept)}")
    _remove_near_copies(images, facts, worth, removal)
    _remove_unknown_classes(images, removal)
    if not (removal.stays & (images.is_in("train") if "train" in images.splits else True)).any():
        raise UserError("--fix would leave no image to train on: too much of this data is broken or double.")
    numbers, near = _groups(images, facts, removal.stays)
    return Cleaned(removal.stays, removal.reasons, dict(removal.counts), numbers, near)


def save_cleaned(cleaned: Cleaned, images: Images, path: Path) -> Path:
    """Writes what stays to `path` (id, label, split, group) and what goes, with the reason, beside it.

    Returns:
        The list of what goes, ``NAME.removed.csv``.
    """
    stays = np.flatnonzero(cleaned.stays)
    rows = (
        (sample_id, images.label(row), images.split(row), cleaned.groups.get(row, ""))
        for row, sample_id in zip(stays.tolist(), images.ids(stays), strict=True)
    )
    write_table(path, KEPT_COLUMNS, rows)
    removed = removed_list(path)
    goes = sorted(cleaned.reasons)
    write_table(
        removed,
        REMOVED_COLUMNS,
        (
            (sample_id, images.label(row), images.split(row), cleaned.reasons[row])
            for row, sample_id in zip(goes, images.ids(goes), strict=True)
        ),
    )
    return removed


def removed_list(path: Path) -> Path:
    """Where the list of what was left out goes, beside the cleaned list."""
    return path.with_suffix(".removed.csv")


class _Removal:
    """Who went and why; an image goes once."""

    def __init__(self, images: Images):
        self.stays = np.ones(len(images), dtype=bool)
        self.reasons: dict[int, str] = {}
        self.counts: Counter[str] = Counter()

    def take(self, row: int, kind: str, reason: str) -> None:
        if self.stays[row]:
            self.stays[row] = False
            self.reasons[int(row)] = reason
            self.counts[kind] += 1


def _remove_near_copies(images: Images, facts: Facts, worth: np.ndarray, removal: _Removal) -> None:
    """What is like an image that is worth more; of train also what only a chain joins to evaluation."""
    kind = "near duplicates across splits"
    pairs = facts.pairs[removal.stays[facts.pairs].all(axis=1)]
    chains = [rows for rows in map(np.array, group_pairs(len(images), pairs)) if worth[rows].min() < worth[rows].max()]
    across = pairs[worth[pairs[:, 0]] != worth[pairs[:, 1]]]
    # Those in train first, as what they are like may go itself.
    for lesser in np.unique(worth):
        for pair in across[worth[across].min(axis=1) == lesser]:
            goes, kept = pair[np.argsort(worth[pair], kind="stable")].tolist()
            if removal.stays[kept]:
                removal.take(goes, kind, f"is nearly {images.ids([kept])[0]!r} in {images.split(kept)}")
    for rows in chains:
        kept = int(rows[np.argmax(worth[rows])])
        reason = f"is joined by a chain of near duplicates to {images.ids([kept])[0]!r} in {images.split(kept)}"
        for row in rows[worth[rows] == 0].tolist():
            removal.take(row, kind, reason)


def _remove_unknown_classes(images: Images, removal: _Removal) -> None:
    if "train" not in images.splits:
        return
    trained = np.bincount(images.labels[removal.stays & images.is_in("train")], minlength=len(images.class_names))
    for row in np.flatnonzero(removal.stays & (trained[images.labels] == 0)).tolist():
        removal.take(row, "of classes that train lacks", f"is of the class {images.label(row)!r} that train lacks")


def _groups(images: Images, facts: Facts, stays: np.ndarray) -> tuple[dict[int, str], int]:
    """The data's own groups, or one for each cluster of near duplicates that stays within a split."""
    if images.groups:
        return {row: images.group(row) for row in np.flatnonzero(stays & (images.group_of >= 0)).tolist()}, 0
    first, second = facts.pairs.T
    kept = facts.pairs[stays[first] & stays[second] & (images.split_of[first] == images.split_of[second])]
    clusters = group_pairs(len(images), kept)
    names = {row: f"near-{number}" for number, rows in enumerate(clusters, start=1) for row in rows}
    return names, len(clusters)
