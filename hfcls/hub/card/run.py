"""A run directory as a card reads it."""

import json
from pathlib import Path
from typing import Any

import yaml

from hfcls.errors import UserError
from hfcls.evaluation.measured_run import MeasuredRun, read_run


def read_card_run(run_dir: Path) -> MeasuredRun:
    """A run as its report reads it; one without a measured split has none here either.

    Raises:
        UserError: it is no run directory, or a file of it can't be read.
    """
    if not (run_dir / "run.yaml").is_file() or not (run_dir / "config.json").is_file():
        raise UserError(f"{run_dir} is no finished run: expected a directory that `hfcls train` wrote.")
    metrics = read_json(run_dir / "metrics.json")
    if metrics.get("splits"):
        return read_run(run_dir)
    # Without a split there is nothing that `read_run` could be asked about.
    return MeasuredRun(
        run_dir,
        "",
        {},
        metrics.get("speed") or {},
        read_json(run_dir / "data.json"),
        read_json(run_dir / "trainer_state.json"),
        yaml.safe_load((run_dir / "run.yaml").read_text(encoding="utf-8")) or {},
    )


def read_training(run_dir: Path) -> dict[str, Any]:
    """What ``metrics.json`` says of when, on what and with which versions the training has run."""
    found: dict[str, Any] = read_json(run_dir / "metrics.json").get("training") or {}
    return found


def read_json(path: Path) -> dict[str, Any]:
    """A mapping; an empty one where the file is missing.

    Raises:
        UserError: it can't be read.
    """
    if not path.is_file():
        return {}
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(f"{path} can't be read ({error}).") from None
    return content if isinstance(content, dict) else {}
