"""CSV files that a spreadsheet can open without harm."""

import csv
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from hfcls.escaping import spreadsheet_text


def has_header(path: Path, header: Sequence[str]) -> bool:
    """Whether a file begins as `write_table` begins one with these columns."""
    with path.open("rb") as file:
        return file.readline(1000).rstrip(b"\r\n") == ",".join(header).encode()


def write_table(path: Path, header: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Writes a CSV file aside and then renames it; text is made harmless for a spreadsheet."""
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f".{path.name}.part")
    with aside.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(header)
        for row in rows:
            writer.writerow([spreadsheet_text(cell) if isinstance(cell, str) else cell for cell in row])
    os.replace(aside, path)
