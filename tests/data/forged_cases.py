"""What strangers may send, and what must come of it.

Each case is a file, or what makes it where that takes time, and its outcome: the pixels of its first row, its size,
words of its refusal, or None where either will do.
"""

import struct
import zlib
from collections.abc import Callable

import numpy as np
from PIL import Image

from hfcls.data.decode import MAX_PIXELS
from tests.data.forged import (
    PNG,
    bits,
    bmp,
    box,
    canvas,
    chunk,
    dib,
    encode,
    exif,
    f32,
    frame,
    gif,
    header,
    icon,
    le16,
    png,
    riff,
    segment,
    tiff,
    u16,
    u32,
)

Colour = tuple[int, int, int]
Outcome = list[Colour] | tuple[int, int] | str | None
RED, GREEN, BLUE, WHITE, BLACK = (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255), (0, 0, 0)


def grey(*levels: int) -> list[Colour]:
    return [(level, level, level) for level in levels]


def photo(mode: str = "RGB", size: tuple[int, int] = (48, 32)) -> Image.Image:
    """Smooth colours: red at the left, blue at the bottom."""
    down, across = np.mgrid[0 : size[1], 0 : size[0]] / np.array([size[1] - 1, size[0] - 1]).reshape(2, 1, 1)
    pixels = np.stack([255 * (1 - across), 255 * abs(down - across), 255 * down], -1)
    return Image.fromarray(pixels.astype(np.uint8)).convert(mode)


ROW = b"\0" + bytes(RED + BLUE)
PLAIN = header(2, 1)
END = chunk(b"IEND")
LOW16 = chunk(b"tRNS", b"\xff\xff\0\0\0\0")
PIECES = b"".join(chunk(b"IDAT", bytes([byte]) * length) for byte in zlib.compress(ROW) for length in (0, 1))
ANIMATION = chunk(b"acTL", bytes(8)), chunk(b"acTL", b"\xff" * 8), chunk(b"fcTL", b"\7" * 26)
BAD_PROFILE = chunk(b"tEXt", b"Raw profile type exif\0\nexif\n8\nzz")
OVER = MAX_PIXELS + 1


def large(kind: bytes) -> bytes:
    return png(PLAIN, chunk(kind, b"a\0\0" + zlib.compress(bytes(10**8))), rows=ROW)


