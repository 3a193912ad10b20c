"""A run directory as a card reads it: its files are what they should be, and its figures those of its predictions."""

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from hfcls.arguments import TRAIN_ARGUMENTS
from hfcls.errors import UserError
from hfcls.evaluation.measured_run import MeasuredRun, read_run
from hfcls.hub.card.shapes import SHAPES, check_shape
from hfcls.metrics import compute_metrics
from hfcls.parsing import flags_of, training_flags
from hfcls.structures import Predictions

_TOLERANCE = 1e-9


def read_card_run(run_dir: Path) -> MeasuredRun:
    """A run as its report reads it; one without a measured split has none here either.

    Raises:
        UserError: it is no run directory, a file of it can't be read or is not what a run writes, or a figure is not
            that of the predictions.
    """
    if not (run_dir / "run.yaml").is_file() or not (run_dir / "config.json").is_file():
        raise UserError(f"{run_dir} is no finished run: expected a directory that `hfcls train` wrote.")
    files = {name: read_json(run_dir / name) for name in SHAPES}
    settings, metrics = _read_settings(run_dir / "run.yaml"), files["metrics.json"]
    for split, measured in (metrics.get("splits") or {}).items():
        _check_figures(run_dir, split, measured)
    # Without a split there is nothing that `read_run` could be asked about.
    run = read_run(run_dir) if metrics.get("splits") else MeasuredRun(run_dir, "", {})
    return MeasuredRun(
        run_dir,
        run.split,
        run.splits,
        metrics.get("speed") or {},
        files["data.json"],
        files["trainer_state.json"],
        settings,
        run.predictions,
        run.notices,
    )


def read_training(run_dir: Path) -> dict[str, Any]:
    """What ``metrics.json`` says of when, on what and with which versions the training has run."""
    found: dict[str, Any] = read_json(run_dir / "metrics.json").get("training") or {}
    return found


def read_json(path: Path) -> dict[str, Any]:
    """A mapping; an empty one where the file is missing.

    Raises:
        UserError: it can't be read, or is not what a run writes.
    """
    if not path.is_file():
        return {}
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise UserError(f"{path} can't be read ({error}).") from None
    check_shape(path, content)
    return content or {}


def _read_settings(path: Path) -> dict[str, Any]:
    """``run.yaml``, its numbers as numbers.

    Raises:
        UserError: it can't be read, or a flag has a value that it can't have.
    """
    try:
        settings = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise UserError(f"{path} can't be read ({' '.join(str(error).split())}).") from None
    if not isinstance(settings, dict) or not all(isinstance(name, str) for name in settings):
        raise UserError(f"{path} holds no settings: expected lines of `flag: value`.")
    flags = {flag.name: flag for cls in TRAIN_ARGUMENTS for flag in flags_of(cls)}
    flags |= {flag.name: flag for flag in training_flags()}
    for name, value in settings.items():
        if name in flags and value is not None:
            try:
                converted = flags[name].convert(value)
            except UserError as error:
                raise UserError(f"{path}: {error}") from None
            if isinstance(converted, int | float):
                settings[name] = converted
    return settings


def _check_figures(run_dir: Path, split: str, measured: dict[str, Any]) -> None:
    """Compares what was measured with the predictions, where they are kept; intervals alone are not drawn again.

    Raises:
        UserError: names the first figure that is another.
    """
    k, matrix = len(measured["class_names"]), measured.get("confusion_matrix")
    rows = measured.get("per_class") or []
    whole = (not matrix or [len(row) for row in matrix] == [k] * k) and all(0 <= row["index"] < k for row in rows)
    if not whole:
        raise UserError(f"{run_dir / 'metrics.json'}: splits.{split} does not have the {k} classes of class_names.")
    headline = measured.get("headline") or {}
    for name, figure in headline.items():
        value, low, high = (figure.get(key) for key in ("value", "low", "high"))
        if low is not None and not (value is not None and high is not None and low <= value <= high):
            raise UserError(f"{run_dir / 'metrics.json'}: the interval of {name} ({split}) does not hold its value.")
    file = run_dir / "predictions" / f"{split}.parquet"
    if not file.is_file():
        return
    found = compute_metrics(Predictions.load(file), resamples=0)
    pairs = [("n", measured["n"], found["n"]), ("class_names", measured["class_names"], found["class_names"])]
    known = found["headline"].keys() & headline.keys()
    pairs += [(name, headline[name].get("value"), found["headline"][name]["value"]) for name in sorted(known)]
    pairs += [
        (f"{key} of class {row['index']}", row[key], found["per_class"][row["index"]][key])
        for row in (rows if k == len(found["class_names"]) else ())
        for key in ("support", "precision", "recall", "f1")
        if key in row
    ]
    pairs.append(("confusion_matrix", matrix, found["confusion_matrix"]))
    for name, told, computed in pairs:
        if not _same(told, computed):
            shown = (
                f" is {told} in the one and {computed} in the other" if isinstance(told, int | float) else " is another"
            )
            raise UserError(
                f"metrics.json and predictions/{split}.parquet of {run_dir} disagree: {name}{shown}; a card tells "
                "what was measured, so restore the file that was changed."
            )


def _same(told: Any, computed: Any) -> bool:
    if isinstance(told, int | float) and isinstance(computed, int | float):
        return math.isclose(told, computed, rel_tol=0, abs_tol=_TOLERANCE)
    return bool(np.array_equal(told, computed)) if isinstance(told, list) else told == computed
