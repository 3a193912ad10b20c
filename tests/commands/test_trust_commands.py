"""What is learned of a model's answers, through the commands: train learns it, predict goes by it, evaluate tells."""

import csv
import html
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from scipy.special import softmax

from hfcls.cli import main
from hfcls.commands.evaluate import evaluate
from hfcls.commands.predict import predict
from hfcls.commands.train import train
from hfcls.evaluation.trusted import measure_trust
from hfcls.metrics.wilson import wilson_interval
from hfcls.serving.predictor import Predictor
from hfcls.structures import Predictions
from hfcls.uncertainty.calibration import measure_calibration
from hfcls.uncertainty.trust import VERDICTS, load_trust
from tests.conftest import write_images

CALIBRATION = "calibration.json"
NAMES = ("blue", "green", "red")
HOSPITALS = ("east", "north", "west")


@pytest.fixture(scope="module")
def table(tmp_path_factory) -> Path:
    """180 images in a CSV with their classes and a hospital; a third of the classes are wrong, so that none is sure."""
    root = tmp_path_factory.mktemp("trust")
    write_images(root / "images", dict.fromkeys(NAMES, 60))
    rng = np.random.default_rng(0)
    with (root / "table.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["path", "label", "hospital"])
        for number, path in enumerate(sorted((root / "images").rglob("*.png"))):
            label = path.parent.name if rng.random() > 1 / 3 else NAMES[number % 3]
            writer.writerow([path.relative_to(root), label, HOSPITALS[int(path.stem) % 3]])
    return root / "table.csv"


@pytest.fixture(scope="module")
def runs(table: Path, tmp_path_factory) -> tuple[Path, Path]:
    root = tmp_path_factory.mktemp("runs")
    for name, seed, rate in (("first", 1, 0.01), ("second", 2, 0.003)):
        train(
            {"train_dir": str(table), "architecture": "lenet5", "output_dir": str(root / name), "use_cpu": True}
            | {"num_train_epochs": 2, "disable_tqdm": True, "learning_rate": rate, "seed": seed}
            | {"validation_fraction": 0.3, "group_column_name": None, "label_column_name": "label"}
        )
    return root / "first", root / "second"


@pytest.fixture
def run(runs: tuple[Path, Path], tmp_path: Path) -> Path:
    """A copy of the first run, to be spoiled."""
    shutil.copytree(runs[0], tmp_path / "run")
    return tmp_path / "run"


def images_of(table: Path, count: int = 20) -> list[str]:
    return [str(path) for path in sorted((table.parent / "images").rglob("*.png"))[:count]]


def test_train_learns_on_validation_and_measures_on_test(runs: tuple[Path, Path]):
    run = runs[0]
    trust = load_trust(run, NAMES)
    validation, test = (Predictions.load(run / "predictions" / f"{s}.parquet") for s in ("validation", "test"))
    assert trust is not None and (trust.split, trust.n) == ("validation", len(validation))
    told = json.loads((run / "metrics.json").read_text())["splits"]
    assert "trust" not in told["validation"]
    found = told["test"]["trust"]
    assert found["calibration"]["before"] == pytest.approx(measure_calibration(test))
    probabilities = softmax(trust.scaling.apply(test.logits).astype(np.float64), axis=1)
    brier = ((probabilities - np.eye(3)[test.labels]) ** 2).sum(axis=1).mean()
    assert found["calibration"]["after"]["brier"] == pytest.approx(brier)
    sets = trust.conformal.sets(probabilities)
    assert found["sets"]["coverage"] == sets[np.arange(len(test)), test.labels].mean()
    assert found["abstaining"]["risk"]["1.0"] == (test.logits.argmax(axis=1) != test.labels).mean()


def test_predict_scales_unless_told_not_to(runs: tuple[Path, Path], table: Path, capsys):
    run, trust = runs[0], load_trust(runs[0], NAMES)
    asked = {"model": run, "images": images_of(table), "use_cpu": True, "probabilities": True, "tta": "none"}
    scaled, plain, flipped = (predict(asked | change) for change in ({}, {"calibrated": False}, {"tta": "flip"}))
    assert "single views" in capsys.readouterr().err
    # log p is the logits but for a constant, which no softmax sees; scores have six digits.
    logits = np.log([[row["probabilities"][name] for name in NAMES] for row in plain])
    given = np.array([[row["probabilities"][name] for name in NAMES] for row in scaled])
    np.testing.assert_allclose(given, softmax(trust.scaling.apply(logits), axis=1), atol=5e-6)
    assert np.abs(given - np.exp(logits)).max() > 1e-3
    assert all(row["verdict"] in VERDICTS for row in scaled)
    # views are neither scaled nor judged by what was learned of single ones
    assert all("verdict" not in row and "possible" not in row for row in [*plain, *flipped])


def test_every_format_says_what_to_think_of_an_answer(runs: tuple[Path, Path], table: Path, tmp_path: Path):
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"no image")
    flags = ["--use_cpu", "--abstain_at_risk", "0.5", "--top_k", "1"]
    rows = {}
    for name in ("csv", "jsonl", "parquet"):
        output = tmp_path / f"answers.{name}"
        assert main(["predict", str(runs[0]), *images_of(table), str(broken), "--output", str(output), *flags]) == 0
        if name == "parquet":
            rows[name] = pq.read_table(output).to_pylist()
        elif name == "csv":
            rows[name] = list(csv.DictReader(output.open(newline="")))
        else:
            rows[name] = [json.loads(line) for line in output.read_text().splitlines()]
    *answers, bad = rows["jsonl"]
    assert [row["possible"] for row in rows["parquet"][:-1]] == [row["possible"] for row in answers]
    assert [json.loads(row["possible"]) for row in rows["csv"][:-1]] == [row["possible"] for row in answers]
    for name in ("csv", "parquet"):
        assert [row["verdict"] for row in rows[name][:-1]] == [row["verdict"] for row in answers]
    assert bad["verdict"] is None and bad["possible"] == []
    assert rows["parquet"][-1]["verdict"] is None and rows["csv"][-1]["possible"] == ""
    assert {name for row in answers for name in row["possible"]} <= set(NAMES)


