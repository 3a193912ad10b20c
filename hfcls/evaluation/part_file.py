"""A file of answers that grows under another name, outlives a kill, and gets its own name when it is whole."""

import json
import os
from pathlib import Path
from typing import Any, BinaryIO

from hfcls.errors import UserError
from hfcls.evaluation.answer_formats import AnswerFormat
from hfcls.evaluation.answers import Answers
from hfcls.files import write_json


def check_output(output: Path, *, resume: bool, overwrite: bool) -> None:
    """Whether answers may go there; changes nothing.

    Raises:
        UserError: something is there that must not be lost, or nothing that could be resumed.
    """
    part = part_of(output)
    if resume and overwrite:
        raise UserError("--overwrite and --resume contradict each other: give one of them.")
    for parent in output.parents:
        if parent.exists() and not parent.is_dir():
            raise UserError(
                f"--output {str(output)!r} cannot be made: {str(parent)!r} is a file. Choose another place."
            )
    if output.is_dir():
        raise UserError(f"--output {str(output)!r} is a directory: give the name of a file.")
    if resume:
        if _finished_by(_record_of(output), output):
            return
        if output.exists() and not part.exists():
            raise UserError(f"{str(output)!r} is finished: there is nothing to resume. Make it anew with --overwrite.")
        if output.exists() and not _read_record(output).get("overwrite"):
            raise UserError(
                f"{str(output)!r} is not what is to be resumed: move it, or start anew with --overwrite, "
                f"which also drops {part.name!r}."
            )
    elif not overwrite and part.exists():
        raise UserError(
            f"{str(part)!r} is an unfinished {output.name!r}: go on with --resume, or start anew with --overwrite."
        )
    elif not overwrite and output.exists():
        raise UserError(f"--output {str(output)!r} exists: choose another name, or replace it with --overwrite.")


def part_of(output: Path) -> Path:
    """Where answers wait until the file is whole."""
    return output.with_name(output.name + ".part")


