"""From the stored bytes of an image to 8-bit RGB."""

from io import BytesIO
from typing import Any

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from hfcls.errors import UserError


def decode_image(cell: dict[str, Any], sample_id: str) -> Image.Image:
    """Decodes one image upright and in RGB.

    8-bit RGB and grey come out as plain ``pipeline()`` sees them. Stranger ones are treated with more care:
    16-bit grey is scaled to 8 bits instead of clipped, transparency is laid on white, and of an animation
    the first frame is taken.

    Args:
        cell: ``{"bytes": ..., "path": ...}`` as in a `datasets` image column; one of them may be None.
        sample_id: names the image in errors.

    Returns:
        An RGB image of the stored size (after EXIF rotation).

    Raises:
        UserError: the image cannot be read; the message names it and says why.
    """
    if not cell or (cell.get("bytes") is None and cell.get("path") is None):
        raise UserError(f"{sample_id} has no image: its cell is empty.")
    source = BytesIO(cell["bytes"]) if cell.get("bytes") is not None else cell["path"]
    try:
        with Image.open(source) as image:
            image.load()
            return to_rgb(ImageOps.exif_transpose(image))
    except UnidentifiedImageError:
        raise UserError(f"{sample_id} is not an image that can be read: remove it or save it again.") from None
    except MemoryError:
        raise
    except Exception as error:  # whatever a decoder makes of hostile bytes: struct.error, RuntimeError, ...
        raise UserError(f"{sample_id} cannot be decoded ({error}): remove it or save it again.") from None


def to_rgb(image: Image.Image) -> Image.Image:
    """Any mode to 8-bit RGB; see `decode_image`."""
    if image.mode == "RGB":
        return image
    if image.mode.startswith("I") or image.mode == "F":
        return Image.fromarray(_eight_bits(np.asarray(image))).convert("RGB")
    if image.mode in {"RGBA", "LA", "PA", "La", "RGBa"} or "transparency" in image.info:
        above = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", above.size, "white"), above).convert("RGB")
    return image.convert("RGB")


def _eight_bits(values: np.ndarray) -> np.ndarray:
    """Integers by their 16-bit range; floats by the smallest of [0, 1], [0, 255], [0, 65535] that holds them."""
    if np.issubdtype(values.dtype, np.floating):
        values = np.nan_to_num(values.astype(np.float64))
        top = next((top for top in (1.0, 255.0, 65535.0) if values.max(initial=0) <= top), values.max(initial=1))
    else:
        top = max(65535.0, values.max(initial=0))
    return (values.clip(0, top) / top * 255).round().astype(np.uint8)
