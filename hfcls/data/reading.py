"""What every reader of a data source gives back."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
from datasets import Dataset

if TYPE_CHECKING:
    from hfcls.data.hub import HubData


@dataclass
class Reading:
    """The splits of one source, as they are stored.

    Attributes:
        splits: by name (``train``, ``validation``, ``test``; ``train`` alone where the source has no splits). Columns:
            ``id`` string, ``image`` (a `datasets.Image`: bytes, or the path of a file), ``label`` (a
            `datasets.ClassLabel` with a class list of the split's own) unless the source has no labels, and ``group``
            string where groups were asked for.
        notices: what was left out or looks odd, for the user.
        hub: where on the Hub they came from, if they did.
    """

    splits: dict[str, Dataset] = field(default_factory=dict)
    notices: list[str] = field(default_factory=list)
    hub: "HubData | None" = None


def column_of(data: Dataset, name: str) -> pa.ChunkedArray:
    """A whole column at once, which `datasets` itself hands out row by row."""
    return data.select_columns([name]).with_format("arrow")[:][name]


def texts_of(data: Dataset, name: str) -> list[Any]:
    """A column as a list."""
    return column_of(data, name).to_pylist()


def set_column(data: Dataset, name: str, values: Sequence[Any] | np.ndarray, feature: Any) -> Dataset:
    """Adds or replaces a column without copying the others.

    `datasets` itself first writes a selection out anew, images and all.

    Args:
        values: one for each row of `data`.
        feature: type of the column.
    """
    if name in data.column_names:
        data = data.remove_columns(name)
    if data._indices is None:
        return data.add_column(name, values, feature=feature)
    rows = data._indices.column(0).to_numpy()
    if len(np.unique(rows)) < len(rows):
        return data.add_column(name, values, feature=feature)
    everything = Dataset(data.data, info=data.info, split=data.split)
    scattered: list[Any] = [None] * len(everything)
    for row, value in zip(rows.tolist(), values, strict=True):
        scattered[row] = value
    return everything.add_column(name, scattered, feature=feature).select(rows)
