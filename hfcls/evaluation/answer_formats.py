"""From answers to bytes that are appended batch by batch: CSV, JSONL, Parquet."""

import csv
import json
import os
import re
from abc import ABC, abstractmethod
from collections.abc import Iterator
from io import StringIO
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from hfcls.errors import UserError
from hfcls.escaping import spreadsheet_text, utf8_text
from hfcls.evaluation.answers import Answers, RowLayout
from hfcls.registry import Registry

_ROW_GROUP_BYTES = 32 * 2**20
# Characters that JSON leaves as they are and that some readers take for the end of a line.
_OTHER_LINE_BREAKS = re.compile("[\x85\u2028\u2029]")


class Piece(NamedTuple):
    """Whole rows that a part file holds.

    Attributes:
        end: where they end in the file, in bytes.
        rows: how many.
        failed: how many of them have an error.
    """

    end: int
    rows: int
    failed: int


class AnswerFormat(ABC):
    """One kind of file; while it grows it is a part file: a header, and then pieces that are appended.

    Args:
        layout: of the rows.
    """

    def __init__(self, layout: RowLayout):
        self.layout = layout

    @abstractmethod
    def header(self) -> bytes:
        """What a part file starts with."""

    @abstractmethod
    def encode(self, answers: Answers) -> bytes:
        """One batch, to be appended."""

    @abstractmethod
    def pieces(self, part: Path) -> Iterator[Piece]:
        """The whole pieces after the header; a torn end is passed over."""

    def finished(self, part: Path) -> Path:
        """Where the whole file lies, made of the whole part file: that one itself, or another one beside it."""
        return part


class _Lines(AnswerFormat):
    """One row is one line, and tells by its end whether it has an error."""

    read_well: bytes

    def pieces(self, part: Path) -> Iterator[Piece]:
        """See `AnswerFormat`."""
        with part.open("rb") as file:
            end = file.seek(len(self.header()))
            for line in file:
                if not line.endswith(b"\n"):
                    return
                end += len(line)
                yield Piece(end, 1, 0 if line.endswith(self.read_well) else 1)


class CsvFormat(_Lines):
    """``id, label_1, score_1, ...``, a column per class if all are given, ``verdict, possible`` if judged, ``error``.

    ``possible`` is a JSON list of class names, the likeliest first.
    Text is safe to open in a spreadsheet: see `hfcls.escaping.spreadsheet_text`.
    """

    read_well = b",\n"

    def header(self) -> bytes:
        """See `AnswerFormat`."""
        return _csv_line([spreadsheet_text(column) for column in self.layout.columns]).encode()

    def encode(self, answers: Answers) -> bytes:
        """See `AnswerFormat`."""
        names = [spreadsheet_text(name) for name in self.layout.class_names]
        likeliest = self.layout.likeliest(answers).tolist()
        empty = [""] * (len(self.layout.columns) - 2)
        lines = []
        for row, (sample_id, error) in enumerate(zip(answers.ids, answers.errors, strict=True)):
            cells = empty
            if error is None:
                scores = answers.probabilities[row].tolist()
                cells = [cell for i in likeliest[row] for cell in (names[i], f"{scores[i]:.6g}")]
                cells += [f"{score:.6g}" for score in scores] if self.layout.all_probabilities else []
                if self.layout.judged and answers.verdicts is not None:
                    possible = json.dumps(self.layout.possible(answers, row), ensure_ascii=False)
                    cells += [answers.verdicts[row], possible]
            lines.append(_csv_line([spreadsheet_text(sample_id), *cells, spreadsheet_text(error or "")]))
        return "".join(lines).encode()


class JsonlFormat(_Lines):
    """A JSON object per line; all text is read back as it was, lone surrogates too."""

    read_well = b'"error": null}\n'

    def header(self) -> bytes:
        """See `AnswerFormat`."""
        return b""

    def encode(self, answers: Answers) -> bytes:
        """See `AnswerFormat`."""
        lines = [json.dumps(row, ensure_ascii=False, allow_nan=False) for row in self.layout.rows(answers)]
        text = "".join(_OTHER_LINE_BREAKS.sub(lambda found: f"\\u{ord(found[0]):04x}", line) + "\n" for line in lines)
        return text.encode("utf-8", "backslashreplace")


