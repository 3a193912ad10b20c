"""What an inspection can find."""

from collections.abc import Iterable
from dataclasses import dataclass

from hfcls.pages.svg import shorten

_LONG_NAME = 40
SEVERITIES = ("error", "warning", "note")


@dataclass(frozen=True)
class Finding:
    """Something about the data that its owner should know.

    Attributes:
        kind: a short name that does not change, such as ``broken``.
        severity: ``error`` would spoil a training or its figures, ``warning`` may, ``note`` is good to know.
        title: one line, with counts.
        advice: what to do, in one sentence.
        how: how it was told, where that is not plain.
        groups: rows of images, those that belong together (copies of one, a pair) in one tuple.
        captions: a few words on each group; empty where there is nothing to say.
        items: lines on what is no image, such as a class.
        fixable: a cleaned list mends it.
    """

    kind: str
    severity: str
    title: str
    advice: str
    how: str = ""
    groups: tuple[tuple[int, ...], ...] = ()
    captions: tuple[str, ...] = ()
    items: tuple[str, ...] = ()
    fixable: bool = False


def count(n: int, one: str, many: str = "") -> str:
    """``1 image``, ``12,345 images``."""
    return f"{n:,} {one if n == 1 else many or one + 's'}"


def listing(names: Iterable[str], most: int = 3) -> str:
    """The first names, quoted and cut where they are long, and how many more there are."""
    quoted = [repr(shorten(name, _LONG_NAME)) for name in names]
    return ", ".join(quoted[:most]) + (f" and {len(quoted) - most:,} more" if len(quoted) > most else "")
