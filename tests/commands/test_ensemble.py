"""`hfcls ensemble` through its door: what comes out is a run, measured beside its members, on images none has seen."""

import errno
import json
import xml.etree.ElementTree as ET
from pathlib import Path

import numpy as np
import pytest
import yaml
from safetensors.torch import load_file

from hfcls.cli import main
from hfcls.commands.train import train
from hfcls.evaluation.members import measure_disagreement
from hfcls.metrics import compute_values
from hfcls.structures import Predictions
from hfcls.training import combining
from hfcls.training.snapshots import snapshot_steps
from tests.conftest import write_images


@pytest.fixture(scope="module")
def photos(tmp_path_factory) -> Path:
    return write_images(tmp_path_factory.mktemp("ensemble") / "photos", dict.fromkeys(("blue", "green", "red"), 50))


def made(photos: Path, place: Path, **flags) -> Path:
    train(
        {"train_dir": str(photos), "output_dir": str(place), "use_cpu": True, "max_steps": 6, "disable_tqdm": True}
        | {"validation_fraction": 0.25, "learning_rate": 0.0003, **flags}
    )
    return place


@pytest.fixture(scope="module")
def runs(photos: Path, tmp_path_factory) -> list[Path]:
    root = tmp_path_factory.mktemp("runs")
    return [
        made(photos, root / "one", architecture="simple_cnn", seed=1),
        made(photos, root / "two", architecture="simple_cnn", seed=2),
        made(photos, root / "cycles", architecture="cifar_resnet20", image_size=32, snapshots=2, max_steps=7),
    ]


def answers(run: Path, split: str = "test") -> Predictions:
    return Predictions.load(run / "predictions" / f"{split}.parquet")


def test_an_ensemble_is_a_run_that_is_measured_beside_its_members(runs: list[Path], tmp_path: Path, capsys):
    place = tmp_path / "together"
    assert main(["ensemble", *map(str, runs), "--output_dir", str(place), "--use_cpu"]) == 0
    found = answers(place)
    members = [answers(run) for run in runs]
    assert found.ids == members[0].ids
    # float32 networks, normalized in another order of operations
    np.testing.assert_allclose(found.probabilities, np.mean([one.probabilities for one in members], axis=0), atol=2e-6)
    content = json.loads((place / "ensemble.json").read_text())
    test = content["splits"]["test"]
    values = [compute_values(one) for one in members]
    assert [row["accuracy"]["value"] for row in test["members"]] == [one["accuracy"] for one in values]
    mean = np.mean([one["accuracy"] for one in values])
    gain = test["gain"]["mean_member"]["accuracy"]
    assert gain["value"] == pytest.approx(compute_values(found)["accuracy"] - mean)
    assert gain["low"] <= gain["value"] <= gain["high"]
    named = np.stack([one.logits.argmax(axis=1) for one in members])
    assert test["disagreement"]["pairs"][0][2] == (named[0] != named[2]).mean()
    assert content["reused_predictions"] == {"validation": 3, "test": 3}
    cost = content["cost"]
    assert cost["passes"] == 3 and cost["macs"] == sum(member["macs"] for member in content["members"])
    # The energy of logarithms of probabilities is 0, whatever the image shows.
    assert json.loads((place / "calibration.json").read_text())["strangers"]["score"] == "msp"
    page = (place / "index.html").read_text(encoding="utf-8")
    ET.fromstring(page)
    assert "mean member" in page and "<script" not in page and str(tmp_path) not in page
    capsys.readouterr()
    assert main(["evaluate", str(place), "--use_cpu", "--suite", "full"]) == 0  # its own splits are found again
    assert "test        accuracy" in capsys.readouterr().out
    step = json.loads((place / "evaluation" / "test" / "suite" / "ensemble.json").read_text())["result"]
    assert (
        step["rows"][0]["accuracy"]
        == json.loads((place / "evaluation" / "test" / "suite" / "single.json").read_text())["result"]["rows"][0][
            "accuracy"
        ]
    )
    assert [row["passes_each"] for row in step["rows"]] == [3, 1, 1, 1]
    assert step["rows"][1]["accuracy"]["value"] == pytest.approx(values[0]["accuracy"])
    assert main(["card", str(place)]) == 0
    card = (place / "README.md").read_text()
    assert (
        "hfcls ensemble one two cycles --method average" in card.replace("\\\n  ", "") and "random weights" not in card
    )
    assert main(["push", str(place), "--repo_id", "alice/together", "--dry_run"]) == 0
    assert "ensemble.json" in capsys.readouterr().out
    asked = [
        "train",
        "--model_name_or_path",
        str(place),
        "--train_dir",
        yaml.safe_load((place / "run.yaml").read_text())["train_dir"],
    ]
    assert main([*asked, "--output_dir", str(tmp_path / "no")]) == 2
    assert "train its members" in capsys.readouterr().err


def test_a_soup_is_one_network_no_worse_on_validation(runs: list[Path], tmp_path: Path):
    place = tmp_path / "soup"
    asked = ["ensemble", *map(str, runs[:2]), "--method", "greedy_soup", "--output_dir", str(place), "--use_cpu"]
    assert main(asked) == 0
    content = json.loads((place / "ensemble.json").read_text())
    figures = content["splits"]["validation"]
    assert figures["ensemble"]["accuracy"]["value"] >= max(row["accuracy"]["value"] for row in figures["members"])
    assert content["cost"]["passes"] == 1
    assert load_file(place / "model.safetensors").keys() == load_file(runs[0] / "model.safetensors").keys()
    assert main(["evaluate", str(place), "--use_cpu"]) == 0


