"""Places on the machine of a run, shortened to their last part in whatever is published."""

import itertools
import os
import re
from collections.abc import Iterable
from io import BytesIO
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

_END = r"(?![\w.~-])"
_STOP = r"\s\"'`<>|:,;()\[\]{}*?"
_LEADS_OUT = re.compile(r"/|~|\.\.[/\\]|[A-Za-z]:[/\\]|\\\\|file:")
# Two parts or more: "/" and "/x" are no secret, and many a text holds them.
_ABSOLUTE = re.compile(
    rf"(?:(?:file://|(?<![\w.:/\\<~!-]))/|(?<![\w.~/-])~/)(?:[^{_STOP}/]+/)+[^{_STOP}/]*"
    rf"|(?<!\w)[A-Za-z]:[\\/]+(?:[^{_STOP}\\/]+[\\/]+)+[^{_STOP}\\/]*"
)
# A text in quotes that is a path from end to end may hold blanks.
_QUOTED = re.compile(r"(?<=\")(?:/[^\"/:()\n]+(?:/[^\"/:()\n]+)+|[A-Za-z]:(?:\\\\[^\"\\:()\n]+){2,})(?=\")")


class Places:
    """Paths that a run is known to have used, and any other that is absolute."""

    def __init__(self, settings: dict[str, Any], *more: Path):
        """Collects them.

        Args:
            settings: ``run.yaml``, whose texts that lead out of the run's own folder are places.
            more: other places, such as the run itself.
        """
        texts = {value for value in _texts(settings) if _LEADS_OUT.match(value) and last_part(value)}
        texts |= {text for text in map(str, more) if last_part(text)}
        texts |= {os.path.abspath(os.path.expanduser(text)) for text in tuple(texts) if not text.startswith("file:")}
        texts |= {text.replace("\\", "\\\\") for text in texts}
        ordered = sorted(texts - {str(Path.home()), "/"}, key=lambda text: (-len(text), text))
        self._known = re.compile("|".join(re.escape(text) + _END for text in ordered)) if ordered else None

    def shorten(self, text: str) -> str:
        """The text with the last part of each path in its place: ``photos`` for ``/home/someone/photos``."""
        text = self.shorten_known(text)
        text = _QUOTED.sub(lambda match: last_part(match[0]), text)
        return _ABSOLUTE.sub(lambda match: last_part(match[0]), text)

    def shorten_known(self, text: str) -> str:
        """The same for the places of the run alone; what lies below them keeps its way."""
        return self._known.sub(lambda match: last_part(match[0]), text) if self._known else text

    def shorten_parquet(self, content: bytes) -> bytes:
        """A table whose texts name no place; the same bytes where they named none.

        Paths that lie outside the known places keep their way from the folder that they have in common, since ids
        must stay apart from each other.
        """
        import pyarrow as pa
        import pyarrow.parquet as pq

        table = pq.read_table(BytesIO(content))
        before = table
        for number, column in enumerate(table.schema):
            if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
                values = table.column(number).to_pylist()
                shortened = self._shorten_ids(values)
                if shortened != values:
                    table = table.set_column(number, column, pa.array(shortened, column.type))
        metadata = {
            key: self.shorten(value.decode()).encode() if _is_text(value) else value
            for key, value in (table.schema.metadata or {}).items()
        }
        if metadata != (table.schema.metadata or {}):
            table = table.replace_schema_metadata(metadata)
        if table is before:
            return content
        stream = BytesIO()
        pq.write_table(table, stream)
        return stream.getvalue()

    def _shorten_ids(self, values: list[str | None]) -> list[str | None]:
        known = [value and self.shorten_known(value) for value in values]
        outside = {value for value in known if value and _LEADS_OUT.match(value)}
        if not outside:
            return known
        folders = {re.split(r"[/\\](?=[^/\\]*$)", value)[0] for value in outside}
        shared = _shared([re.split(r"([/\\])", folder) for folder in folders])
        return [value[len(shared) :].lstrip("/\\") if value in outside else value for value in known]


def last_part(place: str) -> str:
    """The last part of a path of any system; empty for a root."""
    path = PureWindowsPath(place) if "\\" in place else PurePosixPath(place)
    return "" if path.name in {"~", ".."} else path.name


def _shared(ways: list[list[str]]) -> str:
    """The folder that all lie in."""
    return "".join(
        parts[0] for parts in itertools.takewhile(lambda parts: len(set(parts)) == 1, zip(*ways, strict=False))
    )


def _texts(value: Any) -> Iterable[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for item in value.values():
            yield from _texts(item)
    elif isinstance(value, list):
        for item in value:
            yield from _texts(item)


def _is_text(content: bytes) -> bool:
    try:
        content.decode()
    except UnicodeDecodeError:
        return False
    return True
