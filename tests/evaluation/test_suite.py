"""The suite through the command: what it finds, what it costs, how it goes on."""

import json
import shutil
import xml.etree.ElementTree as ET
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from scipy.special import logsumexp, softmax
from scipy.stats import norm
from sklearn.metrics import roc_auc_score
from transformers import ViTImageProcessor

import hfcls.evaluation.suite.subject
import hfcls.models
from hfcls.cli import main
from hfcls.commands.evaluate import evaluate
from hfcls.commands.predict import predict
from hfcls.commands.train import train
from hfcls.data.transforms import Preprocessing
from hfcls.errors import UserError
from hfcls.evaluation.suite import QUICK, STEPS
from hfcls.evaluation.suite.step import Step
from hfcls.evaluation.suite.stranger_sets import named_strangers, shuffle_patches
from hfcls.evaluation.suite.summary import sum_up
from hfcls.metrics.wilson import wilson_interval
from hfcls.structures import Predictions
from hfcls.uncertainty.conformal import fit_conformal
from hfcls.uncertainty.detection import auroc_interval, bootstrap_auroc
from hfcls.uncertainty.scaling import fit_temperature
from hfcls.uncertainty.strangers import Seen
from hfcls.uncertainty.trust import VERDICTS, draws_of, load_trust
from tests.conftest import write_images


@pytest.fixture(scope="module")
def photos(tmp_path_factory) -> Path:
    return write_images(tmp_path_factory.mktemp("suite") / "photos", dict.fromkeys(("blue", "green", "red"), 50))


@pytest.fixture(scope="module")
def strangers(tmp_path_factory) -> Path:
    """12 grey images and a broken one, in a folder that is called as a split is."""
    root = tmp_path_factory.mktemp("strangers") / "train"
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


def test_every_step_costs_what_it_says_and_is_right(run: Path, strangers: Path, tmp_path: Path, monkeypatch, capsys):
    passed = 0

    def counting(*args, **kwargs):
        classifier = load(*args, **kwargs)

        def count(_module, _inputs, outputs):
            nonlocal passed
            passed += len(outputs.logits)

        classifier.model.register_forward_hook(count)
        return classifier

    load = hfcls.models.load_classifier
    monkeypatch.setattr("hfcls.training.evaluation_case.load_classifier", counting)
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
    # One more image tells whether the predictions of the validation split are of this network.
    assert passed == n + 1 + sum(one["passes"] for one in results.values())
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
        ("train", "far", 12, 1), ("uniform noise", "made", n, 0), ("shuffled patches", "made", n, 0),
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
    for here, there in (("suite", "report"), ("report", "suite")):
        assert f'href="../{there}/index.html"' in (tmp_path / here / "index.html").read_text(encoding="utf-8")

    said = capsys.readouterr().out
    surest = scaling.scale(predictions).probabilities.max(axis=1)
    sure = predictions.probabilities.max(axis=1)
    told = results["strangers"]["as_predict"]
    assert told["score"] == "energy"
    assert told["threshold"] == pytest.approx(load_trust(run, predictions.class_names).strange_from)
    alarms = (-logsumexp(scaling.apply(predictions.logits).astype(np.float64), axis=1) > told["threshold"]).mean()
    assert told["false_alarms"]["value"] == alarms
    # The run keeps what was learned in the same way: predict says it.
    verdicts = [row["verdict"] for row in predict(asked | {"calibrated": True}) if row["error"] is None]
    assert told["found"][0]["value"] == np.mean([one == VERDICTS[2] for one in verdicts])
    kept = results["abstaining"]["kept"]
    for one in kept:
        assert (one["low"], one["high"]) == (
            wilson_interval(one["wrong"], one["count"]) if one["count"] else (None,) * 2
        )
    for clause in (
        f"It is right in {100 - 100 * wrong.mean():.1f} % of the images, and {100 * sure.mean():.1f} % sure on average",
        f"({100 * surest.mean():.1f} % after scaling)",
        f"hold the true one in {100 * row['coverage']:.1f} %",
        f"predict finds out {100 * told['found'][0]['value']:.1f} % of the far ones, and takes {100 * alarms:.1f} % of",
    ):
        assert clause in said and clause.replace(" %", "\u00a0%") in page


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
        # All of these were seen before.
        patch.setattr("hfcls.evaluation.suite.stranger_sets._Reader.__call__", stop)
        patch.setattr("hfcls.evaluation.measure.measure_split", stop)
        capsys.readouterr()
        assert main([*asked, str(tmp_path / "killed")]) == 0
        assert "evaluated before with the same model and images" in capsys.readouterr().out
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


