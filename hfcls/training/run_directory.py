"""The run directory: who may write there, and the small files in it."""

import errno
import json
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import fields
from pathlib import Path
from typing import Any

import yaml

from hfcls.arguments import TRAIN_ARGUMENTS
from hfcls.errors import UserError
from hfcls.files import write_json, write_text
from hfcls.parsing import dump_yaml
from hfcls.training.learned import LEARNED

SETTINGS, DATA = "run.yaml", "data.json"

# What may differ in a resumed run without changing its weights.
_FREE = frozenset(
    (
        *("output_dir", "overwrite_output_dir", "resume_from_checkpoint", "disable_tqdm", "report_to", "run_name"),
        *("save_total_limit", "logging_first_step", "log_level", "log_level_replica", "project", "use_cpu"),
        *("per_device_eval_batch_size", "early_stopping_patience", "early_stopping_threshold", "allow_pickle"),
        *("trust_remote_code", "dataset_name", "train_dir", "validation_dir", "test_dir", "dataloader_num_workers"),
        # These show in the fingerprint of the data, where they matter.
        *("image_dir", "image_column_name", "label_column_name", "class_mapping", "samples", "on_bad_image"),
        *("exclude", "relabel", "max_image_pixels", "max_train_samples", "max_eval_samples", "max_test_samples"),
        *("group_column_name", "group_pattern"),
        *("dataloader_pin_memory", "accelerator_config", "dataloader_persistent_workers", "dataloader_prefetch_factor"),
    )
)
# Of those, what nothing else checks where the images come as a stream.
_STREAM = frozenset(
    (
        *("dataset_name", "train_dir", "image_column_name", "label_column_name", "class_mapping", "on_bad_image"),
        *("max_image_pixels", "dataloader_num_workers"),
    )
)
# What changes them, as someone may want who lengthens a training.
_SCHEDULE = frozenset(("num_train_epochs", "max_steps"))
# Flags that name what a run starts from.
_INPUTS = (
    *("model_name_or_path", "weights", "dataset_name", "train_dir", "validation_dir", "test_dir", "image_dir"),
    *("samples", "class_mapping", "exclude", "relabel", "class_weight"),
)


def is_run(path: Path) -> bool:
    """Whether a run was begun there."""
    return (path / SETTINGS).is_file()


def check_run_directory(path: Path, *, resume: bool | None, overwrite: bool) -> None:
    """Whether a run may go there; changes nothing.

    Args:
        resume: it may hold a run, which goes on; None where none of its kind could.
        overwrite: it may hold a run, which `open_run_directory` will remove.

    Raises:
        UserError: it cannot be made, or holds what must not be lost.
    """
    check_no_file(path)
    if resume and overwrite:
        raise UserError("--overwrite_output_dir and --resume_from_checkpoint contradict each other: give one of them.")
    if not path.is_dir() or not os.listdir(path):
        return
    if resume and not is_run(path):
        raise UserError(f"--output_dir {path} holds no {SETTINGS}: there is no run there to resume.")
    if not resume and not _holds_nothing_trained(path):
        if not overwrite:
            ways = "choose another one or replace it with --overwrite_output_dir"
            if resume is not None:
                ways = f"{ways.replace(' or', ',')}, or go on with --resume_from_checkpoint auto"
            raise UserError(f"--output_dir {path} is not empty: {ways}.")
        if not is_run(path):
            raise UserError(f"--output_dir {path} holds files that no run wrote: choose another one.")


def check_no_file(path: Path) -> None:
    """A directory can be made there.

    Raises:
        UserError: it, or one above, is a file.
    """
    for parent in [path, *path.parents]:
        if parent.exists() and not parent.is_dir():
            raise UserError(f"--output_dir {path} cannot be made: {parent} is a file. Choose another place.")


def open_run_directory(path: Path, *, resume: bool) -> None:
    """Makes the directory ready, once everything else is known to be in order; what it held goes unless it is resumed.

    Raises:
        UserError: it cannot be made or written.
    """
    if path.is_dir() and os.listdir(path) and not resume:
        # Renamed first, so that a kill in between leaves no half of a run under its name.
        aside = path.with_name(f".{path.name}-replaced-{os.getpid()}")
        os.replace(path, aside)
        shutil.rmtree(aside)
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"--output_dir {path} cannot be made: {error.strerror}.") from None
    if not os.access(path, os.W_OK):
        raise UserError(f"--output_dir {path} cannot be written: no permission.")


