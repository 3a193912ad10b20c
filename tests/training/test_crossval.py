"""Cross-validation: scikit-learn's figures on the same folds, every sample once, and no trace of a kill."""

import csv
import json
import os
import shutil
import signal
import time
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import t
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.datasets import load_digits
from sklearn.model_selection import cross_val_score

from hfcls.commands.crossval import build_parser, crossval
from hfcls.commands.evaluate import evaluate
from hfcls.data.folds import assign_folds
from hfcls.errors import UserError
from hfcls.structures import Predictions
from hfcls.training.dealing import load_pool
from tests.processes import kill, start_crossval, wait, wait_for

# A step that changes nothing: the network stays as the seed made it.
FIXED = {
    **{"dataset_name": "digits", "architecture": "lenet5", "max_steps": 1, "learning_rate": 0.0, "weight_decay": 0.0},
    **{"use_cpu": True, "label_smoothing_factor": 0.0, "bf16": False, "validation_fraction": 0.0},
}


class Remembered(ClassifierMixin, BaseEstimator):
    """A classifier that was trained long ago: what it says of each image is known."""

    def __init__(self, answers: np.ndarray):
        self.answers = answers

    def fit(self, rows: np.ndarray, labels: np.ndarray) -> "Remembered":
        """Learns nothing."""
        self.classes_ = np.unique(labels)
        return self

    def predict(self, rows: np.ndarray) -> np.ndarray:
        """By the number of the image."""
        return self.answers[rows[:, 0]]


