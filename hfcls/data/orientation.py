"""Which way up an image is stored."""

import re
from struct import error, unpack_from
from typing import Any

from PIL.Image import Transpose

from hfcls.data.headers import read_directory

# EXIF 2.3, tag 0x0112: what makes the picture upright.
TURNS = {
    2: Transpose.FLIP_LEFT_RIGHT,
    3: Transpose.ROTATE_180,
    4: Transpose.FLIP_TOP_BOTTOM,
    5: Transpose.TRANSPOSE,
    6: Transpose.ROTATE_270,
    7: Transpose.TRANSVERSE,
    8: Transpose.ROTATE_90,
}
SIDEWAYS = {Transpose.TRANSPOSE, Transpose.ROTATE_270, Transpose.TRANSVERSE, Transpose.ROTATE_90}
_TAG = 0x0112
_VALUES = {3: "H", 4: "I", 6: "b", 8: "h", 9: "i"}
_WIDTHS = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8}
_PREFIXES = (b"MM\0*", b"II*\0", b"MM*\0", b"II\0*")


def turn_of(info: dict[Any, Any]) -> Transpose | None:
    """What makes an image upright, by its EXIF block or else its XMP, as `PIL.ImageOps.exif_transpose` takes them.

    Unlike Pillow it reads nothing else, so that no other part of a damaged block can warn, fail or take long.

    Args:
        info: of a loaded image.
    """
    block = info.get("exif")
    if block is None and (text := info.get("Raw profile type exif")):
        block = _from_hexadecimal(text)
    value = _orientation(block) if block else None
    if value is None and (xmp := info.get("XML:com.adobe.xmp") or info.get("xmp")):
        text = xmp if isinstance(xmp, bytes) else str(xmp).encode("utf-8", "replace")
        match = re.search(rb'tiff:Orientation(?:="|>)([0-9])', text)
        value = int(match[1]) if match else None
    return TURNS.get(value) if value is not None else None


def _orientation(block: bytes) -> int | None:
    block = block.removeprefix(b"Exif\0\0").removeprefix(b"Exif\0\0")
    if not block.startswith(_PREFIXES):
        return None
    order = ">" if block[:2] == b"MM" else "<"
    far = 0
    try:
        for entry in read_directory(block):
            length, source, at = _WIDTHS.get(entry.kind, 0) * entry.number, entry.inline, 0
            if length > 4:
                source, at = block, unpack_from(order + "I", entry.inline)[0]
                far += length
                if far > len(block):
                    continue
                if at + length > len(block):
                    return None  # the block is cut short: what follows is not to be trusted
            if entry.tag == _TAG and entry.kind in _VALUES and length > 0:
                return int(unpack_from(order + _VALUES[entry.kind], source, at)[0])
    except error:
        return None
    return None


def _from_hexadecimal(text: str) -> bytes | None:
    try:
        return bytes.fromhex("".join(str(text).split("\n")[3:]))
    except ValueError:
        return None