def check_nothing_inside(run_dir: Path, values: dict[str, Any]) -> None:
    """What is to be overwritten must not be what the run starts from.

    Raises:
        UserError: it is.
    """
    for name in _INPUTS:
        place = values.get(name)
        if values.get("overwrite_output_dir") and place and Path(place).resolve().is_relative_to(run_dir.resolve()):
            raise UserError(f"--{name} {place} lies in --output_dir, which --overwrite_output_dir would remove.")


def _holds_nothing_trained(path: Path) -> bool:
    """A run that ended before its first step left only its settings."""
    return {entry.name for entry in path.iterdir()} <= {SETTINGS, DATA, LEARNED}


@contextmanager
def writing(path: Path, *, then: str = "go on with --resume_from_checkpoint auto") -> Iterator[None]:
    """Turns a full disk, a quota or a file size limit, as each library words it, into a `UserError`.

    Args:
        then: what to do once there is room.
    """
    try:
        yield
    except Exception as error:
        reason = _disk_reason(error)
        if reason is None:
            raise
        raise UserError(f"{path} cannot be written ({reason}): make room, then {then}.") from None


def _disk_reason(error: Exception) -> str | None:
    full = {errno.ENOSPC, errno.EFBIG, errno.EDQUOT}
    quoted = re.search(r"os error (\d+)", str(error))  # safetensors
    number = error.errno if isinstance(error, OSError) and error.errno else int(quoted[1]) if quoted else None
    if number in full:
        return os.strerror(number).lower()
    if isinstance(error, RuntimeError) and ("PytorchStreamWriter" in str(error) or "inline_container" in str(error)):
        return "no space left, or a file size limit"
    return None


def write_settings(run_dir: Path, settings: dict[str, Any], summary: dict[str, Any]) -> None:
    """``run.yaml`` and ``data.json``."""
    header = "# Every argument of this run, resolved. Again: hfcls train --config run.yaml --output_dir ANOTHER\n"
    write_text(run_dir / SETTINGS, header + dump_yaml(settings))
    write_json(run_dir / DATA, summary)


def read_settings(path: Path) -> dict[str, Any]:
    """``run.yaml`` of a run.

    Raises:
        UserError: the directory holds none, or it cannot be read.
    """
    try:
        settings = yaml.safe_load((path / SETTINGS).read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise UserError(f"{path / SETTINGS} cannot be read ({' '.join(str(error).split())}).") from None
    if not isinstance(settings, dict):
        raise UserError(f"{path / SETTINGS} holds no settings: expected lines of `flag: value`.")
    return settings


def read_data_summary(path: Path) -> dict[str, Any] | None:
    """``data.json`` of a run, or None where there is none.

    Raises:
        UserError: it is not what a run writes.
    """
    file = path / DATA
    if not file.is_file():
        return None
    try:
        summary = json.loads(file.read_text(encoding="utf-8"))
        if not {"fingerprint", "class_names"} <= summary.keys():
            raise ValueError("it lacks the fingerprint or the classes")
    except (ValueError, AttributeError) as error:
        raise UserError(f"{file} is not what a run writes ({error}).") from None
    return summary


def compare_settings(before: dict[str, Any], now: dict[str, Any], *, streamed: bool = False) -> list[str]:
    """Whether a run can go on with these settings as if it had not stopped.

    Args:
        streamed: the training images come as a stream, which has no fingerprint that would tell of a change.

    Returns:
        Notices on a changed length.

    Raises:
        UserError: anything else differs that would make the resumed run another one.
    """
    notices = []
    # A flag that is newer than the run stood at its default then.
    defaults = {f.name: f.default for cls in TRAIN_ARGUMENTS for f in fields(cls)}
    for name in sorted(before.keys() | now.keys()):
        old, new = (settings.get(name, defaults.get(name)) for settings in (before, now))
        off = all(value in (None, 0, "none") for value in (old, new))  # a step that is not taken, in several words
        if old == new or off or (name in _FREE and not (streamed and name in _STREAM)) or name.startswith("logging_"):
            continue
        change = f"--{name} was {old} and is now {new}"
        if name not in _SCHEDULE:
            raise UserError(f"{change}: a resumed run must have its old settings (run.yaml), or go to another place.")
        notices.append(f"{change}: the learning rate follows the new length from here on.")
    return notices
