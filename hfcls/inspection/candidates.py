"""Which pairs of many images are worth a close look."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from hfcls.inspection.alignment import tangents, unexplained
from hfcls.inspection.hashes import BANDS, blocks, brightness, low_frequencies

RADIUS = 14  # bits in which the hashes of candidates may differ
ALIKE = 0.05  # part of the low frequencies of candidates that may stay unexplained
ALL_AGAINST_ALL = 100_000  # images up to which every hash is compared with every other
_MOST_CANDIDATES = 1024  # of each image, the nearest by hash
_CELL = 500  # images for each cell beyond that
_PROBES = 8  # cells in which the candidates of an image are looked for
_ROWS = 512  # images whose tangents are computed at a time


class Candidates(NamedTuple):
    """What came up for one image.

    Attributes:
        row: the image.
        others: int64 (M,), the rows that are alike.
        rest: float32 (M,), the part of their low frequencies that small changes of the image leave unexplained.
        due: bool (M,), the pairs that are this image's to look at; nearly every pair is one image's only.
    """

    row: int
    others: np.ndarray
    rest: np.ndarray
    due: np.ndarray


def search(
    descriptors: np.ndarray,
    hashes: np.ndarray,
    rows: np.ndarray,
    *,
    split_of: np.ndarray | None = None,
    all_against_all: int = ALL_AGAINST_ALL,
) -> Iterator[Candidates]:
    """Looks for the candidates of each image, one image after the other.

    Alike are images whose hashes differ in at most `RADIUS` bits (where more than 1,024 do so, the nearest in its own
    split and the nearest in others) and whose low frequencies agree up to small changes. Up to `all_against_all`
    images, each meets all others. Beyond, images are filed under the nearest of R / 500 images drawn as centres, and an
    image meets only those filed under the eight centres nearest to it. Memory: about 300 bytes an image.

    Args:
        descriptors: ``(N, 864)`` uint8.
        hashes: ``(N,)`` uint64.
        rows: int64 (R,), the images to search, ascending.
        split_of: int (N,), the split of each image; all are in one where None.
        all_against_all: how many images may be compared each with each.
    """
    directions = _directions(descriptors, rows)
    shelves = _Cells(directions, hashes, rows) if len(rows) > all_against_all else _Whole(hashes, rows)
    for some in blocks(len(rows), _ROWS):
        block = shelves.order[some]
        for row, tangent in zip(block.tolist(), tangents(brightness(descriptors[block])), strict=True):
            met, met_hashes = shelves.meet(row)
            elsewhere = None if split_of is None else split_of[met] != split_of[row]
            chosen, all_of_them = _within_radius(met_hashes ^ hashes[row], elsewhere)
            others = met[chosen]
            rest = unexplained(tangent, directions[others])
            alike = np.flatnonzero((rest <= ALIKE) & (others != row))
            others, rest = others[alike], rest[alike]
            # Where some were left out here, others may have left this row out.
            yield Candidates(row, others, rest, shelves.is_due(row, others) | (not all_of_them))


class _Whole:
    """All images on one shelf."""

    def __init__(self, hashes: np.ndarray, rows: np.ndarray):
        self.order = rows
        self._hashes = hashes[rows]

    def meet(self, row: int) -> tuple[np.ndarray, np.ndarray]:
        return self.order, self._hashes

    def is_due(self, row: int, others: np.ndarray) -> np.ndarray:
        return others > row


class _Cells:
    """Images filed by what they look like, under images drawn as centres: where images are dense, so are centres."""

    def __init__(self, directions: np.ndarray, hashes: np.ndarray, rows: np.ndarray):
        drawn = np.random.default_rng(0).choice(rows, max(len(rows) // _CELL, _PROBES), replace=False)
        centres = directions[np.sort(drawn)].T
        self._home = np.full(len(hashes), -1, dtype=np.int32)
        self._nearest = np.empty((len(hashes), _PROBES), dtype=np.int32)
        for some in blocks(len(rows)):
            closeness = directions[rows[some]] @ centres
            self._home[rows[some]] = closeness.argmax(axis=1)
            self._nearest[rows[some]] = np.argpartition(-closeness, _PROBES - 1, axis=1)[:, :_PROBES]
        self.order = rows[np.argsort(self._home[rows], kind="stable")]
        self._hashes = hashes[self.order]
        self._bounds = np.searchsorted(self._home[self.order], np.arange(centres.shape[1] + 1)).tolist()

    def meet(self, row: int) -> tuple[np.ndarray, np.ndarray]:
        shelves = [slice(self._bounds[cell], self._bounds[cell + 1]) for cell in self._nearest[row].tolist()]
        return np.concatenate([self.order[s] for s in shelves]), np.concatenate([self._hashes[s] for s in shelves])

    def is_due(self, row: int, others: np.ndarray) -> np.ndarray:
        meets_back = (self._nearest[others] == self._home[row]).any(axis=1)
        return (others > row) | ~meets_back


def nearest(distances: np.ndarray, elsewhere: np.ndarray | None, most: int) -> np.ndarray:
    """Positions of the least distances: at most so many in the image's own split, and as many in others.

    Counted apart, since a burst in one split would leave no place for its copies in another.

    Args:
        distances: ``(M,)``.
        elsewhere: bool (M,), which lie in another split; none where None.
    """
    if len(distances) <= most:
        return np.arange(len(distances))
    sides = (
        [np.arange(len(distances))] if elsewhere is None else [np.flatnonzero(~elsewhere), np.flatnonzero(elsewhere)]
    )
    kept = [s[np.argpartition(distances[s], most)[:most]] if len(s) > most else s for s in sides]
    return np.concatenate(kept)


def _within_radius(differences: np.ndarray, elsewhere: np.ndarray | None) -> tuple[np.ndarray, bool]:
    """Positions of hashes within `RADIUS`, by how they differ, and whether these are all."""
    distances = np.bitwise_count(differences)
    chosen = np.flatnonzero(distances <= RADIUS)
    kept = nearest(distances[chosen], None if elsewhere is None else elsewhere[chosen], _MOST_CANDIDATES)
    return chosen[kept], len(kept) == len(chosen)


def _directions(descriptors: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Low frequencies of each picture at length 1: ``(N, 64)`` float32, zeros outside `rows`."""
    directions = np.zeros((len(descriptors), BANDS), dtype=np.float32)
    for some in blocks(len(rows)):
        waves = low_frequencies(brightness(descriptors[rows[some]]))
        directions[rows[some]] = waves / np.maximum(np.linalg.norm(waves, axis=1, keepdims=True), 1e-3)
    return directions