def test_snapshots_are_kept_and_become_members(runs: list[Path], tmp_path: Path):
    assert snapshot_steps(7, 2) == [4, 7]
    kept = {path.name for path in runs[2].glob("checkpoint-*")}
    assert {"checkpoint-4", "checkpoint-7"} <= kept
    place = tmp_path / "snapshots"
    assert main(["ensemble", str(runs[2]), "--snapshots", "--output_dir", str(place), "--use_cpu"]) == 0
    content = json.loads((place / "ensemble.json").read_text())
    assert [member["name"] for member in content["members"]] == ["checkpoint-4", "checkpoint-7"]
    assert content["reused_predictions"] == {"validation": 0, "test": 0}


def test_members_that_saw_the_images_are_refused(photos: Path, runs: list[Path], tmp_path: Path, capsys):
    other = made(photos, tmp_path / "other", architecture="simple_cnn", split_seed=1)
    to = ["--output_dir", str(tmp_path / "no"), "--use_cpu"]
    assert main(["ensemble", str(runs[0]), str(other), *to]) == 2
    said = capsys.readouterr().err
    assert "other was trained on other splits" in said and "validation images" in said and "--split_seed" in said
    # Of images that come from elsewhere it is found out that nobody has learned from them.
    fresh = write_images(tmp_path / "fresh", dict.fromkeys(("blue", "green", "red"), 10), seed=9)
    assert (
        main(["ensemble", str(runs[0]), str(other), "--validation_dir", str(fresh), "--test_dir", str(fresh), *to]) == 0
    )
    assert "taken on trust" not in capsys.readouterr().out
    for arguments, words in (
        ([str(runs[0])], "alone makes no ensemble"),
        ([str(runs[0]), str(runs[0])], "named twice"),
        ([str(runs[0]), str(runs[1]), "--snapshots"], "checkpoints of one run"),
        ([str(runs[0]), str(runs[1]), "--metric", "accuracy"], "would have no effect with --method average"),
        ([str(runs[0]), str(runs[2]), "--method", "uniform_soup"], "not the same network"),
    ):
        assert main(["ensemble", *arguments, "--output_dir", str(tmp_path / "never"), "--use_cpu"]) == 2
        assert words in capsys.readouterr().err
    assert main(["ensemble", str(runs[0]), str(runs[1]), "--output_dir", str(runs[2]), "--use_cpu"]) == 2
    assert "choose another one or replace it with --overwrite_output_dir.\n" in capsys.readouterr().err
    assert not (tmp_path / "never").exists()


def test_a_member_that_learned_from_a_given_validation_split_is_refused(tmp_path: Path, capsys):
    """As a run that was trained anew on train and validation, or a fold of a cross-validation, has."""
    photos = tmp_path / "photos"
    for seed, split in enumerate(("train", "validation", "test")):
        write_images(photos / split, dict.fromkeys(("blue", "green", "red"), 12), seed=seed)
    ids = [f"{path.relative_to(photos)}" for path in sorted(photos.glob("*/*/*.png"))]
    rows = [f"{name},{name.split('/')[0].replace('validation', 'train')}" for name in ids]
    (tmp_path / "list.csv").write_text("\n".join(["id,split", *rows]))
    asked = {"architecture": "simple_cnn", "image_size": 32, "max_steps": 2, "validation_fraction": None}
    clean = made(photos, tmp_path / "clean", **asked)
    listed = {**asked, "samples": str(tmp_path / "list.csv"), "validation_fraction": 0.0}
    refit = made(photos, tmp_path / "refit", **listed)
    to = ["--output_dir", str(tmp_path / "no"), "--use_cpu"]
    assert main(["ensemble", str(clean), str(refit), "--method", "weighted", *to]) == 2
    assert "refit was trained on other splits" in (said := capsys.readouterr().err)
    assert "has learned from 36 of the 36 validation images" in said
    # On the test images that neither knows both may be judged; so they may where labels of these are mended.
    (tmp_path / "mended.csv").write_text(f"id,new_label\n{next(i for i in ids if i.startswith('test/blue'))},red\n")
    mended = ["--relabel", str(tmp_path / "mended.csv")]
    assert main(["ensemble", str(refit), str(clean), *mended, *to]) == 0
    assert "taken on trust" not in capsys.readouterr().out
    # Who cannot be asked is not trusted with its own data.
    (refit / "learned_images.npy").unlink()
    assert main(["ensemble", str(clean), str(refit), "--method", "weighted", *to[2:], "--output_dir", "no"]) == 2
    assert "refit was trained on other splits" in (said := capsys.readouterr().err) and "may have learned" in said


def test_what_a_full_disk_leaves_may_be_overwritten(runs: list[Path], tmp_path: Path, monkeypatch, capsys):
    asked = ["ensemble", *map(str, runs[:2]), "--output_dir", str(tmp_path / "half"), "--use_cpu"]

    def full(*_args):
        raise OSError(errno.ENOSPC, "no space")

    with monkeypatch.context() as patched:
        patched.setattr(combining, "save_classifier", full)
        assert main(asked) == 2
    assert (tmp_path / "half" / "predictions" / "test.parquet").is_file()
    said = capsys.readouterr().err
    assert "--overwrite_output_dir" in said and "--resume_from_checkpoint" not in said
    assert main([*asked, "--overwrite_output_dir"]) == 0


def test_disagreement_by_hand():
    found = measure_disagreement(np.array([[0, 1, 2, 0], [0, 1, 1, 0], [1, 1, 2, 0]]))
    assert found["pairs"] == [[0, 0.25, 0.25], [0.25, 0, 0.5], [0.25, 0.5, 0]]
    assert found["mean"] == pytest.approx(1 / 3)
