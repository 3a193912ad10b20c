"""What calibration.json holds, and what it makes of answers."""

import json

import numpy as np
import pytest

from hfcls.errors import UserError
from hfcls.uncertainty.calibration import measure_calibration
from hfcls.uncertainty.trust import CALIBRATION, fit_trust, load_trust
from tests.uncertainty.test_calibration import drawn

RNG = np.random.default_rng(5)
NAMES = ("c0", "c1", "c2", "c3")


@pytest.fixture(scope="module")
def trust():
    return fit_trust(drawn(3000, factor=3), split="validation", draws=RNG.random(3000))


def test_judgement(trust):
    fresh = drawn(3000, factor=3, seed=1)
    judged = trust.judge(fresh.logits, RNG.random(3000))
    np.testing.assert_allclose(judged.probabilities, trust.scaling.scale(fresh).probabilities)
    # Three standard deviations of both sets of 3,000.
    assert judged.sets[np.arange(3000), fresh.labels].mean() == pytest.approx(0.95, abs=0.017)
    assert judged.strange.mean() == pytest.approx(0.05, abs=0.017) and not judged.unsure.any()
    assert trust.judge(np.full((1, 4), -5.0), np.zeros(1)).strange.all()
    assert measure_calibration(trust.scaling.scale(fresh))["ece"] < 0.03


def test_abstention_keeps_the_risk(trust):
    fresh = drawn(3000, factor=3, seed=1)
    abstention = trust.abstention(0.1)
    assert abstention.risk <= 0.1 < abstention.bound
    judged = trust.judge(fresh.logits, np.zeros(3000), abstention=abstention)
    wrong = fresh.logits.argmax(axis=1) != fresh.labels
    assert wrong.mean() > 0.25 and 0.1 < judged.unsure.mean() < 0.9
    assert wrong[~judged.unsure].mean() < 0.13  # three standard errors above


def test_it_travels(trust, tmp_path):
    assert load_trust(tmp_path, NAMES) is None
    trust.save(tmp_path)
    again = load_trust(tmp_path, NAMES)
    logits, draws = drawn(50, seed=2).logits, RNG.random(50)
    for one, other in zip(
        vars(trust.judge(logits, draws)).values(), vars(again.judge(logits, draws)).values(), strict=True
    ):
        np.testing.assert_allclose(one, other, atol=1e-6)
    with pytest.raises(UserError, match="model with the classes"):
        load_trust(tmp_path, ("x", "y", "z", "w"))


def test_too_few_samples_exclude_no_class(tmp_path):
    few = fit_trust(drawn(10), split="validation", draws=np.zeros(10))
    few.save(tmp_path)
    assert load_trust(tmp_path, NAMES).judge(drawn(5).logits, np.zeros(5)).sets.all()


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
