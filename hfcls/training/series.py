"""A directory that many trainings fill: its settings, who works there, and going on after a stop."""

import os
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

# What may differ from one start to the next: where it runs, not what comes out.
FREE = frozenset(
    (
        *("output_dir", "overwrite_output_dir", "disable_tqdm", "processes", "cache_gb", "dataloader_num_workers"),
        *("log_level", "log_level_replica", "dataloader_pin_memory", "dataloader_persistent_workers"),
    )
)


def settle(directory: Path, values: dict[str, Any], *, file: str, command: str, overwrite: bool = False) -> bool:
    """Makes the directory ready, or finds it as the same command left it.

    Args:
        values: flags by name, as they were given.
        file: name of the file that keeps them.
        command: such as ``crossval``, for messages.
        overwrite: what the directory holds goes, if it is of this kind.

    Returns:
        Whether something was begun there before.

    Raises:
        UserError: the directory holds something else, or was begun with other flags.
    """
    if directory.exists() and not directory.is_dir():
        raise UserError(f"--output_dir {directory} is a file: choose another place.")
    settings = {name: value for name, value in sorted(values.items()) if name not in FREE and value is not None}
    own = directory / file
    if own.is_file() and overwrite:
        _empty(directory)
    elif directory.is_dir() and not own.is_file() and any(not _is_ours(entry) for entry in directory.iterdir()):
        raise UserError(
            f"--output_dir {directory} is not empty, and no `hfcls {command}` was begun there: choose another one."
        )
    if own.is_file():
        _compare(settings, _read(own), own)
        return True
    directory.mkdir(parents=True, exist_ok=True)
    again = f"# hfcls {command} --config {file} --output_dir ANOTHER; the same command again goes on after a stop.\n"
    write_text(own, again + dump_yaml(settings))
    return False


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
    for name in sorted(now.keys() | before.keys()):
        if now.get(name) != before.get(name):
            raise UserError(
                f"--{name} was {before.get(name)} and is now {now.get(name)}: {file.parent} was begun with what "
                f"{file.name} says. Give the same, another --output_dir, or --overwrite_output_dir to begin anew."
            )


def remove_checkpoints(run_dir: Path) -> None:
    """Of a finished training: it will not go on."""
    for place in run_dir.glob("checkpoint-*"):
        # Renamed first, so that a kill in between leaves no half of one under its name.
        aside = place.with_name(f".{place.name}.removed")
        os.replace(place, aside)
    for aside in run_dir.glob(".checkpoint-*.removed"):
        shutil.rmtree(aside, ignore_errors=True)
