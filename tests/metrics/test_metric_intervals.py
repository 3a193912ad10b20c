"""The bootstrap intervals."""

import json
from collections.abc import Callable

import numpy as np
import pytest

from hfcls.metrics import METRICS, bootstrap, compute_metrics
from hfcls.metrics.base import Tally
from hfcls.metrics.one_vs_rest import compute_weighted_one_vs_rest
from hfcls.metrics.samples import Samples
from hfcls.structures import Predictions

Draw = Callable[..., Predictions]


def wilson(share: float, n: int) -> tuple[float, float]:
    """Wilson score interval at 95 % (Journal of the American Statistical Association 22, 1927)."""
    z = 1.959964
    centre, spread = share + z * z / (2 * n), z * np.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    return (centre - spread) / (1 + z * z / n), (centre + spread) / (1 + z * z / n)


def test_accuracy_interval_is_near_the_wilson_interval(draw: Draw) -> None:
    entry = compute_metrics(draw(1000, 5))["headline"]["accuracy"]
    # Half a percentage point: the noise of the percentiles of 1,000 resamples, and steps of one in 1,000.
    assert (entry["low"], entry["high"]) == pytest.approx(wilson(entry["value"], 1000), abs=0.005)


def test_a_resample_is_the_metric_of_the_samples_drawn(draw: Draw, build: Callable[..., Predictions]) -> None:
    predictions = draw(40, 6)
    tally = next(bootstrap.draw_resamples(Samples(predictions), resamples=3, seed=0))
    estimates = {name: metric.function(tally).values for name, metric in METRICS.items()}
    for copy, weights in enumerate(tally.weights.astype(int)):
        assert weights.sum() == 40
        rows = np.repeat(np.arange(40), weights)
        drawn = build(predictions.logits[rows], predictions.labels[rows])
        for name, metric in METRICS.items():
            value = metric.compute(drawn).value
            assert estimates[name][copy] == pytest.approx(np.nan if value is None else value, nan_ok=True), name


def test_weighted_areas_of_tied_scores(draw: Draw) -> None:
    samples = Samples(draw(200, 4, levels=2))
    weighted = compute_weighted_one_vs_rest(samples.probability, samples.labels, 4, np.ones((1, 200)))
    np.testing.assert_allclose(weighted.roc_auc[0], samples.one_vs_rest.roc_auc, atol=1e-12)
    np.testing.assert_allclose(weighted.pr_auc[0], samples.one_vs_rest.pr_auc, atol=1e-12)


def test_the_seed_fixes_the_intervals(draw: Draw, monkeypatch: pytest.MonkeyPatch) -> None:
    first = compute_metrics(draw(100, 6), resamples=50, seed=3)
    assert first["interval"] == {"method": "percentile bootstrap", "confidence": 0.95, "resamples": 50, "seed": 3}
    assert compute_metrics(draw(100, 6), resamples=50, seed=4)["headline"] != first["headline"]
    # The size of the batches is about memory and must not show.
    monkeypatch.setattr(bootstrap, "BATCH_ELEMENTS", 700)
    again = compute_metrics(draw(100, 6), resamples=50, seed=3)
    for name, entry in first["headline"].items():
        assert again["headline"][name] == pytest.approx(entry), name


def test_headline_intervals_hold_their_value(predictions: Predictions) -> None:
    measured = compute_metrics(predictions, resamples=100)
    assert list(measured["headline"]) == list(METRICS)
    for entry in measured["headline"].values():
        assert ("low" in entry) == ("high" in entry)
        assert "low" in entry or entry["reason"]
        if "low" in entry:
            assert entry["low"] <= entry["value"] <= entry["high"]
    json.dumps(measured, allow_nan=False)


def test_no_interval_where_resampling_moves_past_the_value(build: Callable[..., Predictions]) -> None:
    # Perfect calibration at four confidences, so that any resample is worse.
    confidence = np.repeat([0.6, 0.7, 0.8, 0.9], 100)
    labels = np.concatenate([np.arange(100) >= right for right in (60, 70, 80, 90)])
    entry = compute_metrics(build(np.log(np.stack([confidence, 1 - confidence], axis=1)), labels))["headline"]["ece"]
    assert entry["value"] == pytest.approx(0, abs=1e-7)
    assert "low" not in entry
    assert "resampling" in entry["reason"]


def test_resamples_without_the_metric_are_counted(build: Callable[..., Predictions]) -> None:
    # One sample of the second class: about 1/e of the resamples hold none, and have no area.
    logits = np.linspace(-1, 1, 20)[:, None] * [[-1, 1]]
    entry = compute_metrics(build(logits, [0] * 15 + [1] + [0] * 4), resamples=200)["headline"]["roc_auc"]
    assert 50 < entry["undefined_resamples"] < 100


def test_a_small_set_without_a_mistake_is_not_certain(build: Callable[..., Predictions]) -> None:
    headline = compute_metrics(build(4 * np.eye(2)[[0, 1] * 7], [0, 1] * 7), resamples=50)["headline"]
    # Wilson's interval of 14 of 14, by hand: 14 / (14 + 1.96^2).
    assert headline["accuracy"]["low"] == pytest.approx(14 / (14 + 1.959964**2))
    assert headline["accuracy"]["high"] == 1
    assert "low" not in headline["f1_macro"]
    assert headline["f1_macro"]["reason"] == "no interval: it is the same on every resample"


def test_sorting_metrics_have_no_interval_on_large_sets(draw: Draw, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bootstrap, "SORTING_BUDGET", 0)
    headline = compute_metrics(draw(50, 2), resamples=10)["headline"]
    without = {name for name in headline if "too large" in headline[name].get("reason", "")}
    assert without == {name for name, metric in METRICS.items() if metric.sorts_scores}
    assert not any("low" in headline[name] for name in without)


def test_resamples_are_not_negative(draw: Draw) -> None:
    with pytest.raises(ValueError, match="resamples must be 0 or more, not -1"):
        compute_metrics(draw(5, 2), resamples=-1)


def test_a_tally_without_weights_is_the_set_itself(draw: Draw) -> None:
    tally = Tally(Samples(draw(30, 3)))
    assert tally.true.sum() == tally.predicted.sum() == 30
