"""Cross-validation: folds as lists of samples, a run for each, and what all of them say together."""

import csv
import io
import json
import os
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np
import torch
from datasets import Dataset

from hfcls.arguments import CrossvalArguments, DataArguments, only
from hfcls.data.content import image_keys
from hfcls.data.folds import assign_folds, check_folds
from hfcls.data.labelled import LabelledData, load_data
from hfcls.data.labels import labels_of
from hfcls.data.reading import texts_of
from hfcls.errors import UserError
from hfcls.files import write_json, write_text
from hfcls.metrics import compute_metrics
from hfcls.metrics.resampled import summarize_resampled
from hfcls.models import build_ensemble, load_classifier, save_classifier
from hfcls.structures import Predictions
from hfcls.training.run_directory import DATA, is_run
from hfcls.training.series import remove_checkpoints
from hfcls.training.side_by_side import work_side_by_side
from hfcls.training.whole_run import train_whole

# Data flags that the list of a fold takes the place of.
_DEALT = (
    *("test_fraction", "max_train_samples", "max_eval_samples", "max_test_samples", "streaming"),
    *("class_mapping", "exclude", "relabel", "group_column_name", "group_pattern"),
)
# Of the values that a metric can have, where these are not 0 and 1.
_ENDS = {"log_loss": (0.0, np.inf), "brier": (0.0, 2.0), "mcc": (-1.0, 1.0), "cohen_kappa": (-1.0, 1.0)}
RESULTS, SPLIT, ENSEMBLE = "crossval.json", "out_of_fold", "ensemble"


@dataclass(frozen=True)
class Pool:
    """The samples that are dealt out.

    Attributes:
        ids, texts: N each; the class names of the labels.
        labels: int (N,).
        keys: uint64 (N,), equal for copies of an image.
        groups: N names, or None.
        left_out: in words, what of the data takes no part; empty where all of it does.
    """

    ids: tuple[str, ...]
    labels: np.ndarray
    keys: np.ndarray
    groups: list[str] | None
    class_names: tuple[str, ...]
    left_out: str


@dataclass(frozen=True)
class Fold:
    """One training of the cross-validation.

    Attributes:
        repeat, number: from 1 on.
        run_dir: of its training; the list of its samples lies beside it.
        values: flags of ``hfcls train``.
    """

    repeat: int
    number: int
    run_dir: Path
    values: dict[str, Any]

    @property
    def name(self) -> str:
        """Of its directory."""
        return self.run_dir.name


def pool_samples(loaded: LabelledData) -> Pool:
    """All images but those of a test split, which stay unseen.

    Raises:
        UserError: there is no train split.
    """
    if loaded.stream is not None:
        raise UserError("--streaming has no list of images that could be dealt into folds: give the images as files.")
    if "train" not in loaded.splits:
        raise UserError(f"{loaded.source} has no train split.")
    parts = [loaded.splits[split] for split in ("train", "validation") if split in loaded.splits]
    digests = [digest for data in parts for digest in texts_of(data, "digest")]
    test = loaded.splits.get("test")
    return Pool(
        tuple(sample_id for data in parts for sample_id in texts_of(data, "id")),
        np.concatenate([labels_of(data) for data in parts]),
        image_keys(digests),
        _groups_of_all(parts, digests),
        loaded.class_names,
        "" if test is None else f"the {len(test):,} images of the test split ({loaded.origins['test']})",
    )


def _groups_of_all(parts: Sequence[Dataset], digests: Sequence[bytes]) -> list[str] | None:
    """The group of each sample, as `groups_of` has it of one split: a group may lie in several."""
    given = [
        g for data in parts for g in (texts_of(data, "group") if "group" in data.column_names else [""] * len(data))
    ]
    named = [group for group in given if group]
    if len(set(named)) == len(named):
        return None
    return [group or f"\0{digest.hex()}" for group, digest in zip(given, digests, strict=True)]


def check_pool(directory: Path, pool: Pool, loaded: LabelledData) -> None:
    """The samples are those that the cross-validation was begun with; kept in ``data.json``.

    Raises:
        UserError: they are others.
    """
    file = directory / DATA
    rows = zip(pool.ids, pool.keys.tolist(), pool.labels.tolist(), pool.groups or [""] * len(pool.ids), strict=True)
    text = "\n".join(f"{i}\t{key}\t{pool.class_names[label]}\t{group}" for i, key, label, group in sorted(rows))
    digest = blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()
    if file.is_file():
        before = json.loads(file.read_text(encoding="utf-8"))["samples_fingerprint"]
        if before != digest:
            raise UserError(
                f"The images, their labels or their groups have changed since {directory} was begun (fingerprint "
                f"{before}, now {digest}): restore them, choose another --output_dir, or begin anew with "
                "--overwrite_output_dir."
            )
        return
    write_json(file, {**loaded.summary(), "samples_fingerprint": digest})


