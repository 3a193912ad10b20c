"""All images of a data set in one row: first those of train, then of validation, then of test."""

from collections.abc import Iterable, Iterator

import numpy as np
import pyarrow as pa
from datasets import Dataset, Image

from hfcls.data.labels import labels_of


class Images:
    """The splits of a data set side by side, classes matched by name.

    Args:
        splits: by name, with the columns id, image, label and, where there are groups, group.

    Attributes:
        splits: their names, in the given order.
        data: the splits with their images as stored bytes or paths.
        split_of: int8 (N,), index into `splits`.
        class_names: those of all splits, in the order in which they first come.
        labels: int32 (N,), index into `class_names`.
        group_of: int32 (N,), index into `groups`; -1 for an image without a group.
        groups: names of the groups; empty where the data has none.
    """

    def __init__(self, splits: dict[str, Dataset]):
        self.data = {split: data.cast_column("image", Image(decode=False)) for split, data in splits.items()}
        self.splits = tuple(self.data)
        sizes = [len(data) for data in self.data.values()]
        self.starts = np.cumsum([0, *sizes])
        self.split_of = np.repeat(np.arange(len(sizes), dtype=np.int8), sizes)
        lists = [data.features["label"].names for data in self.data.values()]
        self.class_names = tuple(dict.fromkeys(name for names in lists for name in names))
        positions = {name: index for index, name in enumerate(self.class_names)}
        self.labels = np.concatenate(
            [
                np.array([positions[name] for name in names], dtype=np.int32)[labels_of(data)]
                for names, data in zip(lists, self.data.values(), strict=True)
            ]
        )
        self._ids = pa.chunked_array([chunk for data in self.data.values() for chunk in _column(data, "id").chunks])
        self.group_of, self.groups = self._read_groups()

    def __len__(self) -> int:
        return len(self.labels)

    def ids(self, rows: Iterable[int] | np.ndarray) -> list[str]:
        """The ids of some images."""
        return self._ids.take(pa.array(np.asarray(rows, dtype=np.int64))).to_pylist()

    def iter_ids(self) -> Iterator[str]:
        """The ids of all images, in order."""
        for chunk in self._ids.chunks:
            yield from chunk.to_pylist()

    def split(self, row: int) -> str:
        """The split that an image is in."""
        return self.splits[self.split_of[row]]

    def label(self, row: int) -> str:
        """The class of an image."""
        return self.class_names[self.labels[row]]

    def group(self, row: int) -> str:
        """The group of an image; empty where it has none."""
        return self.groups[self.group_of[row]] if self.group_of[row] >= 0 else ""

    def is_in(self, split: str) -> np.ndarray:
        """bool (N,): which images are in a split; none where there is no such split."""
        return self.split_of == self.splits.index(split) if split in self.splits else np.zeros(len(self), dtype=bool)

    def counts(self) -> np.ndarray:
        """int64 (S, K): images of each class in each split."""
        k = len(self.class_names)
        flat = self.split_of.astype(np.int64) * k + self.labels
        return np.bincount(flat, minlength=len(self.splits) * k).reshape(-1, k)

    def _read_groups(self) -> tuple[np.ndarray, tuple[str, ...]]:
        parts: list[str | None] = []
        for data in self.data.values():
            has_groups = "group" in data.column_names
            parts += _column(data, "group").to_pylist() if has_groups else [None] * len(data)
        names = tuple(dict.fromkeys(str(group) for group in parts if group not in (None, "")))
        positions = {name: index for index, name in enumerate(names)}
        numbers = [-1 if group in (None, "") else positions[str(group)] for group in parts]
        return np.array(numbers, dtype=np.int32), names


def _column(data: Dataset, name: str) -> pa.ChunkedArray:
    column = data.select_columns(name).with_format("arrow")[:][name]
    return column if isinstance(column, pa.ChunkedArray) else pa.chunked_array([column])
