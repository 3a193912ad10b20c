"""Processes that end with the one that began them: a command that is killed leaves none behind."""

import os
import signal
import threading
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing import parent_process
from multiprocessing.connection import wait


def end_with_parent() -> None:
    """From here on this process is killed as soon as the one that began it is gone, however that ended."""
    threading.Thread(target=_await_parent, daemon=True).start()


@dataclass(frozen=True)
class WorkerStart:
    """What a `torch.utils.data.DataLoader` has its workers do first (its ``worker_init_fn``).

    torch itself has them look at the number of their parent process, which is that of the server, and stays the same,
    where a server forks them (Python 3.14's way on Linux).

    Attributes:
        then: another such function.
    """

    then: Callable[[int], None] | None = None

    def __call__(self, number: int) -> None:
        """In worker `number`."""
        end_with_parent()
        if self.then is not None:
            self.then(number)


def _await_parent() -> None:
    parent = parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os.kill(os.getpid(), getattr(signal, "SIGKILL", signal.SIGTERM))