def load_pool(values: dict[str, Any]) -> tuple[Pool, LabelledData]:
    """The samples that the flags name; a test split is carved only where its share is given."""
    needed = ("test",) if values.get("test_fraction") else ()
    data = {name: value for name, value in values.items() if name != "validation_fraction"}
    loaded = load_data(only(DataArguments, data), splits_needed=needed)
    return pool_samples(loaded), loaded


def deal(directory: Path, pool: Pool, values: dict[str, Any], arguments: CrossvalArguments) -> list[Fold]:
    """Writes the list of each fold, and says what its training is given.

    Args:
        values: flags of ``hfcls train``.

    Raises:
        UserError: too few images for so many folds.
    """
    base = {name: value for name, value in values.items() if name not in _DEALT}
    dealt = []
    for repeat in range(arguments.repeats):
        assigned = assign_folds(
            pool.keys,
            pool.labels,
            folds=arguments.folds,
            seed=values.get("split_seed", 0),
            repeat=repeat,
            groups=pool.groups,
        )
        check_folds(assigned, pool.labels, pool.class_names)
        for number in range(arguments.folds):
            run_dir = directory / "folds" / f"repeat-{repeat + 1}-fold-{number + 1}"
            samples = run_dir.with_suffix(".csv")
            text = _list_text(pool, assigned == number)
            if not samples.is_file() or samples.read_text(encoding="utf-8") != text:
                write_text(samples, text)
            own = {**base, "output_dir": str(run_dir), "samples": str(samples)}
            dealt.append(Fold(repeat + 1, number + 1, run_dir, own))
    return dealt


def _list_text(pool: Pool, held_out: np.ndarray) -> str:
    """A list of samples, as ``--samples`` takes it."""
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(["id", "label", "split", *(["group"] if pool.groups else [])])
    for row, (sample_id, label, out) in enumerate(zip(pool.ids, pool.labels.tolist(), held_out, strict=True)):
        group = pool.groups[row] if pool.groups else ""
        # Labels and groups as they are: this list is for training, which would take an apostrophe for theirs.
        own = [group.lstrip("\0")] if pool.groups else []
        writer.writerow([sample_id, pool.class_names[label], "test" if out else "train", *own])
    return file.getvalue()


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
    seconds, shares = 0.0, []
    rows: list[dict[str, Any]] = []
    for fold in folds:
        figures = fold_figures(fold)
        train = json.loads((fold.run_dir / "train_results.json").read_text(encoding="utf-8"))
        seconds += train["train_runtime"] or 0.0
        splits = json.loads((fold.run_dir / DATA).read_text(encoding="utf-8"))["splits"]
        shares.append(splits["test"]["n"] / splits["train"]["n"])
        rows.append(
            {
                "repeat": fold.repeat,
                "fold": fold.number,
                "run": str(fold.run_dir.relative_to(directory)),
                "n": figures["n"],
                "train_runtime": train["train_runtime"],
                "epoch": train["epoch"],
                **{name: figure["value"] for name, figure in figures["headline"].items()},
            }
        )
    names = list(fold_figures(folds[0])["headline"])
    content = {
        "folds": arguments.folds,
        "repeats": arguments.repeats,
        "n": len(pool.ids),
        "class_names": list(pool.class_names),
        "left_out": pool.left_out,
        "grouped": pool.groups is not None,
        "train_runtime": seconds,
        "interval": {"confidence": 0.95, "method": "Student's t with the variance of Nadeau and Bengio (2003)"},
        "metrics": {name: _summarize(name, [row[name] for row in rows], float(np.mean(shares))) for name in names},
        "runs": rows,
        **({} if ensemble is None else {"ensemble": ensemble}),
    }
    for file in (directory / "predictions").glob(f"{SPLIT}*.parquet"):
        file.unlink()  # of more repeats, perhaps, than are wanted now
    for repeat in range(1, arguments.repeats + 1):
        own = [fold for fold in folds if fold.repeat == repeat]
        predictions = _out_of_fold(own, pool)
        predictions.save(directory / "predictions" / f"{out_of_fold_name(repeat)}.parquet")
        if repeat == 1:
            content["class_names"] = list(predictions.class_names)
            measured = {**compute_metrics(predictions), "crossval": content}
            write_json(directory / "metrics.json", {"splits": {SPLIT: measured}})
    write_json(directory / RESULTS, content)
    return content


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