PNG_CASES: dict[str, tuple[bytes | Callable[[], bytes], Outcome]] = {
    "16-bit colour": (
        png(header(2, 1, 16), rows=b"\0" + u16(65535, 32768, 0, 0, 256, 65535)),
        [(255, 128, 0), (0, 1, 255)],
    ),
    "16-bit grey with alpha": (png(header(2, 1, 16, 4), rows=b"\0" + u16(0, 65535, 0, 0)), [BLACK, WHITE]),
    "16-bit grey": (png(header(4, 1, 16, 0), rows=b"\0" + u16(0, 257, 32768, 65535)), grey(0, 1, 128, 255)),
    "16-bit grey with a key": (
        png(header(2, 1, 16, 0), chunk(b"tRNS", u16(258)), rows=b"\0" + u16(258, 259)),
        grey(255, 1),
    ),
    "interlaced": (png(header(2, 2, interlaced=1), rows=ROW[:4] + b"\0" + bytes(GREEN) + ROW), [RED, GREEN]),
    "1-bit grey": (png(header(2, 1, 1, 0), rows=b"\0\x40"), grey(0, 255)),
    "2-bit grey": (png(header(4, 1, 2, 0), rows=b"\0\x1b"), grey(0, 85, 170, 255)),
    "2-bit grey with a key": (png(header(4, 1, 2, 0), chunk(b"tRNS", u16(1)), rows=b"\0\x1b"), grey(0, 255, 170, 255)),
    "4-bit grey with a key": (png(header(2, 1, 4, 0), chunk(b"tRNS", u16(7)), rows=b"\0\x76"), grey(255, 102)),
    "8-bit grey with a key": (png(header(2, 1, 8, 0), chunk(b"tRNS", u16(7)), rows=b"\0\7\6"), grey(255, 6)),
    "16-bit colour with a key": (
        png(header(2, 1, 16), LOW16, rows=b"\0" + u16(65535, 0, 0, 0, 65535, 0)),
        [WHITE, GREEN],
    ),
    "palette with half transparency": (
        png(header(2, 1, 8, 3), chunk(b"PLTE", ROW[1:]), chunk(b"tRNS", b"\x80\xff"), rows=b"\0\0\1"),
        [(255, 127, 127), BLUE],
    ),
    "header with a wrong checksum": (png(header(2, 1, crc=1), rows=ROW), "checksum of its part 'IHDR'"),
    "text with a wrong checksum": (png(PLAIN, chunk(b"tEXt", b"a\0b", crc=1), rows=ROW), "checksum of its part 'tEXt'"),
    "cut in its pixels": (encode(photo())[:-300], "is cut short"),
    "cut between two parts": (PNG + PLAIN, "is cut short"),
    "cut in its last checksum": (png(PLAIN, rows=ROW)[:-2], "is cut short"),
    "of a thousand times its pixels": (png(header(2000, 1000), rows=ROW), "2000 x 1000 pixels, more than its .. bytes"),
    "of pixels that are no zlib": (PNG + PLAIN + chunk(b"IDAT", b"garbage") + END, "cannot be decoded"),
    "without pixels": (PNG + PLAIN + END, "cannot be decoded"),
    "with pixels in empty and tiny parts": (PNG + PLAIN + PIECES + END, [RED, BLUE]),
    "with two headers": (PNG + PLAIN + png(header(9, 9), rows=ROW)[8:], "begins with one header"),
    "with a text before its header": (png(chunk(b"tEXt", b"a\0b"), PLAIN, rows=ROW), "begins with one header"),
    "with a text of 100 MB": (lambda: large(b"zTXt"), [RED, BLUE]),
    "with a profile of 100 MB": (lambda: large(b"iCCP"), [RED, BLUE]),
    "in 200,000 parts": (lambda: png(PLAIN, chunk(b"tEXt") * 200_000, rows=ROW), "more than 100000 parts"),
    "with a broken animation": (png(PLAIN, *ANIMATION, rows=ROW, end=chunk(b"fdAT") + END), [RED, BLUE]),
    "with junk after its end": (png(PLAIN, rows=ROW) + b"<script>", [RED, BLUE]),
    "without an end": (png(PLAIN, rows=ROW, end=b""), [RED, BLUE]),
    "turned by EXIF after its pixels": (png(PLAIN, rows=ROW, end=chunk(b"eXIf", exif(6)[6:]) + END), (1, 2)),
    "with EXIF that is no hexadecimal": (png(PLAIN, BAD_PROFILE, rows=ROW), [RED, BLUE]),
    "of no height": (png(header(2, 0), rows=b""), "cannot be decoded|2 x 0 pixels"),
    "of an unknown colour type": (png(header(2, 1, 8, 5), rows=ROW), "cannot be decoded"),
    "one pixel over the limit": (
        png(header(OVER, 1, 1, 0), rows=b""),
        f"{OVER} x 1 pixels, more than the limit of {MAX_PIXELS}",
    ),
}

PALETTE = b"".join(bytes([level] * 3 + [0]) for level in range(256))
MASKS = struct.pack("<III", 0xF800, 0x7E0, 0x1F)
BELOW, ABOVE = bytes(BLUE[::-1]) + b"\0", bytes(RED[::-1]) + b"\0"


def run_lengths(width: int, height: int, pixels: bytes) -> bytes:
    return bmp(width, height, 8, pixels, compression=1, palette=PALETTE)


