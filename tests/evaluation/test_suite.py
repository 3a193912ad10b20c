"""The suite through the command: what it finds, what it costs, how it goes on."""

import json
import xml.etree.ElementTree as ET
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.special import softmax
from sklearn.metrics import roc_auc_score

import hfcls.models
from hfcls.cli import main
from hfcls.commands.evaluate import evaluate
from hfcls.commands.predict import predict
from hfcls.commands.train import train
from hfcls.evaluation.suite import QUICK, STEPS
from hfcls.evaluation.suite.step import Step
from hfcls.evaluation.suite.stranger_sets import shuffle_patches
from hfcls.structures import Predictions
from hfcls.uncertainty.conformal import fit_conformal
from hfcls.uncertainty.detection import bootstrap_auroc
from hfcls.uncertainty.scaling import fit_temperature
from hfcls.uncertainty.trust import draws_of
from tests.conftest import write_images


@pytest.fixture(scope="module")
def photos(tmp_path_factory) -> Path:
    return write_images(tmp_path_factory.mktemp("suite") / "photos", dict.fromkeys(("blue", "green", "red"), 50))


@pytest.fixture(scope="module")
def strangers(tmp_path_factory) -> Path:
    """12 grey images and a broken one."""
    root = tmp_path_factory.mktemp("strangers") / "grey"
    root.mkdir()
    for number in range(12):
        Image.new("RGB", (40, 32), (10 * number,) * 3).save(root / f"{number:02d}.png")
    (root / "broken.png").write_bytes(b"no image")
    return root


def made(photos: Path, place: Path, **flags) -> Path:
    train(
        {"train_dir": str(photos), "output_dir": str(place), "use_cpu": True, "max_steps": 3, "disable_tqdm": True}
        | {"validation_fraction": 0.25, "learning_rate": 0.0003, **flags}
    )
    return place


@pytest.fixture(scope="module")
def run(photos: Path, tmp_path_factory) -> Path:
    return made(photos, tmp_path_factory.mktemp("runs") / "drops", architecture="simple_cnn", dropout=0.3)


@pytest.fixture(scope="module")
def plain(photos: Path, tmp_path_factory) -> Path:
    """Without dropout."""
    return made(photos, tmp_path_factory.mktemp("runs") / "plain", architecture="lenet5")


def read(place: Path) -> dict:
    return {file.stem: json.loads(file.read_text()) for file in (place / "suite").glob("*.json")}


