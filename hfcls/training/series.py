"""A directory that many trainings fill: its settings, who works there, and going on after a stop."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml
from filelock import FileLock, Timeout

from hfcls.errors import UserError
from hfcls.files import write_text
from hfcls.parsing import dump_yaml
from hfcls.training.run_directory import check_no_file, check_nothing_inside

# What may differ from one start to the next: where it runs, not what comes out, but for last bits that threads change.
FREE = frozenset(
    (
        *("output_dir", "overwrite_output_dir", "disable_tqdm", "processes", "cache_gb", "dataloader_num_workers"),
        *("log_level", "log_level_replica", "dataloader_pin_memory", "dataloader_persistent_workers"),
        *("repeats", "keep_ensemble"),  # more of the same
    )
)


def check_place(directory: Path, values: dict[str, Any], *, file: str, command: str, overwrite: bool = False) -> bool:
    """Whether the trainings may go there; changes nothing.

    Args:
        values: flags by name, as they were given.
        file: name of the file that keeps them.
        command: such as ``crossval``, for messages.
        overwrite: what the directory holds may go, if it is of this kind and nothing in it is needed.

    Returns:
        Whether something was begun there that goes on.

    Raises:
        UserError: the directory holds something else, or was begun with other flags.
    """
    check_no_file(directory)
    own = directory / file
    if not own.is_file():
        if directory.is_dir() and any(not _is_ours(entry) for entry in directory.iterdir()):
            raise UserError(
                f"--output_dir {directory} is not empty, and no `hfcls {command}` was begun there: choose another one."
            )
        return False
    check_nothing_inside(directory, {**values, "overwrite_output_dir": overwrite})
    if not overwrite:
        _compare(_settings(values), _read(own), own)
    return not overwrite


def settle(directory: Path, values: dict[str, Any], *, file: str, command: str, overwrite: bool = False) -> None:
    """Makes the directory ready, once everything else is known to be in order; see `check_place`."""
    if overwrite:
        _empty(directory)
    more: dict[str, Any] = {name: values[name] for name in ("repeats", "keep_ensemble") if name in values}
    again = f"# hfcls {command} --config {file} --output_dir ANOTHER; the same command again goes on after a stop.\n"
    write_text(directory / file, again + dump_yaml({**_settings(values), **more}))


def _settings(values: dict[str, Any]) -> dict[str, Any]:
    """What must stay as it is."""
    return {name: value for name, value in sorted(values.items()) if name not in FREE and value is not None}


@contextmanager
def alone(directory: Path) -> Iterator[None]:
    """No other process works there meanwhile.

    Raises:
        UserError: one does.
    """
    directory.mkdir(parents=True, exist_ok=True)
    lock = FileLock(directory / ".lock")
    try:
        lock.acquire(blocking=False)
    except Timeout:
        raise UserError(f"Another process works in {directory}: wait for it, or choose another --output_dir.") from None
    try:
        yield
    finally:
        lock.release()


def _empty(directory: Path) -> None:
    """All but the lock goes; the settings last, so that a kill in between leaves it recognizable."""
    entries = sorted(directory.iterdir(), key=lambda entry: entry.suffix == ".yaml")
    for entry in entries:
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry)
        elif entry.name != ".lock":
            entry.unlink()


def _is_ours(entry: Path) -> bool:
    """A lock, or what a kill left of writing the settings."""
    return entry.name == ".lock" or entry.suffix == ".part"


def _read(file: Path) -> dict[str, Any]:
    try:
        content = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise UserError(f"{file} cannot be read ({' '.join(str(error).split())}).") from None
    return content if isinstance(content, dict) else {}


def _compare(now: dict[str, Any], before: dict[str, Any], file: Path) -> None:
    for name in sorted((now.keys() | before.keys()) - FREE):
        if now.get(name) != before.get(name):
            raise UserError(
                f"--{name} was {before.get(name)} and is now {now.get(name)}: {file.parent} was begun with what "
                f"{file.name} says. Give the same, another --output_dir, or --overwrite_output_dir to begin anew."
            )
