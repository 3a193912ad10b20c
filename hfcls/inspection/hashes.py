"""What is kept of each image to find its copies: a thumbnail of 864 bytes, and a hash of 64 bits made from it."""

from collections.abc import Iterator

import numpy as np
from PIL import Image

GRID = 24  # brightness samples a side
COLOUR_GRID = GRID // 2
DESCRIPTOR_BYTES = GRID**2 + 2 * COLOUR_GRID**2
BANDS = 64  # bits of the hash
_HIGHEST = 10  # cosine waves a side that are computed; the 64 lowest by radius lie below
_BLOCK = 4096  # images computed at a time


def describe(image: Image.Image) -> np.ndarray:
    """A thumbnail that hashing and comparing need, and nothing else of the image.

    The whole image is squeezed to a square (whatever its shape), averaged over areas, so size and format leave little
    trace in it.

    Args:
        image: an image of any size, RGB.

    Returns:
        ``(864,)`` uint8: 24 x 24 brightness, row by row, then 12 x 12 of either colour difference (Cb, Cr; 128: none).
    """
    small = image.convert("RGB").resize((GRID, GRID), Image.Resampling.BILINEAR, reducing_gap=3.0)
    planes = np.asarray(small.convert("YCbCr"))
    colour = planes[..., 1:].astype(np.uint16).reshape(COLOUR_GRID, 2, COLOUR_GRID, 2, 2).sum((1, 3))
    return np.concatenate([planes[..., 0].ravel(), ((colour + 2) // 4).astype(np.uint8).transpose(2, 0, 1).ravel()])


def perceptual_hashes(descriptors: np.ndarray) -> np.ndarray:
    """The DCT hash: which of the 64 lowest frequencies of the brightness are clearly positive.

    After pHash (Zauner 2010, Implementation and Benchmarking of Perceptual Image Hash Functions), with three changes
    that lose fewer copies for as many chance matches on photos, CIFAR-10 and drawings: the border is faded out, so that
    a crop of a few pixels moves little; the frequencies are the lowest by radius and not a square; and a wave counts as
    positive from 0.2 of the typical strength at its frequency instead of the median, so that waves that are absent
    (symmetric drawings have many) don't become bits of noise.

    Args:
        descriptors: ``(N, 864)`` uint8, from `describe`.

    Returns:
        ``(N,)`` uint64. The bits of two hashes differ in about 0 to 14 places for copies, about 32 for strangers.
    """
    hashes = np.empty(len(descriptors), np.uint64)
    for rows in blocks(len(descriptors)):
        waves = low_frequencies(brightness(descriptors[rows])) * _RADII
        clear = 0.2 * np.sqrt(np.mean(waves**2, axis=1, keepdims=True))
        hashes[rows] = np.packbits(waves > clear, axis=1).view(np.uint64)[:, 0]
    return hashes


def brightness(descriptors: np.ndarray) -> np.ndarray:
    """The brightness of descriptors ``(N, 864)``: ``(N, 24, 24)`` float32, 0 to 255."""
    return descriptors[:, : GRID**2].astype(np.float32).reshape(-1, GRID, GRID)


def colours(descriptors: np.ndarray) -> np.ndarray:
    """The colour differences of descriptors ``(N, 864)``: ``(N, 2, 12, 12)`` float32, -128 to 127, 0 for grey."""
    return descriptors[:, GRID**2 :].astype(np.float32).reshape(-1, 2, COLOUR_GRID, COLOUR_GRID) - 128


def low_frequencies(pictures: np.ndarray) -> np.ndarray:
    """The 64 lowest frequencies (without the mean) of pictures whose border is faded out.

    Args:
        pictures: ``(N, 24, 24)`` float32.

    Returns:
        ``(N, 64)`` float32, coefficients of the orthonormal DCT-II, by ascending radius.
    """
    centred = pictures - pictures.mean(axis=(1, 2), keepdims=True)
    return (_WAVES @ centred @ _WAVES.T).reshape(len(pictures), -1).take(_LOWEST, axis=1)


def blocks(count: int, size: int = _BLOCK) -> Iterator[slice]:
    """Slices that together cover `count` items."""
    for start in range(0, count, size):
        yield slice(start, min(start + size, count))


def _faded_waves() -> np.ndarray:
    """``(10, 24)`` float32: rows of the orthonormal DCT-II, faded over the outer fifth of either side."""
    place = np.arange(GRID) + 0.5
    waves = np.cos(np.pi * np.outer(np.arange(_HIGHEST), place) / GRID) * np.sqrt(2 / GRID)
    waves[0] /= np.sqrt(2)
    window = np.minimum(1, np.minimum(place, GRID - place) / (0.1875 * GRID))
    return (waves * window).astype(np.float32)


_WAVES = _faded_waves()
_SQUARES = np.add.outer(np.arange(_HIGHEST) ** 2, np.arange(_HIGHEST) ** 2).ravel()
_LOWEST = np.argsort(_SQUARES, kind="stable")[1 : BANDS + 1]
_RADII = np.sqrt(_SQUARES[_LOWEST]).astype(np.float32)
