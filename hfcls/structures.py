"""What travels between the floors: the image specification and the predictions."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from hfcls.errors import UserError, suggest


def find_class(class_names: Sequence[str], name: str) -> int:
    """The index of the class of that name, or of the only one that has it among the names that commas part.

    Raises:
        UserError: there is none, or more than one; the message proposes others.
    """
    if name in class_names:
        return class_names.index(name)
    parts = [(part.strip(), index) for index, whole in enumerate(class_names) for part in whole.split(",")]
    found = [index for part, index in parts if part.casefold() == name.strip().casefold()]
    if len(set(found)) == 1:
        return found[0]
    some = "; ".join([repr(one) for one in class_names[:3]] + (["..."] if len(class_names) > 3 else []))
    close = suggest(name, [*class_names, *(part for part, _ in parts)])
    which = "which several classes are called" if found else "which the model does not know"
    raise UserError(f"The class is {name[:80]!r}, {which}.{close} It knows {len(class_names):,} classes: {some}.")


@dataclass(frozen=True)
class ImageSpec:
    """What a classifier wants to see; where `data` and `models` meet.

    Attributes:
        size: (height, width) in pixels.
        channels: channels the network works on, 1 or 3. Images always arrive with 3; a
            one-channel network turns them grey inside its ``forward``.
        mean, std: per channel, for pixels in [0, 1].
    """

    size: tuple[int, int]
    channels: int = 3
    mean: tuple[float, ...] = (0.5, 0.5, 0.5)
    std: tuple[float, ...] = (0.5, 0.5, 0.5)


@dataclass(frozen=True)
class Predictions:
    """The only coin between running a model and judging it.

    Attributes:
        logits: float32 (N, K).
        labels: int64 (N,), in [0, K), or -1 where the true class is unknown.
        ids: N stable sample ids.
        class_names: K names, in the order of the logits; names may repeat.
    """

    logits: np.ndarray
    labels: np.ndarray
    ids: tuple[str, ...]
    class_names: tuple[str, ...]

    def __post_init__(self) -> None:
        n, k = self.logits.shape
        if self.labels.shape != (n,) or len(self.ids) != n or len(self.class_names) != k:
            raise ValueError(
                f"Predictions disagree in size: logits {self.logits.shape}, labels {self.labels.shape}, "
                f"{len(self.ids)} ids, {len(self.class_names)} class names."
            )

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def probabilities(self) -> np.ndarray:
        """Softmax of the logits, float64 (N, K)."""
        shifted = self.logits.astype(np.float64) - self.logits.max(axis=1, keepdims=True)
        exponentials = np.exp(shifted)
        return exponentials / exponentials.sum(axis=1, keepdims=True)

    @property
    def known(self) -> "Predictions":
        """The predictions whose true class is known."""
        return self.only(self.labels >= 0)

    def only(self, rows: np.ndarray) -> "Predictions":
        """Those of some samples.

        Args:
            rows: bool (N,).
        """
        if rows.all():
            return self
        keep = np.flatnonzero(rows)
        return Predictions(self.logits[keep], self.labels[keep], tuple(self.ids[i] for i in keep), self.class_names)

    def save(self, path: Path | str) -> None:
        """Writes Parquet with the columns id, label, logits; the class names are in the file's metadata."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        flat = pa.array(np.ascontiguousarray(self.logits, dtype=np.float32).ravel())
        table = pa.table(
            {
                "id": pa.array(self.ids, pa.string()),
                "label": pa.array(self.labels, pa.int64()),
                "logits": pa.FixedSizeListArray.from_arrays(flat, self.logits.shape[1]),
            }
        ).replace_schema_metadata({"class_names": json.dumps(self.class_names)})
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(table, path)

    @classmethod
    def load(cls, path: Path | str) -> "Predictions":
        """Reads what `save` wrote.

        Raises:
            UserError: the file is missing or is not a predictions file.
        """
        import pyarrow as pa
        import pyarrow.parquet as pq

        try:
            table = pq.read_table(path)
            class_names = tuple(json.loads(table.schema.metadata[b"class_names"]))
            columns: dict[str, Any] = {name: table.column(name).combine_chunks() for name in table.column_names}
            logits = columns["logits"].flatten().to_numpy().reshape(-1, len(class_names))
            return cls(logits, columns["label"].to_numpy(), tuple(columns["id"].to_pylist()), class_names)
        except (OSError, pa.ArrowInvalid, KeyError, TypeError) as error:
            raise UserError(f"{path} is not a predictions file written by hfcls ({error}).") from None
