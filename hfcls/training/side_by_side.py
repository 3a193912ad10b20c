"""Work in several processes that share the cores, end with the one that began them, and stop well on Ctrl-C.

Light to import: a new process sets its threads before anything counts the cores.
"""

import os
import signal
from collections.abc import Callable, Iterator, Sequence
from multiprocessing import get_context
from multiprocessing.connection import Connection, wait
from typing import Any

from hfcls.data.workers import end_with_parent
from hfcls.errors import UserError

Work = Callable[[Any], Any]


def work_side_by_side(work: Work, jobs: Sequence[Any], *, processes: int, threads: int) -> Iterator[tuple[int, Any]]:
    """Does all jobs, each in one of several processes; one after the other in this one where there is to be one.

    Args:
        work: a function of a module; it and the jobs must be picklable.
        processes: how many at most.
        threads: that they share.

    Yields:
        Number and result of each job, as they are done.

    Raises:
        UserError: that of a job, once the others have saved what they did; or a process was killed.
        KeyboardInterrupt: Ctrl-C, after each process has saved what it did.
    """
    if min(processes, len(jobs)) < 2:
        for number, job in enumerate(jobs):
            yield number, work(job)
        return
    workers = [_Worker(work, max(threads // processes, 1)) for _ in range(min(processes, len(jobs)))]
    waiting = list(enumerate(jobs))
    try:
        for worker in workers:
            worker.give(*waiting.pop(0))
        while busy := [worker for worker in workers if worker.job is not None]:
            for ready in wait([worker.connection for worker in busy]):
                worker = next(worker for worker in busy if worker.connection is ready)
                number, result = worker.take()
                if waiting:
                    worker.give(*waiting.pop(0))
                yield number, result
    finally:
        _stop(workers)


class _Worker:
    """A process that does one job after the other."""

    def __init__(self, work: Work, threads: int):
        context = get_context("spawn")
        self.connection, theirs = context.Pipe()
        # Not a daemon: a training may have processes of its own, for loading.
        self.process = context.Process(target=_serve, args=(theirs, threads), daemon=False)
        self.process.start()
        theirs.close()
        self.job: int | None = None
        self.connection.send(work)

    def give(self, number: int, job: Any) -> None:
        self.job = number
        self.connection.send(job)

    def take(self) -> tuple[int, Any]:
        number, self.job = self.job, None
        assert number is not None
        try:
            result, error = self.connection.recv()
        except EOFError:
            self.process.join()
            code = self.process.exitcode or 0
            if code > 0:
                raise UserError(f"A process has ended with an error, which is above (exit code {code}).") from None
            raise UserError(
                f"A process was killed (signal {-code}), perhaps for want of memory: give fewer --processes. The same "
                "command goes on with what is left to do."
            ) from None
        if error is not None:
            raise error
        return number, result


def _stop(workers: Sequence[_Worker]) -> None:
    """Ends all processes; those that are at work get Ctrl-C, and save."""
    for worker in workers:
        if worker.job is not None and worker.process.is_alive() and worker.process.pid is not None:
            os.kill(worker.process.pid, signal.SIGINT)
    for worker in workers:
        if worker.job is not None:
            _await_last_word(worker)
        worker.connection.close()
    for worker in workers:
        worker.process.join()


def _await_last_word(worker: _Worker) -> None:
    try:
        worker.connection.recv()
    except (EOFError, OSError):
        return


def _serve(connection: Connection, threads: int) -> None:
    """What a worker's process does."""
    become_worker()
    os.environ["OMP_NUM_THREADS"] = str(threads)
    try:
        work = connection.recv()
        import torch

        torch.set_num_threads(threads)
        while True:
            connection.send(_answer(work, connection.recv()))
    except (EOFError, KeyboardInterrupt, BrokenPipeError):
        return


def _answer(work: Work, job: Any) -> tuple[Any, UserError | KeyboardInterrupt | None]:
    try:
        return work(job), None
    except (UserError, KeyboardInterrupt) as error:
        return None, error


def become_worker() -> None:
    """Makes a process one that ends with the process that began it, and gets Ctrl-C from there alone, once."""
    if hasattr(os, "setpgrp"):
        os.setpgrp()
    signal.signal(signal.SIGINT, signal.default_int_handler)  # which a background shell switches off
    # Trainings would go on that no one asked for any more.
    end_with_parent()
