"""What calibration.json holds, and what it makes of answers."""

import json

import numpy as np
import pytest

from hfcls.errors import UserError
from hfcls.structures import Predictions
from hfcls.uncertainty.calibration import measure_calibration
from hfcls.uncertainty.conformal import CONFORMAL
from hfcls.uncertainty.learning import fit_trust
from hfcls.uncertainty.trust import CALIBRATION, load_trust
from tests.uncertainty.test_calibration import drawn

NAMES = ("c0", "c1", "c2", "c3")


@pytest.fixture(scope="module")
def trust():
    return fit_trust(drawn(3000, factor=3), split="validation")


def test_judgement(trust):
    fresh = drawn(3000, factor=3, seed=1)
    judged = trust.judge(fresh.logits)
    np.testing.assert_allclose(judged.probabilities, trust.scaling.scale(fresh).probabilities)
    # Three standard deviations of both sets of 3,000.
    assert judged.sets[np.arange(3000), fresh.labels].mean() == pytest.approx(0.95, abs=0.017)
    assert judged.strange.mean() == pytest.approx(0.05, abs=0.017) and not judged.unsure.any()
    assert trust.judge(np.full((1, 4), -5.0)).strange.all()
    assert measure_calibration(trust.scaling.scale(fresh))["ece"] < 0.03


def test_what_is_sure_is_held_possible():
    """Of a network that is always right, no set is left empty, and none hangs on anything but the answer."""
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 4, 2000)
    logits = (rng.normal(size=(2000, 4)) + 12 * np.eye(4)[labels]).astype(np.float32)
    told = Predictions(logits, labels, tuple(map(str, range(2000))), NAMES)
    for method in CONFORMAL:
        trust = fit_trust(told, split="validation", method=method)
        np.testing.assert_array_equal(trust.judge(logits).sets, np.eye(4, dtype=bool)[labels])
    doubted = trust.judge(np.zeros((1, 4))).sets  # what the network was never as unsure of
    assert doubted.sum() >= 1


def test_a_vector_is_not_measured_on_what_it_was_fitted_on():
    """10 images a class, 40 times: with sets from the very same images the coverage would be 0.93."""
    rng = np.random.default_rng(0)
    names = tuple(map(str, range(20)))
    held = []
    for _ in range(40):
        parts = []
        for n in (200, 1000):
            labels = np.arange(n) % 20
            logits = 3 * (rng.normal(size=(n, 20)) + 2 * np.eye(20)[labels])
            parts.append(Predictions(logits.astype(np.float32), labels, tuple(map(str, range(n))), names))
        sets = fit_trust(parts[0], split="validation", scaling="vector").judge(parts[1].logits).sets
        held.append(sets[np.arange(1000), parts[1].labels].mean())
    # Of 100 samples the coverage varies by 0.022; three standard errors of 40 below the wanted 0.95.
    assert 0.94 < np.mean(held) < 0.97


def test_abstention_keeps_the_risk(trust):
    fresh = drawn(3000, factor=3, seed=1)
    abstention = trust.abstention(0.1)
    assert abstention.risk <= 0.1 < abstention.bound
    judged = trust.judge(fresh.logits, abstention=abstention)
    wrong = fresh.logits.argmax(axis=1) != fresh.labels
    assert wrong.mean() > 0.25 and 0.1 < judged.unsure.mean() < 0.9
    assert wrong[~judged.unsure].mean() < 0.13  # three standard errors above


def test_it_travels(trust, tmp_path):
    assert load_trust(tmp_path, NAMES) is None
    trust.save(tmp_path)
    again = load_trust(tmp_path, NAMES)
    logits = drawn(50, seed=2).logits
    for one, other in zip(vars(trust.judge(logits)).values(), vars(again.judge(logits)).values(), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-6)
    said: list[str] = []
    assert load_trust(tmp_path, ("x", "y", "z", "w"), say=said.append) is None
    assert "other classes" in said[0]
    # As it was before it told of weights and images.
    old = {k: v for k, v in trust.to_json().items() if k not in ("written_by", "weights", "images")}
    (tmp_path / CALIBRATION).write_text(json.dumps(old))
    assert load_trust(tmp_path, NAMES, weights="x").is_fresh(["a"], data="", split="test").all()


def test_too_few_samples_exclude_no_class(tmp_path):
    few = fit_trust(drawn(10), split="validation")
    few.save(tmp_path)
    assert load_trust(tmp_path, NAMES).judge(drawn(5).logits).sets.all()


@pytest.mark.parametrize(
    "change",
    [
        {"sets": {"method": "magic", "coverage": 0.9, "thresholds": [1, 1, 1, 1]}},
        {"sets": {"method": "aps", "coverage": 0.9, "thresholds": [1]}},
        {"strangers": {"score": "knn", "threshold": 0}},
        {"scaling": {"method": "temperature", "temperature": -1}},
        {"scaling": 1},
        {"class_names": None},
        {"abstaining": {"threshold": [0.5], "answered": [], "wrong": []}},
    ],
    ids=str,
)
def test_a_damaged_file_is_told(change, trust, tmp_path):
    trust.save(tmp_path)
    content = json.loads((tmp_path / CALIBRATION).read_text())
    (tmp_path / CALIBRATION).write_text(json.dumps(content | change))
    with pytest.raises(UserError, match=r"calibration\.json"):
        load_trust(tmp_path, NAMES)
