"""Stratified splits that a seed fixes and new images hardly disturb."""

import numpy as np

from hfcls.data.draws import sample_keys, uniform_draws
from hfcls.errors import UserError


def carve(
    ids: list[str], labels: np.ndarray, fraction: float, *, seed: int, stream: int
) -> tuple[np.ndarray, np.ndarray]:
    """Takes a stratified share out of a split.

    Each sample draws a number from (seed, id); the smallest of each class go out. How many, by the largest
    remainder, so that the total is right to one sample (and never none); a class keeps at least one.

    Args:
        ids: N sample ids.
        labels: int (N,).
        fraction: of the samples, in (0, 1).
        stream: tells apart the carving of validation and test.

    Returns:
        Indices that stay and indices that go, both ascending.

    Raises:
        UserError: there are too few samples to take any.
    """
    counts = np.bincount(labels)
    exact = counts * fraction
    quota = np.minimum(np.floor(exact).astype(int), np.maximum(counts - 1, 0))
    by_remainder = np.argsort(-(exact - quota), kind="stable")
    room = [label for label in by_remainder if quota[label] < counts[label] - 1]
    quota[room[: max(max(round(len(labels) * fraction), 1) - quota.sum(), 0)]] += 1
    if not quota.sum():
        raise UserError(
            f"{len(labels)} images in {np.count_nonzero(counts)} classes are too few to set any apart: "
            "add images, or set --validation_fraction 0 and --test_fraction 0."
        )
    draws = uniform_draws(sample_keys(ids), seed=seed, epoch=0, stream=stream, count=1)[:, 0]
    order = np.lexsort((draws, labels))
    first = np.concatenate(([0], np.cumsum(counts)[:-1]))
    rank = np.empty(len(labels), dtype=int)
    rank[order] = np.arange(len(labels)) - first[labels[order]]
    goes = rank < quota[labels]
    return np.flatnonzero(~goes), np.flatnonzero(goes)