class PartFile:
    """Answers on their way into a file; whole batches are on disk as soon as they are appended.

    Args:
        output: where the finished file goes.
        format: of the file.
        record: what must be the same for a resumed run to end with the same bytes, by the name that the user knows;
            kept beside the part file.
        batch_size: images in a batch: a resumed run forms the same ones, since its answers hang on that by a bit.
        total: images in all.
        resume: go on with the part file that is there.
        overwrite: begin anew whatever is there; the old output stays until the new one is whole.

    Attributes:
        rows: how many are there.
        failed: how many of them have an error.
        notices: what is to be said about the resumption.

    Raises:
        UserError: another run writes there, or the part file is of another run.
    """

    def __init__(
        self,
        output: Path,
        format: AnswerFormat,
        record: dict[str, Any],
        *,
        batch_size: int,
        total: int,
        resume: bool = False,
        overwrite: bool = False,
    ):
        check_output(output, resume=resume, overwrite=overwrite)
        output.parent.mkdir(parents=True, exist_ok=True)
        self._output, self._format, self._total = output, format, total
        self.rows, self.failed = 0, 0
        self.notices: list[str] = []
        self._part = part_of(output)
        self._whole = resume and _finished_by(_record_of(output), output)
        if self._whole:
            # All was done but the tidying up.
            before = _read_record(output)
            self.notices += _compare(output, before, record)
            self.rows, self.failed = total, before["finishing"]["failed"]
            self.notices.append(f"All of the {total:,} images were done before.")
        size = self._part.stat().st_size if self._part.exists() else 0
        self._file: BinaryIO = self._part.open("ab")
        try:
            _lock(self._file, output)
            if self._whole:
                pass
            elif resume and size >= len(format.header()):
                self._go_on(record, batch_size)
            else:
                if resume:
                    self.notices.append("There is nothing to resume yet: the run starts from the beginning.")
                self._begin(record, overwrite)
        except BaseException:
            self._file.close()
            raise

    def append(self, answers: Answers) -> None:
        """Adds one batch.

        Raises:
            UserError: the disk is full.
        """
        self._write(self._format.encode(answers))
        self.rows += len(answers)
        self.failed += answers.failed

    def finish(self) -> Path:
        """Gives the whole file its name.

        Returns:
            The output.
        """
        assert self.rows == self._total
        if not self._whole:
            os.fsync(self._file.fileno())
            whole = self._format.finished(self._part)
            # A kill from here on leaves word of which file it is that gets the name.
            finishing = _state(whole) | {"failed": self.failed}
            write_json(_record_of(self._output), _read_record(self._output) | {"finishing": finishing})
            os.replace(whole, self._output)
        self._part.unlink(missing_ok=True)
        self.close()
        _record_of(self._output).unlink()
        return self._output

    def close(self) -> None:
        """Lets go of the part file, which stays."""
        self._file.close()

    def _begin(self, record: dict[str, Any], overwrite: bool) -> None:
        # In this order, so that no kill leaves answers beside the record of other ones.
        self._file.truncate(0)
        write_json(_record_of(self._output), {"overwrite": overwrite} | record)
        self._write(self._format.header())

    def _go_on(self, record: dict[str, Any], batch_size: int) -> None:
        self.notices += _compare(self._output, _read_record(self._output), record)
        end, rows, failed = len(self._format.header()), 0, 0
        kept = (end, 0, 0)
        for piece in self._format.pieces(self._part):
            end, rows, failed = piece.end, rows + piece.rows, failed + piece.failed
            if rows % batch_size == 0 or rows == self._total:
                kept = (end, rows, failed)
        end, self.rows, self.failed = kept
        self._file.truncate(end)
        self.notices.append(f"{self.rows:,} of {self._total:,} images were done before: the run goes on from there.")

    def _write(self, content: bytes) -> None:
        try:
            self._file.write(content)
            self._file.flush()
        except OSError as error:
            raise UserError(
                f"{str(self._part)!r} cannot be written ({(error.strerror or str(error)).lower()}): make room, then go "
                "on with --resume."
            ) from None


def _record_of(output: Path) -> Path:
    return output.with_name(output.name + ".part.json")


def _state(path: Path) -> dict[str, int]:
    """What a file keeps when it is renamed."""
    status = path.stat()
    return {"size": status.st_size, "mtime_ns": status.st_mtime_ns}


def _finished_by(record: Path, output: Path) -> bool:
    """Whether the output is the whole file of the run that the record is of, which was killed while it tidied up."""
    try:
        finishing = json.loads(record.read_text(encoding="utf-8"))["finishing"]
        return finishing == _state(output) | {"failed": finishing["failed"]}
    except (OSError, ValueError, KeyError, TypeError):
        return False


def _read_record(output: Path) -> dict[str, Any]:
    path = _record_of(output)
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        raise UserError(
            f"{str(path)!r}, which says what the unfinished {output.name!r} is about, is gone or damaged: start anew "
            "with --overwrite."
        ) from None


def _compare(output: Path, before: dict[str, Any], now: dict[str, Any]) -> list[str]:
    """Notices on what may differ.

    Raises:
        UserError: something else differs.
    """
    notices = []
    for name, value in now.items():
        if before.get(name) == value:
            continue
        change = f"{name} was {before.get(name)} and is now {value}"
        if name != "threads":
            raise UserError(
                f"The unfinished {output.name!r} cannot be resumed: {change}. Give the old settings, or start anew "
                "with --overwrite."
            )
        notices.append(f"{change}: the last digits of scores may differ from those of an undisturbed run.")
    return notices


def _lock(file: BinaryIO, output: Path) -> None:
    """One run at a time, where the system and the file system can see to it; the lock ends with the process."""
    try:
        import fcntl
    except ImportError:
        return
    try:
        fcntl.flock(file.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise UserError(f"Another run is writing {str(output)!r}: wait for it, or choose another name.") from None
    except OSError:  # a file system that knows no locks
        return