def held_out(directory: Path, repeat: int, fold: int) -> list[str]:
    """Ids of a fold's test images; none of them is among those that it trains on."""
    with (directory / "folds" / f"repeat-{repeat}-fold-{fold}.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    sides = {side: {row["id"] for row in rows if row["split"] == side} for side in ("train", "test")}
    assert not sides["train"] & sides["test"] and len(sides["train"] | sides["test"]) == len(rows) == 1797
    return sorted(sides["test"])


@pytest.fixture(scope="module")
def directory(tmp_path_factory) -> Path:
    place = tmp_path_factory.mktemp("crossval") / "digits"
    crossval({**FIXED, "folds": 3, "repeats": 2, "output_dir": str(place)})
    return place


def test_figures_are_those_of_scikit_learn(directory: Path):
    content = json.loads((directory / "crossval.json").read_text())
    labels = load_digits().target
    pairs = [(repeat, fold) for repeat in (1, 2) for fold in (1, 2, 3)]
    splits = []
    for repeat, fold in pairs:
        out = np.array(sorted(int(name.removeprefix("train/")) for name in held_out(directory, repeat, fold)))
        splits.append((np.setdiff1d(np.arange(1797), out), out))
    # The network is the same in all folds, so its answers to all images are known from one repeat.
    first = Predictions.load(directory / "predictions" / "out_of_fold.parquet")
    answers = np.empty(1797, dtype=int)
    answers[[int(name.removeprefix("train/")) for name in first.ids]] = [
        int(first.class_names[index]) for index in first.logits.argmax(axis=1)
    ]
    scores = cross_val_score(Remembered(answers), np.arange(1797)[:, None], labels, cv=splits, scoring="accuracy")
    assert np.allclose([run["accuracy"] for run in content["runs"]], scores, atol=1e-12)
    accuracy = content["metrics"]["accuracy"]
    assert accuracy["mean"] == pytest.approx(scores.mean(), abs=1e-12)
    assert accuracy["std"] == pytest.approx(scores.std(ddof=1), abs=1e-12)
    # Nadeau and Bengio: of three folds, half as many images are held out as are trained on.
    half = t.ppf(0.975, 5) * np.sqrt((1 / 6 + 1 / 2) * scores.var(ddof=1))
    assert accuracy["high"] == pytest.approx(scores.mean() + half, abs=1e-9)
    for column in ("balanced_accuracy", "f1_macro"):
        own = cross_val_score(Remembered(answers), np.arange(1797)[:, None], labels, cv=splits, scoring=column)
        assert content["metrics"][column]["mean"] == pytest.approx(own.mean(), abs=1e-9)


def test_every_sample_is_predicted_once_a_repeat(directory: Path):
    for repeat, name in ((1, "out_of_fold"), (2, "out_of_fold-2")):
        predictions = Predictions.load(directory / "predictions" / f"{name}.parquet")
        assert sorted(predictions.ids) == sorted(f"train/{number}" for number in range(1797))
        folds = [held_out(directory, repeat, fold) for fold in (1, 2, 3)]
        assert sorted(name for fold in folds for name in fold) == sorted(predictions.ids)
    assert held_out(directory, 1, 1) != held_out(directory, 2, 1)
    report = (directory / "report" / "index.html").read_text()
    assert "1,797 out-of-fold images" in report and "folds/repeat-2-fold-3" in report


def test_the_same_command_changes_nothing_and_another_is_refused(directory: Path, capsys):
    before = (directory / "crossval.json").read_bytes()
    crossval({**FIXED, "folds": 3, "repeats": 2, "output_dir": str(directory)})
    assert "6 of 6 trainings are done" in capsys.readouterr().out
    assert (directory / "crossval.json").read_bytes() == before
    with pytest.raises(UserError, match="--folds was 3 and is now 4"):
        crossval({**FIXED, "folds": 4, "repeats": 2, "output_dir": str(directory)})


def test_groups_stay_together_where_they_lie_in_two_splits(image_folder: Path, tmp_path: Path):
    """Each patient has one image in train and one in validation, so that neither split alone has groups."""
    classes: dict[str, list[Path]] = {}
    for image in sorted(shutil.copytree(image_folder, tmp_path / "images").rglob("*.png")):
        classes.setdefault(image.parent.name, []).append(image)
    with (tmp_path / "visits.csv").open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["path", "label", "split", "patient"])
        for name, own in classes.items():
            for number, image in enumerate(own[: len(own) // 2 * 2]):
                rows.writerow(
                    [
                        str(image.relative_to(tmp_path)),
                        name,
                        ("train", "validation")[number % 2],
                        f"{name} {number // 2}",
                    ]
                )
    pool, _ = load_pool({"train_dir": str(tmp_path / "visits.csv"), "group_column_name": "patient"})
    assert pool.groups is not None and len(set(pool.groups)) == len(pool.ids) / 2
    assigned = assign_folds(pool.keys, pool.labels, folds=3, seed=0, groups=pool.groups)
    for group in set(pool.groups):
        assert len({fold for fold, own in zip(assigned, pool.groups, strict=True) if own == group}) == 1


def test_changed_data_and_lists_inside_are_refused(image_folder: Path, tmp_path: Path, monkeypatch):
    """Before anything is overwritten; the trainings themselves play no part."""
    monkeypatch.setattr("hfcls.training.crossval.train_whole", _no_training)
    values = {**FIXED, "train_dir": str(image_folder), "folds": 2, "output_dir": str(tmp_path / "folds")}
    del values["dataset_name"]
    with pytest.raises(NotTrained):
        crossval(values)
    before = {file: file.read_bytes() for file in (tmp_path / "folds").rglob("*") if file.is_file()}
    first = min(image_folder.rglob("*.png"))
    other = next(name.name for name in sorted(image_folder.iterdir()) if name.name != first.parent.name)
    own = tmp_path / "relabel.csv"
    own.write_text(f"id,label\n{first.relative_to(image_folder)},{other}\n")
    with pytest.raises(UserError, match="--relabel was None and is now"):
        crossval({**values, "relabel": str(own)})
    copy = shutil.copytree(image_folder, tmp_path / "images")
    moved = {**values, "train_dir": str(copy), "output_dir": str(tmp_path / "moved")}
    with pytest.raises(NotTrained):
        crossval(moved)
    (copy / first.relative_to(image_folder)).unlink()
    with pytest.raises(UserError, match="have changed since"):
        crossval(moved)
    inside = shutil.copy(own, tmp_path / "folds" / "mine.csv")
    with pytest.raises(UserError, match=r"--relabel .* lies in --output_dir"):
        crossval({**values, "relabel": str(inside), "overwrite_output_dir": True})
    assert Path(inside).is_file() and before == {file: file.read_bytes() for file in before}


class NotTrained(Exception):
    """In the place of a training."""


def _no_training(values: dict) -> None:
    raise NotTrained


def test_the_settings_of_a_run_are_taken(image_folder: Path, tmp_path: Path):
    """``run.yaml`` has all flags of a training, also those that folds decide."""
    (tmp_path / "run.yaml").write_text("streaming: false\narchitecture: lenet5\nmax_steps: 1\ntest_fraction: 0.2\n")
    values = build_parser().values(["--config", str(tmp_path / "run.yaml"), "--output_dir", "x"])
    assert values["streaming"] is False and values["test_fraction"] == 0.2


def test_folds_are_kept_as_one_classifier(image_folder: Path, tmp_path: Path):
    values = {**FIXED, "train_dir": str(image_folder), "folds": 2, "keep_ensemble": True, "num_train_epochs": 1}
    values |= {"learning_rate": 0.01, "max_steps": -1, "per_device_train_batch_size": 4}
    del values["dataset_name"]
    crossval({**values, "output_dir": str(tmp_path / "folds")})
    new = {"test_dir": str(image_folder), "use_cpu": True}
    for number, place in enumerate(("ensemble", "folds/repeat-1-fold-1", "folds/repeat-1-fold-2")):
        evaluate({**new, "model": str(tmp_path / "folds" / place), "output_dir": str(tmp_path / f"{number}")})
    found = [Predictions.load(tmp_path / f"{number}" / "predictions" / "test.parquet") for number in range(3)]
    together, first, second = (one.probabilities for one in found)
    assert np.abs(together - (first + second) / 2).max() < 1e-6 < np.abs(first - second).max()


def test_a_given_test_split_stays_unseen(image_folder: Path, tmp_path: Path, capsys):
    values = {**FIXED, "train_dir": str(image_folder), "folds": 2, "test_fraction": 0.25}
    del values["dataset_name"]
    content = crossval({**values, "output_dir": str(tmp_path / "folds")})
    assert "left out: the" in capsys.readouterr().out
    images = len(list(image_folder.rglob("*.png")))
    assert content["n"] == images - round(images / 4)


def test_too_many_folds_leave_nothing_behind(image_folder: Path, tmp_path: Path):
    values = {**FIXED, "train_dir": str(image_folder), "folds": 40, "output_dir": str(tmp_path / "folds")}
    del values["dataset_name"]
    with pytest.raises(UserError, match="40"):
        crossval(values)
    assert not list(tmp_path.rglob("*.*"))


def test_killed_it_goes_on_to_the_same_table(tmp_path: Path):
    """Two processes are killed with the one that began them; what goes on in one process ends alike."""
    values = {
        **{"dataset_name": "digits", "architecture": "lenet5", "max_train_samples": 300, "num_train_epochs": 4},
        **{"use_cpu": True, "folds": 3, "bf16": False, "per_device_train_batch_size": 8},
    }
    log = tmp_path / "log"
    whole = {**values, "output_dir": str(tmp_path / "whole")}
    assert wait(start_crossval(whole, log), 300) == 0, log.read_text()
    killed = {**values, "output_dir": str(tmp_path / "killed"), "processes": 2}
    child = start_crossval(killed, log)
    wait_for(tmp_path / "killed" / "folds" / "repeat-1-fold-2" / "run.yaml", child, log)
    assert kill(child) == -signal.SIGKILL
    quiet = _moments_without_writing(tmp_path / "killed" / "folds")
    assert quiet, "the processes of the killed one train on"
    child = start_crossval({**killed, "processes": 1}, log)
    wait_for(tmp_path / "killed" / "folds" / "repeat-1-fold-2" / "checkpoint-46", child, log)
    os.kill(child.pid, signal.SIGINT)
    assert wait(child, 120) == 130, log.read_text()
    assert "The same command goes on" in log.read_text()
    assert wait(start_crossval({**killed, "processes": 1}, log), 300) == 0, log.read_text()
    first, second = (json.loads((tmp_path / name / "crossval.json").read_text()) for name in ("whole", "killed"))
    for content in (first, second):
        content.pop("train_runtime")
        for run in content["runs"]:
            run.pop("train_runtime")
    assert first == second
    for name in ("whole", "killed"):
        assert not list((tmp_path / name).rglob("checkpoint-*"))


def _moments_without_writing(folder: Path) -> bool:
    """Whether nothing is written there any more, a moment after those who wrote were to end."""
    for _ in range(20):
        newest = max(path.stat().st_mtime for path in folder.rglob("*"))
        time.sleep(1)
        if newest == max(path.stat().st_mtime for path in folder.rglob("*")) and time.time() - newest > 2:
            return True
    return False
