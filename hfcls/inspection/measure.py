"""What one image says about itself: a few numbers."""

from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

import numpy as np
from PIL import Image

from hfcls.data.decode import decode_bytes, read_bytes
from hfcls.errors import BadImage
from hfcls.inspection.duplicates import describe

# A larger JPEG may be decoded at a half, a quarter or an eighth, with no side below this many pixels.
DECODED_SIDE = 256
# The scale that sharpness is compared at: pixels of the longer side.
SHARPNESS_SIDE = 256
# An image whose colours deviate by less than this many levels of 255 shows nothing.
BLANK_DEVIATION = 2.0

# Grey levels and colours run from 0 to 255.
FACTS = np.dtype(
    [
        ("readable", "?"),
        ("bytes", "i8"),  # as stored
        ("width", "i4"),  # upright
        ("height", "i4"),
        ("digest", "u8", (2,)),  # blake2b of the stored bytes
        ("brightness", "f4"),  # mean of the grey levels
        ("contrast", "f4"),  # their standard deviation
        ("low", "u1"),  # 1 % of the pixels are darker,
        ("high", "u1"),  # and 1 % are brighter
        ("sharpness", "f4"),  # variance of the Laplacian; NaN below 3 pixels
        ("channel_mean", "f4", (3,)),
        ("channel_deviation", "f4", (3,)),
    ]
)
_LEVELS = np.arange(256, dtype=np.float64)
_MOMENTS = np.stack([_LEVELS, _LEVELS**2], axis=1)


@dataclass(frozen=True, slots=True)
class Measured:
    """One image.

    Attributes:
        facts: one record of `FACTS`, as a tuple.
        format: such as ``JPEG``; empty where it can't be read.
        mode: Pillow's name of the stored pixels, such as ``RGB``.
        descriptor: uint8, for near duplicates; None for blank and unreadable images, which would all look alike.
        error: why it can't be read, or None.
    """

    facts: tuple[Any, ...]
    format: str = ""
    mode: str = ""
    descriptor: np.ndarray | None = None
    error: str | None = None


def measure_image(cell: dict[str, Any], sample_id: str, *, max_pixels: int) -> Measured:
    """Reads, decodes and measures one image; one that can't be read comes back with the reason."""
    size, digest = 0, (0, 0)
    try:
        content = read_bytes(cell, sample_id)
        size = len(content)
        words = np.frombuffer(blake2b(content, digest_size=16).digest(), dtype="<u8")
        digest = (int(words[0]), int(words[1]))
        decoded = decode_bytes(content, sample_id, max_pixels=max_pixels, at_least=DECODED_SIDE)
    except BadImage as error:
        nothing = (0.0, 0.0, 0, 0, np.nan, (0.0,) * 3, (0.0,) * 3)
        return Measured((False, size, 0, 0, digest, *nothing), error=error.reason)
    mean, deviation = measure_channels(decoded.image)
    grey = measure_grey(decoded.image.convert("L"))
    blank = max(deviation) < BLANK_DEVIATION
    return Measured(
        (True, size, *decoded.size, digest, *grey, mean, deviation),
        format=decoded.format,
        mode=decoded.mode,
        descriptor=None if blank else describe(decoded.image),
    )


def measure_channels(image: Image.Image) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and standard deviation of each channel of an RGB image."""
    counts = np.array(image.histogram(), dtype=np.float64).reshape(3, 256)
    mean, square = (counts @ _MOMENTS / counts[0].sum()).T
    deviation = np.sqrt(np.maximum(square - mean**2, 0.0))
    return tuple(mean.tolist()), tuple(deviation.tolist())


def measure_grey(grey: Image.Image) -> tuple[float, float, int, int, float]:
    """Brightness, contrast, 1st and 99th percentile, and sharpness of an 8-bit grey image.

    Sharpness is the variance of the Laplacian (Pech-Pacheco et al. 2000) after scaling the longer side down to
    `SHARPNESS_SIDE`; NaN where a side is shorter than 3 pixels.
    """
    shares = np.array(grey.histogram(), dtype=np.float64)
    shares /= shares.sum()
    mean, square = (shares @ _MOMENTS).tolist()
    low, high = np.searchsorted(np.cumsum(shares), (0.01, 0.99)).clip(0, 255).tolist()
    scale = SHARPNESS_SIDE / max(grey.size)
    if scale < 1:
        size = (max(round(grey.width * scale), 1), max(round(grey.height * scale), 1))
        grey = grey.resize(size, Image.Resampling.BILINEAR, reducing_gap=2.0)
    sharpness = float("nan")
    if min(grey.size) >= 3:
        v = np.asarray(grey, dtype=np.float32)
        sharpness = float((v[:-2, 1:-1] + v[2:, 1:-1] + v[1:-1, :-2] + v[1:-1, 2:] - 4 * v[1:-1, 1:-1]).var())
    return mean, max(square - mean**2, 0.0) ** 0.5, low, high, sharpness
