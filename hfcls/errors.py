"""The one error that is the user's to mend."""

from collections.abc import Iterable
from difflib import get_close_matches


class UserError(Exception):
    """Bad input: one sentence that says what was found, what was expected and the mend.

    The command line prints it without a traceback and ends with exit code 2. Every other
    exception is a bug and keeps its traceback.
    """


def suggest(name: str, choices: Iterable[str]) -> str:
    """Returns ``" Did you mean 'x'?"`` for the closest of `choices`, or an empty string."""
    close = get_close_matches(name, list(choices), n=1)
    return f" Did you mean {close[0]!r}?" if close else ""