BMP_CASES: dict[str, tuple[bytes | Callable[[], bytes], Outcome]] = {
    "from below": (bmp(1, 2, 24, BELOW + ABOVE), [RED]),
    "from above": (bmp(1, -2, 24, ABOVE + BELOW), [RED]),
    "of 5-6-5 bits": (bmp(2, 1, 16, MASKS + le16(0xF800, 0x07E0), compression=3, offset=66), [RED, GREEN]),
    "of 32 bits without transparency": (bmp(1, 1, 32, ABOVE), [RED]),
    "in run lengths": (run_lengths(4, 1, b"\3\x10\1\x20\0\1"), grey(16, 16, 16, 32)),
    "in run lengths cut short": (run_lengths(4, 4, b"\3\x10"), "is cut short"),
    "in run lengths of 25 Mpixels": (
        run_lengths(5000, 5000, b"\1\1\0\0" * 5000),
        "run-length encoded BMP of more than",
    ),
    "of negative width": (bmp(-2, 1, 24, bytes(8)), "4294967294 x 1 pixels"),
    "with its pixels far off": (bmp(2, 1, 24, bytes(8), offset=2**31), "is cut short"),
    "cut": (bmp(2, 9, 24, bytes(8)), "is cut short"),
    "with a JPEG inside": (bmp(2, 1, 24, bytes(99), compression=4), "Unsupported BMP compression"),
}

PAIR = b"\x0a\xc8"
TILED = {259: 5, 322: 40000, 323: 40000, 324: 8, 273: None}
PLANES = {258: (3, 3, 0), 262: 2, 273: (4, 3, 6), 277: 3, 284: 2}
LZW = bits((256, 9), (10, 9), (200, 9), (257, 9), low_first=False)


def big_tiff() -> bytes:
    tags = {256: 2, 257: 1, 258: 8, 259: 1, 262: 1, 273: 192, 277: 1, 279: 2}
    rows = b"".join(struct.pack("<HHQQ", tag, 4, 1, value) for tag, value in tags.items())
    return b"II\x2b\0" + struct.pack("<HHQQ", 8, 0, 16, 8) + rows + bytes(8) + PAIR


TIFF_CASES: dict[str, tuple[bytes | Callable[[], bytes], Outcome]] = {
    "16-bit big-endian": (tiff({258: 16}, u16(257, 65535), order=">"), grey(1, 255)),
    "16-bit little-endian": (tiff({258: 16}, le16(257, 65535)), grey(1, 255)),
    "16-bit negative": (tiff({258: 16, 262: 0}, le16(257, 65535)), grey(254, 0)),
    "12-bit": (tiff({258: 12}, b"\xff\xf8\x00"), grey(255, 128)),
    "signed 16-bit": (tiff({258: 16, 339: 2}, le16(257, 32767)), grey(1, 127)),
    "signed 16-bit below zero": (tiff({258: 16, 339: 2}, le16(-3, 5)), "negative values, down to -3"),
    "signed 8-bit below zero": (tiff({339: 2}, b"\xff\0"), "negative values"),
    "float to 1": (tiff({258: 32, 339: 3}, f32(0.5, 1)), grey(128, 255)),
    "float to 255": (tiff({258: 32, 339: 3}, f32(2, 200)), grey(2, 200)),
    "float to 65535": (tiff({258: 32, 339: 3}, f32(257, 60000)), grey(1, 233)),
    "float of millions": (tiff({258: 32, 339: 3}, f32(1, 2e6)), r"values up to 2e\+06"),
    "float below zero": (tiff({258: 32, 339: 3}, f32(-0.5, 1)), "negative values, down to -0.5"),
    "float, infinite": (tiff({258: 32, 339: 3}, f32(0, float("inf"))), "infinite"),
    "float, not a number": (tiff({258: 32, 339: 3}, f32(float("nan"), 0)), "not numbers"),
    "64-bit float": (tiff({258: 64, 339: 3}, struct.pack("<dd", 0, 1)), "cannot be decoded"),
    "LZW": (tiff({259: 5}, LZW), grey(10, 200)),
    "deflate": (tiff({259: 8}, zlib.compress(PAIR)), grey(10, 200)),
    "packbits": (tiff({259: 32773}, b"\xff\x0a"), grey(10, 10)),
    "packbits cut short": (tiff({259: 32773}, b"\1"), "cannot be decoded"),
    "of one plane a colour": (
        tiff(PLANES, le16(8, 8, 8) + struct.pack("<III", 152, 154, 156) + b"\xff\0\0\0\0\xff"),
        [RED, BLUE],
    ),
    "whose directories go in a circle": (tiff({}, PAIR, link=8), grey(10, 200)),
    "whose strip claims to be endless": (tiff({279: 2**31}, PAIR), grey(10, 200)),
    "whose strip lies far off": (tiff({273: 2**31 - 9}, PAIR), "is cut short"),
    "with a tag that runs past its end": (tiff({33432: (2, 5000, 0)}, PAIR), grey(10, 200)),
    "with two orientations in one tag": (tiff({274: (3, 2, le16(6, 1))}, PAIR), (1, 2)),
    "upside down": (tiff({274: 3}, PAIR), grey(200, 10)),
    "with tiles of 40000 x 40000": (tiff(TILED, bytes(9)), "40000 x 40000 pixels"),
    "of two million strips": (lambda: tiff({273: (4, 2_000_000, 0)}, bytes(8_000_000)), "more than 1000000 strips"),
    "of 64-bit offsets": (big_tiff(), grey(10, 200)),
    "of an unknown compression": (tiff({259: 999}, PAIR), "cannot be decoded"),
    "cut in its directory": (tiff({}, b"")[:60], "cannot be decoded|cut short"),
}

