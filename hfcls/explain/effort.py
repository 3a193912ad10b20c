"""What an explanation may take, and what it has taken."""

import time
from collections.abc import Callable

# Forward passes done, and in all where that is known.
Progress = Callable[[int, int | None], None]


class Effort:
    """The budget of a call, and its account.

    Args:
        seconds, passes: when a method that can be cut short stops; never where None.
        progress: is told after each pass; may raise to stop.
        images: how many share the budget; `next_image` gives each its part.

    Attributes:
        spent: forward passes, of one image each.
        total: how many there will be, where the method knows.
        complete: of each image that `next_image` began, whether nothing was cut short.
    """

    def __init__(
        self,
        *,
        seconds: float | None = None,
        passes: int | None = None,
        progress: Progress | None = None,
        images: int = 1,
    ):
        self.spent = 0
        self.total: int | None = None
        self.complete: list[bool] = []
        self._begun = time.monotonic()
        self._seconds, self._passes, self._progress = seconds, passes, progress
        self._left = images
        self._until, self._limit = seconds, passes

    @property
    def seconds(self) -> float:
        """Seconds since it began."""
        return time.monotonic() - self._begun

    @property
    def is_timed(self) -> bool:
        """Whether the budget is one of seconds."""
        return self._seconds is not None

    def next_image(self) -> None:
        """From now on an equal part of what remains is all that may be used, for one of the images."""
        self.complete.append(True)
        left = max(1, self._left)
        self._left -= 1
        if self._seconds is not None:
            self._until = self.seconds + max(0.0, self._seconds - self.seconds) / left
        if self._passes is not None:
            self._limit = self.spent + max(0, self._passes - self.spent) // left

    def expect(self, passes: int) -> None:
        """An image takes so many: this one and those after it."""
        self.total = self.spent + passes * (1 + max(0, self._left))

    def spend(self, passes: int) -> None:
        """Counts forward passes and tells of them."""
        self.spent += passes
        if self._progress is not None:
            self._progress(self.spent, None if self.total is None else max(self.total, self.spent))

    def is_used_up(self) -> bool:
        """Whether it is time to stop; whoever stops then says so by `cut_short`."""
        too_long = self._until is not None and self.seconds >= self._until
        return too_long or (self._limit is not None and self.spent >= self._limit)

    def cut_short(self) -> None:
        """The present image got less than it would without a budget."""
        self.complete[-1:] = [False]

    def affordable(self, wanted: int, *, pace: float | None = None, least: int = 1) -> int:
        """How many passes of `wanted` the budget leaves.

        Args:
            pace: seconds that a pass takes, where the budget may be one of seconds.
            least: what is taken in any case.
        """
        allowed = wanted
        if self._limit is not None:
            allowed = min(allowed, self._limit - self.spent)
        if self._until is not None and pace is not None:
            allowed = min(allowed, int((self._until - self.seconds) / pace))
        return min(wanted, max(least, allowed))
