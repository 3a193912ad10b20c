"""Image files put together byte by byte, so that they can be wrong in one place only."""

import struct
import zlib
from io import BytesIO

from PIL import Image

PNG = b"\x89PNG\r\n\x1a\n"


def encode(image: Image.Image, kind: str = "PNG", **settings) -> bytes:
    buffer = BytesIO()
    image.save(buffer, kind, **settings)
    return buffer.getvalue()


def chunk(kind: bytes, data: bytes = b"", *, crc: int = 0) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data) ^ crc)


def header(width: int, height: int, depth: int = 8, colour: int = 2, interlaced: int = 0, *, crc: int = 0) -> bytes:
    return chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, interlaced), crc=crc)


def png(*start: bytes, rows: bytes, end: bytes = chunk(b"IEND")) -> bytes:
    """`start` is the header and what else comes before the pixels; each row begins with its filter, 0."""
    return PNG + b"".join(start) + chunk(b"IDAT", zlib.compress(rows)) + end


def bmp(width: int, height: int, bits: int, pixels: bytes, *, compression=0, palette=b"", offset=None) -> bytes:
    info = struct.pack("<IiiHHIIiiII", 40, width, height, 1, bits, compression, len(pixels), 0, 0, len(palette) // 4, 0)
    start = 54 + len(palette) if offset is None else offset
    return b"BM" + struct.pack("<IHHI", 54 + len(palette) + len(pixels), 0, 0, start) + info + palette + pixels


def tiff(tags: dict[int, object], pixels: bytes, *, order: str = "<", link: int = 0) -> bytes:
    """One directory of grey 8-bit tags changed by `tags`: SHORT or LONG values, or (type, count, 4 bytes)."""
    size = {256: 2, 257: 1, 258: 8, 259: 1, 262: 1, 273: 0, 277: 1, 278: 1, 279: len(pixels)}
    rows = {**size, **tags}
    start = 8 + 2 + 12 * sum(value is not None for value in rows.values()) + 4
    body = b""
    for tag, value in sorted(rows.items()):
        if value is None:
            continue
        if isinstance(value, tuple):
            kind, number, inline = value
            body += struct.pack(order + "HHI", tag, kind, number)
            body += inline if isinstance(inline, bytes) else struct.pack(order + "I", start + inline)
        elif tag in (273, 279, 256, 257, 322, 323, 324):
            body += struct.pack(order + "HHII", tag, 4, 1, start if tag == 273 and value == 0 else value)
        else:
            body += struct.pack(order + "HHIHH", tag, 3, 1, value, 0)
    mark = b"II*\0" if order == "<" else b"MM\0*"
    count = struct.pack(order + "H", (len(body)) // 12)
    return mark + struct.pack(order + "I", 8) + count + body + struct.pack(order + "I", link) + pixels


def bits(*codes: tuple[int, int], low_first: bool) -> bytes:
    """(value, width) codes packed as LZW does: the low bits first in a GIF, the high bits first in a TIFF."""
    line = ""
    for value, width in codes:
        code = format(value, f"0{width}b")
        line = code + line if low_first else line + code
    line = line.rjust(-(-len(line) // 8) * 8, "0") if low_first else line.ljust(-(-len(line) // 8) * 8, "0")
    packed = int(line, 2).to_bytes(len(line) // 8, "big")
    return packed[::-1] if low_first else packed


def gif(*blocks: bytes, screen: tuple[int, int] = (2, 1), palette: bytes = b"\xff\0\0\0\0\xff") -> bytes:
    flags = 0x80 if palette else 0
    return b"GIF89a" + struct.pack("<HHBBB", *screen, flags, 0, 0) + palette + b"".join(blocks) + b";"


def frame(x: int, y: int, width: int, height: int, data: bytes | None = None) -> bytes:
    """A frame of the indices 0, 1, 0, 1, ... if no data is given; two-bit codes with a clear before every pair."""
    if data is None:
        codes = [code for _ in range(width * height // 2) for code in ((4, 3), (0, 3), (1, 3))]
        data = bits(*codes, (5, 3), low_first=True)
    start = b"," + struct.pack("<HHHHB", x, y, width, height, 0) + b"\x02"
    return start + bytes([len(data)]) + data + b"\0"


def icon(picture: bytes, *, width: int = 2, height: int = 1, depth: int = 32) -> bytes:
    return b"\0\0\1\0\1\0" + struct.pack("<BBBBHHII", width, height, 0, 0, 1, depth, len(picture), 22) + picture


def segment(marker: int, data: bytes) -> bytes:
    return struct.pack(">BBH", 0xFF, marker, len(data) + 2) + data


def exif(orientation: int, *, order: str = "<", count: int = 1, offset: int = 8, link: int = 0) -> bytes:
    """The data of an APP1 segment with one tag, and a link to the next directory."""
    mark = b"II*\0" if order == "<" else b"MM\0*"
    body = struct.pack(order + "IHHHIHHI", offset, 1, 0x0112, 3, count, orientation, 0, link)
    return b"Exif\0\0" + mark + body


def riff(*chunks: tuple[bytes, bytes]) -> bytes:
    body = b"".join(kind + struct.pack("<I", len(data)) + data + b"\0" * (len(data) % 2) for kind, data in chunks)
    return b"RIFF" + struct.pack("<I", len(body) + 4) + b"WEBP" + body


def canvas(width: int, height: int, flags: int = 0) -> tuple[bytes, bytes]:
    """The extended header of a WebP."""
    return b"VP8X", bytes([flags, 0, 0, 0]) + (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")


def box(kind: bytes, data: bytes) -> bytes:
    """Of MP4 and its kin: HEIC, AVIF, JPEG 2000."""
    return struct.pack(">I", len(data) + 8) + kind + data


def u16(*values: int) -> bytes:
    return struct.pack(f">{len(values)}H", *values)


def le16(*values: int) -> bytes:
    return struct.pack(f"<{len(values)}{'h' if min(values) < 0 else 'H'}", *values)


def u32(*values: int) -> bytes:
    return struct.pack(f">{len(values)}I", *values)


def f32(*values: float) -> bytes:
    return struct.pack(f"<{len(values)}f", *values)


def dib(width: int, height: int, depth: int, pixels: bytes = b"") -> bytes:
    """A bitmap as icons hold it: its height counts the mask too."""
    return struct.pack("<IiiHHIIiiII", 40, width, 2 * height, 1, depth, 0, 0, 0, 0, 0, 0) + pixels
