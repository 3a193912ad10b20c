"""Finds the images that cannot be used before a training begins, not in its third hour."""

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Any

import PIL
from datasets import Dataset

from hfcls.data.content import content_digests, map_images
from hfcls.data.decode import decode_bytes, read_bytes
from hfcls.data.reading import texts_of
from hfcls.errors import BadImage, UserError
from hfcls.files import cache_directory, write_json

# A verdict is kept for next time where reaching it took this many seconds.
_WORTH_KEEPING = 2.0
# A JPEG is checked at an eighth of its size: all of its bits are read, a third of the time is spent.
_SMALLEST = 1
# Counts up when the decoder judges otherwise.
_FORMAT = 1


@dataclass(frozen=True)
class Dropped:
    """An image that was left out: which, of what split, and why."""

    id: str
    split: str
    reason: str


def screen(
    splits: dict[str, Dataset], *, on_bad_image: str, max_pixels: int, source: str
) -> tuple[dict[str, Dataset], dict[str, list[bytes]], list[Dropped]]:
    """Decodes every image once.

    Args:
        on_bad_image: ``error`` or ``skip``.
        source: what is screened, for messages.

    Returns:
        The splits without the images that can't be read, the content digests of what stays, and what was left out.

    Raises:
        UserError: there are such images and `on_bad_image` is ``error``, or nothing else is left.
    """
    kept: dict[str, Dataset] = {}
    digests: dict[str, list[bytes]] = {}
    dropped: list[Dropped] = []
    for split, data in splits.items():
        found, reasons = content_digests(data)
        reasons |= _verdict(data, found, reasons, max_pixels)
        ids = texts_of(data, "id")
        dropped += [Dropped(ids[row], split, reasons[row]) for row in sorted(reasons)]
        stays = [row for row in range(len(data)) if row not in reasons]
        if not stays:
            first = dropped[-len(data)]
            raise UserError(
                f"None of the {len(data)} images of the {split} split in {source} can be read; "
                f"{first.id!r} {first.reason}."
            )
        kept[split] = data.select(stays) if reasons else data
        digests[split] = [found[row] for row in stays] if reasons else found
    if dropped and on_bad_image == "error":
        total = sum(map(len, splits.values()))
        raise UserError(
            f"{len(dropped)} of {total} images in {source} cannot be read: {describe(dropped)}. Mend or remove "
            f"{'it' if len(dropped) == 1 else 'them'} (`hfcls inspect` lists all), or leave "
            f"{'it' if len(dropped) == 1 else 'them'} out with --on_bad_image skip."
        )
    return kept, digests, dropped


def describe(dropped: Sequence[Dropped]) -> str:
    """The first of them by name, with the reason."""
    shown = "; ".join(f"{entry.id!r} {entry.reason}" for entry in dropped[:5])
    return shown + (f"; and {len(dropped) - 5} more" if len(dropped) > 5 else "")


def _verdict(data: Dataset, digests: list[bytes], unread: dict[int, str], max_pixels: int) -> dict[int, str]:
    """Why images can't be decoded, by row; from the last time where the contents are the same."""
    state = f"{_FORMAT} {PIL.__version__} {max_pixels} ".encode() + b"".join(sorted(digests))
    place = cache_directory() / "screened" / f"{blake2b(state, digest_size=16).hexdigest()}.json"
    known = _read_verdict(place)
    if known is not None:
        return {row: known[digest.hex()] for row, digest in enumerate(digests) if digest.hex() in known}
    reasons: dict[int, str] = {}

    lasting = True

    def check(cell: dict[str, Any], sample_id: str) -> tuple[bytes, str | None]:
        try:
            content = read_bytes(cell, sample_id)
        except BadImage as error:
            return b"", error.reason
        digest = blake2b(content, digest_size=16).digest()
        try:
            decode_bytes(content, sample_id, max_pixels=max_pixels, at_least=_SMALLEST)
        except BadImage as error:
            return digest, error.reason
        return digest, None

    start = time.perf_counter()
    for row, (digest, reason) in enumerate(map_images(data, check, description="Checking images")):
        if row in unread:
            continue
        if digest != digests[row]:
            # A file that can't be read now, or has just changed: that says nothing about its contents.
            lasting = False
            reason = reason or "changes while it is read"
        if reason is not None:
            reasons[row] = reason
    if lasting and time.perf_counter() - start > _WORTH_KEEPING:
        _keep_verdict(place, {digests[row].hex(): reason for row, reason in reasons.items()})
    return reasons


def _read_verdict(place: Path) -> dict[str, str] | None:
    try:
        content = json.loads(place.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return content if isinstance(content, dict) else None


def _keep_verdict(place: Path, verdict: dict[str, str]) -> None:
    try:
        write_json(place, verdict)
    except OSError:
        return  # a cache that can't be written costs time, not the run
