"""Files over HTTP: retried, gone on with where they stopped, and compared with their digest before they count.

The Hub's client compares nothing, and throws away what it has of a file when it is stopped.
"""

import hashlib
import os
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from typing import Any, TypeVar

from huggingface_hub import constants, get_session
from huggingface_hub.utils import are_progress_bars_disabled, hf_raise_for_status
from tqdm.auto import tqdm

from hfcls.errors import UserError
from hfcls.hub_errors import HUB_ERRORS, Asked, Unreadable, cause_of, refusal, waiting_time
from hfcls.launcher import is_first_process

T = TypeVar("T")

_TRIES, _DAMAGED_TRIES = 5, 3
# A connection that was cut after so many bytes more did its work: it does not count as a failure.
_PROGRESS = 1 << 20
_AT_A_TIME = 4


@dataclass(frozen=True)
class RemoteFile:
    """One file of a repository.

    Attributes:
        path: in the repository, with slashes.
        size: in bytes.
        etag: the SHA-256 of a large file, or git's SHA-1 of a small one, in hexadecimal digits.
        url: where it is to be had.
    """

    path: str
    size: int
    etag: str
    url: str = ""


def is_whole(file: Path, remote: RemoteFile) -> bool:
    """Whether the file has the size and the digest that the Hub gives."""
    size = file.stat().st_size
    if size != remote.size:
        return False
    with file.open("rb") as stream:
        if len(remote.etag) == 64:
            return hashlib.file_digest(stream, "sha256").hexdigest() == remote.etag
        git = hashlib.sha1(b"blob %d\0" % size, usedforsecurity=False)
        while block := stream.read(1 << 20):
            git.update(block)
    return git.hexdigest() == remote.etag


def note(text: str) -> None:
    """Tells of what takes time, on stderr, below no progress bar; of several processes the first."""
    if is_first_process():
        tqdm.write(f"note: {text}", file=sys.stderr)


def persevere(
    call: Callable[[], T],
    what: str,
    *,
    stop: Event | None = None,
    done: Callable[[], int] = lambda: 0,
    hopeless: tuple[type[Exception], ...] = (),
) -> T:
    """Calls again after what passes by itself: too many requests, an outage, a cut connection, no answer in time.

    Args:
        what: in words, for what is said before another try.
        stop: once set, nothing is tried again.
        done: how many bytes there are; a try that brought some does not count as failed.
        hopeless: errors after which nothing is tried again.
    """
    failures, stop = 0, stop or Event()
    while True:
        before = done()
        try:
            return call()
        except Exception as error:
            failures = 1 if done() - before >= _PROGRESS else failures + 1
            wait = waiting_time(error, failures)
            if wait is None or failures >= _TRIES or stop.is_set() or isinstance(error, hopeless):
                raise
            note(f"{cause_of(error)} ({what}): try {failures + 1} of {_TRIES} in {wait:g} s.")
            stop.wait(wait)


def fetch_all(
    files: Sequence[tuple[RemoteFile, Path]], asked: Asked, *, headers: dict[str, str], quiet: bool = False
) -> None:
    """Fetches files into their places, some at a time; a place holds a whole file or none.

    Args:
        files: each with its place, which no other has.
        quiet: show no progress.

    Raises:
        UserError: a file is not to be had, or keeps arriving damaged.
    """
    total, there = sum(remote.size for remote, _ in files), sum(_size(_part(place)) for _, place in files)
    bar = tqdm(
        total=total,
        initial=there,
        desc=f"Fetching {asked}",
        unit="B",
        unit_scale=True,
        disable=quiet or bool(are_progress_bars_disabled()) or None,
        leave=False,
    )
    stop = Event()
    pool = ThreadPoolExecutor(max_workers=_AT_A_TIME)
    try:
        with bar:
            tasks = [pool.submit(_fetch, remote, place, asked, headers, bar, stop) for remote, place in files]
            for task in as_completed(tasks):
                task.result()
    finally:
        # After Ctrl-C or an error, what still runs ends at its next bytes.
        stop.set()
        pool.shutdown(cancel_futures=True)


def missing_bytes(files: Sequence[tuple[RemoteFile, Path]]) -> int:
    """How much is still to be fetched."""
    return sum(remote.size - _size(_part(place)) for remote, place in files)


def _part(place: Path) -> Path:
    return place.with_name(f"{place.name}.hfcls.incomplete")


def _size(file: Path) -> int:
    return file.stat().st_size if file.is_file() else 0


def _fetch(remote: RemoteFile, place: Path, asked: Asked, headers: dict[str, str], bar: Any, stop: Event) -> None:
    part = _part(place)
    for attempt in range(_DAMAGED_TRIES):
        if attempt:
            note(f"{remote.path} of {asked} arrived damaged: it is fetched again.")
        try:
            persevere(
                lambda: _append(remote, part, headers, bar, stop),
                f"{remote.path} of {asked}",
                stop=stop,
                done=lambda: _size(part),
            )
        except HUB_ERRORS as error:
            raise refusal(error, asked, file=remote.path) from None
        if stop.is_set():
            return
        if is_whole(part, remote):
            os.replace(part, place)
            return
        bar.update(-_size(part))
        part.unlink()
    raise UserError(
        f"{remote.path} of {asked} arrived damaged {_DAMAGED_TRIES} times (its digest is not the one that the Hub "
        "gives), and was thrown away: try again later, or over another network."
    )


def _append(remote: RemoteFile, part: Path, headers: dict[str, str], bar: Any, stop: Event) -> None:
    """Adds what is missing of a file."""
    have = _size(part)
    if have > remote.size:
        bar.update(-have)
        part.unlink()
        have = 0
    if have == remote.size and part.exists():
        return
    # Compressed, the bytes that are there already could not be told from those that are missing.
    wanted = {**headers, "Accept-Encoding": "identity", **({"Range": f"bytes={have}-"} if have else {})}
    timeout = constants.HF_HUB_DOWNLOAD_TIMEOUT
    with get_session().stream("GET", remote.url, headers=wanted, timeout=timeout) as response:
        if response.status_code >= 400:
            response.read()
        if response.status_code == 416:
            bar.update(-have)
            part.unlink(missing_ok=True)
            raise Unreadable
        hf_raise_for_status(response)
        goes_on = response.status_code == 206 and response.headers.get("content-range", "").startswith(f"bytes {have}-")
        if have and not goes_on:
            bar.update(-have)
            have = 0
        with part.open("ab" if goes_on else "wb") as stream:
            for block in response.iter_bytes():
                stream.write(block)
                bar.update(len(block))
                have += len(block)
                if stop.is_set() or have > remote.size:
                    return
    if have < remote.size:
        raise Unreadable
