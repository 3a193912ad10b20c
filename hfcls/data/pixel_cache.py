"""Decoded images in a mapped file, kept for the next epoch and the next run; `hfcls.data.pixel_building` writes it."""

import json
import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from hashlib import blake2b
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from datasets import Dataset
from PIL import features

from hfcls.data.reading import texts_of
from hfcls.data.transforms import Preprocessing
from hfcls.files import cache_directory

PIXELS, META = "pixels.bin", "meta.json"
# Counts up when the decoder makes other pixels of the same bytes, or the file is laid out otherwise.
_FORMAT = 1
_LIBRARIES = ("pillow", "torch", "torchvision", "timm", "transformers")
_DECODERS = ("libjpeg_turbo", "webp", "avif", "jpg_2000")


class PixelCache:
    """Images as 8-bit pixels of one size, uint8 (M, H, W, 3) in a file: one row for each distinct image.

    A copy in another process maps the file anew. Whoever has it mapped can read it to the end, also when it is removed.

    Args:
        file: the pixels, row by row.
        digests: of the images' stored bytes, bytes (M,), in the order of the rows: sorted.
        size: (height, width).
    """

    def __init__(self, file: Path, digests: np.ndarray, size: tuple[int, int]):
        self._file = file
        self._digests: np.ndarray | None = digests
        self._shape = (len(digests), *size, 3)
        self._mapped = self._map()

    def __len__(self) -> int:
        return self._shape[0]

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "_mapped": None, "_digests": None}

    @property
    def is_there(self) -> bool:
        """Whether the file could be mapped: of the right size, and not removed before this process came to it."""
        return self._mapped is not None

    def rows_of(self, digests: Sequence[bytes]) -> np.ndarray:
        """Where images with these digests are, int64 (N,).

        Raises:
            KeyError: one is not in the cache.
        """
        assert self._digests is not None, "a copy in another process knows rows alone"
        wanted = np.array(digests, dtype=self._digests.dtype)
        rows = np.searchsorted(self._digests, wanted)
        if not np.array_equal(self._digests[np.minimum(rows, len(self) - 1)], wanted):
            raise KeyError("an image that the pixel cache was not built from")
        return rows

    def take(self, rows: np.ndarray) -> np.ndarray | None:
        """The images in some rows (N,), uint8 (N, H, W, 3); None where the file is no longer there."""
        if self._mapped is None:
            self._mapped = self._map()
        return None if self._mapped is None else np.take(self._mapped, rows, axis=0)

    def _map(self) -> np.ndarray | None:
        try:
            if self._file.stat().st_size != int(np.prod(self._shape)):
                return None
            return np.asarray(np.memmap(self._file, dtype=np.uint8, mode="r", shape=self._shape))
        except (OSError, ValueError):
            return None


@dataclass(frozen=True)
class Contents:
    """What a cache holds, and so where it lies.

    Attributes:
        digests: of the distinct images, bytes (M,), sorted.
        size: (height, width).
        first_half: all that decides the pixels, beside the images.
    """

    digests: np.ndarray
    size: tuple[int, int]
    first_half: str

    @cached_property
    def directory(self) -> Path:
        """``pixels/KEY`` in the cache directory."""
        key = blake2b(f"{self.first_half} {self.size} ".encode() + self.digests.tobytes(), digest_size=16).hexdigest()
        return cache_directory() / "pixels" / key

    @property
    def bytes(self) -> int:
        """Of the file."""
        return len(self.digests) * self.size[0] * self.size[1] * 3

    @property
    def meta(self) -> dict[str, Any]:
        """What ``meta.json`` says."""
        return {"format": _FORMAT, "images": len(self.digests), "height": self.size[0], "width": self.size[1]}

    def describe(self) -> str:
        """For the user."""
        height, width = self.size
        return f"{len(self.digests):,} images of {width}x{height} ({size_text(self.bytes)})"

    def open(self) -> PixelCache | None:
        """The cache, which then counts as just used; None where there is none, or a damaged one."""
        try:
            meta = json.loads((self.directory / META).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None
        cache = PixelCache(self.directory / PIXELS, self.digests, self.size)
        if meta != self.meta or not cache.is_there:
            return None
        with suppress(OSError):  # of another user
            os.utime(self.directory / META)
        return cache


def contents_of(splits: Mapping[str, Dataset], preprocessing: Preprocessing) -> Contents:
    """What the cache of a data set holds: however it is split, the same.

    Args:
        splits: with the column digest.
    """
    digests = [digest for data in splits.values() for digest in texts_of(data, "digest")]
    decided = {
        "format": _FORMAT,
        "libraries": {name: version(name) for name in _LIBRARIES},
        "decoders": {name: features.version(name) for name in _DECODERS},
        "preprocessing": preprocessing.first_half,
    }
    return Contents(np.unique(np.array(digests, dtype="S16")), preprocessing.spec.size, json.dumps(decided))


def size_text(count: int) -> str:
    """Bytes for the user, such as "184 MB"."""
    return f"{count / 1e9:.3g} GB" if count >= 1e9 else f"{count / 1e6:.3g} MB"
