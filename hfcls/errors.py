"""The one error that is the user's to mend."""

from collections.abc import Iterable
from difflib import get_close_matches


class UserError(Exception):
    """Bad input: one sentence that says what was found, what was expected and the mend.

    The command line prints it without a traceback and ends with exit code 2. Every other
    exception is a bug and keeps its traceback.
    """


class BadImage(UserError):
    """One image that cannot be used.

    Attributes:
        sample_id: which one.
        reason: why, to be read after the id: "is not an image", "is cut short".
    """

    def __init__(self, message: str, *, sample_id: str = "", reason: str = ""):
        # A data loader's worker raises errors again from their message alone.
        super().__init__(message)
        self.sample_id = sample_id
        self.reason = reason or message


def suggest(name: str, choices: Iterable[str]) -> str:
    """Returns ``" Did you mean 'x'?"`` for the closest of `choices`, or an empty string."""
    close = get_close_matches(name, list(choices), n=1)
    return f" Did you mean {close[0]!r}?" if close else ""
