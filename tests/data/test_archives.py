"""Archives from anywhere: what is whole and safe is read once, all else is refused in one sentence."""

import bz2
import gzip
import io
import json
import lzma
import os
import stat
import struct
import subprocess
import sys
import tarfile
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from datasets import Dataset
from datasets import Image as Images
from PIL import Image

from hfcls.data import archive_members, archive_rules, archive_tar, archives
from hfcls.data.archives import images_of, is_archive, pack_archive
from hfcls.data.labels import labels_of
from hfcls.data.webdataset import looks_like_webdataset, read_shards, stream_samples
from hfcls.errors import UserError

END = bytes(1024)
LONG = "folder/" * 40 + "image.png"


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HFCLS_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "archives"


def member(name: str | bytes, content: bytes = b"x", *, kind: bytes = b"0", size: int | None = None) -> bytes:
    """A tar member in raw bytes, whose header may lie."""
    info = tarfile.TarInfo(os.fsdecode(name))
    info.type, info.size = kind, len(content) if size is None else size
    return info.tobuf(tarfile.GNU_FORMAT, "utf-8", "surrogateescape") + content + bytes(-len(content) % 512)


def pax(records: bytes, content: bytes = b"x") -> bytes:
    return member("pax", records, kind=b"x") + member("a.png", content)


def zipped(*names: str, content: bytes = b"x", method: int = zipfile.ZIP_STORED, mode: int = 0) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        for name in names:
            info = zipfile.ZipInfo("placeholder")
            info.filename, info.external_attr, info.compress_type = name, mode << 16, method
            archive.writestr(info, content)
    return buffer.getvalue()


def with_entry(content: bytes, offset: int, layout: str, value: int, *, entry: int = -1) -> bytes:
    """A zip with one field changed in an entry of its table of contents."""
    places = [i for i in range(len(content)) if content.startswith(b"PK\1\2", i)]
    changed = bytearray(content)
    struct.pack_into(layout, changed, places[entry] + offset, value)
    return bytes(changed)


def xz_with_dictionary(content: bytes, code: int) -> bytes:
    """An xz whose header asks for a dictionary of another size (a code of the format)."""
    packed = bytearray(lzma.compress(content, preset=0))
    end = 12 + (packed[12] + 1) * 4
    packed[16] = code
    packed[end - 4 : end] = struct.pack("<I", zlib.crc32(packed[12 : end - 4]))
    return bytes(packed)


def png(colour: int) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(np.full((4, 4, 3), colour, np.uint8)).save(buffer, "PNG")
    return buffer.getvalue()


def write_tar(path: Path, files: dict[str, bytes]) -> Path:
    path.write_bytes(b"".join(member(name, content) for name, content in files.items()) + END)
    return path


def contents(path: Path) -> dict[str, bytes]:
    packed = pack_archive(path)
    return dict(zip(packed["name"], packed["content"], strict=True))


# -- what is read --------------------------------------------------------------------------------------

FILES = {"b/0.png": b"first", "a/ü\n\x1b[31m.png": b"", LONG: b"z" * 1500, "labels.csv": b"x,y"}
TAR = member("./", b"", kind=b"5") + b"".join(member(f"./{name}", content) for name, content in FILES.items())
TAR += member("b/.DS_Store") + member("__MACOSX/b/0.png") + member("b/Thumbs.db") + END


