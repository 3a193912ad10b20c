"""Pictures without what cameras write into them: EXIF with its place and time, XMP, comments, thumbnails."""

import base64
import re
import struct
from collections.abc import Iterator
from io import BytesIO
from typing import Any

from PIL import Image, ImageOps, UnidentifiedImageError

_PNG, _JPEG = b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff"
# PNG chunks that say something of the picture beside its pixels and colours.
_PNG_TOLD = {b"eXIf", b"tEXt", b"zTXt", b"iTXt", b"tIME"}
_WEBP_TOLD = {b"EXIF", b"XMP "}
_WEBP_FLAGS = 0b00001100  # of VP8X: there is EXIF, there is XMP
_ORIENTATION = 0x0112
_EMBEDDED = re.compile(rb"(data:image/(?:png|jpe?g|webp);base64,)([A-Za-z0-9+/=\s]+)")


def strip_metadata(content: bytes) -> bytes:
    """The same picture without its metadata; its pixels stay as they are compressed.

    Only a picture that its EXIF turns or mirrors is compressed anew, the right way up. Colour profiles stay.

    Args:
        content: a file; anything but PNG, JPEG and WebP comes back as it is, except for such pictures as it embeds
            as ``data:`` URLs (SVG, HTML, Markdown).

    Raises:
        ValueError: the picture is damaged; the message says how.
    """
    kind = _kind(content)
    if kind is None:
        return _EMBEDDED.sub(_strip_embedded, content)
    try:
        if _is_turned(content):
            return _upright(content, kind)
        return {"PNG": _strip_png, "JPEG": _strip_jpeg, "WEBP": _strip_webp}[kind](content)
    except (struct.error, IndexError, ValueError, OSError):
        # Not as its format says: what it holds can't be told, so that only its pixels go on.
        return _upright(content, kind)


def _kind(content: bytes) -> str | None:
    if content.startswith(_PNG):
        return "PNG"
    if content.startswith(_JPEG):
        return "JPEG"
    return "WEBP" if content[:4] == b"RIFF" and content[8:12] == b"WEBP" else None


def _strip_embedded(match: re.Match[bytes]) -> bytes:
    try:
        picture = base64.b64decode(match[2], validate=False)
    except ValueError:
        return match[0]
    stripped = strip_metadata(picture) if _kind(picture) else picture
    return match[0] if stripped == picture else match[1] + base64.b64encode(stripped)


def _is_turned(content: bytes) -> bool:
    with Image.open(BytesIO(content)) as image:
        return image.getexif().get(_ORIENTATION, 1) in range(2, 9)


def _upright(content: bytes, kind: str) -> bytes:
    try:
        with Image.open(BytesIO(content)) as image:
            image.load()
            profile = image.info.get("icc_profile")
            upright = ImageOps.exif_transpose(image)
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        reason = "it is damaged" if isinstance(error, UnidentifiedImageError) else error
        raise ValueError(f"no {kind} picture as it should be: {reason}") from None
    upright.info = {}
    lossless = kind == "PNG" or b"VP8L" in content[:64]
    settings: dict[str, Any] = {"lossless": True} if lossless else {"quality": 95}
    if kind == "JPEG":
        settings["subsampling"] = 0
    stream = BytesIO()
    upright.save(stream, kind, icc_profile=profile, **({} if kind == "PNG" else settings))
    return stream.getvalue()


def _strip_png(content: bytes) -> bytes:
    kept, at = [_PNG], len(_PNG)
    while at < len(content):
        length, name = struct.unpack_from(">I4s", content, at)
        end = at + length + 12
        if end > len(content):
            raise ValueError("cut short")
        if name not in _PNG_TOLD:
            kept.append(content[at:end])
        at = end
        if name == b"IEND":
            break  # what follows belongs to no picture
    return b"".join(kept)


def _strip_jpeg(content: bytes) -> bytes:
    kept = [content[:2]]
    for marker, segment in _jpeg_segments(content):
        told = 0xE0 <= marker <= 0xEF or marker == 0xFE
        body = segment[4:]
        colours = (marker == 0xE0 and body.startswith(b"JFIF\0")) or marker == 0xEE
        if not told or colours or (marker == 0xE2 and body.startswith(b"ICC_PROFILE\0")):
            kept.append(segment)
    return b"".join(kept)


def _jpeg_segments(content: bytes) -> Iterator[tuple[int, bytes]]:
    """Marker and bytes of each segment up to the end of the picture; compressed data belong to the scan before."""
    at = 2
    while True:
        if content[at] != 0xFF:
            raise ValueError("no marker")
        marker = content[at + 1]
        if marker == 0xD9:
            yield marker, content[at : at + 2]
            return
        end = at + 2 + struct.unpack_from(">H", content, at + 2)[0]
        if marker == 0xDA:
            found = re.compile(rb"\xff[^\x00\xff\xd0-\xd7]").search(content, end)
            if found is None:
                raise ValueError("cut short")
            end = found.start()
        yield marker, content[at:end]
        at = end


def _strip_webp(content: bytes) -> bytes:
    kept, at = [b"WEBP"], 12
    while at + 8 <= len(content):
        name, length = struct.unpack_from("<4sI", content, at)
        end = at + 8 + length + length % 2
        if at + 8 + length > len(content):
            raise ValueError("cut short")
        chunk = content[at:end]
        if name == b"VP8X":
            chunk = chunk[:8] + bytes([chunk[8] & ~_WEBP_FLAGS]) + chunk[9:]
        if name not in _WEBP_TOLD:
            kept.append(chunk)
        at = end
    body = b"".join(kept)
    return b"RIFF" + struct.pack("<I", len(body)) + body
