"""Cross-validation: a run for each fold, and what all of them say together."""

import json
import os
import shutil
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from hfcls.command_arguments import CrossvalArguments
from hfcls.files import write_json
from hfcls.metrics import compute_metrics
from hfcls.metrics.resampled import summarize_resampled
from hfcls.models import build_ensemble, load_classifier, save_classifier
from hfcls.structures import Predictions
from hfcls.training.checkpoints import remove_checkpoints
from hfcls.training.dealing import Fold, Pool
from hfcls.training.learned import keep_learned_by_all
from hfcls.training.run_directory import DATA, is_run
from hfcls.training.side_by_side import work_side_by_side
from hfcls.training.whole_run import train_whole

# Of the values that a metric can have, where these are not 0 and 1.
_ENDS = {"log_loss": (0.0, np.inf), "brier": (0.0, 2.0), "mcc": (-1.0, 1.0), "cohen_kappa": (-1.0, 1.0)}
RESULTS, SPLIT, ENSEMBLE = "crossval.json", "out_of_fold", "ensemble"


def is_done(run_dir: Path) -> bool:
    """Whether a training has ended there; its figures are the last thing that it writes."""
    return (run_dir / "metrics.json").is_file()


def train_fold(values: dict[str, Any]) -> float:
    """Trains a fold, or goes on with it.

    Args:
        values: flags of ``hfcls train``.

    Returns:
        Seconds.
    """
    start = time.perf_counter()
    run_dir = Path(values["output_dir"])
    if not is_done(run_dir):
        if not is_run(run_dir):
            shutil.rmtree(run_dir, ignore_errors=True)  # killed before it was a run
        train_whole({**values, "resume_from_checkpoint": "auto"} if is_run(run_dir) else values)
    remove_checkpoints(run_dir)
    return time.perf_counter() - start


def train_folds(folds: Sequence[Fold], *, processes: int, done: Callable[[Fold, float], None]) -> None:
    """Trains all folds that are not trained yet.

    Args:
        processes: that work side by side.
        done: is told of each that is done by now, and how many seconds it took.

    Raises:
        UserError: bad input; see the message.
        KeyboardInterrupt: Ctrl-C; all is saved.
    """
    for fold in folds:
        if is_done(fold.run_dir):
            done(fold, train_fold(fold.values))
    left = [fold for fold in folds if not is_done(fold.run_dir)]
    jobs = [fold.values for fold in left]
    for number, seconds in work_side_by_side(train_fold, jobs, processes=processes, threads=torch.get_num_threads()):
        done(left[number], seconds)


def fold_figures(fold: Fold) -> dict[str, Any]:
    """The figures of its held-out images, from ``metrics.json``."""
    content = json.loads((fold.run_dir / "metrics.json").read_text(encoding="utf-8"))
    figures: dict[str, Any] = content["splits"]["test"]
    return figures


def keep_ensemble(directory: Path, folds: Sequence[Fold]) -> dict[str, Any]:
    """Saves the networks of the first repeat as one classifier.

    Returns:
        Where it lies below the directory, and how many networks it has.

    Raises:
        UserError: networks of this kind cannot be members of an ensemble.
    """
    place = directory / ENSEMBLE
    own = [fold for fold in folds if fold.repeat == 1]
    if not place.is_dir():
        members = [load_classifier(str(fold.run_dir)) for fold in own]
        aside = directory / f".{ENSEMBLE}.part"
        shutil.rmtree(aside, ignore_errors=True)
        save_classifier(build_ensemble(members, names=[fold.name for fold in own]), aside)
        keep_learned_by_all(aside, [fold.run_dir for fold in own])
        os.replace(aside, place)
    return {"path": ENSEMBLE, "members": len(own)}


