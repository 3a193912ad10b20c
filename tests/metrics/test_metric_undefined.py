"""What has no value says why, without a numpy warning."""

import json
from collections.abc import Callable

import numpy as np
import pytest

from hfcls.errors import UserError
from hfcls.metrics import METRICS, compute_metrics, compute_values, flat_metrics
from hfcls.structures import Predictions

Build = Callable[..., Predictions]


@pytest.mark.parametrize(
    ("logits", "labels", "reason"),
    [
        (np.empty((0, 3)), [], "no sample with a known label"),
        (np.zeros((2, 3)), [-1, -1], "no sample with a known label"),
        ([[np.nan, 0, 1], [1, 2, 3]], [0, 1], "1 of 2 samples are not finite"),
        ([[np.inf, 0, 1], [1, -np.inf, 3]], [0, 1], "2 of 2 samples are not finite"),
    ],
)
def test_nothing_is_measured(build: Build, logits: object, labels: list[int], reason: str) -> None:
    measured = compute_metrics(build(logits, labels))
    assert all(entry["value"] is None and reason in entry["reason"] for entry in measured["headline"].values())
    assert all(row["f1"] is None and reason in row["reasons"]["f1"] for row in measured["per_class"])
    assert measured["confusion_matrix"] is None
    assert set(flat_metrics(measured, "test").values()) == {None}
    json.dumps(measured, allow_nan=False)


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("roc_auc_macro", "all labels are of one class"),
        ("pr_auc_macro", "all labels are of one class"),
        ("roc_auc", "all labels are of one class"),
        ("pr_auc", "all labels are of one class"),
        ("mcc", "all labels, or all predictions, are of one class"),
        ("cohen_kappa", "one and the same class"),
        ("top5_accuracy", "2 classes"),
    ],
)
def test_one_class_only(build: Build, name: str, reason: str) -> None:
    value, why = METRICS[name].compute(build([[0, 1], [0, 2]], [1, 1]))
    assert value is None
    assert reason in why


def test_two_class_metrics_are_undefined_for_three(draw: Build) -> None:
    assert METRICS["roc_auc"].compute(draw(30, 3)) == (None, "it is for two classes, and there are 3")


def test_macro_area_says_how_many_classes_it_leaves_out(build: Build) -> None:
    entry = compute_metrics(build(np.eye(4)[[0, 1, 0]], [0, 1, 1]), resamples=0)["headline"]["roc_auc_macro"]
    assert entry == {"value": 0.75, "reason": "left out: 2 of 4 classes, which have no sample"}


def test_unknown_labels_are_left_out(build: Build) -> None:
    measured = compute_metrics(build([[0, 1], [1, 0], [5, 0]], [1, 0, -1]), resamples=0)
    assert measured["n"] == 2
    assert measured["confusion_matrix"] == [[1, 0], [0, 1]]


def test_label_without_a_logit(build: Build) -> None:
    with pytest.raises(ValueError, match="Label 2 has no logit: labels go from 0 to 1"):
        compute_values(build([[0, 1]], [2]))


def test_flat_metrics_are_named_by_split(draw: Build) -> None:
    predictions = draw(30, 3)
    flat = flat_metrics(compute_metrics(predictions, resamples=0), "test")
    assert flat == {f"test_{name}": value for name, value in compute_values(predictions).items()}


def test_unknown_metric() -> None:
    with pytest.raises(UserError, match=r"Unknown metric 'acuracy'\. Did you mean 'accuracy'"):
        METRICS["acuracy"]
