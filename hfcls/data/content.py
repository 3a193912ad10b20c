"""What tells images apart, whatever file, archive or table they came in: their stored bytes."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from hashlib import blake2b
from typing import Any, TypeVar

import numpy as np
import pyarrow as pa
from datasets import Dataset, Image
from tqdm.auto import tqdm

from hfcls.data.decode import read_bytes
from hfcls.data.room import available_cores
from hfcls.errors import BadImage

T = TypeVar("T")
# Threads, since reading, hashing and decoding all leave the interpreter free; a fork is no option beside torch.
THREADS = min(available_cores(), 32)
# Images given to a thread at a time, and read at a time: few, as an image may have megabytes.
_CHUNK = 8
_BATCH = max(64, _CHUNK * THREADS)


def map_images(
    data: Dataset, work: Callable[[dict[str, Any], str], T], *, description: str, quiet: bool = False
) -> Iterator[T]:
    """Calls ``work(cell, id)`` for every image, in order, on all cores; holds one batch at a time.

    Args:
        data: with the columns id and image.
        work: called from several threads.
    """
    stored = data.select_columns(["id", "image"]).cast_column("image", Image(decode=False)).with_format("arrow")
    hidden = True if quiet or len(data) < 500 else None

    def work_through(part: pa.Table) -> list[T]:
        cells = (cell.as_py() or {"bytes": None, "path": None} for cell in part["image"])
        return [work(cell, i) for cell, i in zip(cells, part["id"].to_pylist(), strict=True)]

    with (
        ThreadPoolExecutor(THREADS) as pool,
        tqdm(total=len(data), desc=description, unit="image", leave=False, disable=hidden, dynamic_ncols=True) as bar,
    ):
        for batch in stored.iter(batch_size=_BATCH):
            for done in pool.map(work_through, [batch.slice(at, _CHUNK) for at in range(0, len(batch), _CHUNK)]):
                yield from done
            bar.update(len(batch))


def content_digests(data: Dataset) -> tuple[list[bytes], dict[int, str]]:
    """A digest of each image's stored bytes (blake2b, 16 bytes; empty where they can't be read), and why not."""
    reasons: dict[int, str] = {}
    digests: list[bytes] = []

    def digest(cell: dict[str, Any], sample_id: str) -> bytes | BadImage:
        try:
            return blake2b(read_bytes(cell, sample_id), digest_size=16).digest()
        except BadImage as error:
            return error

    for found in map_images(data, digest, description="Reading images"):
        if isinstance(found, BadImage):
            reasons[len(digests)] = found.reason
        digests.append(b"" if isinstance(found, BadImage) else found)
    return digests, reasons


def sample_keys(digests: Sequence[bytes], classes: Sequence[str]) -> np.ndarray:
    """A 64-bit key for each sample, uint64 (N,), all that its random numbers hang on besides seed and epoch.

    It follows from the image's bytes and the class, not from name, place or order, so that the same images in another
    container make the same training. Copies within a class are numbered.
    """
    seen: Counter[tuple[bytes, str]] = Counter()
    parts = []
    for digest, name in zip(digests, classes, strict=True):
        copy = seen[digest, name]
        seen[digest, name] += 1
        text = digest + name.encode("utf-8", "surrogatepass") + (b"\0%d" % copy if copy else b"")
        parts.append(blake2b(text, digest_size=8).digest())
    return np.frombuffer(b"".join(parts), dtype="<u8").astype(np.uint64)


def image_keys(digests: Sequence[bytes]) -> np.ndarray:
    """A 64-bit key for each image, uint64 (N,): the same for copies, whatever their class."""
    return np.frombuffer(b"".join(digest[:8] for digest in digests), dtype="<u8").astype(np.uint64)


def fingerprint(digests: Sequence[bytes], classes: Sequence[str]) -> str:
    """A digest of the images' stored bytes and their class names, whatever their order and container."""
    entries = sorted(
        digest + name.encode("utf-8", "surrogatepass") for digest, name in zip(digests, classes, strict=True)
    )
    return blake2b(b"".join(entries), digest_size=16).hexdigest()