def test_predictions_of_other_weights_or_that_were_changed_are_made_anew(
    plain: Path, photos: Path, tmp_path: Path, capsys
):
    shutil.copytree(plain, tmp_path / "run")
    asked = ["evaluate", str(tmp_path / "run"), "--test_dir", str(photos), "--suite", "quick", "--use_cpu"]
    asked += ["--output_dir", str(tmp_path / "out")]
    for change in (None, "predictions", "weights"):
        if change == "predictions":
            file = tmp_path / "out" / "predictions" / "test.parquet"
            before = Predictions.load(file)
            Predictions(before.logits[:, ::-1], before.labels, before.ids, before.class_names).save(file)
        elif change == "weights":
            weights = load_file(tmp_path / "run" / "model.safetensors")
            save_file(
                {k: v * 1.5 for k, v in weights.items()}, tmp_path / "run" / "model.safetensors", {"format": "pt"}
            )
        assert main(asked) == 0
        assert "evaluated before" not in capsys.readouterr().out, change
        if change == "predictions":
            assert np.array_equal(Predictions.load(file).logits, before.logits)
    assert main(asked) == 0
    assert "evaluated before" in capsys.readouterr().out


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


def test_validation_is_fitted_on_only_where_it_is_of_these_weights_and_not_measured(
    plain: Path, photos: Path, tmp_path: Path
):
    """Half of the images are fitted on where a measured one is in validation, and where the weights were changed."""
    names = Predictions.load(plain / "predictions" / "validation.parquet").ids
    others = sorted({str(file.relative_to(photos)) for file in photos.rglob("*.png")} - set(names))
    assert len(others) == 150 - len(names)

    def fitted_on(images: list[str], run: Path) -> str:
        place = tmp_path / str(len(list(tmp_path.iterdir())))
        for number, name in enumerate(images):
            (place / "data" / Path(name).parent.name).mkdir(parents=True, exist_ok=True)
            shutil.copy(photos / name, place / "data" / Path(name).parent.name / f"{number}.png")
        asked = {"model": str(run), "test_dir": str(place / "data"), "suite": "quick", "use_cpu": True}
        evaluate(asked | {"output_dir": str(place / "out")})
        return read(place / "out")["calibration"]["result"]["fitted_on"]

    assert "validation split" in fitted_on(others, plain)
    assert f"of the {len(others) + 1} images" in fitted_on([*others, names[0]], plain)
    shutil.copytree(plain, tmp_path / "changed")
    weights = load_file(plain / "model.safetensors")
    changed = {name: 7 * value for name, value in weights.items()}
    save_file(changed, tmp_path / "changed" / "model.safetensors", {"format": "pt"})
    assert f"of the {len(others)} images" in fitted_on(others, tmp_path / "changed")


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


