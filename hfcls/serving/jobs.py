"""Long work for one visitor at a time: in a thread of its own, with progress, and stopped when they ask."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Event, Lock, Semaphore, Thread
from typing import Generic, TypeVar

from hfcls.errors import UserError

Result = TypeVar("Result")
Report = Callable[[int, int | None], None]
"""Called by the work with what is done and of how many, if known; raises `Stopped` once nobody wants the result."""

# How often a page hears of progress.
_BEAT_SECONDS = 0.25
_BUSY = "Too many ask for long work at the moment: try again in a minute."


class Stopped(Exception):
    """The visitor wants no result any more."""


@dataclass
class Job(Generic[Result]):
    """One piece of work under way.

    Attributes:
        done, total: as last reported.
        seconds: since it began.
        result: of the work, once it is there.
        error: what it raised instead; a `Stopped` after it was stopped.
    """

    done: int = 0
    total: int | None = None
    seconds: float = 0.0
    result: Result | None = None
    error: Exception | None = None

    def __post_init__(self) -> None:
        self._stop, self._over = Event(), Event()

    @property
    def is_over(self) -> bool:
        """Whether there is a result or an error."""
        return self._over.is_set()

    @property
    def was_stopped(self) -> bool:
        """Whether it ended because it was stopped."""
        return isinstance(self.error, Stopped)

    def stop(self) -> None:
        """Lets the work end at its next report."""
        self._stop.set()

    def report(self, done: int, total: int | None = None) -> None:
        """See `Report`."""
        self.done, self.total = done, total
        if self._stop.is_set():
            raise Stopped

    def run(self, work: Callable[[Report], Result]) -> Iterator["Job[Result]"]:
        """Starts the work; yields this job at each beat and once it is over. Closed early, it stops the work."""
        begun = time.monotonic()
        Thread(target=self._work, args=(work,), daemon=True).start()
        try:
            while not self._over.wait(_BEAT_SECONDS):
                self.seconds = time.monotonic() - begun
                yield self
            self.seconds = time.monotonic() - begun
            yield self
        finally:
            self.stop()

    def _work(self, work: Callable[[Report], Result]) -> None:
        try:
            self.result = work(self.report)
        except Exception as error:  # whoever follows the job raises it again or says what it is
            self.error = error
        finally:
            self._over.set()


class Jobs:
    """The jobs of all visitors: one of each kind, the newest."""

    def __init__(self) -> None:
        self._jobs: dict[tuple[str, str], Job] = {}
        self._lock = Lock()

    def run(self, visitor: str | None, kind: str, work: Callable[[Report], Result]) -> Iterator[Job[Result]]:
        """Starts work for a visitor, whose work of that kind before is stopped; see `Job.run`."""
        job: Job[Result] = Job()
        key = (visitor or f"nobody {id(job)}", kind)
        with self._lock:
            before, self._jobs[key] = self._jobs.get(key), job
        if before is not None:
            before.stop()
        try:
            yield from job.run(work)
        finally:
            with self._lock:
                if self._jobs.get(key) is job:
                    del self._jobs[key]

    def stop(self, visitor: str | None, kind: str | None = None) -> None:
        """Stops a visitor's work of a kind, or of all kinds, if there is any."""
        with self._lock:
            jobs = [job for key, job in self._jobs.items() if key[0] == visitor and kind in (None, key[1])]
        for job in jobs:
            job.stop()


class Counter:
    """Where heavy questions of the API wait, so that they take no place from light ones.

    Args:
        at_once: how many are worked on.
        waiting: how many may wait beside those.
        seconds: that one waits at most.
    """

    def __init__(self, *, at_once: int, waiting: int, seconds: float):
        self._places = Semaphore(at_once)
        self._room = Semaphore(at_once + waiting)
        self._seconds = seconds

    @contextmanager
    def place(self) -> Iterator[None]:
        """Holds a place.

        Raises:
            UserError: too many ask.
        """
        if not self._room.acquire(blocking=False):
            raise UserError(_BUSY)
        try:
            if not self._places.acquire(timeout=self._seconds):
                raise UserError(_BUSY)
            try:
                yield
            finally:
                self._places.release()
        finally:
            self._room.release()