def zip_of_files(**how) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("b/", b"")
        for name, content in {**FILES, "b/.DS_Store": b"", "__MACOSX/b/0.png": b""}.items():
            with archive.open(name, "w", **how) as file:
                file.write(content)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("x.tar", TAR),
        ("x.tar.gz", gzip.compress(TAR)),
        ("x.tgz", gzip.compress(TAR[:700]) + gzip.compress(TAR[700:])),
        ("x.tar.bz2", bz2.compress(TAR)),
        ("x.tar.xz", lzma.compress(TAR[:700]) + bytes(8) + lzma.compress(TAR[700:])),
        ("misnamed.gz", TAR),
        ("x.zip", zip_of_files()),
        ("zip64.zip", zip_of_files(force_zip64=True)),
        ("in front.ZIP", b"#!/bin/sh\n" + zip_of_files()),
    ],
)
def test_every_kind_gives_the_same_files_in_order(tmp_path: Path, name: str, content: bytes):
    path = tmp_path / name
    path.write_bytes(content)
    assert is_archive(path)
    assert list(contents(path).items()) == list(FILES.items())


def test_names_of_pax_and_of_zips_that_do_not_say_utf8(tmp_path: Path):
    with tarfile.open(tmp_path / "x.tar", "w", format=tarfile.PAX_FORMAT) as archive:
        archive.addfile(tarfile.TarInfo("ü" + LONG))
    assert list(contents(tmp_path / "x.tar")) == ["ü" + LONG]
    utf8 = zipped("ü.png").replace("ü".encode(), "é".encode())
    flagless = with_entry(utf8, 8, "<H", 0)
    flagless = flagless[:6] + b"\0\0" + flagless[8:]
    (tmp_path / "x.zip").write_bytes(flagless)
    assert list(contents(tmp_path / "x.zip")) == ["é.png"]


# -- what is refused -----------------------------------------------------------------------------------

