"""The one way from the stored bytes of an image, whoever sent them, to 8-bit RGB."""

import os
import stat
from io import BytesIO
from typing import Any, NamedTuple

from PIL.Image import Image, core
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.TiffImagePlugin import TiffImageFile

from hfcls.data.colours import read_ppm, to_rgb
from hfcls.data.headers import Refused, Size, format_of
from hfcls.data.orientation import SIDEWAYS, turn_of
from hfcls.data.paths import OUTSIDE
from hfcls.data.plugins import MAY_WARN, PLUGINS, QUIET
from hfcls.data.room import Room
from hfcls.errors import BadImage

MAX_PIXELS = 89_478_485
MAX_BYTES = 512 * 2**20
# A pixel takes up to twelve bytes on its way; so many at once, whatever the number of threads.
DECODING = Room(200_000_000)
# Pillow's blocks of 16 MiB would stay with the thread that freed them (glibc returns at once what is above 32 MiB).
core.set_block_size(64 * 2**20)
# A progressive JPEG of a few kilobytes can send a decoder over its picture thousands of times; honest ones do so ten
# times.
_MOST_SCANS = 20
# Pixels that are missing at the end of a PNG Pillow leaves black; the format packs no more than so many bytes in one.
_BEST_DEFLATE = 1032
# What Pillow decodes in Python takes some seconds for as many pixels.
_SLOW_CODECS = {"bmp_rle": "a run-length encoded BMP", "ppm_plain": "a PPM in text"}
_MOST_SLOW_PIXELS = 4_194_304
_ADDRESS = "is an address, and only local files are read"


class Decoded(NamedTuple):
    """One image and what was found in its file.

    Attributes:
        image: upright, 8-bit RGB.
        format: such as "JPEG" or "PNG", by content.
        mode: of the pixels as stored, in Pillow's words: "RGB", "P", "I;16", ...
        size: (width, height) as stored, upright.
    """

    image: Image
    format: str
    mode: str
    size: Size


def read_bytes(cell: dict[str, Any] | None, sample_id: str) -> bytes:
    """The stored bytes of an image: those of the cell, or of the local file that it names.

    Args:
        cell: ``{"bytes": ..., "path": ...}`` as in a `datasets` image column; one of them may be None.
        sample_id: names the image in errors.

    Raises:
        BadImage: there is nothing to read, the file is no regular file or it has more than `MAX_BYTES`, or it lies
            outside the folder of its data set (`hfcls.data.cells`).
    """
    content, path = (cell.get("bytes"), cell.get("path")) if cell else (None, None)
    try:
        if content is None:
            if path is None:
                raise Refused("has no image: its cell is empty", mend="remove it or fill its cell")
            content = _read_file(path)
        if not content:
            raise Refused("is an empty file")
        if len(content) > MAX_BYTES:
            raise Refused(f"has {len(content) >> 20} MiB, more than the limit of {MAX_BYTES >> 20}")
    except Refused as refusal:
        raise _bad_image(sample_id, refusal) from None
    return bytes(content)


def decode_bytes(
    content: bytes, sample_id: str, *, max_pixels: int = MAX_PIXELS, at_least: int | None = None
) -> Decoded:
    """Decodes one image upright and in RGB.

    8-bit RGB and grey come out as plain ``pipeline()`` sees them. Stranger ones are treated with more care: 16-bit
    grey is scaled to 8 bits instead of clipped, transparency is laid on white, and of an animation the first frame is
    taken. Nothing of the file but its pixels stays with the image.

    Args:
        content: JPEG, PNG, GIF, WebP, BMP, TIFF, PPM, ICO, AVIF or JPEG 2000, told apart by content.
        sample_id: names the image in errors.
        max_pixels: an image whose header claims more is refused before it is decoded; at most twice `MAX_PIXELS`,
            where Pillow itself ends.
        at_least: a JPEG may be decoded at a half, a quarter or an eighth of its size, as long as its shorter side keeps
            that many pixels.

    Raises:
        BadImage: the bytes are not an image that can be used; says why.
    """
    try:
        return _decode(content, max_pixels, at_least)
    except Refused as refusal:
        raise _bad_image(sample_id, refusal) from None
    except Exception as error:  # whatever a decoder makes of hostile bytes: struct.error, MemoryError, ...
        if at_least is not None:
            return decode_bytes(content, sample_id, max_pixels=max_pixels)
        raise _bad_image(sample_id, _in_plain_words(error)) from None


def decode_image(cell: dict[str, Any] | None, sample_id: str, *, max_pixels: int = MAX_PIXELS) -> Image:
    """Reads and decodes one image: see `read_bytes` and `decode_bytes`.

    Returns:
        An RGB image of the stored size (after EXIF rotation).

    Raises:
        BadImage: the image cannot be read; the message names it and says why.
    """
    return decode_bytes(read_bytes(cell, sample_id), sample_id, max_pixels=max_pixels).image


def decode_opened(image: Image, sample_id: str, *, max_pixels: int = MAX_PIXELS) -> Image:
    """The same for an image that Pillow has opened or made: upright, 8-bit RGB, in a new image.

    Args:
        image: in any mode.
        sample_id: names the image in errors.
        max_pixels: a larger image is refused.

    Raises:
        BadImage: it cannot be used; says why.
    """
    try:
        _check_size(image.size, max_pixels)
        with DECODING.hold(image.size[0] * image.size[1]):
            return _load(image, image.format or "", image.size, 8).image
    except Refused as refusal:
        raise _bad_image(sample_id, refusal) from None
    except Exception as error:  # it may be read from its file only now
        raise _bad_image(sample_id, _in_plain_words(error)) from None


