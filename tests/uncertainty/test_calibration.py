"""Against numbers worked out by hand, scikit-learn, and models whose miscalibration is known."""

from dataclasses import replace

import numpy as np
import pytest
from sklearn.metrics import brier_score_loss

from hfcls.errors import UserError
from hfcls.metrics import compute_values
from hfcls.structures import Predictions
from hfcls.uncertainty.calibration import decompose_brier, equal_mass, log_loss, measure_calibration
from hfcls.uncertainty.scaling import SCALINGS, Scaling, fit_temperature, fit_vector


def predictions(logits: np.ndarray, labels: np.ndarray) -> Predictions:
    names = tuple(f"c{i}" for i in range(logits.shape[1]))
    return Predictions(logits.astype(np.float32), labels, tuple(map(str, range(len(labels)))), names)


def drawn(n: int, *, factor: float = 1.0, bias: tuple[float, ...] = (0, 0, 0, 0), seed: int = 0) -> Predictions:
    """Labels drawn from the softmax of some logits; what is told are the logits, scaled and moved."""
    rng = np.random.default_rng(seed)
    true = rng.normal(0, 2, (n, 4))
    shares = np.exp(true) / np.exp(true).sum(axis=1, keepdims=True)
    labels = (rng.random((n, 1)) > shares.cumsum(axis=1)).sum(axis=1)
    return predictions(factor * (true - np.array(bias)), labels)


def of_probabilities(probabilities: list[list[float]], labels: list[int]) -> Predictions:
    return predictions(np.log(np.array(probabilities)), np.array(labels))


def test_by_hand():
    """Confidences 0.9 0.9 0.6 0.6, of which the second and the third are wrong; two bins."""
    told = of_probabilities([[0.9, 0.1], [0.9, 0.1], [0.6, 0.4], [0.4, 0.6]], [0, 1, 1, 1])
    found = measure_calibration(told, bins=2)
    # One bin of four: |3.0 - 2| / 4; of equal mass: |1.2 - 1| / 4 + |1.8 - 1| / 4.
    assert found["ece"] == pytest.approx(0.25) and found["mce"] == pytest.approx(0.25)
    assert found["ece_equal_mass"] == pytest.approx(0.05 + 0.2)
    # Class 0: below one half 0.4 of which none is true, above 0.9 0.9 0.6 of which one is; class 1 mirrors it.
    assert found["ece_classwise"] == pytest.approx(0.4 / 4 + 1.4 / 4)
    assert equal_mass(np.array([0.5, 0.5, 0.5, 0.9]), 2).tolist() == [0, 0, 0, 1]


def test_agrees_with_the_metrics_and_scikit_learn():
    told = drawn(500, factor=2)
    found, metrics = measure_calibration(told), compute_values(told)
    for name in ("ece", "brier", "log_loss"):
        assert found[name] == pytest.approx(metrics[name], abs=1e-12)
    assert min(found["miscalibration"], found["discrimination"], found["uncertainty"]) > 0
    two = predictions(told.logits[:, :2], told.labels % 2)
    parts = decompose_brier(two.probabilities, two.labels)
    reference = brier_score_loss(two.labels, two.probabilities[:, 1], scale_by_half=False)
    assert parts[0] - parts[1] + parts[2] == pytest.approx(reference, abs=1e-12)


def test_a_forecast_of_base_rates_tells_nothing_apart():
    told = of_probabilities([[0.75, 0.25]] * 4, [0, 0, 0, 1])
    miscalibration, discrimination, uncertainty = decompose_brier(told.probabilities, told.labels)
    assert miscalibration == pytest.approx(0, abs=1e-7) and discrimination == pytest.approx(0, abs=1e-12)
    assert uncertainty == pytest.approx(2 * 0.75 * 0.25)


def test_logits_of_any_size_are_brought_back():
    """The spread of the logits is no limit."""
    told = drawn(4000, factor=3)
    huge = replace(told, logits=told.logits * np.float32(1e4))
    assert fit_temperature(huge).temperature == pytest.approx(1e4 * fit_temperature(told).temperature, rel=0.01)


def test_temperature_is_found_and_mends():
    told, fresh = drawn(4000, factor=3), drawn(4000, factor=3, seed=1)
    scaling = fit_temperature(told)
    assert scaling.temperature == pytest.approx(3, rel=0.05)  # three standard errors of 4,000 samples
    scaled = scaling.scale(fresh)
    assert (scaled.logits.argmax(axis=1) == fresh.logits.argmax(axis=1)).all()
    assert measure_calibration(scaled)["ece"] < 0.02 < measure_calibration(fresh)["ece"]
    # No temperature nearby is better.
    best = log_loss(told.logits / scaling.temperature, told.labels)
    assert all(log_loss(told.logits / (scaling.temperature * f), told.labels) > best for f in (0.99, 1.01))


@pytest.mark.parametrize("method", sorted(SCALINGS))
def test_a_few_right_answers_make_nothing_certain(method: str):
    few = predictions(2 * np.eye(4), np.arange(4))
    assert log_loss(SCALINGS[method](few).apply(np.eye(4)), np.arange(4)) > 0.2


def test_vector_scaling_moves_classes_back():
    told, fresh = drawn(4000, factor=2, bias=(1, 0, 0, -1)), drawn(4000, factor=2, bias=(1, 0, 0, -1), seed=1)
    losses = [log_loss(SCALINGS[name](told).apply(fresh.logits), fresh.labels) for name in ("vector", "temperature")]
    assert losses[0] < losses[1] - 0.05
    scaling = fit_vector(told)
    np.testing.assert_allclose(scaling.weight, 0.5, atol=0.06)
    np.testing.assert_allclose(scaling.bias, [1, 0, 0, -1], atol=0.15)


@pytest.mark.parametrize("method", sorted(SCALINGS))
def test_scalings_travel(method: str):
    scaling = SCALINGS[method](drawn(200))
    again = Scaling.from_json(scaling.to_json(), 4)
    np.testing.assert_allclose(again.apply(drawn(9).logits), scaling.apply(drawn(9).logits), atol=1e-6)
    with pytest.raises(UserError, match=r"calibration\.json"):
        Scaling.from_json({"method": "vector", "weight": [1.0], "bias": [0.0]}, 4)
    for broken in ({}, [], {"method": "temperature", "temperature": 0}, {"method": "temperature", "temperature": "x"}):
        with pytest.raises(UserError, match=r"calibration\.json"):
            Scaling.from_json(broken, 4)


def test_unknown_labels_are_left_out():
    told = drawn(100)
    some = Predictions(told.logits, np.where(np.arange(100) < 50, told.labels, -1), told.ids, told.class_names)
    assert fit_temperature(some).temperature == fit_temperature(some.known).temperature
    with pytest.raises(ValueError, match="known label"):
        measure_calibration(Predictions(told.logits, np.full(100, -1), told.ids, told.class_names))
