"""Prediction sets, abstaining, doubt and detection: by hand, and by what they promise."""

import numpy as np
import pytest

from hfcls.uncertainty.conformal import CONFORMAL, adaptive_scores, fit_conformal, measure_sets, regularized_scores
from hfcls.uncertainty.detection import measure_detection
from hfcls.uncertainty.doubt import DOUBTS, Votes, mutual_information, predictive_entropy, variation_ratio
from hfcls.uncertainty.rejection import choose_abstention, compute_risk_coverage


def test_adaptive_scores_by_hand():
    probabilities = np.array([[0.2, 0.5, 0.3]])
    np.testing.assert_allclose(adaptive_scores(probabilities, np.array([0.5])), [[0.9, 0.25, 0.65]])
    seven = np.array([[0.4, 0.2, 0.1, 0.1, 0.08, 0.07, 0.05]])
    extra = regularized_scores(seven, np.zeros(1)) - adaptive_scores(seven, np.zeros(1))
    np.testing.assert_allclose(extra, [[0, 0, 0, 0, 0, 0.01, 0.02]], atol=1e-12)


def test_threshold_is_the_quantile_of_one_more():
    """Of 9 scores 0.1 ... 0.9 and 10 exchangeable ones, 80 % are no larger than the eighth."""
    probabilities = np.column_stack([1 - np.arange(1, 10) / 10, np.arange(1, 10) / 10])
    sets = fit_conformal(probabilities, np.zeros(9, int), method="thr", coverage=0.8, draws=np.zeros(9))
    np.testing.assert_allclose(sets.thresholds, 0.8)
    few = fit_conformal(probabilities[:3], np.zeros(3, int), method="thr", coverage=0.8, draws=np.zeros(3))
    assert np.isinf(few.thresholds).all()  # three samples can exclude nothing at 80 %
    with pytest.raises(ValueError, match="between 0 and 1"):
        fit_conformal(probabilities, np.zeros(9, int), method="thr", coverage=95, draws=np.zeros(9))


@pytest.mark.parametrize("by_class", [False, True], ids=["all", "by class"])
@pytest.mark.parametrize("method", sorted(CONFORMAL))
def test_coverage_is_kept_by_a_model_that_lies(method: str, by_class: bool):
    """Whatever the probabilities are worth: here those of an overconfident model that neglects class 3."""
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 4, 8000)
    logits = rng.normal(0, 1, (8000, 4)) + 2 * np.eye(4)[labels] - np.array([0, 0, 0, 2])
    probabilities = np.exp(4 * logits) / np.exp(4 * logits).sum(axis=1, keepdims=True)
    draws, half = rng.random(8000), slice(0, 4000)
    fitted = fit_conformal(
        probabilities[half], labels[half], method=method, coverage=0.9, draws=draws[half], by_class=by_class
    )
    found = measure_sets(fitted.sets(probabilities[4000:], draws[4000:]), labels[4000:])
    # Three standard deviations of both halves together; of a class four times fewer.
    assert found["coverage"] == pytest.approx(0.9, abs=0.02)
    assert (found["worst_class_coverage"] > 0.86) == by_class


def test_risk_and_coverage_by_hand():
    """Sureness 4 3 2 1, the third wrong: risks 0 0 1/3 1/4."""
    curve = compute_risk_coverage(np.array([1.0, 4, 2, 3]), np.array([True, True, False, True]))
    np.testing.assert_allclose(curve.risk, [0, 0, 1 / 3, 1 / 4])
    np.testing.assert_allclose(curve.coverage, [0.25, 0.5, 0.75, 1])
    assert curve.area == pytest.approx((1 / 3 + 1 / 4) / 4)
    assert curve.excess_area == pytest.approx((1 / 3 + 1 / 4) / 4 - (1 / 4) / 4)
    tied = compute_risk_coverage(np.ones(4), np.array([True, True, False, True]))
    assert tied.coverage.tolist() == [1] and tied.area == 0.25


def test_abstention_by_hand():
    sureness, correct = np.array([0.9, 0.8, 0.7, 0.6, 0.5]), np.array([True, True, False, True, False])
    chosen = choose_abstention(compute_risk_coverage(sureness, correct), risk=0.25)
    assert (chosen.threshold, chosen.coverage, chosen.risk) == (0.6, 0.8, 0.25)
    assert chosen.bound == pytest.approx(0.7514, abs=1e-4)  # one of four: 1 - BetaInv(0.05; 3, 2)
    none = choose_abstention(compute_risk_coverage(sureness, ~correct), risk=0.1)
    assert none.threshold == np.inf and none.coverage == 0


def test_doubt_by_hand():
    """Two members that are sure of different classes, and two that agree to be unsure."""
    votes = Votes(np.array([[[1.0, 0], [0.5, 0.5]], [[0.0, 1], [0.5, 0.5]]]))
    np.testing.assert_allclose(predictive_entropy(votes), np.log(2))
    np.testing.assert_allclose(mutual_information(votes), [np.log(2), 0], atol=1e-12)
    np.testing.assert_allclose(variation_ratio(votes), [0.5, 0])
    assert all(doubt(votes).shape == (2,) for doubt in DOUBTS.values())


def test_detection_by_hand():
    found = measure_detection(np.array([3.0, 1.5]), np.array([1.0, 2.0]))
    assert found["auroc"] == 0.75 and found["aupr"] == pytest.approx(1 / 2 + 1 / 3)
    assert found["fpr95"] == 0.5  # what is known reaches up to 2
    with pytest.raises(ValueError, match="both kinds"):
        measure_detection(np.array([]), np.array([1.0]))
