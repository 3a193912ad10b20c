"""Writes pixel caches: one process at a time, aside and then renamed, within the room that there is on the disk."""

import errno
import os
import shutil
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np
from datasets import Dataset, Image, concatenate_datasets
from filelock import FileLock, Timeout

from hfcls.data.content import map_images
from hfcls.data.decode import MAX_PIXELS, decode_bytes, read_bytes
from hfcls.data.pixel_cache import META, PIXELS, PixelCache, contents_of, size_text
from hfcls.data.reading import texts_of
from hfcls.data.transforms import Preprocessing
from hfcls.errors import BadImage
from hfcls.files import write_json

# A cache may take this share of what is free, so that the run itself finds room.
_SHARE_OF_FREE_DISK = 0.5


class CacheBuilder:
    """Gets the pixel cache of a data set: reads it where it is there, else decodes all images on all cores.

    Args:
        splits: with the columns id, image, digest.
        preprocessing: of the classifier.
        most_gb: that all caches together may take; older ones make room, the least recently used first.
        max_pixels: of a stored image.
        quiet: no progress bar.
    """

    def __init__(
        self,
        splits: Mapping[str, Dataset],
        preprocessing: Preprocessing,
        *,
        most_gb: float,
        max_pixels: int = MAX_PIXELS,
        quiet: bool = False,
    ):
        self.contents = contents_of(splits, preprocessing)
        self._splits = splits
        self._preprocessing = preprocessing
        self._most_gb = most_gb
        self._max_pixels = max_pixels
        self._quiet = quiet
        self._place = self.contents.directory
        self._lock = FileLock(_lock_of(self._place))

    def reserve(self) -> None:
        """Takes the lock if it is free, for a process that is to build while others wait; `obtain` gives it back."""
        with suppress(OSError, NotImplementedError, Timeout):
            self._place.parent.mkdir(parents=True, exist_ok=True)
            self._lock.acquire(blocking=False)

    def obtain(self, say: Callable[[str], None] = lambda text: None) -> tuple[PixelCache | None, str]:
        """The cache, built if it is not there.

        Args:
            say: is told where another process has to be waited for.

        Returns:
            The cache, and in words what it holds; or None, and why there is none.

        Raises:
            UserError: an image cannot be decoded.
        """
        try:
            if self.contents.bytes > self._most_gb * 1e9:
                return None, f"{size_text(self.contents.bytes)} would exceed --cache_gb {self._most_gb:g}"
            return self.find() or self._find_or_build(say)
        except (OSError, NotImplementedError) as error:  # filelock's, where a disk has no locks
            reason = getattr(error, "strerror", None) or error
            return None, f"the cache {self._place.parent} cannot be written ({reason})"
        finally:
            self._lock.release(force=True)

    def find(self) -> tuple[PixelCache, str] | None:
        """The cache if it is there, and in words what it holds."""
        cache = self.contents.open()
        return None if cache is None else (cache, f"{self.contents.describe()}, read from {self._place}")

    def _find_or_build(self, say: Callable[[str], None]) -> tuple[PixelCache | None, str]:
        if not self._lock.is_locked:
            self._place.parent.mkdir(parents=True, exist_ok=True)
            try:
                self._lock.acquire(blocking=False)
            except Timeout:
                say("note: Another process is building the pixel cache of these images: waiting for it.")
                self._lock.acquire()
        return self.find() or self._build()

    def _build(self) -> tuple[PixelCache | None, str]:
        start = time.perf_counter()
        part = self._place.with_name(f".{self._place.name}.part")
        try:
            with FileLock(self._place.with_name(".room.lock")):
                for old in (part, self._place):  # cut short by a kill, damaged
                    shutil.rmtree(old, ignore_errors=True)
                refusal = make_room(self._place.parent, self.contents.bytes, self._most_gb)
                if refusal is not None:
                    return None, refusal
                part.mkdir()
                _occupy(part / PIXELS, self.contents.bytes)
            self._write(part / PIXELS)
            write_json(part / META, self.contents.meta)
            part.rename(self._place)
        finally:
            shutil.rmtree(part, ignore_errors=True)
        cache = self.contents.open()
        if cache is None:
            return None, f"the cache {self._place} was removed by another process"
        return cache, f"{self.contents.describe()}, built in {time.perf_counter() - start:.0f} s"

    def _write(self, file: Path) -> None:
        stored = [data.select_columns(["id", "image", "digest"]) for data in self._splits.values()]
        data = concatenate_datasets([part.cast_column("image", Image(decode=False)) for part in stored])
        every = np.array(texts_of(data, "digest"), dtype=self.contents.digests.dtype)
        _, first = np.unique(every, return_index=True)
        rows = np.argsort(first)  # written in the order of the data, which reads it from front to back
        row_bytes = self.contents.bytes // len(rows)
        decoded = map_images(data.select(first[rows]), self._decode, description="Decoding images", quiet=self._quiet)
        with file.open("r+b") as stream:
            for row, (digest, sample_id, pixels) in zip(rows.tolist(), decoded, strict=True):
                if digest != self.contents.digests[row]:
                    raise BadImage(f"{sample_id!r} was changed while it was read: run again when all is in place.")
                stream.seek(row * row_bytes)
                stream.write(pixels.data)
            stream.flush()
            os.fsync(stream.fileno())

    def _decode(self, cell: dict[str, Any], sample_id: str) -> tuple[bytes, str, np.ndarray]:
        content = read_bytes(cell, sample_id)
        image = decode_bytes(content, sample_id, max_pixels=self._max_pixels).image
        pixels = self._preprocessing.pixels(image).permute(1, 2, 0)
        if pixels.shape[:2] != self.contents.size:
            raise BadImage(f"{sample_id!r} comes out of the image processor as {tuple(pixels.shape)}.")
        digest = blake2b(content, digest_size=16).digest()
        # numpy compares fixed-length bytes without the zeros at their end
        return digest.rstrip(b"\0"), sample_id, pixels.contiguous().numpy()


