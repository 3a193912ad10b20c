"""From any mode that a decoder yields to 8-bit RGB."""

import math

import numpy as np
from PIL import Image
from PIL.ImageFile import ImageFile

from hfcls.data.headers import Refused

_TRANSPARENT = {"RGBA", "RGBa", "LA", "La", "PA"}
_RANGES = (1.0, 255.0, 65535.0)


def to_rgb(image: Image.Image, *, bits: int = 8, white_is_zero: bool = False) -> Image.Image:
    """Any mode to 8-bit RGB, in a new image that knows nothing of the file.

    8-bit grey, palettes, CMYK and YCbCr as Pillow converts them; transparency is laid on white; deeper grey is scaled.

    Args:
        image: loaded.
        bits: of a stored sample, where it is not what the mode suggests.
        white_is_zero: deep grey is stored as a negative.

    Raises:
        Refused: deep grey that holds what no picture holds.
    """
    if image.mode == "F" or image.mode.startswith("I"):
        rgb = _deep_grey(image, bits, white_is_zero)
    elif image.mode in _TRANSPARENT or "transparency" in image.info:
        rgb = _on_white(image, bits)
    else:
        rgb = image.convert("RGB")
    rgb.info = {}
    return rgb


def _on_white(image: Image.Image, bits: int) -> Image.Image:
    key = image.info.get("transparency")
    # Of few-bit and of 16-bit samples Pillow scales the pixels to 8 bits, but not the key.
    if image.mode == "L" and isinstance(key, int):
        image.info["transparency"] = _key(key, bits)
    elif image.mode == "RGB" and isinstance(key, tuple):
        image.info["transparency"] = tuple(_key(value, bits) for value in key)
    above = image.convert("LA") if image.mode == "La" else image
    if above.mode != "RGBA":
        above = above.convert("RGBA")
    below = Image.new("RGB", image.size, "white")
    below.paste(above, mask=above)
    return below


def _key(value: int, bits: int) -> int:
    if bits == 16:
        return value >> 8
    return (value & 2**bits - 1) * 255 // (2**bits - 1)


def _deep_grey(image: Image.Image, bits: int, white_is_zero: bool) -> Image.Image:
    """Integers by their 12 or 16 bits; floats by the smallest of [0, 1], [0, 255], [0, 65535] that holds them."""
    values = np.asarray(image)
    low, high = float(values.min()), float(values.max())  # NaN shows in both
    if not np.isfinite([low, high]).all():
        raise Refused("holds values that are not numbers (NaN) or infinite")
    if low < 0:
        raise Refused(f"holds negative values, down to {low:g}: expected 0 to 65535")
    if high > _RANGES[-1]:
        raise Refused(f"holds values up to {high:g}: expected 0 to 65535")
    top = 2**bits - 1 if 8 < bits < 16 else 65535
    if image.mode == "F":
        top = next(top for top in _RANGES if high <= top)
    scaled = np.multiply(values, np.float32(255 / top), dtype=np.float32)
    grey = np.rint(scaled, out=scaled).astype(np.uint8)
    if white_is_zero:
        np.subtract(255, grey, out=grey)
    if isinstance(key := image.info.get("transparency"), int):
        grey[values == key] = 255
    return Image.fromarray(grey).convert("RGB")


def read_ppm(image: ImageFile, content: bytes) -> Image.Image:
    """A PPM or PGM whose samples end at another value than 255; Pillow reads them one by one, in Python.

    Args:
        image: opened, not loaded.
        content: all of the file.
    """
    tile = image.tile[0]
    assert isinstance(tile.args, tuple)
    mode, top = tile.args
    shape = (image.height, image.width, 3)[: 3 if mode == "RGB" else 2]
    samples = np.frombuffer(content, ">u2" if top > 255 else "u1", math.prod(shape), tile.offset).reshape(shape)
    scaled = np.multiply(samples, np.float32(255 / top), dtype=np.float32)
    return Image.fromarray(np.rint(scaled, out=scaled).clip(0, 255).astype(np.uint8)).convert("RGB")