def test_abstaining_goes_by_the_curve(runs: tuple[Path, Path], table: Path, capsys):
    trust = load_trust(runs[0], NAMES)
    risk = float(trust.curve.risk[-1]) * 0.9
    rows = predict({"model": runs[0], "images": images_of(table, 60), "use_cpu": True, "abstain_at_risk": risk})
    assert "answers with a probability from" in capsys.readouterr().err
    threshold = trust.abstention(risk).threshold
    unsure = [row["predictions"][0]["score"] < threshold for row in rows]
    assert any(unsure)
    for row, doubt in zip(rows, unsure, strict=True):
        assert row["verdict"] in ({VERDICTS[1], VERDICTS[2]} if doubt else {VERDICTS[0], VERDICTS[2]})


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--abstain_at_risk", "1.5"], "expected a share"),
        (["--abstain_at_risk", "0.0001"], "No threshold keeps"),
        (["--abstain_at_risk", "0.5", "--calibrated", "false"], "leave --calibrated false"),
        (["--abstain_at_risk", "0.5", "--tta", "flip"], "leave --calibrated false"),
    ],
)
def test_a_risk_that_cannot_be_kept_is_refused(run: Path, table: Path, capsys, flags, said):
    content = json.loads((run / CALIBRATION).read_text())
    content["abstaining"] = {"threshold": [0.5, 0.3], "answered": [20, 40], "wrong": [10, 20]}
    (run / CALIBRATION).write_text(json.dumps(content))
    assert main(["predict", str(run), images_of(table)[0], "--use_cpu", *flags]) == 2
    assert said in capsys.readouterr().err