def gather(
    directory: Path,
    folds: Sequence[Fold],
    pool: Pool,
    arguments: CrossvalArguments,
    *,
    ensemble: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """What the folds say together: out-of-fold predictions, ``crossval.json`` and, for the report, ``metrics.json``.

    Args:
        ensemble: from `keep_ensemble`.

    Returns:
        What ``crossval.json`` holds.
    """
    rows, shares = [], []
    for fold in folds:
        rows.append(_row(directory, fold))
        splits = json.loads((fold.run_dir / DATA).read_text(encoding="utf-8"))["splits"]
        shares.append(splits["test"]["n"] / splits["train"]["n"])
    names = list(fold_figures(folds[0])["headline"])
    content = {
        "folds": arguments.folds,
        "repeats": arguments.repeats,
        "n": len(pool.ids),
        "class_names": list(pool.class_names),
        "left_out": pool.left_out,
        "grouped": pool.groups is not None,
        "train_runtime": sum(row["train_runtime"] or 0.0 for row in rows),
        "interval": {"confidence": 0.95, "method": "Student's t with the variance of Nadeau and Bengio (2003)"},
        "metrics": {name: _summarize(name, [row[name] for row in rows], float(np.mean(shares))) for name in names},
        "runs": rows,
        **({} if ensemble is None else {"ensemble": ensemble}),
    }
    for repeat in range(1, arguments.repeats + 1):
        own = [fold for fold in folds if fold.repeat == repeat]
        predictions = _out_of_fold(own, pool)
        predictions.save(directory / "predictions" / f"{out_of_fold_name(repeat)}.parquet")
        if repeat == 1:
            content["class_names"] = list(predictions.class_names)
            measured = {**compute_metrics(predictions), "crossval": content}
            write_json(directory / "metrics.json", {"splits": {SPLIT: measured}})
    write_json(directory / RESULTS, content)
    wanted = {out_of_fold_name(repeat) for repeat in range(1, arguments.repeats + 1)}
    for file in (directory / "predictions").glob(f"{SPLIT}*.parquet"):
        if file.stem not in wanted:
            file.unlink()  # of more repeats than are wanted now
    return content


def _row(directory: Path, fold: Fold) -> dict[str, Any]:
    """What a run says of its fold."""
    figures = fold_figures(fold)
    train = json.loads((fold.run_dir / "train_results.json").read_text(encoding="utf-8"))
    return {
        "repeat": fold.repeat,
        "fold": fold.number,
        "run": str(fold.run_dir.relative_to(directory)),
        "n": figures["n"],
        "train_runtime": train["train_runtime"],
        "epoch": train["epoch"],
        **{name: figure["value"] for name, figure in figures["headline"].items()},
    }


def out_of_fold_name(repeat: int) -> str:
    """Of the file of predictions; the first is the one that the report is about."""
    return SPLIT if repeat == 1 else f"{SPLIT}-{repeat}"


def _summarize(name: str, values: Sequence[float | None], test_share: float) -> dict[str, Any]:
    """Of one metric; the interval ends where the metric does."""
    known = [value for value in values if value is not None]
    if len(known) < 2:
        return {"mean": None, "reason": "undefined in all folds but one" if known else "undefined in every fold"}
    found: dict[str, Any] = vars(summarize_resampled(known, test_share=test_share))
    least, most = _ENDS.get(name, (0.0, 1.0))
    found |= {"low": max(found["low"], least), "high": min(found["high"], most)}
    if len(known) < len(values):
        found["reason"] = f"undefined in {len(values) - len(known)} of {len(values)} folds, which are left out"
    return found


def _out_of_fold(folds: Sequence[Fold], pool: Pool) -> Predictions:
    """Each sample once, in the order of the pool, by the network that has not seen it."""
    parts = [Predictions.load(fold.run_dir / "predictions" / "test.parquet") for fold in folds]
    names = parts[0].class_names
    ids = [sample_id for part in parts for sample_id in part.ids]
    places = {sample_id: place for place, sample_id in enumerate(ids)}
    if any(part.class_names != names for part in parts) or len(places) != len(ids) or places.keys() != set(pool.ids):
        raise RuntimeError("The folds do not cover each sample once.")
    order = [places[sample_id] for sample_id in pool.ids]
    logits = np.concatenate([part.logits for part in parts])[order]
    labels = np.concatenate([part.labels for part in parts])[order]
    return Predictions(logits, labels, pool.ids, names)
