"""From the frame that a network sees back to the original image."""

from dataclasses import dataclass

import numpy as np
from PIL import Image

from hfcls.data.transforms import Preprocessing
from hfcls.errors import UserError
from hfcls.networks import HardImageProcessor


@dataclass(frozen=True)
class Frame:
    """Which part of an image the network sees, as a box that its input covers exactly.

    Attributes:
        size: (height, width) of the image in pixels.
        box: (left, top, right, bottom) in pixels of the image; beyond it where the image was padded.
    """

    size: tuple[int, int]
    box: tuple[float, float, float, float]

    def to_image(self, values: np.ndarray) -> np.ndarray:
        """A map of the network's frame in the coordinates of the image.

        Args:
            values: (h, w), any grid that covers the frame evenly.

        Returns:
            float32 (H, W); 0 outside the frame.
        """
        height, width = self.size
        left, top, right, bottom = self.box
        # Whole pixels of the image whose middle lies in the frame.
        x0, x1 = _inside(left, right, width)
        y0, y1 = _inside(top, bottom, height)
        scale_x, scale_y = values.shape[1] / (right - left), values.shape[0] / (bottom - top)
        part = _clamp(
            ((x0 - left) * scale_x, (y0 - top) * scale_y, (x1 - left) * scale_x, (y1 - top) * scale_y), values.shape
        )
        found = np.zeros(self.size, np.float32)
        small = Image.fromarray(np.ascontiguousarray(values, np.float32))
        found[y0:y1, x0:x1] = np.asarray(small.resize((x1 - x0, y1 - y0), Image.Resampling.BILINEAR, box=part))
        return found


def find_frame(preprocessing: Preprocessing, size: tuple[int, int]) -> Frame:
    """Finds which part of an image of a size the network sees.

    An image whose colours are its coordinates is sent through the image processor; what it makes of them is a
    straight line in each direction: its fit is exact to a tenth of a pixel of an image of 300.

    Args:
        preprocessing: of the classifier.
        size: (height, width) of the image in pixels.

    Raises:
        UserError: the processor changes colours so that nothing can be told, or shrinks the image to nothing.
    """
    height, width = size
    if isinstance(preprocessing.image_processor, HardImageProcessor):
        return _whole(preprocessing, size)
    ramp = np.empty((height, width, 3), np.uint8)
    ramp[..., 0] = _ramp(width)[None, :]
    ramp[..., 1] = _ramp(height)[:, None]
    ramp[..., 2] = 255  # black where the processor pads
    seen = preprocessing.pixels(Image.fromarray(ramp)).numpy().astype(np.float64)
    # Some processors make BGR of RGB. A ramp is 255 at its very end alone, the marker wherever the image is.
    if (seen[0] > 254).sum() > (seen[2] > 254).sum():
        seen = seen[::-1]
    try:
        left, right = _ends(seen[0], seen[2], width)
        top, bottom = _ends(seen[1].T, seen[2].T, height)
    except _NotSeen:
        raise UserError(
            f"Which part of an image of {width} x {height} pixels the network sees cannot be told from what "
            f"{type(preprocessing.image_processor).__name__} makes of it, so there is no map: give an image that is "
            "less elongated, or an image processor that keeps colours."
        ) from None
    return Frame(size, (left, top, right, bottom))


class _NotSeen(Exception):
    """The processor left nothing of the image that tells a place."""


def _whole(preprocessing: Preprocessing, size: tuple[int, int]) -> Frame:
    """Of the processor for hard images, which changes colours, and shows the whole image: stretched or with bars."""
    height, width = size
    tall, wide = preprocessing.spec.size
    if not preprocessing.image_processor.letterbox:
        return Frame(size, (0.0, 0.0, float(width), float(height)))
    scale = min(wide / width, tall / height)
    fitted = max(1, round(width * scale)), max(1, round(height * scale))
    x, y = (wide - fitted[0]) // 2, (tall - fitted[1]) // 2
    across, down = width / fitted[0], height / fitted[1]
    return Frame(size, (-x * across, -y * down, (wide - x) * across, (tall - y) * down))


def _ramp(count: int) -> np.ndarray:
    return np.rint((np.arange(count) + 0.5) / count * 255).astype(np.uint8)


def _ends(seen: np.ndarray, marks: np.ndarray, count: int) -> tuple[float, float]:
    """Where the first and the last of the columns end, in pixels of an image that has `count` of them."""
    columns = np.arange(seen.shape[1])
    inside = marks > 254
    # The ends of the ramp are bent by the interpolation.
    inside &= (seen > 255 * 0.02) & (seen < 255 * 0.98)
    x = np.broadcast_to(columns, seen.shape)[inside] + 0.5
    if count < 2:
        return 0.0, float(count)
    if len(x) == 0:
        raise _NotSeen
    if np.ptp(x) == 0:
        # The image is as narrow as one column of what is seen.
        first = -(x[0] - 0.5) * count
        return float(first), float(first + seen.shape[1] * count)
    slope, start = np.polyfit(x, seen[inside] / 255 * count, 1)
    return float(start), float(start + slope * seen.shape[1])


def _inside(low: float, high: float, count: int) -> tuple[int, int]:
    first, last = max(0, round(low)), min(count, round(high))
    return (first, last) if last > first else (min(first, count - 1), min(first, count - 1) + 1)


def _clamp(box: tuple[float, float, float, float], shape: tuple[int, ...]) -> tuple[float, float, float, float]:
    return max(0.0, box[0]), max(0.0, box[1]), min(float(shape[1]), box[2]), min(float(shape[0]), box[3])