CONTROL = b"!\xf9\x04%c\0\0\0\0"  # its flags: 1 is transparency, 8 clears to the background
GIF_CASES: dict[str, tuple[bytes | Callable[[], bytes], Outcome]] = {
    "plain": (gif(frame(0, 0, 2, 1)), [RED, BLUE]),
    "with a frame beyond its screen": (gif(frame(1, 0, 2, 2)), (3, 2)),
    "with a frame of 13000 x 13000": (gif(CONTROL % 9, frame(0, 0, 13000, 13000, b"\x44")), "13000 x 13000 pixels"),
    "with a transparent colour": (gif(CONTROL % 1, frame(0, 0, 2, 1)), [WHITE, BLUE]),
    "without colours": (gif(frame(0, 0, 2, 1), palette=b""), grey(0, 1)),
    "with a broken second frame": (gif(frame(0, 0, 2, 1), frame(0, 0, 60000, 60000, b"\xff")), [RED, BLUE]),
    "of garbage codes": (gif(frame(0, 0, 2, 1, b"\xff\xff\xff")), "cannot be decoded|cut short"),
    "that ends early": (gif(frame(0, 0, 2, 9, b"\x44\x01")), "cannot be decoded|cut short"),
    "without a frame": (gif(), "holds no picture"),
    "with an endless comment": (
        lambda: gif(b"!\xfe" + b"\x01a" * 3_000_000 + b"\0", frame(0, 0, 2, 1)),
        "no picture in its first",
    ),
}

JPEG = encode(photo(), "JPEG", quality=95)
XMP = b'http://ns.adobe.com/xap/1.0/\0<x tiff:Orientation="6" />'


def with_segments(*segments: bytes) -> bytes:
    return JPEG[:2] + b"".join(segment(0xE1, data) for data in segments) + JPEG[2:]


def with_frame(width: int, height: int, *, depth: int = 8, marker: int = 0xC0) -> bytes:
    at = JPEG.index(b"\xff\xc0")
    claim = b"\xff" + bytes([marker]) + JPEG[at + 2 : at + 4] + struct.pack(">BHH", depth, height, width)
    return JPEG[:at] + claim + JPEG[at + 9 :]


def with_scans(number: int) -> bytes:
    jpeg = encode(Image.new("L", (4000, 4000)), "JPEG", progressive=True)
    last = jpeg.rindex(b"\xff\xc4")
    return jpeg[:-2] + jpeg[last:-2] * number + jpeg[-2:]