def make_room(pixels: Path, need: int, most_gb: float) -> str | None:
    """Removes what killed builders left behind, and old caches until `need` bytes fit; to be called under a lock.

    A run that reads one of those goes on: a mapped file stays until it is closed.

    Returns:
        Why there is no room for it; None where there is.
    """
    ready, taken = [], need
    for place in pixels.iterdir():
        if not place.is_dir():
            continue
        if not place.name.startswith("."):
            ready.append((_last_use(place), _bytes_of(place), place))
        elif not _remove_leftover(place):
            taken += _bytes_of(place)
    taken += sum(count for _, count, _ in ready)
    leaving, freed = [], 0
    for _, count, place in sorted(ready):
        if taken - freed > most_gb * 1e9:
            leaving.append(place)
            freed += count
    if taken - freed > most_gb * 1e9:
        return f"{size_text(need)}, beside what is being built now, would exceed --cache_gb {most_gb:g}"
    free = shutil.disk_usage(pixels).free + freed
    if need > free * _SHARE_OF_FREE_DISK:
        return f"{size_text(need)} are more than half of the {size_text(free)} that are free in {pixels}"
    for place in leaving:
        shutil.rmtree(place, ignore_errors=True)
    return None


def _remove_leftover(part: Path) -> bool:
    """Removes what a builder left that is no longer there."""
    lock = FileLock(_lock_of(part.with_name(part.name[1:].removesuffix(".part"))))
    try:
        with lock.acquire(blocking=False):
            shutil.rmtree(part, ignore_errors=True)
    except Timeout:
        return False
    return True


def _lock_of(place: Path) -> Path:
    return place.with_name(f".{place.name}.lock")


def _last_use(place: Path) -> float:
    try:
        return (place / META).stat().st_mtime
    except OSError:
        return 0.0


def _bytes_of(place: Path) -> int:
    total = 0
    with suppress(OSError):  # another process may remove it just now
        for file in place.iterdir():
            total += file.stat().st_size
    return total


def _occupy(file: Path, count: int) -> None:
    """Makes a file of so many bytes, so that a full disk shows before any image is decoded."""
    with file.open("wb") as stream:
        stream.truncate(count)
        if hasattr(os, "posix_fallocate"):
            try:
                os.posix_fallocate(stream.fileno(), 0, count)
            except OSError as error:
                if error.errno not in {errno.EOPNOTSUPP, errno.EINVAL}:  # of file systems without it
                    raise