def test_a_missing_or_damaged_file_is_one_sentence(run: Path, table: Path, capsys):
    asked = ["predict", str(run), images_of(table)[0], "--use_cpu"]
    content = json.loads((run / CALIBRATION).read_text())
    (run / CALIBRATION).write_text(json.dumps(content | {"sets": None}))
    assert main(asked) == 2
    assert "write it anew with" in capsys.readouterr().err
    assert main([*asked, "--calibrated", "false"]) == 0
    (run / CALIBRATION).unlink()
    assert main(["evaluate", str(run), "--use_cpu", "--folded_dir", str(run / "folded")]) == 2
    assert "needs a calibration" in capsys.readouterr().err and not (run / "evaluation").exists()
    assert main([*asked, "--abstain_at_risk", "0.1"]) == 2
    assert "--calibrate temperature" in capsys.readouterr().err
    assert main(["evaluate", str(run), "--split", "validation", "--calibrate", "vector", "--use_cpu"]) == 0
    assert json.loads((run / CALIBRATION).read_text())["scaling"]["method"] == "vector"
    capsys.readouterr()
    assert main(["evaluate", str(run), "--split", "train", "--calibrate", "vector", "--use_cpu"]) == 2
    assert "learned from" in capsys.readouterr().err


def test_only_the_very_images_that_it_was_learned_from_tell_nothing(run: Path, table: Path, tmp_path: Path):
    """Learned from foreign images that were called test, it is measured on the run's own test split, not on them."""
    lines = table.read_text().splitlines()
    others = table.with_name("others.csv")
    others.write_text("\n".join([lines[0], *lines[1::2]]))
    foreign = {"model": str(run), "test_dir": str(others), "label_column_name": "label", "use_cpu": True}
    learned = evaluate(foreign | {"calibrate": "temperature", "output_dir": str(tmp_path / "learned")})
    own = evaluate({"model": str(run), "use_cpu": True, "output_dir": str(tmp_path / "own")})
    one = tmp_path / "one.txt"
    one.write_text(Predictions.load(tmp_path / "learned" / "predictions" / "test.parquet").ids[0])
    again = evaluate(foreign | {"output_dir": str(tmp_path / "again"), "exclude": str(one)})
    assert "trust" not in learned["splits"]["test"] and "trust" not in again["splits"]["test"]
    assert own["splits"]["test"]["trust"]["learned_from"] == {"split": "test", "n": 90}
    saved = Predictions.load(run / "predictions" / "test.parquet")
    known = Predictions.load(tmp_path / "learned" / "predictions" / "test.parquet").ids
    rest = saved.only(np.array([name not in known for name in saved.ids]))
    assert 0 < len(rest) < len(saved)
    accuracy = (rest.logits.argmax(axis=1) == rest.labels).mean()
    assert own["splits"]["test"]["trust"]["abstaining"]["risk"]["1.0"] == pytest.approx(1 - accuracy)
    data = json.loads((tmp_path / "learned" / "data.json").read_text())["splits"]["test"]["fingerprint"]
    assert json.loads((run / CALIBRATION).read_text())["data"] == data


def test_a_calibration_of_other_weights_or_another_tool_is_left_out(
    runs, timm_run, table: Path, tmp_path: Path, capsys
):
    """The answers are then those of the network, and it is said; in the demo as well."""
    run, file = tmp_path / "run", images_of(table)[0]
    shutil.copytree(runs[0], run)
    asked = {"model": run, "images": [file], "use_cpu": True}
    for place in (runs[0], timm_run):
        assert "verdict" in predict(asked | {"model": place})[0]  # what was in memory is what was saved
    capsys.readouterr()
    plain = predict(asked | {"calibrated": False})
    for spoil, said in (
        (lambda: (run / CALIBRATION).write_text('{"temperature": 1.5}'), "is not of hfcls"),
        (lambda: (run / CALIBRATION).write_text("{"), "is not of hfcls"),
        (lambda: shutil.copy(runs[1] / CALIBRATION, run / CALIBRATION), "other weights"),
        (lambda: shutil.copy(runs[0] / CALIBRATION, run / CALIBRATION), ""),
    ):
        spoil()
        rows = predict(asked)
        assert (said in capsys.readouterr().err) and (rows == plain) == bool(said)
        assert (Predictor(run, device="cpu").predict(Path(file).read_bytes()).judged is None) == bool(said)
        capsys.readouterr()


