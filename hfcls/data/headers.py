"""What the first bytes of an image say, read before any decoder may act on them.

Decoders allocate by what a header claims, some of them as soon as they open a file, and some walk through a whole
file in Python. The functions here find the claim first and take out what no classifier needs.
"""

import re
import zlib
from collections.abc import Iterator
from struct import Struct, unpack_from
from typing import Literal, NamedTuple

Size = tuple[int, int]

# Beyond these a file is built to waste time: each is some ten times what the largest honest files hold.
_MOST_CHUNKS = 100_000
_MOST_STRIPS = 1_000_000
_MOST_EXIF_BLOCKS = 64
_LONGEST_PREAMBLE = 4 * 2**20

_STARTS = {
    **{b"\xff\xd8": "JPEG", b"\x89P": "PNG", b"GI": "GIF", b"RI": "WEBP", b"BM": "BMP", b"II": "TIFF", b"MM": "TIFF"},
    **{b"P%c" % kind: "PPM" for kind in b"123456f"},
    b"\xff\x4f": "JPEG2000",
}
_BRANDS = {b"avif": "AVIF", b"avis": "AVIF", **dict.fromkeys((b"heic", b"heix", b"heim", b"heis", b"hevc"), "HEIC")}
_FOREIGN = (
    (b"<!doctype html", "a web page (HTML)"),
    (b"<html", "a web page (HTML)"),
    (b"<svg", "an SVG drawing"),
    (b"<?xml", "an XML document"),
    (b"%pdf", "a PDF document"),
    (b"%!ps", "a PostScript file (EPS)"),
    (b"\xc5\xd0\xd3\xc6", "a PostScript file (EPS)"),
    (b"version https://git-lfs", "a Git LFS pointer, whose image was never pulled"),
    (b"{", "JSON text"),
    (b"[", "JSON text"),
    (b"\x93numpy", "a NumPy array"),
    (b"\x80\x02", "a Python pickle"),
    (b"\x80\x03", "a Python pickle"),
    (b"\x80\x04", "a Python pickle"),
    (b"\x80\x05", "a Python pickle"),
    (b"pk\x03\x04", "a ZIP archive"),
    (b"riff", "a sound or a video"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"8bps", "a Photoshop document"),
    (b"\xff\x0a", "a JPEG XL image"),
    (b"\0\0\0\x0cjxl ", "a JPEG XL image"),
)
_FORMATS = "JPEG, PNG, GIF, WebP, BMP, TIFF, PPM, ICO, AVIF or JPEG 2000"


class Refused(Exception):
    """Why an image is not taken, to be read after its id, and what to do about it."""

    def __init__(self, reason: str, *, mend: str = "remove it or save it again"):
        super().__init__(reason)
        self.mend = mend


def format_of(content: bytes) -> str:
    """Names the format by content alone.

    Raises:
        Refused: none of those that are read; says what it looks like instead.
    """
    name = _STARTS.get(content[:2])
    if name is not None and (name != "WEBP" or content[8:12] == b"WEBP"):
        return name
    if content.startswith((b"\0\0\0\x0cjP  ", b"\0\0\1\0")):
        return "ICO" if content[2] else "JPEG2000"
    if content[4:8] == b"ftyp":
        brands = [content[at : at + 4] for at in (8, *range(16, min(int.from_bytes(content[:4]), 256), 4))]
        names = [_BRANDS[brand] for brand in brands if brand in _BRANDS]
        if names:
            if "AVIF" in names:
                return "AVIF"
            raise Refused("is a HEIC photo, which is not supported", mend="convert it to JPEG")
        raise Refused("is a video, not an image", mend=f"expected {_FORMATS}")
    if not content.strip(b"\0"):
        raise Refused("is filled with zeros" if content else "is an empty file")
    head = content[:1024].removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    looks = next((f"is {words}, not an image" for start, words in _FOREIGN if head.startswith(start)), None)
    if looks and b"<svg" in head:
        looks = "is an SVG drawing, not an image of pixels"
    raise Refused(looks or "is not an image of a known format", mend=f"expected {_FORMATS}")


def look_at_jpeg(content: bytes) -> tuple[bytes, Size | None]:
    """Refuses endless EXIF blocks, which Pillow joins one by one; the size itself it reads safely."""
    if len(content) > _MOST_EXIF_BLOCKS << 16 and content.count(b"Exif\0\0") > _MOST_EXIF_BLOCKS:
        raise Refused(f"has more than {_MOST_EXIF_BLOCKS} EXIF blocks")
    return content, None


def look_at_png(content: bytes) -> tuple[bytes, Size]:
    """Checks every chunk's checksum, which Pillow does not for pixels, and leaves out what is of no use.

    Of no use are colour profiles and texts, some of which unpack to a thousand times their size, and the frames after
    the first.
    """
    at, start, kept, view, total = 8, 0, [], memoryview(content), len(content)
    for _ in range(_MOST_CHUNKS):
        if at == total:
            break  # no IEND; whether all pixels are there, the decoder knows
        if at + 12 > total:
            raise Refused("is cut short")
        length, kind = _PART(content, at)
        end = at + 12 + length
        if end > total:
            raise Refused("is cut short")
        if zlib.crc32(view[at + 4 : end - 4]) != _CHECKSUM(content, end - 4)[0]:
            raise Refused(f"is damaged: the checksum of its part {str(kind, 'latin-1')!r} is wrong")
        if (kind == b"IHDR") != (at == 8):
            raise Refused("is damaged: a PNG begins with one header")
        if kind in _OF_NO_USE and not content.startswith(_ORIENTATION_TEXTS, at + 8):
            kept.append(view[start:at])
            start = end
        at = end
        if kind == b"IEND":
            break
    else:
        raise Refused(f"is in more than {_MOST_CHUNKS} parts")
    size = unpack_from(">II", content, 16)
    return (b"".join([*kept, view[start:at]]) if kept else content), size