def test_strangers_of_a_large_set_are_drawn_by_content(tmp_path: Path, monkeypatch):
    """40 shades of red, of which 20 are drawn: under other names and in another order the same."""
    monkeypatch.setattr("hfcls.evaluation.suite.stranger_sets.MOST", 20)
    preprocessing = Preprocessing(ViTImageProcessor(size={"height": 8, "width": 8}, do_normalize=False))
    drawn = []
    for place, step in (("one", 1), ("two", 7)):
        (tmp_path / place).mkdir()
        for number in range(40):
            Image.new("RGB", (8, 8), (6 * number, 0, 0)).save(tmp_path / place / f"{number * step % 40:02d}.png")
        (found,) = named_strangers([str(tmp_path / place)], preprocessing, batch_size=8)
        assert found.n == 20
        red = torch.cat(list(found.batches()))[:, 0, 0, 0] * 255
        drawn.append(sorted((red / 6).round().int().tolist()))
    assert drawn[0] == drawn[1] and len(set(drawn[0])) == 20
    # Of either half about 10; 4 is four standard deviations less (hypergeometric, 1.6).
    assert 4 <= sum(number < 20 for number in drawn[0]) <= 16


def test_strangers_that_a_network_makes_no_numbers_of_are_left_out_with_a_reason(
    plain: Path, strangers: Path, tmp_path: Path, monkeypatch
):
    """The fifth logit of all that is looked at beside the measured images is none."""
    look = hfcls.evaluation.suite.subject.observe

    def overflow(*args, **kwargs):
        seen = look(*args, **kwargs)
        return Seen(np.where(np.arange(seen.logits.size).reshape(seen.logits.shape) == 4, np.nan, seen.logits))

    monkeypatch.setattr("hfcls.evaluation.suite.subject.observe", overflow)
    asked = {"model": str(plain), "suite": "quick", "strangers": [str(strangers)], "use_cpu": True}
    evaluate(asked | {"output_dir": str(tmp_path)})
    found = read(tmp_path)["strangers"]
    assert found["result"] is None and "images of train are not numbers" in found["reason"]


def test_what_goes_wrong_in_a_pass_with_dropout_is_no_reason_to_leave_it_out(run: Path, monkeypatch):
    """As of an image that cannot be read: the next evaluation would go by the reason that was kept."""

    def broken(_subject):
        raise UserError("photo.png cannot be read.")
        yield

    monkeypatch.setattr("hfcls.evaluation.suite.dropout._votes", broken)
    classifier = hfcls.models.load_classifier(str(run))
    with pytest.raises(UserError, match="cannot be read"):
        STEPS["dropout"].run(SimpleNamespace(classifier=classifier))
    assert not any(part.training for part in classifier.model.modules())


def test_the_sentence_says_how_many_answers_its_shares_are_of():
    def kept(wanted: float, count: int, wrong: int, *, reachable: bool = True) -> dict:
        low, high = wilson_interval(wrong, count) if count else (None, None)
        risk = wrong / count if count else None
        counts = {"wanted": wanted, "count": count, "wrong": wrong, "reachable": reachable, "answered": count / 120}
        return counts | {"risk": risk, "low": low, "high": high}

    # Wilson's upper end of none of 2, by hand: 1.96^2 / (2 + 1.96^2)
    high = 100 * 1.959964**2 / (2 + 1.959964**2)
    for rows, said in (
        (
            [kept(0.01, 2, 0)],
            f"answers 2 of 120 images (1.7 %), and 0 of these wrongly (0.0 %; as much as {high:.1f} % c",
        ),
        ([kept(0.01, 0, 0), kept(0.05, 0, 0)], "answers none of 120 images"),
        ([kept(0.01, 0, 0, reachable=False), kept(0.05, 0, 0, reachable=False)], "ven its surest answers are wrong"),
    ):
        assert said in sum_up({"abstaining": {"n": 120, "kept": rows}})


def test_every_patch_changes_its_place():
    pixels = torch.arange(16).repeat_interleave(2).view(4, 8).repeat_interleave(3, dim=0).expand(3, 12, 8)
    pixels = torch.nn.functional.pad(pixels, (0, 1, 0, 2), value=99)  # a rest that belongs to no patch
    mixed = shuffle_patches(pixels, seed=0)
    assert not (mixed == pixels)[:, :12, :8].any()
    assert torch.equal(mixed[:, :, 8:], pixels[:, :, 8:]) and torch.equal(mixed[:, 12:], pixels[:, 12:])
    assert torch.equal(mixed.flatten().sort().values, pixels.flatten().sort().values)
    assert not torch.equal(mixed, shuffle_patches(pixels, seed=1))


