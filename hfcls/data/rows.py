"""The rows of a CSV, TSV, JSONL, JSON or Parquet file, one after another, without pandas' guesses."""

import csv
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from datasets import ClassLabel, Features

from hfcls.data.columns import class_name, is_text
from hfcls.errors import UserError

# So many rows are looked at to find the columns.
SAMPLE = 100
# Characters; a file without line breaks must not fill the memory.
_LONGEST_LINE = 1 << 24


@dataclass(frozen=True)
class Table:
    """A table that is read row by row.

    Attributes:
        path: of the file.
        word: what its rows are counted in: ``line`` of a text file or ``row``, from 1.
        names: of the columns, unnamed ones left out.
        sample: the first rows.
        rows: opens the file and gives (number, cells) for the names that it is called with.
    """

    path: Path
    word: str
    names: list[str]
    sample: Sequence[Mapping[str, Any]]
    rows: Callable[[Sequence[str]], Iterator[tuple[int, tuple[Any, ...]]]]


def open_table(path: Path) -> Table:
    """Reads the names of the columns and the first rows.

    Raises:
        UserError: the file cannot be read as what its suffix says.
    """
    opens = {".csv": _open_csv, ".tsv": _open_csv, ".json": _open_json, ".parquet": _open_parquet}
    table = opens.get(path.suffix.lower(), _open_json)(path)
    if not table.names:
        raise UserError(f"{path} names no columns: expected a header.")
    repeated = next((name for name in table.names if table.names.count(name) > 1), None)
    if repeated is not None:
        raise UserError(f"{path} has two columns called {repeated!r}: rename one.")
    return table


# -- CSV and TSV -----------------------------------------------------------------------------------------------


def _open_csv(path: Path) -> Table:
    with_header = _csv_rows(path)
    _, header = next(with_header, (0, []))
    if not header:
        raise UserError(f"{path} is empty: expected a line that names the columns, then one line per image.")
    header = [name.strip() for name in header]
    names = [name for name in header if name]
    sample = [dict(zip(header, cells, strict=True)) for _, cells in islice(with_header, SAMPLE)]

    def rows(chosen: Sequence[str]) -> Iterator[tuple[int, tuple[Any, ...]]]:
        places = [header.index(name) for name in chosen]
        for line, cells in islice(_csv_rows(path), 1, None):
            yield line, tuple([cells[place] for place in places])

    return Table(path, "line", names, sample, rows)


def _csv_rows(path: Path) -> Iterator[tuple[int, list[str]]]:
    """(line, cells) of every row that isn't blank; the header first."""
    lines = _lines(path)
    first = next(lines, None)
    if first is None:
        return
    unquoted = re.sub(r'"[^"]*"', "", first)
    delimiter = "\t" if path.suffix.lower() == ".tsv" else max(",;\t|", key=unquoted.count)
    reader = csv.reader(chain([first], lines), delimiter=delimiter, strict=True, skipinitialspace=True)
    width = 0
    line = 1
    try:
        for cells in reader:
            # A spreadsheet leaves rows of nothing but delimiters behind.
            if any(cells) and not "".join(cells).isspace():
                width = width or len(cells)
                if len(cells) != width:
                    raise UserError(f"{path}, line {line}: {len(cells)} cells where the header has {width}.")
                yield line, cells
            line = reader.line_num + 1
    except csv.Error as error:
        raise UserError(f"{path}, line {line}, cannot be read as CSV: {error}.") from None


def _lines(path: Path, longest: int = _LONGEST_LINE) -> Iterator[str]:
    """The lines with their ends, checked; `longest` in characters, -1 for any length."""
    number = 0
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            while line := file.readline(longest):
                number += 1
                if "\0" in line:
                    raise UserError(f"{path}, line {number}, holds a NUL byte: expected text in UTF-8.")
                if len(line) == longest:
                    raise UserError(f"{path}, line {number}, is longer than {longest:,} characters.")
                yield line
    except UnicodeDecodeError as error:
        byte = error.object[error.start]
        raise UserError(
            f"{path} is not text in UTF-8 (byte 0x{byte:02x} after line {number}): save it as UTF-8."
        ) from None
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}.") from None


# -- JSON ------------------------------------------------------------------------------------------------------


def _open_json(path: Path) -> Table:
    """One object per line, or (`.json` alone) one list of objects."""
    start = (line.lstrip() for line in _lines(path, -1) if not line.isspace()) if path.suffix == ".json" else iter(())
    word, records = ("row", _json_list) if next(start, "").startswith("[") else ("line", _json_lines)
    sample = [record for _, record in islice(records(path), SAMPLE)]
    if not sample:
        raise UserError(f"{path} is empty: expected one object per image.")
    names = list(dict.fromkeys(name for record in sample for name in record))

    def rows(chosen: Sequence[str]) -> Iterator[tuple[int, tuple[Any, ...]]]:
        for place, record in records(path):
            yield place, tuple([record.get(name) for name in chosen])

    return Table(path, word, names, sample, rows)


def _json_lines(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    for line, text in enumerate(_lines(path), 1):
        if not text.isspace():
            yield line, _record(_parsed(text, f"{path}, line {line},"), f"{path}, line {line},")


def _json_list(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    for row, value in enumerate(_parsed("".join(_lines(path, -1)), str(path)), 1):
        yield row, _record(value, f"{path}, row {row},")


def _parsed(text: str, where: str) -> Any:
    try:
        return json.loads(text)
    # RecursionError: brackets without end; ValueError: bad syntax, or a number of thousands of digits.
    except (ValueError, RecursionError) as error:
        raise UserError(f"{where} is not JSON: {error}.") from None


def _record(value: Any, where: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise UserError(f'{where} holds a {type(value).__name__}: expected an object such as {{"file_name": ...}}.')
    return value


# -- Parquet ---------------------------------------------------------------------------------------------------


def _open_parquet(path: Path) -> Table:
    try:
        with pq.ParquetFile(path) as file:
            schema = file.schema_arrow
            features = Features.from_arrow_schema(schema)
            texts = [name for name, feature in features.items() if is_text(feature)]
            sample = [row for batch in islice(file.iter_batches(SAMPLE, columns=texts), 1) for row in batch.to_pylist()]
    except (pa.ArrowException, ValueError, TypeError, KeyError, AttributeError, OSError) as error:
        raise UserError(f"{path} cannot be read as Parquet: {first_line(error)}") from None
    return Table(path, "row", schema.names, sample, lambda chosen: _parquet_rows(path, features, chosen))


def _parquet_rows(path: Path, features: Features, chosen: Sequence[str]) -> Iterator[tuple[int, tuple[Any, ...]]]:
    before = 0
    try:
        with pq.ParquetFile(path) as file:
            for batch in file.iter_batches(columns=list(chosen)):
                cells = [_plain(batch.column(name).to_pylist(), features[name], name) for name in chosen]
                yield from enumerate(zip(*cells, strict=True), before + 1)
                before += batch.num_rows
    except (pa.ArrowException, ValueError, OSError) as error:
        raise UserError(f"{path} cannot be read as Parquet after row {before}: {first_line(error)}") from None


def _plain(values: list[Any], feature: Any, column: str) -> list[Any]:
    """Class labels by their names, everything else as it is."""
    return [class_name(feature, value, column) for value in values] if isinstance(feature, ClassLabel) else values


def first_line(error: BaseException) -> str:
    """What an error says, for a message of one sentence."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]