def test_the_images_that_the_model_learned_from_are_refused(run: Path, table: Path, tmp_path: Path, capsys):
    trained = evaluate({"model": str(run), "split": "train", "use_cpu": True, "output_dir": str(tmp_path / "train")})
    assert trained["splits"]["train"]["n"] > 20
    ids = set(Predictions.load(tmp_path / "train" / "predictions" / "train.parquet").ids)
    lines = table.read_text().splitlines()
    again = table.with_name("again.csv")
    again.write_text("\n".join([lines[0], *(line for line in lines[1:] if line.split(",")[0] in ids)]))
    flags = ["--label_column_name", "label", "--use_cpu", "--output_dir", str(tmp_path / "out")]
    assert main(["evaluate", str(run), "--test_dir", str(again), "--calibrate", "temperature", *flags]) == 2
    assert "learned from" in capsys.readouterr().err


def test_resume_refuses_another_calibration(run: Path, table: Path, tmp_path: Path, monkeypatch, capsys):
    output = tmp_path / "answers.csv"
    asked = ["predict", str(run), *images_of(table), "--output", str(output), "--batch_size", "4", "--use_cpu"]

    def stop(*_args):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("hfcls.evaluation.part_file.PartFile.finish", stop)
        assert main(asked) == 130
    content = json.loads((run / CALIBRATION).read_text())
    (run / CALIBRATION).write_text(json.dumps(content | {"strangers": {"score": "energy", "threshold": 3.25}}))
    capsys.readouterr()
    assert main([*asked, "--resume"]) == 2
    assert CALIBRATION in capsys.readouterr().err
    (run / CALIBRATION).write_text(json.dumps(content))
    assert main([*asked, "--resume"]) == 0
    assert len(output.read_text().splitlines()) == 21


STRANGER = """
import json, sys
from transformers import pipeline
pipe = pipeline("image-classification", model=sys.argv[1], trust_remote_code=True)
print(json.dumps([{one["label"]: one["score"] for one in row} for row in pipe(sys.argv[2:], top_k=3)]))
assert "hfcls" not in sys.modules
"""


def ask_a_stranger(model: Path, files: list[str], place: Path) -> list[dict[str, float]]:
    """What transformers' pipeline says in a process that finds no hfcls: of each image the scores by class."""
    done = subprocess.run(
        [sys.executable, "-c", STRANGER, str(model), *files],
        capture_output=True,
        text=True,
        cwd=place,
        env={"PATH": "/usr/bin", "HOME": str(place), "HF_HUB_OFFLINE": "1", "CUDA_VISIBLE_DEVICES": ""},
    )
    assert done.returncode == 0, done.stderr[-2000:]
    told: list[dict[str, float]] = json.loads(done.stdout.splitlines()[-1])
    return told


@pytest.fixture(scope="module")
def timm_run(table: Path, tmp_path_factory) -> Path:
    place = tmp_path_factory.mktemp("timm") / "run"
    train(
        {
            "train_dir": str(table),
            "architecture": "resnet18",
            "image_size": 32,
            "output_dir": str(place),
            "use_cpu": True,
        }
        | {"max_steps": 4, "disable_tqdm": True, "learning_rate": 0.001, "seed": 3, "label_column_name": "label"}
        | {"validation_fraction": 0.3}
    )
    return place