def test_every_step_costs_what_it_says_and_is_right(run: Path, strangers: Path, tmp_path: Path, monkeypatch):
    passed = 0

    def counting(*args, **kwargs):
        classifier = load(*args, **kwargs)

        def count(_module, _inputs, outputs):
            nonlocal passed
            passed += len(outputs.logits)

        classifier.model.register_forward_hook(count)
        return classifier

    load = hfcls.models.load_classifier
    monkeypatch.setattr(hfcls.models, "load_classifier", counting)
    monkeypatch.setattr("hfcls.evaluation.speed.measure_speed", lambda *_args, **_kwargs: {})
    monkeypatch.setattr("hfcls.explain.report_pictures.report_overlays", lambda _classifier: None)
    evaluate(
        {"model": str(run), "suite": "full", "strangers": [f"far={strangers}"], "use_cpu": True}
        | {"output_dir": str(tmp_path), "per_device_eval_batch_size": 16}
    )
    monkeypatch.undo()
    found = read(tmp_path)
    suited = [name for name, step in STEPS.items() if step.suits is None]
    assert found.keys() == set(suited) and not any(one["reason"] for one in found.values())
    results = {name: one["result"] for name, one in found.items()}
    predictions = Predictions.load(tmp_path / "predictions" / "test.parquet")
    n = len(predictions)
    assert passed == n + sum(one["passes"] for one in results.values())
    # 12 strangers and two made sets; 90 to learn from; ten passes; two and five views
    assert [results[name]["passes"] for name in suited] == [0, 0, 0, 12 + 2 * n, 90, 0, 10 * n, 7 * n, 0]

    validation = Predictions.load(run / "predictions" / "validation.parquet")
    scaling = fit_temperature(validation)
    assert results["calibration"]["rows"][1]["temperature"] == scaling.temperature
    fitted = fit_conformal(
        scaling.scale(validation).probabilities, validation.labels,
        method="aps", coverage=0.95, draws=draws_of(validation.ids),
    )  # fmt: skip
    sets = fitted.sets(scaling.scale(predictions).probabilities, draws_of(predictions.ids))
    row = next(row for row in results["sets"]["rows"] if (row["method"], row["by_class"]) == ("aps", False))
    assert row["coverage"] == sets[np.arange(n), predictions.labels].mean()
    wrong = predictions.logits.argmax(axis=1) != predictions.labels
    assert results["abstaining"]["rows"][0]["risks"][-1]["value"] == wrong.mean()
    single = results["single"]["rows"][0]
    if wrong.any():
        doubt = 1 - predictions.probabilities.max(axis=1)
        assert single["detection"]["least_confidence"]["value"] == pytest.approx(roc_auc_score(wrong, doubt))
    assert single["accuracy"]["value"] == pytest.approx(1 - wrong.mean())

    sets_ = results["strangers"]["sets"]
    assert [(one["name"], one["kind"], one["n"], one["left_out"]) for one in sets_] == [
        ("grey", "far", 12, 1), ("uniform noise", "made", n, 0), ("shuffled patches", "made", n, 0),
    ]  # fmt: skip
    asked = {"model": run, "images": str(strangers), "use_cpu": True, "calibrated": False, "top_k": 1}
    sure = [row["predictions"][0]["score"] for row in predict(asked) if row["error"] is None]
    known = softmax(predictions.logits, axis=1).max(axis=1)
    auroc = roc_auc_score([1] * 12 + [0] * n, [*(1 - np.array(sure)), *(1 - known)])
    # predict's scores have six digits, which may make or part ties
    assert results["strangers"]["rows"][0]["figures"][0]["auroc"] == pytest.approx(auroc, abs=5e-3)
    assert {row["score"] for row in results["features"]["rows"]} == {"vim", "knn", "mahalanobis", "react"}
    page = (tmp_path / "suite" / "index.html").read_text(encoding="utf-8")
    ET.fromstring(page)
    for title in ("Calibration", "Strange images", "10 passes with dropout", "far, n = 12, 1 unreadable"):
        assert title in page
    assert "<script" not in page and not (tmp_path / "suite" / "seen").exists()


def test_a_killed_suite_goes_on_and_ends_the_same(plain: Path, strangers: Path, tmp_path: Path, monkeypatch, capsys):
    asked = ["evaluate", str(plain), "--suite", "full", "--strangers", str(strangers), "--use_cpu", "--output_dir"]
    assert main([*asked, str(tmp_path / "whole")]) == 0
    said = capsys.readouterr().out
    assert "Passes with dropout: left out, This network has no dropout" in said

    def stop(_subject):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setitem(STEPS, "features", Step("features", stop))
        assert main([*asked, str(tmp_path / "killed")]) == 130
    assert {file.stem for file in (tmp_path / "killed" / "suite").glob("*.json")} == set(QUICK)
    assert list((tmp_path / "killed" / "suite" / "seen").iterdir())
    (tmp_path / "killed" / "suite" / "sets.json").write_text("{")
    again: list[str] = []

    def counted(step: Step, name: str) -> Step:
        return Step(step.title, lambda subject: (again.append(name), step.run(subject))[1], step.reads, step.suits)

    with monkeypatch.context() as patch:
        for name, step in list(STEPS.items()):
            patch.setitem(STEPS, name, counted(step, name))
        patch.setattr("hfcls.evaluation.suite.stranger_sets._Reader.__call__", stop)  # they were seen before
        assert main([*asked, str(tmp_path / "killed")]) == 0
    assert again == ["sets", "features", "single", "dropout", "views", "laplace"]
    whole, killed = (
        {file.name: file.read_bytes() for file in (tmp_path / place / "suite").iterdir()}
        for place in ("whole", "killed")
    )
    assert whole == killed
    # Other strangers: what does not hang on them stays.
    again.clear()
    with monkeypatch.context() as patch:
        for name, step in list(STEPS.items()):
            patch.setitem(STEPS, name, counted(step, name))
        assert (
            main(["evaluate", str(plain), "--suite", "full", "--use_cpu", "--output_dir", str(tmp_path / "killed")])
            == 0
        )
    assert again == ["strangers", "features"]


