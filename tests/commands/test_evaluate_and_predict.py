"""A finished run, evaluated again."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from datasets import ClassLabel, Dataset, Features, Image

from hfcls.cli import main
from hfcls.commands.evaluate import evaluate
from hfcls.commands.predict import predict
from hfcls.commands.train import train
from hfcls.structures import Predictions
from tests.conftest import write_images


@pytest.fixture(scope="module")
def run(image_folder: Path, tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("run") / "run"
    train(
        {"train_dir": str(image_folder), "architecture": "lenet5", "output_dir": str(path), "use_cpu": True}
        | {"num_train_epochs": 2, "disable_tqdm": True, "learning_rate": 0.01}
    )
    return path


def test_evaluate_finds_the_test_split_again(run: Path, tmp_path: Path, capsys):
    flags = ["--output_dir", str(tmp_path), "--use_cpu", "--figures", "svg", "png"]
    assert main(["evaluate", str(run), *flags]) == 0
    again, before = (Predictions.load(d / "predictions" / "test.parquet") for d in (tmp_path, run))
    assert again.ids == before.ids
    np.testing.assert_allclose(again.logits, before.logits, atol=1e-5)
    first, second = (json.loads((d / "test_results.json").read_text()) for d in (run, tmp_path))
    assert first["test_accuracy"] == second["test_accuracy"]
    # both reports show the mistakes; only the one that was asked for them has figures beside it
    mistakes = int((before.logits.argmax(axis=1) != before.labels).sum())
    assert mistakes
    for place in (run, tmp_path):
        page = (place / "report" / "index.html").read_text(encoding="utf-8")
        assert page.count('class="thumb mistake"><span class="two"><img src="data:image/webp') == min(mistakes, 24)
    assert {"roc.svg", "roc.png"} <= {path.name for path in (tmp_path / "report" / "figures").iterdir()}
    assert not (run / "report" / "figures").exists()
    assert "accuracy" in capsys.readouterr().out


def test_an_evaluation_over_views_says_so_and_leaves_the_plain_one_alone(run: Path, image_folder: Path, capsys):
    plain, flipped = (evaluate({"model": str(run), "use_cpu": True, "tta": tta}) for tta in ("none", "flip"))
    assert capsys.readouterr().out.count("; --tta flip\n") == 1
    assert "tta" not in plain["splits"]["test"]
    assert flipped["splits"]["test"]["tta"] == "flip"
    one, other = run / "evaluation" / "test", run / "evaluation" / "test-flip"
    assert json.loads((one / "metrics.json").read_text()) == plain
    assert json.loads((other / "test_results.json").read_text())["test_tta"] == "flip"
    said = "Measured on the test split with test-time augmentation (<code>--tta flip</code>)."
    assert [said in (d / "report" / "index.html").read_text(encoding="utf-8") for d in (one, other)] == [False, True]
    before, after = (Predictions.load(d / "predictions" / "test.parquet") for d in (one, other))
    assert np.abs(before.probabilities - after.probabilities).max() > 1e-4
    # predict gives the same answers
    files = [image_folder / name for name in after.ids]
    rows = predict({"model": run, "images": files, "use_cpu": True, "tta": "flip", "probabilities": True})
    assert isinstance(rows, list)
    answers = [[row["probabilities"][name] for name in after.class_names] for row in rows]
    np.testing.assert_allclose(answers, after.probabilities, atol=1e-5)


def test_two_processes_evaluate_each_sample_once_and_compare_once(run: Path, tmp_path: Path):
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2"]
    script = Path(__file__).parents[2] / "scripts" / "evaluate.py"
    flags = ["--output_dir", str(out := tmp_path / "out"), "--use_cpu", "--per_device_eval_batch_size", "2"]
    other = shutil.copytree(run, tmp_path / "other")
    done = subprocess.run([*launch, str(script), str(run), str(other), *flags], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    assert [done.stdout.count(f"\n{text}") for text in (run, "comparison  ")] == [1, 1]
    assert json.loads((out / "comparison.json").read_text())["comparisons"]
    together, alone = (Predictions.load(d / "predictions" / "test.parquet") for d in (out / "1-run", run))
    assert together.ids == alone.ids
    np.testing.assert_allclose(together.logits, alone.logits, atol=1e-5)
    first, second = (json.loads((d / "metrics.json").read_text())["splits"]["test"] for d in (run, out / "1-run"))
    assert first["confusion_matrix"] == second["confusion_matrix"]


def test_evaluate_matches_classes_by_name(run: Path, tmp_path: Path):
    # the same classes with folders that sort otherwise, and one of them absent
    write_images(tmp_path / "images", {"red": 4, "blue": 4})
    arguments = ["evaluate", str(run), "--test_dir", str(tmp_path / "images"), "--use_cpu"]
    assert main([*arguments, "--output_dir", str(tmp_path / "out")]) == 0
    predictions = Predictions.load(tmp_path / "out" / "predictions" / "test.parquet")
    assert predictions.class_names == ("blue", "green", "red")
    assert [predictions.class_names[label] for label in predictions.labels] == ["blue"] * 4 + ["red"] * 4
    measured = json.loads((tmp_path / "out" / "metrics.json").read_text())["splits"]["test"]
    assert measured["per_class"][1]["roc_auc"] is None


def test_evaluate_names_a_class_that_the_model_lacks(run: Path, tmp_path: Path, capsys):
    write_images(tmp_path / "images", {"red": 2, "violet": 2})
    assert main(["evaluate", str(run), "--test_dir", str(tmp_path / "images"), "--use_cpu"]) == 2
    assert "'violet'" in capsys.readouterr().err


def test_evaluate_notices_changed_data(image_folder: Path, tmp_path: Path, capsys):
    images = tmp_path / "images"
    shutil.copytree(image_folder, images)
    arguments = ["--train_dir", str(images), "--architecture", "lenet5", "--max_steps", "1", "--use_cpu"]
    assert main(["train", *arguments, "--output_dir", str(tmp_path / "run")]) == 0
    shutil.copy(images / "red" / "0.png", images / "green" / "new.png")
    assert main(["evaluate", str(tmp_path / "run"), "--use_cpu"]) == 2
    assert "has changed since" in capsys.readouterr().err


def test_all_images_of_a_foreign_folder_are_evaluated(run: Path, image_folder: Path, tmp_path: Path):
    arguments = ["evaluate", str(run), "--dataset_name", str(image_folder), "--output_dir", str(tmp_path), "--use_cpu"]
    assert main(arguments) == 0
    assert len(Predictions.load(tmp_path / "predictions" / "test.parquet")) == 48


def test_images_that_a_model_has_learned_from_are_counted(run: Path, image_folder: Path, tmp_path: Path, capsys):
    """Its own, and those that the model learned from that it began with."""
    tuned = tmp_path / "tuned"
    fresh = write_images(tmp_path / "fresh", dict.fromkeys(("blue", "green", "red"), 10), seed=9)
    train(
        {"train_dir": str(fresh), "model_name_or_path": str(run), "output_dir": str(tuned), "use_cpu": True}
        | {"max_steps": 1, "disable_tqdm": True, "validation_fraction": 0.0, "test_fraction": 0.0}
    )
    n = json.loads((run / "data.json").read_text())["splits"]["train"]["n"]
    for model, folder, expected in (
        (run, fresh, 0),
        (run, image_folder, n),
        (tuned, image_folder, n),
        (tuned, fresh, 30),
    ):
        out = tmp_path / f"{model.name}-{folder.name}"
        assert main(["evaluate", str(model), "--test_dir", str(folder), "--output_dir", str(out), "--use_cpu"]) == 0
        said = capsys.readouterr().out, (out / "report" / "index.html").read_text(encoding="utf-8")
        assert json.loads((out / "data.json").read_text())["overlap"]["train/test"] == expected
        total = len(Predictions.load(out / "predictions" / "test.parquet"))
        assert all((f"has learned from {expected} of these {total} images" in text) == (expected > 0) for text in said)


def test_a_run_is_not_overwritten_by_an_evaluation(run: Path, capsys):
    assert main(["evaluate", str(run), "--output_dir", str(run)]) == 2
    assert "is a run" in capsys.readouterr().err


def test_a_run_goes_on_with_its_own_classes_alone(image_folder: Path, tmp_path: Path, capsys):
    """The same images whose table lists the classes in another order, and a run without a validation split."""
    files = sorted(image_folder.rglob("*.png"))
    for order in (["blue", "green", "red"], ["red", "green", "blue"]):
        cells = [{"bytes": path.read_bytes(), "path": path.name} for path in files]
        columns = {"image": cells, "label": [path.parent.name for path in files]}
        features = Features({"image": Image(), "label": ClassLabel(names=order)})
        Dataset.from_dict(columns, features=features).to_parquet(tmp_path / f"{order[0]}.parquet")
    run_dir = tmp_path / "run"
    flags = ["--architecture", "lenet5", "--use_cpu", "--max_steps", "2", "--validation_fraction", "0"]
    whole = ["train", "--train_dir", str(tmp_path / "blue.parquet"), *flags, "--output_dir", str(run_dir)]
    assert main(whole) == 0
    again = ["train", "--config", str(run_dir / "run.yaml"), "--resume_from_checkpoint", "auto"]
    assert main(again) == 0
    capsys.readouterr()
    assert main([*again, "--train_dir", str(tmp_path / "red.parquet")]) == 2
    assert "come in another order" in capsys.readouterr().err


@pytest.mark.parametrize(("given", "said"), [(["pdf"], "expected one of svg, png"), ([], "--figures is empty")])
def test_figures_that_cannot_be_written_are_refused_at_once(run: Path, tmp_path: Path, capsys, given, said):
    assert main(["evaluate", str(run), "--output_dir", str(tmp_path), "--figures", *given]) == 2
    assert said in capsys.readouterr().err
    assert not any(tmp_path.iterdir())
