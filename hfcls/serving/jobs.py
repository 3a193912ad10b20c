"""Long work for one visitor at a time: in a thread of its own, with progress, and stopped when they ask."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from threading import Event, Lock, Thread
from typing import Generic, TypeVar

Result = TypeVar("Result")
Report = Callable[[int, int | None], None]
"""Called by the work with what is done and of how many, if known; raises `Stopped` once nobody wants the result."""

# How often a page hears of progress.
_BEAT_SECONDS = 0.25


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
    """The jobs of all visitors: one each, the newest."""

    def __init__(self) -> None:
        self._jobs: dict[str, Job] = {}
        self._lock = Lock()

    def run(self, visitor: str | None, work: Callable[[Report], Result]) -> Iterator[Job[Result]]:
        """Starts work for a visitor, whose work before that is stopped; see `Job.run`."""
        job: Job[Result] = Job()
        key = visitor or f"nobody {id(job)}"
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

    def stop(self, visitor: str | None) -> None:
        """Stops a visitor's work, if there is any."""
        with self._lock:
            job = self._jobs.get(visitor or "")
        if job is not None:
            job.stop()
