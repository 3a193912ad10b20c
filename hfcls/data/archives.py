"""Zip and tar archives as tables: unpacked once into a cache, memory-mapped from then on."""

import os
import shutil
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from hashlib import blake2b
from pathlib import Path

import pyarrow as pa
from datasets import Dataset, Features, Image, Value, concatenate_datasets
from tqdm import tqdm

from hfcls.data.archive_members import archive_state, read_members
from hfcls.data.archive_rules import ARCHIVE_SUFFIXES
from hfcls.errors import UserError
from hfcls.files import cache_directory

BATCH_BYTES = 32 * 2**20
_FORMAT = 1
_FILE = "members.arrow"
_FEATURES = Features({"id": Value("string"), "image": Image()})
_DAY = 24 * 3600


def is_archive(path: Path) -> bool:
    """Whether a file is an archive by its name; also of kinds that are not read, which `pack_archive` says."""
    return path.suffix.lower() in ARCHIVE_SUFFIXES


def pack_archive(path: Path) -> Dataset:
    """All files of an archive from anywhere, hidden ones left out.

    The first time they are written to ``archives/KEY`` in the cache directory, where KEY stands for the archive's
    place, size and time; after that they are mapped from there. Whatever the size, little of it is in memory at once.

    Args:
        path: a zip, or a tar (plain or by gzip, bzip2, xz).

    Returns:
        The columns ``name`` (``/`` between folders) and ``content`` (bytes), in the archive's order.

    Raises:
        UserError: a member is unsafe, the archive is damaged or unpacks to more than `archive_rules` allows, it holds
            no files, or the cache cannot be written.
    """
    mapped = Dataset.from_file(str(_packed_file(path))).cast_column("image", Image(decode=False)).flatten()
    return mapped.rename_columns({"id": "name", "image.bytes": "content"}).select_columns(["name", "content"])


def images_of(packed: Dataset, rows: Sequence[int]) -> Dataset:
    """Some files of packed archives as images, still mapped: nothing is copied.

    Args:
        packed: from `pack_archive`, or several of those from `datasets.concatenate_datasets`.
        rows: of `packed`, in the order wanted.

    Returns:
        The columns ``id`` (the name) and ``image``. `hfcls.data.reading.set_column` adds more without a copy.
    """
    return concatenate_datasets([Dataset.from_file(file["filename"]) for file in packed.cache_files]).select(rows)


def _packed_file(path: Path) -> Path:
    """The Arrow file that holds the archive's files; written if it is not there."""
    state = archive_state(path)
    archives = cache_directory() / "archives"
    key = blake2b(repr((state, _FORMAT)).encode(), digest_size=16).hexdigest()
    target = archives / key
    if not (target / _FILE).is_file():
        aside = archives / f".{key}.{os.getpid()}.{time.time_ns()}"
        try:
            _remove_leftovers(archives)
            aside.mkdir(parents=True)
            _write(path, aside / _FILE)
            if archive_state(path) != state:
                raise UserError(f"{path} was changed while it was read: try again when it is complete.")
            _rename(aside, target)
        except OSError as error:
            raise UserError(
                f"The cache directory {archives} cannot be written ({error.strerror or error}): name another one in "
                "the environment variable HFCLS_CACHE."
            ) from None
        finally:
            shutil.rmtree(aside, ignore_errors=True)
    return target / _FILE


def _rename(aside: Path, target: Path) -> None:
    try:
        aside.rename(target)
    except OSError:
        # another process was faster; what it wrote is the same
        if not (target / _FILE).is_file():
            raise


def _remove_leftovers(archives: Path) -> None:
    """What processes that were killed have left: nothing was written there for a day."""
    for aside in archives.glob(".*"):
        # another process may rename its own just now
        with suppress(FileNotFoundError):
            newest = max(file.stat().st_mtime for file in [aside, *aside.glob("*")])
            if newest < time.time() - _DAY:
                shutil.rmtree(aside, ignore_errors=True)


def _write(path: Path, target: Path) -> None:
    schema = _FEATURES.arrow_schema
    bar = tqdm(
        total=path.stat().st_size, unit="B", unit_scale=True, desc=f"Reading {path.name!r}", disable=None, leave=False
    )
    count = 0
    with bar, pa.OSFile(str(target), "wb") as sink, pa.ipc.new_stream(sink, schema) as writer:
        for names, contents in _batches(read_members(path, lambda position: bar.update(position - bar.n))):
            ids = pa.array(names, pa.string())
            images = pa.StructArray.from_arrays([pa.array(contents, pa.binary()), ids], ["bytes", "path"])
            writer.write_batch(pa.record_batch([ids, images], schema=schema))
            count += len(names)
    if not count:
        raise UserError(f"{path} holds no files: expected images inside.")
    with target.open("rb") as written:
        os.fsync(written.fileno())


def _batches(members: Iterable[tuple[str, bytes]]) -> Iterator[tuple[list[str], list[bytes]]]:
    """Members by about `BATCH_BYTES`: what is in memory at once, and far below the 2 GiB that a batch may have."""
    names: list[str] = []
    contents: list[bytes] = []
    size = 0
    for name, content in members:
        names.append(name)
        contents.append(content)
        size += len(content) + 2 * len(name) + 100
        if size >= BATCH_BYTES:
            yield names, contents
            names, contents, size = [], [], 0
    if names:
        yield names, contents
