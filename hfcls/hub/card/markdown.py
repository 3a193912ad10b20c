"""Text from data and from people, made harmless for Markdown, and the pieces that cards are made of."""

import re
from collections import Counter
from collections.abc import Iterable, Sequence

from hfcls.escaping import terminal_text
from hfcls.pages.svg import shorten

# What Markdown, HTML, KaTeX, emoji shortcodes and mentions are made of, wherever it stands.
_ACTIVE = re.compile(r"[&<>\"'`\\*{}\[\]|~$^!#@]|(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])|:(?=[\w+-]+:)")
# What opens a block at the start of a line: a heading, a list, a quotation, a rule.
_OPENING = re.compile(r"^(\d{1,9})([.)])(?=\s|$)|^([-+=])")
# Renderers look for addresses in the finished text as well; a zero-width space takes them apart.
_ADDRESS = re.compile(r"(?<=:)(?=//)|(?<=www)(?=\.)|(?<=@)", re.IGNORECASE)
_APART = "\u200b"
# Columns of a class name in a table.
NAME_WIDTH = 60


def inline(text: str) -> str:
    """One line of Markdown that shows `text` as it is: nothing in it is a link, a tag, a cell, a formula or code."""
    apart = _ADDRESS.sub(_APART, " ".join(terminal_text(text).split(" ")))
    escaped = _ACTIVE.sub(lambda match: f"&#{ord(match[0])};", apart.strip())
    return _OPENING.sub(_escape_opening, escaped)


def name(text: str) -> str:
    """A class name, in the middle cut to `NAME_WIDTH` columns."""
    return inline(shorten(terminal_text(text).strip(), NAME_WIDTH))


def distinct_names(labels: Iterable[str]) -> list[str]:
    """Class names ready to show; of those that look the same once they are cut, each gets its index."""
    shown = [name(label) for label in labels]
    counts = Counter(shown)
    return [f"{one} &#35;{index}" if counts[one] > 1 else one for index, one in enumerate(shown)]


def fence(text: str, language: str = "") -> str:
    """A block of code that `text` can't get out of."""
    longest = max((len(run) for run in re.findall("`+", text)), default=0)
    ticks = "`" * max(3, longest + 1)
    return f"{ticks}{language}\n{text.rstrip()}\n{ticks}"


def table(titles: Sequence[str], rows: Iterable[Sequence[str]], *, right: Sequence[int] = ()) -> str:
    """A table of cells that are Markdown already.

    Args:
        right: numbers of the columns that are aligned to the right.
    """
    rule = ["---:" if column in right else "---" for column in range(len(titles))]
    return "\n".join("| " + " | ".join(line) + " |" for line in [titles, rule, *rows])


def fold(summary: str, content: str) -> str:
    """Content that a click unfolds; `summary` is Markdown of one line without marks."""
    return f"<details>\n<summary>{summary}</summary>\n\n{content}\n\n</details>"


def join_words(words: Sequence[str]) -> str:
    """``a``, ``a and b``, ``a, b and c``."""
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)


def _escape_opening(match: re.Match[str]) -> str:
    if match[3]:
        return f"&#{ord(match[3])};"
    return f"{match[1]}&#{ord(match[2])};"
