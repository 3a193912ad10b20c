"""Small pictures for pages."""

from base64 import b64encode
from dataclasses import dataclass
from io import BytesIO

import numpy as np
from PIL import Image

# Images up to this side are shown pixel by pixel instead of smoothed.
_PIXELATED_SIDE = 64


@dataclass(frozen=True)
class Thumbnail:
    """A picture for a page.

    Attributes:
        uri: WebP as a data URI, without what the file said beside its pixels (camera, place, comment).
        width: in pixels.
        height: in pixels.
        pixelated: it is as small as the image itself.
    """

    uri: str
    width: int
    height: int
    pixelated: bool


def make_thumbnail(image: Image.Image, *, side: int, quality: int | None = None) -> Thumbnail:
    """Scales an RGB image down until its longer side is `side` pixels; a smaller one keeps its size.

    Args:
        quality: of the compression, where 100 loses nothing; what is enough to tell images apart if left out.
    """
    pixelated = max(image.size) <= _PIXELATED_SIDE
    image = shrink(image, side)
    # From the bare pixels, since a saved image takes profile and comment along.
    buffer = BytesIO()
    quality = quality or (90 if pixelated else 72)
    Image.fromarray(np.asarray(image)).save(buffer, "WEBP", quality=quality, lossless=quality == 100, method=2)
    uri = "data:image/webp;base64," + b64encode(buffer.getvalue()).decode("ascii")
    return Thumbnail(uri, image.width, image.height, pixelated)


def shrink(image: Image.Image, side: int) -> Image.Image:
    """The image with a longer side of at most `side` pixels."""
    if max(image.size) <= side:
        return image
    scale = side / max(image.size)
    size = (max(round(image.width * scale), 1), max(round(image.height * scale), 1))
    return image.resize(size, Image.Resampling.BILINEAR, reducing_gap=2.0)