JPEG_CASES: dict[str, tuple[bytes | Callable[[], bytes], Outcome]] = {
    "with restart marks": (encode(photo(), "JPEG", restart_marker_blocks=1), (48, 32)),
    "with junk after its end": (JPEG + b"PK\3\4" * 99, (48, 32)),
    "with junk before its start": (b"\n" + JPEG, "not an image of a known format"),
    "progressive, cut": (encode(photo(), "JPEG", progressive=True)[:-200], "is cut short"),
    "of no height": (with_frame(48, 0), "cannot be decoded"),
    "of 65535 x 65535": (with_frame(65535, 65535), "65535 x 65535 pixels"),
    "of a larger picture, as Pillow takes it": (with_frame(48, 3200), (48, 3200)),
    "of 12 bits": (with_frame(48, 32, depth=12), "12-bit"),
    "that claims arithmetic coding": (with_frame(48, 32, marker=0xC9), None),
    "that claims to be lossless": (with_frame(48, 32, marker=0xC3), "cannot be decoded"),
    "of 3000 scans": (lambda: with_scans(3000), "too many times"),
    "with 5 MB of EXIF": (lambda: with_segments(*[b"Exif\0\0" + bytes(65000)] * 80), "more than 64 EXIF blocks"),
    "turned": (with_segments(exif(6)), (32, 48)),
    "turned, big-endian": (with_segments(exif(8, order=">")), (32, 48)),
    "upside down": (with_segments(exif(3)), (48, 32)),
    "turned by 9": (with_segments(exif(9)), (48, 32)),
    "turned by 0": (with_segments(exif(0)), (48, 32)),
    "with EXIF in two blocks": (with_segments(exif(6), exif(3)), (32, 48)),
    "with EXIF that goes in a circle": (with_segments(exif(6, link=8)), (32, 48)),
    "with EXIF that starts far off": (with_segments(exif(6, offset=2**32 - 1)), (48, 32)),
    "with a million orientations": (with_segments(exif(6, count=10**6)), (48, 32)),
    "turned by XMP": (with_segments(XMP), (32, 48)),
}

LOSSLESS = encode(Image.new("RGB", (2, 1), GREEN), "WEBP", lossless=True)
CODES = b"VP8L", LOSSLESS[20:]
WEBP_CASES: dict[str, tuple[bytes | Callable[[], bytes], Outcome]] = {
    "without loss": (LOSSLESS, [GREEN, GREEN]),
    "in a canvas of its size": (riff(canvas(2, 1), CODES), [GREEN, GREEN]),
    "in a canvas of 16384 x 16384": (riff(canvas(16384, 16384, 2), CODES), "16384 x 16384 pixels"),
    "in a canvas too small": (riff(canvas(1, 1), CODES), "cannot be decoded"),
    "turned": (encode(photo(), "WEBP", exif=exif(6)), (32, 48)),
    "cut": (encode(photo(), "WEBP")[:-9], "is cut short"),
}

MASKED = dib(2, 1, 24, bytes(RED[::-1] + BLUE[::-1]) + bytes(2) + b"\x40\0\0\0")
ICON_CASES: dict[str, tuple[bytes | Callable[[], bytes], Outcome]] = {
    "with a PNG": (icon(png(PLAIN, rows=ROW)), [RED, BLUE]),
    "with a PNG of another size": (icon(png(PLAIN, rows=ROW), width=16, height=16), (2, 1)),
    "with a bitmap and its mask": (icon(MASKED, depth=24), [RED, WHITE]),
    "with a PNG of 177 Mpixels": (icon(png(header(13300, 13300, 1, 0), rows=b"")), "13300 x 13300 pixels"),
    "with a bitmap of 177 Mpixels": (icon(dib(13300, 13300, 1)), "13300 x 13300 pixels"),
    "of nothing": (b"\0\0\1\0\0\0", "holds no picture"),
    "of a cut list": (b"\0\0\1\0\xff\xff" + bytes(99), "is cut short"),
}