def test_strangers_from_a_file_and_the_mean_of_those_of_a_kind(plain: Path, strangers: Path, tmp_path: Path):
    """Every set of a kind counts the same (OpenOOD v1.5, arXiv:2306.09301)."""
    other = write_images(tmp_path / "others", {"purple": 5})
    (tmp_path / "trust.yaml").write_text(
        f"suite: quick\nuse_cpu: true\nstrangers:\n- far={strangers}\n- near={other}\n- far={other / 'purple'}\n"
    )
    asked = ["evaluate", str(plain), "--config", str(tmp_path / "trust.yaml"), "--output_dir", str(tmp_path / "out")]
    assert main(asked) == 0
    result = read(tmp_path / "out")["strangers"]["result"]
    assert [one["kind"] for one in result["sets"]] == ["far", "near", "far", "made", "made"]
    for row in result["rows"]:
        assert row["means"].keys() == {"far"}
        for key in ("auroc", "fpr95"):
            one, other = row["figures"][0][key], row["figures"][2][key]
            assert row["means"]["far"][key] == pytest.approx((one + other) / 2)
    page = (tmp_path / "out" / "suite" / "index.html").read_text(encoding="utf-8")
    assert 'far, mean<span class="also">of 2 sets' in page and "near, mean" not in page


@pytest.mark.parametrize(("few", "area"), [(20, 0.9), (20, 0.99), (30, 0.97), (50, 0.8), (50, 0.99)])
@pytest.mark.parametrize("spread", [1.0, 2.0])
def test_the_interval_of_an_auroc_of_few_strangers_holds(few: int, area: float, spread: float):
    """400 draws of normal scores with a known area: an interval of 95 % misses no more than 9 % of them.

    3.7 standard deviations of 400 draws are 4 points. Those of the bootstrap miss up to 40 %.
    """
    rng, held = np.random.default_rng(0), 0
    middle = norm.ppf(area) * np.sqrt(1 + spread**2)
    for _ in range(400):
        low, high = auroc_interval(rng.normal(middle, spread, few), rng.normal(0, 1, 300))
        held += low <= area <= high
    assert held / 400 >= 0.91


def test_the_interval_of_an_auroc():
    rng = np.random.default_rng(0)
    positive, negative = rng.normal(1, 1, 400).round(1), rng.normal(0, 1, 400).round(1)
    low, high = bootstrap_auroc(positive, negative)
    value = roc_auc_score([1] * 400 + [0] * 400, [*positive, *negative])
    # Hanley and McNeil 1982: the standard error of this area from so many of each is 0.0155
    assert low < value < high and high - low == pytest.approx(2 * 1.96 * 0.0155, rel=0.2)
    assert bootstrap_auroc(np.ones(5), np.zeros(5)) == (1, 1)
    assert bootstrap_auroc(np.ones(5), np.ones(5)) == (0.5, 0.5)
    assert auroc_interval(positive, negative) == (low, high)
    # All told apart, by hand: with 1 - t = z^2 (1 + 4 t / (1 + t) + 4 (1 - t) / (2 - t)) t / 25 for the lower end t.
    low, high = auroc_interval(np.ones(5), np.zeros(5))
    pairs = 4 * low / (1 + low) + 4 * (1 - low) / (2 - low)
    assert high == 1 and 1 - low == pytest.approx(1.96**2 * (1 + pairs) * low / 25, rel=1e-3)
    mirrored = auroc_interval(np.zeros(5), np.ones(5))
    assert mirrored == pytest.approx((0, 1 - low))