class ParquetFormat(AnswerFormat):
    """The columns of the CSV file with all text as it is, scores in float32; grows as Arrow messages."""

    def __init__(self, layout: RowLayout):
        super().__init__(layout)
        kinds = {"id": pa.string(), "error": pa.string()}
        kinds |= {name: pa.string() for name in layout.rank_columns[::2]}
        kinds |= dict(zip(layout.judgement_columns, (pa.string(), pa.list_(pa.string())), strict=False))
        fields = [(utf8_text(name), kinds.get(name, pa.float32())) for name in layout.columns]
        self._schema = pa.schema(fields, metadata={"class_names": json.dumps(layout.class_names)})

    def header(self) -> bytes:
        """See `AnswerFormat`."""
        return self._schema.serialize().to_pybytes()

    def encode(self, answers: Answers) -> bytes:
        """See `AnswerFormat`."""
        known = np.array([error is None for error in answers.errors])
        likeliest = self.layout.likeliest(answers)
        scores = np.take_along_axis(answers.probabilities, likeliest, axis=1)
        names = np.array([utf8_text(name) for name in self.layout.class_names], dtype=object)[likeliest]
        columns = [pa.array([utf8_text(sample_id) for sample_id in answers.ids], pa.string())]
        for rank in range(self.layout.top_k):
            columns += [pa.array(names[:, rank], pa.string(), mask=~known), _floats(scores[:, rank], known)]
        if self.layout.all_probabilities:
            columns += [_floats(column, known) for column in answers.probabilities.T]
        if self.layout.judged and answers.verdicts is not None:
            rows = range(len(answers))
            possible = [[utf8_text(name) for name in self.layout.possible(answers, row)] for row in rows]
            columns.append(pa.array(answers.verdicts, pa.string(), mask=~known))
            columns.append(pa.array(possible, pa.list_(pa.string()), mask=~known))
        columns.append(pa.array([error and utf8_text(error) for error in answers.errors], pa.string()))
        return pa.record_batch(columns, schema=self._schema).serialize().to_pybytes()

    def pieces(self, part: Path) -> Iterator[Piece]:
        """See `AnswerFormat`."""
        for batch, end in self._batches(part):
            yield Piece(end, batch.num_rows, batch.num_rows - batch.columns[-1].null_count)

    def finished(self, part: Path) -> Path:
        """See `AnswerFormat`."""
        # Its name ends like no table's: the output may lie in the folder whose images are classified.
        aside = part.with_name(part.name + ".whole")
        with aside.open("wb") as file:
            with pq.ParquetWriter(file, self._schema) as writer:
                waiting: list[pa.RecordBatch] = []
                for batch, _ in self._batches(part):
                    waiting.append(batch)
                    if sum(b.nbytes for b in waiting) > _ROW_GROUP_BYTES:
                        writer.write_table(pa.Table.from_batches(waiting))
                        waiting = []
                writer.write_table(pa.Table.from_batches(waiting, schema=self._schema))
            file.flush()
            os.fsync(file.fileno())
        return aside

    def _batches(self, part: Path) -> Iterator[tuple[pa.RecordBatch, int]]:
        with pa.OSFile(str(part)) as file:
            file.seek(len(self.header()))
            while True:
                try:
                    message = pa.ipc.read_message(file)
                except (EOFError, OSError, pa.ArrowInvalid):  # the end, or a message that was cut short
                    return
                yield pa.ipc.read_record_batch(message, self._schema), file.tell()


FORMATS: Registry[type[AnswerFormat]] = Registry(
    "output format", {".csv": CsvFormat, ".jsonl": JsonlFormat, ".parquet": ParquetFormat}
)


def format_for(output: Path) -> type[AnswerFormat]:
    """The format that a file's name asks for.

    Raises:
        UserError: none ends like that.
    """
    if output.suffix.lower() not in FORMATS:
        raise UserError(f"--output {str(output)!r}: expected a name that ends in {', '.join(FORMATS)}.")
    return FORMATS[output.suffix.lower()]


def _csv_line(cells: list[str]) -> str:
    text = StringIO()
    csv.writer(text, lineterminator="\n").writerow(cells)
    return text.getvalue()


def _floats(values: np.ndarray, known: np.ndarray) -> pa.Array:
    return pa.array(values.astype(np.float32), mask=~known)