def test_without_a_validation_split_half_of_the_images_are_fitted_on(plain: Path, photos: Path, tmp_path: Path):
    (tmp_path / "bare").mkdir()
    for name in ("config.json", "preprocessor_config.json", "model.safetensors"):
        (tmp_path / "bare" / name).write_bytes((plain / name).read_bytes())
    asked = {"model": str(tmp_path / "bare"), "test_dir": str(photos), "suite": "full", "use_cpu": True}
    evaluate(asked | {"output_dir": str(tmp_path / "out")})
    found = read(tmp_path / "out")
    n = found["calibration"]["result"]["n"]
    assert 55 < n < 95
    assert f"{150 - n} of the 150 images" in found["sets"]["result"]["fitted_on"]
    assert found["views"]["result"]["passes"] == 7 * n
    for name in ("features", "laplace"):
        assert found[name]["result"] is None and "--train_dir" in found[name]["reason"]
    assert "name it with --train_dir" in (tmp_path / "out" / "suite" / "index.html").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--strangers", "x"], "without --suite"),
        (["--suite", "quick", "--tta", "flip"], "leave --tta out"),
        (["--suite", "quick", "--strangers", "near=nowhere"], "nowhere does not exist"),
        (["--suite", "slow"], "--suite"),
    ],
)
def test_flags_that_cannot_be_are_refused(plain: Path, tmp_path: Path, capsys, flags, said):
    assert main(["evaluate", str(plain), "--use_cpu", "--output_dir", str(tmp_path), *flags]) == 2
    assert said in capsys.readouterr().err


def test_every_patch_changes_its_place():
    pixels = torch.arange(16).repeat_interleave(2).view(4, 8).repeat_interleave(3, dim=0).expand(3, 12, 8)
    pixels = torch.nn.functional.pad(pixels, (0, 1, 0, 2), value=99)  # a rest that belongs to no patch
    mixed = shuffle_patches(pixels, seed=0)
    assert not (mixed == pixels)[:, :12, :8].any()
    assert torch.equal(mixed[:, :, 8:], pixels[:, :, 8:]) and torch.equal(mixed[:, 12:], pixels[:, 12:])
    assert torch.equal(mixed.flatten().sort().values, pixels.flatten().sort().values)
    assert not torch.equal(mixed, shuffle_patches(pixels, seed=1))


def test_the_interval_of_an_auroc():
    rng = np.random.default_rng(0)
    positive, negative = rng.normal(1, 1, 400).round(1), rng.normal(0, 1, 400).round(1)
    low, high = bootstrap_auroc(positive, negative)
    value = roc_auc_score([1] * 400 + [0] * 400, [*positive, *negative])
    # Hanley and McNeil 1982: the standard error of this area from so many of each is 0.0155
    assert low < value < high and high - low == pytest.approx(2 * 1.96 * 0.0155, rel=0.2)
    assert bootstrap_auroc(np.ones(5), np.zeros(5)) == (1, 1)
    assert bootstrap_auroc(np.ones(5), np.ones(5)) == (0.5, 0.5)