@pytest.mark.parametrize("method", ["temperature", "vector"])
@pytest.mark.parametrize("kind", ["own", "timm"])
def test_model_predictions_and_stranger_agree(
    runs: tuple[Path, Path], timm_run: Path, table: Path, tmp_path: Path, kind: str, method: str
):
    """The same figures from the model, from what it once said, and from whoever reads the folded copy."""
    run = tmp_path / "run"
    shutil.copytree(runs[0] if kind == "own" else timm_run, run)
    asked = {"model": str(run), "use_cpu": True}
    learned = {"split": "validation", "calibrate": method, "output_dir": str(tmp_path / "learned")}
    evaluate(asked | learned | {"folded_dir": str(tmp_path / "folded")})
    content = evaluate(asked | {"output_dir": str(tmp_path / "again")})["splits"]["test"]

    saved, trust = Predictions.load(run / "predictions" / "test.parquet"), load_trust(run, NAMES)
    assert trust.scaling.method == method
    told = json.loads(json.dumps(measure_trust(saved, trust)))
    again = json.loads(json.dumps(content["trust"]))
    for key in ("before", "after"):
        assert again["calibration"][key] == pytest.approx(told["calibration"][key], abs=1e-6)
    for key in ("learned_from", "scaling", "sets", "abstaining", "strange"):
        assert again[key] == told[key]

    probabilities = softmax(trust.scaled(saved.logits).astype(np.float64), axis=1)
    files = [str(table.parent / name) for name in saved.ids]
    answers = ask_a_stranger(tmp_path / "folded", files, tmp_path)
    given = np.array([[row[name] for name in NAMES] for row in answers])
    # float32 in another order of sums
    np.testing.assert_allclose(given.max(axis=1), probabilities.max(axis=1), atol=1e-5)
    accuracy = (probabilities.argmax(axis=1) == saved.labels).mean()
    assert (given.argmax(axis=1) == saved.labels).mean() == accuracy
    assert 0 < accuracy < 1 and (method == "vector" or accuracy == content["headline"]["accuracy"]["value"])
    for model in (run, tmp_path / "folded"):
        assert "verdict" in predict({"model": model, "images": files[:1], "use_cpu": True})[0]
        rows = predict({"model": model, "images": files[:5], "use_cpu": True, "probabilities": True})
        assert [row["probabilities"] for row in rows] == [pytest.approx(one, abs=1e-5) for one in answers[:5]]
    # Unscaled it would not be the same.
    assert np.abs(probabilities - saved.probabilities).max() > 1e-3


def test_a_folded_copy_is_not_folded_again(run: Path, table: Path, tmp_path: Path, capsys):
    assert main(["evaluate", str(run), "--use_cpu", "--folded_dir", str(tmp_path / "folded")]) == 0
    capsys.readouterr()
    again = ["evaluate", str(tmp_path / "folded"), "--test_dir", str(table), "--use_cpu"]
    assert main([*again, "--label_column_name", "label", "--folded_dir", str(tmp_path / "twice")]) == 2
    assert "already" in capsys.readouterr().err


def test_two_models_are_compared_as_their_predictions_say(runs: tuple[Path, Path], table: Path, tmp_path: Path, capsys):
    flags = ["--test_dir", str(table), "--label_column_name", "label", "--use_cpu", "--output_dir", str(tmp_path)]
    assert main(["evaluate", *map(str, runs), *flags]) == 0
    (found,) = json.loads((tmp_path / "comparison.json").read_text())["comparisons"]
    first, second = (Predictions.load(tmp_path / p / "predictions" / "test.parquet") for p in ("1-first", "2-second"))
    right = [one.logits.argmax(axis=1) == one.labels for one in (first, second)]
    assert found["n"] == 180
    assert found["accuracy"]["first"] == right[0].mean() and found["accuracy"]["second"] == right[1].mean()
    assert found["accuracy"]["difference"] == pytest.approx(right[1].mean() - right[0].mean())
    assert found["accuracy"]["low"] <= found["accuracy"]["difference"] <= found["accuracy"]["high"]
    assert found["mcnemar"]["only_first"] == (right[0] & ~right[1]).sum()
    assert found["mcnemar"]["only_second"] == (right[1] & ~right[0]).sum()
    loss = [-np.log(one.probabilities[np.arange(180), one.labels]).mean() for one in (first, second)]
    assert found["log_loss"]["difference"] == pytest.approx(loss[1] - loss[0])
    red = first.labels == 2
    assert found["per_class"][2]["first"] == pytest.approx(right[0][red].mean())
    page = (tmp_path / "index.html").read_text(encoding="utf-8")
    assert f"comparison  {tmp_path / 'index.html'}" in capsys.readouterr().out
    assert page.count("<img") == len(found["differ"]) > 0 and html.escape(found["sentence"]) in page
    reports = re.findall(r'href="([^#"]+)"', page)
    assert reports == [f"{place}/report/index.html" for place in ("1-first", "2-second")]
    assert all((tmp_path / place).is_file() for place in reports)


