"""Decoding what strangers send: the right pixels, or one sentence; never a crash, a warning or a full memory."""

import json
import os
import re
import subprocess
import sys
import tarfile
import time
import warnings
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from pathlib import Path
from threading import Lock

import numpy as np
import pytest
from PIL import Image, ImageOps, PngImagePlugin

from hfcls.data import decode
from hfcls.data.decode import MAX_PIXELS, decode_bytes, decode_image, read_bytes
from hfcls.data.room import Room
from hfcls.errors import BadImage
from tests.data.forged import encode, exif, header, png
from tests.data.forged_cases import BLUE, CASES, LOSSLESS, PLAIN, ROW, content_of, photo


@pytest.mark.parametrize("name", CASES)
def test_forged(name: str):
    content, expected = content_of(name), CASES[name][1]
    start = time.perf_counter()
    try:
        found = decode_bytes(content, "a\nb")
    except BadImage as error:
        assert re.match(r"'a\\nb' [^\n]+\.$", str(error)), error
        assert error.sample_id == "a\nb"
        assert expected is None or isinstance(expected, str), error
        assert re.search(expected or "", error.reason)
    else:
        assert found.image.mode == "RGB" and found.image.size == found.size
        if isinstance(expected, list):
            assert [found.image.getpixel((x, 0)) for x in range(found.image.width)] == expected
        elif expected is not None:
            assert found.size == expected
    # slow machines are allowed for
    assert time.perf_counter() - start < 5


@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
@pytest.mark.parametrize("settings", [{}, {"progressive": True}, {"exif": exif(5)}, {"exif": exif(7, order=">")}])
def test_a_jpeg_is_what_the_published_pipeline_sees(mode: str, settings: dict):
    content = encode(photo(mode), "JPEG", **settings)
    if mode == "CMYK" and not settings:  # written by something that is not Adobe's
        at = content.index(b"\xff\xee")
        content = content[:at] + content[at + 16 :]
    expected = ImageOps.exif_transpose(Image.open(BytesIO(content))).convert("RGB")
    found = decode_bytes(content, "x")
    np.testing.assert_array_equal(np.asarray(found.image), np.asarray(expected))
    assert (found.format, found.mode) == ("JPEG", mode)


def test_nothing_of_the_file_stays_with_its_pixels():
    secret = encode(photo(), "JPEG", exif=exif(1) + b"at home", comment=b"at home")
    image = decode_bytes(secret, "x").image
    assert not image.info and not image.getexif()
    assert b"at home" not in encode(image, "JPEG") + encode(image, "PNG")


