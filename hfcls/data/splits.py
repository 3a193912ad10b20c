"""Stratified splits that a seed fixes and new images hardly disturb."""

from collections.abc import Sequence

import numpy as np

from hfcls.data.draws import uniform_draws
from hfcls.data.groups import carve_groups, join_groups
from hfcls.errors import UserError


def carve(
    keys: np.ndarray,
    labels: np.ndarray,
    fraction: float,
    *,
    seed: int,
    stream: int,
    groups: list[str] | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Takes a stratified share out of a split.

    Each image draws a number from (seed, key); the smallest of each class go out. How many, by the largest
    remainder, so that the total is right to one sample (and never none); a class keeps at least one. Copies of one
    image (equal keys) never part: where they would, they stay.

    Args:
        keys: uint64 (N,), from the images' contents.
        labels: int (N,).
        fraction: of the samples, in (0, 1).
        stream: tells apart the carving of validation and test.
        groups: N names; samples of one group stay together, and so do groups that share an image; class shares are
            kept as well as that allows.

    Returns:
        Indices that stay and indices that go, both ascending.

    Raises:
        UserError: there are too few samples, or too few groups, to take any.
    """
    if groups is not None:
        joined = join_groups(groups, keys)
        goes = carve_groups(joined, keys, labels, fraction, seed=seed, stream=stream)
        return np.flatnonzero(~goes), np.flatnonzero(goes)
    counts = np.bincount(labels)
    ranks = _class_ranks(keys, labels, seed=seed, stream=stream)
    quota = _quotas(counts, max(round(len(labels) * fraction), 1), np.maximum(counts - 1, 0), ranks)
    goes = _lowest(keys, labels, quota, seed=seed, stream=stream)
    goes &= ~np.isin(keys, keys[~goes])
    if not goes.any():
        raise UserError(
            f"{len(labels)} images in {np.count_nonzero(counts)} classes, {len(np.unique(keys))} of them different, "
            "are too few to set any apart: add images, or set --validation_fraction 0 and --test_fraction 0."
        )
    return np.flatnonzero(~goes), np.flatnonzero(goes)


def limit(keys: np.ndarray, labels: np.ndarray, most: int, *, seed: int, stream: int) -> np.ndarray:
    """A stratified choice of at most so many samples, every class with its share (and one, where there is room).

    Returns:
        Indices, ascending.
    """
    counts = np.bincount(labels)
    if most >= len(labels):
        return np.arange(len(labels))
    ranks = _class_ranks(keys, labels, seed=seed, stream=stream)
    quota = _quotas(counts, most, counts, ranks)
    empty = np.flatnonzero((counts > 0) & (quota == 0))
    for label in empty[np.argsort(ranks[empty])]:
        if quota.max() > 1:
            quota[quota.argmax()] -= 1
            quota[label] = 1
    return np.flatnonzero(_lowest(keys, labels, quota, seed=seed, stream=stream))


def _quotas(counts: np.ndarray, total: int, most: np.ndarray, ranks: np.ndarray) -> np.ndarray:
    """How many of each class to take, by the largest remainder; by `ranks` (K,) where remainders are equal."""
    exact = counts * (total / counts.sum())
    quota = np.minimum(np.floor(exact).astype(int), most)
    by_remainder = np.lexsort((ranks, -np.round(exact - quota, 9)))
    room = [label for label in by_remainder if quota[label] < most[label]]
    quota[room[: max(total - quota.sum(), 0)]] += 1
    return quota


def _class_ranks(keys: np.ndarray, labels: np.ndarray, *, seed: int, stream: int) -> np.ndarray:
    """An order of the classes (K,) that hangs on their images and the seed, not on their place in the list."""
    draws = uniform_draws(keys, seed=seed, epoch=1, stream=stream, count=1)[:, 0]
    ranks = np.full(labels.max() + 1, 1.0)
    np.minimum.at(ranks, labels, draws)
    return ranks


def _lowest(keys: np.ndarray, labels: np.ndarray, quota: Sequence[int] | np.ndarray, *, seed: int, stream: int):
    """bool (N,): the samples of each class with the lowest draws."""
    draws = uniform_draws(keys, seed=seed, epoch=0, stream=stream, count=1)[:, 0]
    # The key decides between equal draws, so that the order of the samples never does.
    order = np.lexsort((keys, draws, labels))
    first = np.concatenate(([0], np.cumsum(np.bincount(labels))[:-1]))
    rank = np.empty(len(labels), dtype=int)
    rank[order] = np.arange(len(labels)) - first[labels[order]]
    return rank < np.asarray(quota)[labels]