def test_other_images_or_labels_are_not_compared(runs: tuple[Path, Path], table: Path, tmp_path: Path, capsys):
    """Each run's own test split, of which one is made of another list, or of other images with the same names."""
    flags = ["--use_cpu", "--output_dir", str(tmp_path / "out")]
    lines = table.read_text().splitlines()
    elsewhere = tmp_path / "elsewhere"
    shutil.copytree(table.parent, elsewhere)
    test = set(Predictions.load(runs[1] / "predictions" / "test.parquet").ids)
    changed = next(path for path in (elsewhere / "images").rglob("*.png") if f"{path.relative_to(elsewhere)}" in test)
    changed.write_bytes(changed.read_bytes() + b"\0")  # the same to the eye, and another file
    swapped = {"red": "blue", "blue": "red"}
    for name, rows, said in (
        ("fewer", lines[:-30], "different images"),
        ("swapped", [lines[0], *(",".join([p, swapped.get(y, y), h]) for p, y, h in (x.split(",") for x in lines[1:]))],
         "different labels"),
        ("elsewhere", lines, "different images"),
    ):  # fmt: skip
        other = tmp_path / f"{name} run"
        shutil.copytree(runs[1], other)
        again = (elsewhere if name == "elsewhere" else table.parent) / f"{name}.csv"
        again.write_text("\n".join(rows))
        settings = (other / "run.yaml").read_text().replace(str(table), str(again))
        (other / "run.yaml").write_text(settings)
        (other / "data.json").unlink()
        assert main(["evaluate", str(runs[0]), str(other), *flags]) == 2
        assert said in capsys.readouterr().err
    assert main(["evaluate", str(runs[0]), str(runs[0]), *flags]) == 2
    assert "named twice" in capsys.readouterr().err
    assert main(["evaluate", str(runs[0]), str(runs[1]), "--calibrate", "vector", *flags]) == 2
    assert "for one model" in capsys.readouterr().err


def test_parts_of_a_runs_own_split(runs: tuple[Path, Path], tmp_path: Path, capsys):
    """The run was carved without that column, and its test split stays the same."""
    run = runs[0]
    content = evaluate({"model": str(run), "by": "hospital", "use_cpu": True, "output_dir": str(tmp_path)})
    before, again = (Predictions.load(d / "predictions" / "test.parquet") for d in (run, tmp_path))
    assert again.ids == before.ids
    right = again.logits.argmax(axis=1) == again.labels
    hospital = np.array([HOSPITALS[int(Path(name).stem) % 3] for name in again.ids])
    found = content["splits"]["test"]["by"]
    assert {row["group"] for row in found["groups"]} == set(HOSPITALS) and found["column"] == "hospital"
    for row in found["groups"]:
        mine = right[hospital == row["group"]]
        assert (row["n"], row["accuracy"]) == (len(mine), mine.mean())
        assert (row["low"], row["high"]) == wilson_interval(int(mine.sum()), len(mine))
    accuracies = [row["accuracy"] for row in found["groups"]]
    assert accuracies == sorted(accuracies) and found["gap"] == accuracies[-1] - accuracies[0]
    assert f"worst '{found['worst']}'" in capsys.readouterr().out


@pytest.mark.parametrize(("where", "said"), [("table", "no column 'ward'"), ("folder", "--by")])
def test_a_column_that_is_not_there(runs: tuple[Path, Path], table: Path, tmp_path: Path, capsys, where, said):
    place = table if where == "table" else table.parent / "images"
    asked = ["evaluate", str(runs[0]), "--test_dir", str(place), "--use_cpu", "--output_dir", str(tmp_path)]
    assert main([*asked, "--by", "ward"]) == 2
    error = capsys.readouterr().err
    assert said in error and "--group_column_name" not in error
