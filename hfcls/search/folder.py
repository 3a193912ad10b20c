"""The folder of a search: the files that keep its settings, so that the same command goes on there, and its locks."""

import os
import shutil
from collections.abc import Mapping
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import yaml
from filelock import FileLock, Timeout

from hfcls.command_arguments import SearchArguments
from hfcls.errors import UserError
from hfcls.files import write_json, write_text
from hfcls.parsing import dump_yaml
from hfcls.search.plan import Plan
from hfcls.search.space import Space
from hfcls.training.run_directory import DATA, check_no_file, check_nothing_inside, read_data_summary

SETTINGS, SPACE, LOCK = "search.yaml", "space.yaml", "study.lock"
# What may differ when a search goes on: how much more of it, where, and what is made of it in the end.
_FREE = frozenset(
    ("trials", "hours", "workers", "refit", "space", "output_dir", "overwrite_output_dir", "cache_gb", "use_cpu")
)


def is_search(folder: Path) -> bool:
    """Whether a search was begun there."""
    return (folder / SETTINGS).is_file()


def open_folder(plan: Plan, values: Mapping[str, Any], data: dict[str, Any], *, overwrite: bool) -> bool:
    """Makes the folder of a search ready, or finds that it goes on there.

    Args:
        values: all flags of the command.
        data: summary of the data, as a run has it in ``data.json``.
        overwrite: what is there may be replaced.

    Returns:
        Whether it goes on.

    Raises:
        UserError: the folder holds something else, or a search with other settings or on other data, or one that
            still runs, or what the new one starts from; or its disk has no locks.
    """
    folder = plan.folder
    if overwrite:
        _check_nothing_inside(plan, values)
    check_no_file(folder)
    kept = {LOCK, SPACE, DATA, *(f".{name}.part" for name in (SETTINGS, SPACE, DATA))}
    if folder.is_dir() and not is_search(folder) and set(os.listdir(folder)) - kept:
        raise UserError(f"--output_dir {folder} holds files that no search wrote: choose another place.")
    folder.mkdir(parents=True, exist_ok=True)
    _check_locks(folder)
    with study_lock(folder):
        if overwrite:
            _remove(folder)
        now = _settings(values)
        there = is_search(folder)
        if there:
            _compare(folder, now, plan.space)
            _compare_data(folder, data)
        else:
            write_json(folder / DATA, data)
            write_text(folder / SPACE, dump_yaml(_space_content(plan.space)))
        header = (
            "# All flags of this search. It goes on, or gets one more worker, by: hfcls search --config search.yaml\n"
        )
        write_text(folder / SETTINGS, header + dump_yaml(now))
    return there


def _check_nothing_inside(plan: Plan, values: Mapping[str, Any]) -> None:
    """What is to be overwritten must not be what the search starts from; its own space is read by now, and stays.

    Raises:
        UserError: it is.
    """
    check_nothing_inside(plan.folder, {**values, "overwrite_output_dir": True})
    for one in plan.space.dimensions:
        for choice in one.choices:
            check_nothing_inside(plan.folder, {one.name: choice, "overwrite_output_dir": True})
    space, folder = Path(values["space"]).expanduser().resolve(), plan.folder.resolve()
    if space.is_relative_to(folder) and space != folder / SPACE:
        raise UserError(
            f"--space {values['space']} lies in --output_dir, which --overwrite_output_dir would remove: move it."
        )


def _check_locks(folder: Path) -> None:
    """Only the system's locks go with a process that dies; filelock makes do with files that do not.

    Raises:
        UserError: the disk has none.
    """
    try:
        import fcntl
    except ImportError:
        return  # Windows has them everywhere
    with (folder / LOCK).open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return  # another process holds it, so there are locks
        except OSError as error:
            raise UserError(
                f"--output_dir {folder} lies on a disk without file locks ({error.strerror}), which a search needs: "
                "choose another place."
            ) from None


def study_lock(folder: Path) -> FileLock:
    """Whoever changes the list of trials holds it; a process that dies lets it go."""
    return FileLock(folder / LOCK)


def trial_lock(folder: Path, number: int) -> FileLock:
    """Whoever trains a trial holds it for as long as it does; a process that dies lets it go."""
    place = folder / "locks"
    place.mkdir(exist_ok=True)
    return FileLock(place / f"{number + 1:04d}.lock", timeout=0)


def _remove(folder: Path) -> None:
    """Empties the folder, the search's settings first, so that a kill in between leaves no half of a search."""
    for lock in sorted((folder / "locks").glob("*.lock")):
        try:
            with FileLock(lock, timeout=0):
                pass
        except Timeout:
            raise UserError(f"--output_dir {folder}: trial {int(lock.stem)} is being trained; stop it first.") from None
    (folder / SETTINGS).unlink(missing_ok=True)
    for path in folder.iterdir():
        if path.name != LOCK:
            shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()


def _settings(values: Mapping[str, Any]) -> dict[str, Any]:
    """What ``search.yaml`` holds."""
    defaults = {f.name: f.default for f in fields(SearchArguments)}
    # Where it lies itself says where its space and its trials are.
    idle = ("overwrite_output_dir", "space", "output_dir")
    return {name: value for name, value in values.items() if name not in idle and value != defaults.get(name)}


def _space_content(space: Space) -> dict[str, Any]:
    content: dict[str, Any] = {}
    for one in space.dimensions:
        if one.choices:
            content[one.name] = list(one.choices)
            continue
        row = {key: value for key, value in asdict(one).items() if key in ("low", "high", "step", "log", "points")}
        content[one.name] = {key: value for key, value in row.items() if value is not None and value is not False}
    return content


def _compare_data(folder: Path, data: Mapping[str, Any]) -> None:
    """Whether the search that is there has the same data.

    Raises:
        UserError: it has not.
    """
    before = read_data_summary(folder)
    if before is not None and before["fingerprint"] != data["fingerprint"]:
        raise UserError(
            f"The data has changed since the search in {folder} began (fingerprint {before['fingerprint']}, now "
            f"{data['fingerprint']}), and trials on different data cannot be compared: restore it, or begin anew with "
            "--overwrite_output_dir or in another place."
        )


def _compare(folder: Path, now: Mapping[str, Any], space: Space) -> None:
    """Whether the search that is there has the same settings.

    Raises:
        UserError: it has not.
    """
    otherwise = "a search goes on with its own settings; begin anew with --overwrite_output_dir, or in another place."
    try:
        before = yaml.safe_load((folder / SETTINGS).read_text(encoding="utf-8"))
        varied = yaml.safe_load((folder / SPACE).read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise UserError(f"{folder} cannot be read ({' '.join(str(error).split())}).") from None
    for name in sorted(before.keys() | now.keys()):
        if name not in _FREE and before.get(name) != now.get(name):
            raise UserError(f"--{name} was {before.get(name)} in {folder} and is now {now.get(name)}: {otherwise}")
    wanted = _space_content(space)
    for name in [*varied, *wanted]:
        if varied.get(name) != wanted.get(name):
            raise UserError(f"{name} varied over {varied.get(name)} and is now {wanted.get(name)}: {otherwise}")
