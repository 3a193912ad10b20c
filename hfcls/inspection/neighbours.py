"""The nearest images of every image by its features, block by block."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

# Rows and columns of similarities that are held at a time.
_ROWS, _COLUMNS = 1024, 8192


@dataclass(frozen=True)
class Neighbours:
    """The nearest of each image.

    Attributes:
        nearest: int64 (N, k), positions, the nearest first.
        similarity: float32 (N, k), cosine, from 1 down.
        own: float32 (N,), mean cosine similarity to the k nearest of the own class (all of it where it has fewer); NaN
            where the image is alone in its class.
    """

    nearest: np.ndarray
    similarity: np.ndarray
    own: np.ndarray


def find_neighbours(
    features: np.ndarray, labels: np.ndarray, *, k: int, device: torch.device | str = "cpu"
) -> Neighbours:
    """Finds them by N^2 D multiplications, with `_ROWS` x `_COLUMNS` similarities in memory.

    Args:
        features: float32 (N, D) of length 1; may lie in a file (``np.memmap``).
        labels: int (N,).
        k: at most N - 1 are found.
        device: where the multiplications are made.
    """
    count = len(features)
    k = min(k, count - 1)
    nearest, similarity = np.zeros((count, k), dtype=np.int64), np.zeros((count, k), dtype=np.float32)
    own = np.full(count, np.nan, dtype=np.float32)
    classes = torch.from_numpy(np.ascontiguousarray(labels, dtype=np.int64)).to(device)
    for start in range(0, count, _ROWS):
        rows = slice(start, min(start + _ROWS, count))
        block = _read(features, rows, device)
        every, same = _Best(k), _Best(k)
        for at in range(0, count, _COLUMNS):
            columns = slice(at, min(at + _COLUMNS, count))
            found = block @ _read(features, columns, device).T
            positions = torch.arange(columns.start, columns.stop, device=device)
            itself = torch.arange(rows.start, rows.stop, device=device)[:, None] == positions
            found = found.masked_fill(itself, -torch.inf)
            every.add(found, positions)
            same.add(found.masked_fill(classes[rows, None] != classes[columns], -torch.inf), positions)
        nearest[rows], similarity[rows] = every.positions.cpu().numpy(), every.values.cpu().numpy()
        present = torch.isfinite(same.values)
        mean = same.values.masked_fill(~present, 0).sum(dim=1) / present.sum(dim=1)  # 0 / 0 is NaN
        own[rows] = mean.cpu().numpy()
    return Neighbours(nearest, similarity.clip(-1, 1), own.clip(-1, 1))


class _Best:
    """The k largest of each row, of all blocks that were added."""

    def __init__(self, k: int):
        self._k = k
        self.values = self.positions = torch.zeros(0)

    def add(self, found: Tensor, positions: Tensor) -> None:
        """Similarities (B, C) and the C positions of their columns."""
        values, at = found.topk(min(self._k, found.shape[1]), dim=1)
        here = positions[at]
        if self.values.numel():
            values, here = torch.cat([self.values, values], dim=1), torch.cat([self.positions, here], dim=1)
            values, at = values.topk(min(self._k, values.shape[1]), dim=1)
            here = here.gather(1, at)
        self.values, self.positions = values, here


def _read(features: np.ndarray, rows: slice, device: torch.device | str) -> Tensor:
    return torch.from_numpy(np.array(features[rows])).to(device)
