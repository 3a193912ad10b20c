"""How much is decoded at once: cores of this process, and pixels in the memory of all its threads."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Condition


def available_cores() -> int:
    """Processor cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class Room:
    """Lets threads in as long as what they need together does not exceed a limit.

    Args:
        most: the limit; who needs more than that gets in alone.
    """

    def __init__(self, most: int):
        self._most = most
        self._begin()
        if hasattr(os, "register_at_fork"):
            # The threads that hold a place are not there in a child.
            os.register_at_fork(after_in_child=self._begin)

    def _begin(self) -> None:
        self._taken = 0
        self._changed = Condition()

    @contextmanager
    def hold(self, need: int) -> Iterator[None]:
        """Waits for a place and gives it back in the end; not to be nested."""
        with self._changed:
            self._changed.wait_for(lambda: not self._taken or self._taken + need <= self._most)
            self._taken += need
        try:
            yield
        finally:
            with self._changed:
                self._taken -= need
                self._changed.notify_all()
