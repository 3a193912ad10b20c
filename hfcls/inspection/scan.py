"""One pass over all images, holding a few numbers of each."""

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from tempfile import TemporaryFile

import numpy as np

from hfcls.data.content import map_images
from hfcls.inspection.duplicates import find_near_duplicates, perceptual_hashes
from hfcls.inspection.images import Images
from hfcls.inspection.measure import FACTS, Measured, measure_image


@dataclass(frozen=True)
class Facts:
    """What the images say about themselves.

    Attributes:
        table: `FACTS` (N,); zeros from ``width`` on where an image can't be read.
        formats: such as ``JPEG``; ``format_of`` int16 (N,) is an index into it, -1 for unreadable images.
        modes: such as ``RGB``; ``mode_of`` likewise.
        errors: why images can't be read, by row.
        copies: int64 (N,), equal for images whose stored bytes are equal; unreadable ones are alone.
        pairs: int64 (P, 2), rows of near duplicates, the smaller first.
        similarity: float32 (P,), correlation of brightness, at most 1.
        crowded: int64 (C,), rows with more near duplicates, in their split or across, than are kept in `pairs`.
    """

    table: np.ndarray
    formats: tuple[str, ...]
    format_of: np.ndarray
    modes: tuple[str, ...]
    mode_of: np.ndarray
    errors: dict[int, str]
    copies: np.ndarray
    pairs: np.ndarray
    similarity: np.ndarray
    crowded: np.ndarray

    @property
    def readable(self) -> np.ndarray:
        """bool (N,)."""
        return self.table["readable"]


def scan_images(images: Images, *, max_pixels: int, quiet: bool = False) -> Facts:
    """Measures every image once, in threads, and finds duplicates.

    Memory grows by about 100 bytes an image; what near duplicates are told by lies in a temporary file.

    Args:
        max_pixels: an image with more counts as unreadable.
        quiet: show no progress.
    """
    table = np.zeros(len(images), dtype=FACTS)
    formats: dict[str, int] = {}
    modes: dict[str, int] = {}
    format_of, mode_of = (np.full(len(images), -1, dtype=np.int16) for _ in range(2))
    errors: dict[int, str] = {}
    described = np.zeros(len(images), dtype=np.int64)
    count = 0
    descriptors: np.ndarray | None = None
    with TemporaryFile() as file:
        for row, measured in enumerate(_measure_all(images, max_pixels, quiet)):
            table[row] = measured.facts
            if measured.error is not None:
                errors[row] = measured.error
                continue
            format_of[row] = formats.setdefault(measured.format, len(formats))
            mode_of[row] = modes.setdefault(measured.mode, len(modes))
            if measured.descriptor is None:
                continue
            if descriptors is None:
                shape = (len(images), *measured.descriptor.shape)
                descriptors = np.memmap(file, dtype=measured.descriptor.dtype, mode="w+", shape=shape)
            descriptors[count], described[count] = measured.descriptor, row
            count += 1
        copies = number_copies(table)
        near = _near_duplicates(descriptors, described[:count], copies, images.split_of, quiet)
    return Facts(table, tuple(formats), format_of, tuple(modes), mode_of, errors, copies, *near)


def number_copies(table: np.ndarray) -> np.ndarray:
    """int64 (N,): equal where stored bytes are equal, by digest; an unreadable image has a number of its own."""
    keys = np.ascontiguousarray(table["digest"]).view("V16").ravel()
    numbers = np.unique(keys, return_inverse=True)[1].astype(np.int64)
    broken = np.flatnonzero(~table["readable"])
    numbers[broken] = len(table) + broken
    return numbers


def _measure_all(images: Images, max_pixels: int, quiet: bool) -> Iterator[Measured]:
    work = partial(measure_image, max_pixels=max_pixels)
    for split, data in images.data.items():
        yield from map_images(data, work, description=f"Looking at {split}", quiet=quiet)


def _near_duplicates(
    descriptors: np.ndarray | None, described: np.ndarray, copies: np.ndarray, split_of: np.ndarray, quiet: bool
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Pairs of rows, the most similar first, their similarity, and the rows that have more."""
    if descriptors is None:
        return np.zeros((0, 2), dtype=np.int64), np.zeros(0, dtype=np.float32), np.zeros(0, dtype=np.int64)
    shown = descriptors[: len(described)]
    visible = not quiet and sys.stderr.isatty()
    near = find_near_duplicates(
        shown, perceptual_hashes(shown), exclude=copies[described], split_of=split_of[described], progress=visible
    )
    pairs = described[near.pairs].reshape(-1, 2)
    order = np.lexsort((pairs[:, 1], pairs[:, 0], -near.similarity))
    return pairs[order], near.similarity[order], described[near.crowded]
