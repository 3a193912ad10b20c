"""The files of a run without places of its machine: only those fields are read that hold places, never class names."""

import itertools
import json
import re
from collections.abc import Callable
from io import BytesIO
from typing import Any

import yaml

from hfcls.hub.paths import PLACE_FLAGS, Places, is_place
from hfcls.parsing import dump_yaml

_FLAGS = (*PLACE_FLAGS, "resume_from_checkpoint", "run_name", "logging_dir", "deepspeed", "members.*")
# By file: ways to texts that are paths from end to end, and to words that may hold some; "*" is any key or index.
_PATHS = {
    "data.json": ("dropped.*.id",),
    "trainer_state.json": ("best_model_checkpoint",),
    "ensemble.json": ("members.*.name",),
}
_WORDS = {
    "data.json": ("source", "stream.source", "splits.*.from", "dropped.*.reason", "notices.*"),
    "ensemble.json": ("source",),
}
# By file: what is for this machine alone. Digests of images would tell who has one that it was among them.
_KEPT_HERE = {"calibration.json": ("images",)}


def redact(name: str, content: bytes, places: Places) -> bytes:
    """A file as it is published; the same bytes where it names no place.

    Args:
        name: its path in the run.
        content: of the file.
        places: that the run is known to have used.

    Raises:
        ValueError: it is not what its name says.
    """
    if name.endswith(".parquet"):
        return _redact_parquet(content, places)
    if name == "run.yaml":
        text = content.decode()
        settings = yaml.safe_load(text)
        before = dump_yaml(settings)
        _change(settings, _FLAGS, places.shorten)
        if before == dump_yaml(settings):
            return content
        header = "".join(itertools.takewhile(lambda line: line.startswith("#"), text.splitlines(keepends=True)))
        return (header + dump_yaml(settings)).encode()
    if name not in _PATHS and name not in _KEPT_HERE:
        return content
    value = json.loads(content)
    before = json.dumps(value)
    for key in _KEPT_HERE.get(name, ()):
        value.pop(key, None)
    _change(value, _PATHS.get(name, ()), places.shorten)
    _change(value, _WORDS.get(name, ()), places.hide)
    return content if before == json.dumps(value) else f"{json.dumps(value, indent=2, ensure_ascii=False)}\n".encode()


def _change(value: Any, ways: tuple[str, ...], change: Callable[[str], str]) -> None:
    """Changes the texts at the end of ways within a value."""
    for way in ways:
        key, _, rest = way.partition(".")
        if isinstance(value, list):
            keys: list[Any] = list(range(len(value))) if key == "*" else []
        else:
            keys = ([*value] if key == "*" else [key] if key in value else []) if isinstance(value, dict) else []
        for one in keys:
            if rest:
                _change(value[one], (rest,), change)
            elif isinstance(value[one], str):
                value[one] = change(value[one])


def _redact_parquet(content: bytes, places: Places) -> bytes:
    """A table none of whose texts begins with a place."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = before = pq.read_table(BytesIO(content))
    for number, column in enumerate(table.schema):
        if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
            values = table.column(number).to_pylist()
            shortened = _shorten_ids(values, places)
            if shortened != values:
                table = table.set_column(number, column, pa.array(shortened, column.type))
    if table is before:
        return content
    stream = BytesIO()
    pq.write_table(table, stream)
    return stream.getvalue()


def _shorten_ids(values: list[str | None], places: Places) -> list[str | None]:
    """Paths outside the known places keep their way from the folder that they share, since ids must stay apart."""
    outside = {value for value in values if value and is_place(value) and not places.starts(value)}
    folders = [re.split(r"[/\\](?=[^/\\]*$)", value)[0] for value in outside]
    shared = len(_shared([re.split(r"([/\\])", folder) for folder in folders]))
    return [
        value[shared:].lstrip("/\\") if value in outside else places.shorten(value) if value else value
        for value in values
    ]


def _shared(ways: list[list[str]]) -> str:
    """The folder that all lie in."""
    return "".join(
        parts[0] for parts in itertools.takewhile(lambda parts: len(set(parts)) == 1, zip(*ways, strict=False))
    )