def _decode(content: bytes, max_pixels: int, at_least: int | None) -> Decoded:
    name = format_of(content)
    if name in MAY_WARN:
        with QUIET:
            return _decode_as(name, content, max_pixels, at_least)
    return _decode_as(name, content, max_pixels, at_least)


def _decode_as(name: str, content: bytes, max_pixels: int, at_least: int | None) -> Decoded:
    plugin, look = PLUGINS[name]
    if look is not None:
        content, claimed = look(content)
        if claimed is not None:
            _check_size(claimed, max_pixels)
        if name == "ICO" and content.startswith(b"\x89"):
            plugin = PngImageFile
    # Plugins are called by name: `Image.open` would warn of sizes that are allowed here.
    image = plugin(BytesIO(content))
    size = image.size
    _check_size(size, max_pixels)
    bits = 8
    if isinstance(image, JpegImageFile):
        _check_scans(image, content, max_pixels)
        if at_least is not None:
            image.draft(None, (at_least, at_least))
    elif isinstance(image, PngImageFile):
        bits = content[24]
        if size[0] * size[1] * bits > 8 * _BEST_DEFLATE * len(content):
            raise Refused(f"claims {size[0]} x {size[1]} pixels, more than its {len(content)} bytes can hold")
    elif image.tile and (codec := image.tile[0].codec_name) != "raw":
        if codec in _SLOW_CODECS and size[0] * size[1] > _MOST_SLOW_PIXELS:
            raise Refused(f"is {_SLOW_CODECS[codec]} of more than {_MOST_SLOW_PIXELS} pixels", mend="save it as PNG")
        if codec == "ppm":
            with DECODING.hold(size[0] * size[1]):
                return Decoded(read_ppm(image, content), name, image.mode, size)
    with DECODING.hold(image.size[0] * image.size[1]):
        return _load(image, name, size, bits)


def _load(image: Image, name: str, size: Size, bits: int) -> Decoded:
    image.load()
    if isinstance(image, TiffImageFile):
        return Decoded(_tiff_to_rgb(image), name, image.mode, image.size)  # which Pillow has turned
    rgb = to_rgb(image, bits=bits)
    turn = turn_of(image.info)
    if turn is None:
        return Decoded(rgb, name, image.mode, size)
    return Decoded(rgb.transpose(turn), name, image.mode, size[::-1] if turn in SIDEWAYS else size)


def _tiff_to_rgb(image: TiffImageFile) -> Image:
    tags = image.tag_v2
    if image.mode == "L" and tags.get(339) == (2,) and image.getextrema()[1] > 127:  # type: ignore[operator]
        raise Refused("holds negative values: expected 0 to 255")
    return to_rgb(image, bits=tags.get(258, (8,))[0], white_is_zero=tags.get(262) == 0)


def _check_size(size: Size, max_pixels: int) -> None:
    if min(size) <= 0:
        raise Refused(f"claims {size[0]} x {size[1]} pixels")
    if size[0] * size[1] > max_pixels:
        raise Refused(
            f"claims {size[0]} x {size[1]} pixels, more than the limit of {max_pixels}",
            mend="make it smaller or remove it",
        )


def _check_scans(image: JpegImageFile, content: bytes, max_pixels: int) -> None:
    assert image.fp is not None
    start = content.rfind(b"\xff\xda", 0, image.fp.tell())
    in_passes = "progressive" in image.info or content[start + 4] != image.layers
    if in_passes and content.count(b"\xff\xda") * image.width * image.height > _MOST_SCANS * max_pixels:
        raise Refused("is a JPEG that goes over its picture too many times", mend="save it again as a plain JPEG")


def _read_file(path: Any) -> bytes:
    if isinstance(path, str) and path.startswith(OUTSIDE):
        path = path.removeprefix(OUTSIDE)
        if "://" in path:
            raise Refused(_ADDRESS, mend="check the path")
        raise Refused(
            f"names the file {path[:200]!r}, which is not below the folder of its data set",
            mend="--image_dir ROOT allows another place",
        )
    try:
        # A pipe must not be waited for.
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
        try:
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode):
                raise Refused("is not a regular file")
            if status.st_size > MAX_BYTES:
                raise Refused(f"has {status.st_size >> 20} MiB, more than the limit of {MAX_BYTES >> 20}")
            with os.fdopen(descriptor, "rb", closefd=False) as file:
                return file.read(status.st_size)
        finally:
            os.close(descriptor)
    except FileNotFoundError:
        what = _ADDRESS if "://" in str(path) else "does not exist"
        raise Refused(what, mend="check the path") from None
    except (OSError, ValueError, TypeError) as error:
        why = error.strerror if isinstance(error, OSError) else error
        raise Refused(f"cannot be read ({why})", mend="check the path and its permissions") from None


def _in_plain_words(error: Exception) -> Refused:
    if isinstance(error, MemoryError):
        return Refused("needs more memory than there is", mend="make it smaller or remove it")
    words = " ".join(str(error).split())[:120]
    if isinstance(error, EOFError | IndexError) or any(phrase in words.lower() for phrase in _CUT_SHORT):
        return Refused("is cut short")
    return Refused(f"cannot be decoded ({words or type(error).__name__})")


# In the words of Pillow, `struct` and numpy.
_CUT_SHORT = ("truncated", "not enough image data", "unpack_from requires", "buffer is smaller", "unexpected end of")


def _bad_image(sample_id: str, refusal: Refused) -> BadImage:
    return BadImage(f"{sample_id!r} {refusal}: {refusal.mend}.", sample_id=sample_id, reason=str(refusal))