PPM_CASES: dict[str, tuple[bytes | Callable[[], bytes], Outcome]] = {
    "in text with remarks": (b"P3 # a\n2 # b\n1\n255\n255 0 0 # c\n 0 0 255", [RED, BLUE]),
    "16-bit": (b"P6 2 1 65535\n" + u16(65535, 0, 0, 0, 0, 32768), [RED, (0, 0, 128)]),
    "of 101 levels": (b"P6 2 1 100\n" + bytes([100, 0, 0, 0, 0, 50]), [RED, (0, 0, 128)]),
    "with too large a sample": (b"P6 2 1 100\n" + bytes([200, 0, 0, 0, 0, 50]), [RED, (0, 0, 128)]),
    "of 101 levels, cut": (b"P6 2 1 100\n" + bytes(5), "is cut short"),
    "16-bit grey": (b"P5 2 1 65535\n" + u16(257, 65535), grey(1, 255)),
    "12-bit grey": (b"P5 2 1 4095\n" + u16(4095, 0), grey(255, 0)),
    "1-bit": (b"P4 2 1\n\x40", grey(255, 0)),
    "float": (b"Pf 2 1 -1\n" + f32(0.5, 1), grey(128, 255)),
    "with an endless remark": (lambda: b"P6 #" + b"x" * 10**7 + b"\n2 1 255\n" + bytes(6), "no size in its header"),
    "of 100000 x 100000": (b"P6 100000 100000 255\n" + bytes(99), "100000 x 100000 pixels"),
    "in text of 25 Mpixels": (b"P2 5000 5000 255\n" + b"0 " * 99, "PPM in text of more than"),
    "cut": (b"P6 2 9 255\n" + bytes(9), "is cut short"),
}

JP2, AVIF = encode(photo(), "JPEG2000"), encode(photo(), "AVIF", quality=95)


def boxed(content: bytes, kind: bytes, old: tuple[int, int], new: tuple[int, int]) -> bytes:
    """Another size in the box of this kind."""
    assert kind + u32(*old) in content
    return content.replace(kind + u32(*old), kind + u32(*new))


OTHER_CASES: dict[str, tuple[bytes | Callable[[], bytes], Outcome]] = {
    "jpeg 2000": (JP2, (48, 32)),
    "jpeg 2000 without its boxes": (encode(photo(), "JPEG2000", no_jp2=True), (48, 32)),
    "jpeg 2000 in a header of another size": (boxed(JP2, b"ihdr", (32, 48), (3, 4)), "cannot be decoded"),
    "jpeg 2000 of 2^31 pixels": (boxed(JP2, b"ihdr", (32, 48), (65536, 32768)), "32768 x 65536 pixels"),
    "jpeg 2000 cut": (JP2[:-200], "cut short|cannot be decoded"),
    "avif": (AVIF, (48, 32)),
    "avif of 12000 x 12000": (boxed(AVIF, b"ispe\0\0\0\0", (48, 32), (12000, 12000)), "12000 x 12000 pixels"),
    "avif cut": (AVIF[:-99], "cannot be decoded|cut short"),
    "heic": (box(b"ftyp", b"heic\0\0\0\0mif1heic"), "HEIC photo, which is not supported"),
    "heic by its second name": (box(b"ftyp", b"mif1\0\0\0\0mif1heic"), "HEIC photo, which is not supported"),
    "a video": (box(b"ftyp", b"isom\0\0\0\0isommp41"), "a video"),
    "a sound": (b"RIFF\4\0\0\0WAVE" + bytes(32), "a sound or a video"),
    "a Git LFS pointer": (b"version https://git-lfs.github.com/spec/v1\noid sha256:0", "Git LFS pointer"),
    "a drawing": (b"\xef\xbb\xbf <?xml version='1.0'?>\n<svg onload='alert(1)'/>", "SVG drawing"),
    "a page": (b"\r\n <!DOCTYPE HTML><title>404", "web page"),
    "an archive": (b"PK\3\4" + bytes(9), "ZIP archive"),
    "zeros": (bytes(4096), "filled with zeros"),
    "nothing": (b"", "empty file"),
}

FAMILIES = {
    "png": PNG_CASES,
    "bmp": BMP_CASES,
    "tiff": TIFF_CASES,
    "gif": GIF_CASES,
    "jpeg": JPEG_CASES,
    "webp": WEBP_CASES,
    "icon": ICON_CASES,
    "ppm": PPM_CASES,
}
CASES = {f"{family} {name}": case for family, cases in FAMILIES.items() for name, case in cases.items()} | OTHER_CASES


def content_of(name: str) -> bytes:
    made = CASES[name][0]
    return made if isinstance(made, bytes) else made()