_PART, _CHECKSUM = Struct(">I4s").unpack_from, Struct(">I").unpack_from
_OF_NO_USE = {b"iCCP", b"acTL", b"fcTL", b"fdAT", b"zTXt", b"iTXt"}
_ORIENTATION_TEXTS = (b"XML:com.adobe.xmp\0", b"Raw profile type exif\0")


def look_at_webp(content: bytes) -> tuple[bytes, Size]:
    """The canvas; `libwebp` allocates it, twice, before it has read a pixel."""
    if int.from_bytes(content[4:8], "little") + 8 > len(content):
        raise Refused("is cut short")
    kind = content[12:16]
    if kind == b"VP8X":
        return content, (int.from_bytes(content[24:27], "little") + 1, int.from_bytes(content[27:30], "little") + 1)
    if kind == b"VP8L":
        bits = int.from_bytes(content[21:25], "little")
        return content, ((bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1)
    width, height = unpack_from("<HH", content, 26)
    return content, (width & 0x3FFF, height & 0x3FFF)


def look_at_gif(content: bytes) -> tuple[bytes, Size]:
    """The screen, stretched to hold the first frame, as Pillow does."""
    width, height, flags = unpack_from("<HHB", content, 6)
    at = 13 + ((6 << (flags & 7)) if flags & 0x80 else 0)
    while content[at] != 0x2C:
        if content[at] == 0x3B:
            raise Refused("holds no picture")
        if content[at] == 0x21:
            at += 2
            while content[at] and at < _LONGEST_PREAMBLE:
                at += content[at] + 1
        at += 1
        if at > _LONGEST_PREAMBLE:
            raise Refused("has no picture in its first 4 MiB")
    left, top, wide, high = unpack_from("<4H", content, at + 1)
    return content, (max(width, left + wide), max(height, top + high))


def look_at_ppm(content: bytes) -> tuple[bytes, Size]:
    """The size; Pillow would read an endless comment byte by byte."""
    match = _PPM.match(content, 0, 65536)
    if match is None:
        raise Refused("has no size in its header")
    return content, (int(match[1]), int(match[2]))


_PPM = re.compile(rb"P[1-6f](?:\s|#[^\r\n]*[\r\n])++(\d{1,10})(?:\s|#[^\r\n]*[\r\n])++(\d{1,10})(?=[\s#])")


def look_at_ico(content: bytes) -> tuple[bytes, Size]:
    """Takes the largest picture out: as a PNG where it is one, else as an icon of its own.

    The list of pictures may lie about their sizes, so the picture itself is asked.
    """
    count = unpack_from("<H", content, 4)[0]
    entries = [unpack_from("<BBBBHHII", content, 6 + 16 * index) for index in range(count)]
    if not entries:
        raise Refused("holds no picture")
    entry = max(entries, key=lambda entry: ((entry[0] or 256) * (entry[1] or 256), entry[5]))
    picture = content[entry[7] : entry[7] + entry[6]]
    if picture.startswith(b"\x89PNG"):
        return look_at_png(picture)
    wide = unpack_from("<I", picture)[0] != 12
    width, height = unpack_from("<ii" if wide else "<HH", picture, 4)
    height = abs(height) // 2  # its mask is counted too
    sides = bytes(side if 0 < side < 256 else 0 for side in (width, height))
    rest = entry[2].to_bytes() + b"\0" + entry[4].to_bytes(2, "little") + entry[5].to_bytes(2, "little")
    where = len(picture).to_bytes(4, "little") + (22).to_bytes(4, "little")
    return b"\0\0\1\0\1\0" + sides + rest + where + picture, (abs(width), height)


class Entry(NamedTuple):
    """A row of a TIFF directory: the tag, the type of its values, how many, and their bytes or where those are."""

    tag: int
    kind: int
    number: int
    inline: bytes


def read_directory(content: bytes) -> Iterator[Entry]:
    """The first directory of a TIFF or of an EXIF block, as far as it goes."""
    order = ">" if content[:2] == b"MM" else "<"
    offset, number, row, step = ("Q", "Q", "HHQ8s", 20) if content[2] == 43 else ("I", "H", "HHI4s", 12)
    at = unpack_from(order + offset, content, 8 if offset == "Q" else 4)[0]
    count = unpack_from(order + number, content, at)[0]
    at += 8 if offset == "Q" else 2
    for start in range(at, min(at + count * step, len(content) - step + 1), step):
        yield Entry(*unpack_from(order + row, content, start))


def look_at_tiff(content: bytes) -> tuple[bytes, Size]:
    """Refuses tiles larger than the picture and endless lists of strips; the size itself Pillow reads safely."""
    order: Literal["big", "little"] = "big" if content[:2] == b"MM" else "little"
    sides = {322: 1, 323: 1}
    for entry in read_directory(content):
        if entry.tag in (273, 324) and entry.number > _MOST_STRIPS:
            raise Refused(f"is in more than {_MOST_STRIPS} strips")
        if entry.tag in sides:
            value = entry.inline[:2] if entry.kind == 3 else entry.inline
            sides[entry.tag] = max(sides[entry.tag], int.from_bytes(value, order))
    return content, (sides[322], sides[323])