def test_a_draft_is_smaller_and_as_strict():
    whole = encode(photo(size=(403, 301)), "JPEG")
    sizes = {at_least: decode_bytes(whole, "x", at_least=at_least) for at_least in (1, 50, 76, 151, 302)}
    assert [found.image.size for found in sizes.values()] == [(51, 38), (101, 76), (202, 151), (403, 301), (403, 301)]
    assert {found.size for found in sizes.values()} == {(403, 301)}
    for progressive in (False, True):
        whole = encode(photo(size=(403, 301)), "JPEG", progressive=progressive)
        for end in range(0, len(whole), len(whole) // 20):
            for at_least in (None, 1):
                with pytest.raises(BadImage):
                    decode_bytes(whole[:end], "x", at_least=at_least)


def test_sizes_between_the_limits_do_not_warn():
    wide = png(header(MAX_PIXELS + 1, 1, 1, 0), rows=b"\0" + bytes(MAX_PIXELS // 8 + 1))
    assert decode_bytes(wide, "x", max_pixels=MAX_PIXELS + 1).size == (MAX_PIXELS + 1, 1)
    with pytest.raises(BadImage, match="2 x 1 pixels, more than the limit of 1"):
        decode_bytes(LOSSLESS, "x", max_pixels=1)


def test_threads_decode_at_once():
    contents = [content_of(name) for name, (_, expected) in CASES.items() if isinstance(expected, list)]
    before = list(warnings.filters)
    alone = [decode_bytes(content, "x").image.tobytes() for content in contents]
    with ThreadPoolExecutor(8) as pool:
        together = pool.map(lambda content: decode_bytes(content, "x").image.tobytes(), contents * 20)
    assert list(together) == alone * 20
    assert warnings.filters == before


def test_what_a_decoder_throws(monkeypatch):
    content = png(PLAIN, rows=ROW)

    def throw(error: BaseException) -> None:
        def load(self) -> None:
            raise error

        monkeypatch.setattr(PngImagePlugin.PngImageFile, "load", load)

    throw(MemoryError())
    with pytest.raises(BadImage, match="needs more memory than there is"):
        decode_bytes(content, "x")
    throw(RecursionError("too\ndeep"))
    with pytest.raises(BadImage, match=r"^'x' cannot be decoded \(too deep\): remove it or save it again\.$"):
        decode_bytes(content, "x")
    throw(KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt):
        decode_bytes(content, "x")


def test_reads_regular_files_only(tmp_path, monkeypatch):
    def refused(cell: object, words: str) -> None:
        with pytest.raises(BadImage, match=f"^'train/7' {words}"):
            read_bytes(cell, "train/7")  # type: ignore[arg-type]

    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "empty.png").touch()
    with open(tmp_path / "sparse.png", "wb") as file:
        file.truncate(600 * 2**20)
    for name, words in {
        "pipe": "is not a regular file",
        ".": "is not a regular file",
        "missing.png": "does not exist",
        "empty.png": "is an empty file",
        "sparse.png": "has 600 MiB, more than the limit of 512",
        "\0.png": "cannot be read .*null",
        "x" * 300: "cannot be read .*too long",
    }.items():
        refused({"bytes": None, "path": str(tmp_path / name)}, words)
    refused({"bytes": None, "path": "/dev/zero"}, "is not a regular file")
    refused({"bytes": None, "path": "http://127.0.0.1:9/a.png"}, "is an address")
    refused({"bytes": b"", "path": None}, "is an empty file")
    for cell in (None, {}, {"bytes": None, "path": None}):
        refused(cell, "has no image: its cell is empty")
    monkeypatch.setattr(decode, "MAX_BYTES", 2**20)
    refused({"bytes": bytes(2**21), "path": None}, "has 2 MiB, more than the limit of 1")
    (tmp_path / "small.png").write_bytes(png(PLAIN, rows=ROW))
    cell = {"bytes": None, "path": str(tmp_path / "small.png")}
    assert decode_image(cell, "x").getpixel((1, 0)) == BLUE
    assert read_bytes({**cell, "bytes": b"first"}, "x") == b"first"


BOMBS = """
import resource, sys
from pathlib import Path
from hfcls.data.decode import decode_image
from hfcls.errors import BadImage
peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
before = peak()
for path in sorted(Path(sys.argv[1]).iterdir()):
    try:
        decode_image({"path": str(path), "bytes": None}, path.name)
    except BadImage:
        pass
print(peak() - before)
"""


def test_bombs_take_no_memory(tmp_path):
    names = [name for name, (_, expected) in CASES.items() if re.search(r"\d+ x \d+ pixels", str(expected))]
    assert len(names) > 10
    for name in [*names, "png with a text of 100 MB", "png with a profile of 100 MB", "tiff of two million strips"]:
        (tmp_path / name).write_bytes(content_of(name))
    (tmp_path / "zeros").write_bytes(png(header(13300, 13300, 1, 0), rows=bytes(1664 * 13300)))
    run = subprocess.run([sys.executable, "-c", BOMBS, tmp_path], capture_output=True, text=True, check=True)
    assert float(run.stdout) < 60, run.stderr  # MB


def test_corpus(shared: Path, tmp_path: Path):
    with tarfile.open(shared / "tools/badcorpus/dev.tar.gz") as archive:
        archive.extractall(tmp_path, [member for member in archive if member.isreg()], filter="data")
    manifest = next(tmp_path.rglob("manifest.json"))
    cases = [case for case in json.loads(manifest.read_text()) if case["kind"] == "image"]
    assert len(cases) == 80
    wrong = []
    for case in cases:
        path = manifest.parent / case["path"]
        try:
            image = decode_image({"bytes": None, "path": str(path)}, case["path"])
        except BadImage as error:
            right = "reject" in case["expect"] and "\n" not in str(error)
        else:
            right = case["expect"] != "reject" and image.size == tuple(case.get("size", image.size))
            for place, colour in case.get("probes", {}).items():
                x, y = map(float, place.split(","))
                pixel = image.getpixel((int(x * image.width), int(y * image.height)))
                right &= bool(np.abs(np.subtract(pixel, colour)).max() <= 12)  # JPEG
        wrong += [] if right else [case["id"]]
    assert not wrong


def test_threads_decode_no_more_pixels_at_once_than_there_is_room_for(monkeypatch: pytest.MonkeyPatch):
    at_once: list[int] = []
    inside: list[int] = []
    lock = Lock()
    load = PngImagePlugin.PngImageFile.load

    def slow_load(image: PngImagePlugin.PngImageFile) -> object:
        with lock:
            inside.append(image.width * image.height)
            at_once.append(sum(inside))
        time.sleep(0.002)
        with lock:
            inside.remove(image.width * image.height)
        return load(image)

    monkeypatch.setattr(PngImagePlugin.PngImageFile, "load", slow_load)
    monkeypatch.setattr(decode, "DECODING", Room(250))
    contents = []
    for side in [10] * 20 + [20] * 3:
        buffer = BytesIO()
        Image.new("RGB", (side, side)).save(buffer, "PNG")
        contents.append(buffer.getvalue())
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda content: decode_bytes(content, "x"), contents))
    assert max(at_once) == 400  # what is larger than the room is decoded alone
    assert set(at_once) <= {100, 200, 400}
