"""Text from data (file names, class names, reasons), made harmless for the place where it is shown."""

import re
import unicodedata

_CONTROLS = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
# Also what turns the direction of writing, by which a name can be made to look like another one.
_UNSHOWN = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
# What a spreadsheet passes over before it looks for a formula.
_BEFORE_FORMULA = re.compile("[\\s\"'`´‘’‚“”„«»\x00-\x20\x7f-\x9f\u00ad\u200b-\u200f\u2060\ufeff]*")


def terminal_text(text: str) -> str:
    """Escapes what a terminal would obey, hide or fail to encode: control characters, line breaks, lone surrogates."""
    return _UNSHOWN.sub(_escape, text)


def utf8_text(text: str) -> str:
    r"""Escapes lone surrogates alone (as ``\udce9``), which UTF-8 has no place for."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def spreadsheet_text(text: str) -> str:
    """One line of text that no spreadsheet takes for a formula.

    What starts like a formula (``= + - @``, also full-width, also after blanks and quotes, or a tab or line break) gets
    an apostrophe before it, which spreadsheets do not show. Control characters and line breaks are escaped.
    """
    shown = _CONTROLS.sub(_escape, text)
    return "'" + shown if _starts_a_formula(text) else shown


def _starts_a_formula(text: str) -> bool:
    before = _BEFORE_FORMULA.match(text)
    rest = text[before.end() :] if before else text
    # NFKC takes ＝ and its like for what they look like.
    return text[:1] in {"\t", "\r", "\n"} or unicodedata.normalize("NFKC", rest[:1])[:1] in {"=", "+", "-", "@"}


def _escape(match: re.Match[str]) -> str:
    return match[0].encode("unicode_escape").decode("ascii")