BIG = 3 * 2**30
REFUSED: dict[str, tuple[str, Callable[[], bytes], str]] = {
    "climbing zip": ("zip", lambda: zipped("a.png", "a/../../b.png"), r"'a/../../b.png' climbs out"),
    "absolute zip": ("zip", lambda: zipped("/etc/a.png"), "absolute"),
    "drive": ("zip", lambda: zipped("C:a.png"), "absolute"),
    "backslash": ("zip", lambda: zipped("a\\b.png"), "backslash"),
    "zero byte in zip": ("zip", lambda: zipped("a.pngX.exe").replace(b"gX", b"g\0"), "zero byte"),
    "not utf-8 in zip": ("zip", lambda: zipped("ü.png").replace("ü".encode(), b"\xff\xff"), "not UTF-8"),
    "link in zip": ("zip", lambda: zipped("a.png", mode=stat.S_IFLNK | 0o777), "symbolic link"),
    "pipe in zip": ("zip", lambda: zipped("a.png", mode=stat.S_IFIFO | 0o777), "pipe"),
    "twice": ("zip", lambda: zipped("a/b.png", "a//./b.png"), "'a/b.png' is there twice"),
    "encrypted": ("zip", lambda: with_entry(zipped("a.png"), 8, "<H", 1), "encrypted"),
    "archive inside": ("zip", lambda: zipped("a.png", "deep/a.Tar"), "'deep/a.Tar' is an archive itself"),
    "bzip2 in zip": ("zip", lambda: zipped("a.png", method=zipfile.ZIP_BZIP2), "method bzip2"),
    "says more": (
        "zip",
        lambda: with_entry(zipped("a.png", content=b"four", method=8), 24, "<I", 9),
        "says 9 .* has 4",
    ),
    "says less": ("zip", lambda: with_entry(zipped("a.png", content=b"four", method=8), 24, "<I", 2), "damaged.*CRC"),
    "says 3 GiB": ("zip", lambda: with_entry(zipped("a.png"), 24, "<I", BIG), "larger than 512 MiB"),
    "overlap": ("zip", lambda: with_entry(zipped("a.png", "b.png"), 42, "<I", 3), "'b.png' overlaps"),
    "beyond the end": ("zip", lambda: with_entry(zipped("a.png"), 42, "<I", 10**6), "damaged"),
    "changed byte": ("zip", lambda: zipped("a.png", content=b"four").replace(b"four", b"five"), "damaged.*CRC"),
    "cut zip": ("zip", lambda: zipped("a.png")[:-30], "damaged or cut short"),
    "no zip": ("zip", lambda: b"hello", "damaged or cut short"),
    "empty zip": ("zip", lambda: zipped(), "holds no files"),
    "climbing tar": ("tar", lambda: member("../a.png") + END, "climbs out"),
    "climbing folder": ("tar", lambda: member("a/../..", b"", kind=b"5") + END, "climbs out"),
    "not utf-8 in tar": ("tar", lambda: member(b"\xff.png") + END, r"'\\udcff.png' .* not valid UTF-8"),
    "zero byte in pax": ("tar", lambda: pax(b"16 path=a\0.pngg\n") + END, "zero byte"),
    "symbolic link": ("tar", lambda: member("a.png", b"", kind=b"2") + END, "symbolic link"),
    "hard link": ("tar", lambda: member("a.png") + member("b.png", b"", kind=b"1") + END, "'b.png' is a hard link"),
    "device": ("tar", lambda: member("a.png", b"", kind=b"3") + END, "is a device"),
    "pipe": ("tar", lambda: member("a.png", b"", kind=b"6") + END, "is a pipe"),
    "sparse": ("tar", lambda: member("a.png", b"x", kind=b"S") + END, "sparse"),
    "sparse in pax": ("tar", lambda: pax(b"22 GNU.sparse.major=1\n") + END, "sparse"),
    "unknown kind": ("tar", lambda: member("a.png", b"", kind=b"V") + END, "unknown kind, b'V'"),
    "twice by ./": ("tar", lambda: member("a.png") + member("./a.png") + END, "'a.png' is there twice"),
    "no name": ("tar", lambda: member("./", b"x") + END, "has no name"),
    "endless name": ("tar", lambda: member("a/" * 5000) + END, "more than 4096 bytes"),
    "long name of 3 GiB": ("tar", lambda: member("L", b"", kind=b"L", size=BIG) + END, "extended header of 3221225472"),
    "pax of 3 GiB": ("tar", lambda: member("x", b"", kind=b"x", size=BIG) + END, "extended header of 3221225472"),
    "pax says 3 GiB": ("tar", lambda: pax(b"19 size=3221225472\n") + END, "larger than 512 MiB"),
    "negative size": ("tar", lambda: member("a.png", b"", size=-512) + END, "larger than 512 MiB"),
    "broken pax": ("tar", lambda: pax(b"99 path=b.png\n") + END, "broken pax header"),
    "global name": ("tar", lambda: member("g", b"11 path=b/\n", kind=b"g") + END, "for all members"),
    "no end": ("tar", lambda: member("a.png"), "cut short .its end is missing"),
    "cut tar": ("tar", lambda: member("a.png", b"x" * 2000)[:-600], "cut short .its end is missing"),
    "broken header": ("tar", lambda: member("a.png") + b"?" * 512 + END, "damaged .*header"),
    "joined": ("tar", lambda: (member("a.png") + END) * 2, "goes on after its end"),
    "empty tar": ("tar", lambda: END, "holds no files"),
    "hidden alone": ("tar", lambda: member(".a.png") + END, "holds no files"),
    "empty file": ("tar", lambda: b"", "is empty"),
    "cut tar.gz": ("tar.gz", lambda: gzip.compress(member("a.png") + END)[:-9], "cut short"),
    "wrong sum": ("tar.gz", lambda: gzip.compress(member("a.png") + END)[:-8] + bytes(8), "damaged.*CRC"),
    "text in gz": ("gz", lambda: gzip.compress(b"hello" * 200), "holds no tar archive"),
    "short text in gz": ("gz", lambda: gzip.compress(b"hello"), "cut short"),
    "zeros in gz": ("gz", lambda: gzip.compress(bytes(9 * 2**20)), "more than 200 times its size"),
    "xz bomb": (
        "tar.xz",
        lambda: lzma.compress(member("a.png", bytes(9 * 2**20)) + END, preset=0),
        "more than 200 times",
    ),
    "zip bomb": ("zip", lambda: zipped("a", "b", "c", content=bytes(3 * 2**20), method=8), "more than 200 times"),
    "xz that wants 4 GiB": ("tar.xz", lambda: xz_with_dictionary(member("a.png") + END, 40), "Memory usage limit"),
    "7z": ("7z", lambda: b"7z", "kind of archive that is not read"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refused(case: str, tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(archive_rules, "RATIO_FROM_BYTES", 8 * 2**20)
    suffix, build, message = REFUSED[case]
    path = tmp_path / f"x.{suffix}"
    path.write_bytes(build())
    assert is_archive(path)
    with pytest.raises(UserError, match=message) as caught:
        pack_archive(path)
    assert str(caught.value).startswith(str(path))
    assert str(caught.value).isprintable()
    assert not cache.exists() or not list(cache.iterdir())


@pytest.mark.parametrize("suffix", ["zip", "tar"])
def test_caps_on_members_and_bytes(suffix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    path = tmp_path / f"x.{suffix}"
    path.write_bytes(zipped("a", "b", "c") if suffix == "zip" else member("a") + member("b") + member("c") + END)
    monkeypatch.setattr(archive_rules, "MAX_MEMBERS", 2)
    with pytest.raises(UserError, match="more than 2 members"):
        pack_archive(path)
    monkeypatch.setattr(archive_rules, "MAX_MEMBERS", 3)
    monkeypatch.setattr(archive_rules, "MAX_TOTAL_BYTES", 2)
    with pytest.raises(UserError, match="unpacks to more than"):
        pack_archive(path)


def test_the_bad_corpus(shared: Path, tmp_path: Path):
    corpus = shared / "tools" / "badcorpus" / "dev.tar.gz"
    if not corpus.is_file():
        pytest.skip("needs the corpus of bad files, which is not here")
    with tarfile.open(corpus) as whole:
        whole.extractall(tmp_path, [m for m in whole if "/archive/" in m.name], filter="data")
        manifest = json.load(whole.extractfile("dev/manifest.json"))  # type: ignore[arg-type]
    cases = [case for case in manifest if case["kind"] == "archive"]
    assert cases
    for case in cases:
        path = tmp_path / "dev" / case["path"]
        if case["expect"] == "reject":
            with pytest.raises(UserError):
                pack_archive(path)
        else:
            assert len(pack_archive(path)) == 5000


# -- the cache -----------------------------------------------------------------------------------------


def test_unpacked_once(tmp_path: Path, cache: Path):
    path = write_tar(tmp_path / "x.tar", {"a.png": b"old"})
    leftover = cache / ".killed"
    leftover.mkdir(parents=True)
    os.utime(leftover, (0, 0))
    assert contents(path) == {"a.png": b"old"}
    before = path.stat()
    path.write_bytes(bytes(before.st_size))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert contents(path) == {"a.png": b"old"}
    assert not leftover.exists()
    write_tar(path, {"a.png": b"new"})
    assert contents(path) == {"a.png": b"new"}


def test_archive_that_grows_while_it_is_read(tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch):
    path = write_tar(tmp_path / "x.tar", {"a.png": b"x"})

    def growing(*arguments):
        yield from archive_tar.tar_members(*arguments)
        path.write_bytes(path.read_bytes() + END)

    monkeypatch.setattr(archive_members, "tar_members", growing)
    with pytest.raises(UserError, match="changed while it was read"):
        pack_archive(path)
    assert not list(cache.iterdir())


def test_two_processes_at_once(tmp_path: Path, cache: Path):
    files = {f"{i}.png": bytes([i]) * 100_000 for i in range(100)}
    path = write_tar(tmp_path / "x.tar", files)
    code = "import sys; from pathlib import Path; from hfcls.data.archives import pack_archive; print(flush=True); "
    code += "input(); packed = pack_archive(Path(sys.argv[1])); print(len(packed), len(packed[99]['content']))"
    other = subprocess.Popen(
        [sys.executable, "-c", code, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert other.stdout.readline() == "\n"  # type: ignore[union-attr]
    other.stdin.write("\n")  # type: ignore[union-attr]
    other.stdin.flush()  # type: ignore[union-attr]
    assert contents(path) == files
    assert other.communicate(timeout=60)[0] == "100 100000\n"
    assert len(list(cache.iterdir())) == 1


def test_cache_that_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    path = write_tar(tmp_path / "x.tar", {"a.png": b"x"})
    monkeypatch.setenv("HFCLS_CACHE", str(path))
    with pytest.raises(UserError, match=r"x\.tar/archives cannot be written .*HFCLS_CACHE"):
        pack_archive(path)


# -- images and shards ---------------------------------------------------------------------------------


def test_images_stay_in_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(archives, "BATCH_BYTES", 100_000)
    files = {f"{i}.png": png(i) + bytes(50_000) for i in range(40)}
    packed = pack_archive(write_tar(tmp_path / "x.tar", files))
    before = pa.total_allocated_bytes()
    data = images_of(packed, [30, 2, 5])
    assert pa.total_allocated_bytes() - before < 50_000
    assert data.cache_files
    assert data["id"] == ["30.png", "2.png", "5.png"]
    assert [np.asarray(image)[0, 0, 0] for image in data["image"]] == [30, 2, 5]


def shard(path: Path, samples: dict[str, str | int | dict | None]) -> Path:
    """A sample's label is text (.cls) or a record (.json)."""
    files: dict[str, bytes] = {}
    for row, (key, label) in enumerate(samples.items()):
        if isinstance(label, dict):
            files[f"{key}.json"] = json.dumps(label).encode()
        elif label is not None:
            files[f"{key}.cls"] = f"{label}\n".encode()
        files[f"{key}.png"] = png(row)
    return write_tar(path, files)


def class_names(data: Dataset) -> list[str]:
    return [data.features["label"].names[label] for label in labels_of(data)]


def test_shards(tmp_path: Path):
    paths = [
        shard(tmp_path / "cats-train-10.tar", {"0": "10", "1": 2}),
        shard(tmp_path / "cats-train-2.tar", {"d.1/0": {"label": "2", "patient": 7}, "d.1/1": {"class": 10.0}}),
        write_tar(tmp_path / "cats-val.tar", {"0.png": png(9), "0.cls": b"3", "0.txt": b"a cat", "readme": b""}),
    ]
    reading = read_shards(paths)
    assert list(reading.splits) == ["train", "validation"]
    train = reading.splits["train"]
    assert train["id"] == [
        "cats-train-2/d.1/0.png",
        "cats-train-2/d.1/1.png",
        "cats-train-10/0.png",
        "cats-train-10/1.png",
    ]
    assert class_names(train) == ["2", "10", "10", "2"]
    assert class_names(reading.splits["validation"]) == ["3"]
    assert train.features["label"].names == ["2", "3", "10"]
    assert [np.asarray(image)[0, 0, 0] for image in train["image"]] == [0, 1, 0, 1]
    assert reading.notices == [
        f"2 files in shards are neither images nor .cls or .json and were left out, such as '0.txt' in {paths[2]}."
    ]


def test_streaming_gives_what_reading_gives(tmp_path: Path):
    path = shard(tmp_path / "a-1.tar.xz", {"d/1": "b", "d/0": {"label": 3}, "1": "c"})
    path.write_bytes(lzma.compress(path.read_bytes()))
    (data,) = read_shards([path]).splits.values()
    streamed = list(stream_samples(path))
    assert [sample["id"] for sample in streamed] == [f"a-1/{name}" for name in data["id"]]
    assert [sample["label"] for sample in streamed] == class_names(data) == ["b", "3", "c"]
    stored = data.cast_column("image", Images(decode=False))["image"]
    assert [sample["image"] for sample in streamed] == list(stored)
    bare = [sample["image"]["bytes"] for sample in stream_samples(path, images=False)]
    assert bare == [b""] * 3
    apart = write_tar(tmp_path / "apart.tar", {"0.png": b"", "1.png": b"", "0.cls": b"a", "1.cls": b"a"})
    assert class_names(read_shards([apart]).splits["train"]) == ["a", "a"]
    with pytest.raises(UserError, match=r"'0' has no label: expected a \.cls"):
        list(stream_samples(apart))
    write_tar(apart, {"0.png": b"", "0.cls": b"a", "1.cls": b"a", "1.png": b"", "0.json": b"{}"})
    with pytest.raises(UserError, match="'0' do not lie together"):
        list(stream_samples(apart))


def test_one_shard_without_labels_and_with_groups(tmp_path: Path):
    path = shard(tmp_path / "x.tar", {"0": {"patient": 7}, "1": {"patient": "b"}})
    (data,) = read_shards([path], labelled=False).splits.values()
    assert (data.column_names, data["id"]) == (["image", "id"], ["0.png", "1.png"])
    (data,) = read_shards([path], label_key="patient", group_key="patient").splits.values()
    assert class_names(data) == data["group"] == ["7", "b"]


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"0.png": b"", "0.left.png": b"", "0.cls": b"a"}, "'0' has several images, '0.png' and '0.left.png'"),
        ({"0.png": b"", "0.cls": b"a", "1.cls": b"a"}, "'1' has '1.cls' and no image"),
        ({"0.png": b"", "0.cls": b"a", "1.png": b"", "2.png": b"", "2.cls": b" \n"}, "2 of 3 .* no label.* is '1' in"),
        ({"0.png": b"", "0.cls": b"\xff\xfe"}, "'0.cls' is not text"),
        ({"0.png": b"", "0.json": b"{"}, "'0.json' is not JSON"),
        ({"0.png": b"", "0.json": b"[" * 10**5}, "'0.json' is not JSON"),
        ({"0.png": b"", "0.json": b"[1]"}, "not a JSON object"),
        ({"0.png": b"", "0.json": b'{"label": 1, "class": "a"}'}, "'label' and 'class': choose one"),
        ({"0.png": b"", "0.json": b'{"label": [1]}'}, "has a list in 'label'"),
        ({"0.png": b"", "0.json": b'{"label": "\\ud800"}'}, "half a character"),
        ({"0.png": b"", "0.cls": bytes(5 * 2**20)}, "'0.cls' is larger than 4 MiB"),
        ({"readme.txt": b""}, "holds no images"),
    ],
)
def test_shards_that_are_refused(files: dict[str, bytes], message: str, tmp_path: Path):
    with pytest.raises(UserError, match=message):
        read_shards([write_tar(tmp_path / "x.tar", files)])


def test_names_of_shards(tmp_path: Path):
    (tmp_path / "other").mkdir()
    twins = [shard(tmp_path / "x.tar", {"0": "a"}), shard(tmp_path / "other" / "x.tar", {"0": "a"})]
    with pytest.raises(UserError, match="have one name"):
        read_shards(twins)
    with pytest.raises(UserError, match="several splits, test, train"):
        read_shards([shard(tmp_path / "train-test.tar", {"0": "a"})])
    with pytest.raises(UserError, match=r"no group, the first is '0' in .*: expected 'patient'"):
        read_shards([tmp_path / "x.tar"], group_key="patient")


def test_looks_like_webdataset():
    assert looks_like_webdataset(["a/0.seg.json", "a/0.jpg", "a/1.JPG", "a/1.cls"])
    assert not looks_like_webdataset(["a/0.jpg", "b/0.json", "labels.json", "a/0.txt", "a/0.seg.json"])
