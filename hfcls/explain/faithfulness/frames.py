"""From the coordinates of an image to the frame that a network sees: the way back of `hfcls.explain.geometry`."""

import math

import numpy as np
from PIL import Image

from hfcls.explain.geometry import Frame


def to_network(values: np.ndarray, frame: Frame, size: tuple[int, int]) -> np.ndarray:
    """A map as the network would see it.

    Args:
        values: (H, W), of the image's size.
        frame: which part of the image the network sees.
        size: (h, w) of what it sees.

    Returns:
        float32 (h, w); 0 where the image was padded.
    """
    left, top, right, bottom = frame.box
    x0, x1, across = _inside(left, right, count=size[1], end=values.shape[1])
    y0, y1, down = _inside(top, bottom, count=size[0], end=values.shape[0])
    found = np.zeros(size, np.float32)
    whole = Image.fromarray(np.ascontiguousarray(values, np.float32))
    part = (across[0], down[0], across[1], down[1])
    found[y0:y1, x0:x1] = np.asarray(whole.resize((x1 - x0, y1 - y0), Image.Resampling.BILINEAR, box=part))
    return found


def _inside(low: float, high: float, *, count: int, end: int) -> tuple[int, int, tuple[float, float]]:
    """Of `count` columns from `low` to `high`, those whose middle lies in the image, and where they end there."""
    scale = (high - low) / count
    first = min(max(0, math.ceil(-low / scale - 0.5)), count - 1)
    last = max(min(count, math.floor((end - low) / scale + 0.5)), first + 1)
    return first, last, (max(0.0, low + first * scale), min(float(end), low + last * scale))
