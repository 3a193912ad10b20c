"""Each metric against scikit-learn, or against numbers worked out by hand."""

import warnings
from collections.abc import Callable

import numpy as np
import pytest
from sklearn import metrics as reference
from sklearn.exceptions import UndefinedMetricWarning

from hfcls.metrics import METRICS, compute_metrics, compute_values
from hfcls.structures import Predictions


def by_average(function: Callable[..., float], average: str) -> Callable[[Predictions], float]:
    return lambda p: function(p.labels, p.logits.argmax(axis=1), average=average, zero_division=0)


def by_label(function: Callable[..., float]) -> Callable[[Predictions], float]:
    return lambda p: function(p.labels, p.logits.argmax(axis=1))


def macro_area(function: Callable[..., float]) -> Callable[[Predictions], float]:
    def mean_over_defined(p: Predictions) -> float:
        present = [k for k in np.unique(p.labels) if (p.labels != k).any()]
        probabilities = p.probabilities
        return float(np.mean([function(p.labels == k, probabilities[:, k]) for k in present]))

    return mean_over_defined


def top5(p: Predictions) -> float:
    # scikit-learn prefers the highest index among equal scores, so it sees the classes in reverse.
    last, classes = p.logits.shape[1] - 1, np.arange(p.logits.shape[1])
    return reference.top_k_accuracy_score(last - p.labels, p.logits[:, ::-1], k=5, labels=classes)


def log_loss(p: Predictions) -> float:
    return reference.log_loss(p.labels, p.probabilities, labels=np.arange(p.logits.shape[1]))


def brier(p: Predictions) -> float:
    classes = np.arange(p.logits.shape[1])
    return reference.brier_score_loss(p.labels, p.probabilities, labels=classes, scale_by_half=False)


REFERENCES = {
    "accuracy": by_label(reference.accuracy_score),
    "balanced_accuracy": by_label(reference.balanced_accuracy_score),
    "top5_accuracy": top5,
    "precision_macro": by_average(reference.precision_score, "macro"),
    "recall_macro": by_average(reference.recall_score, "macro"),
    "f1_macro": by_average(reference.f1_score, "macro"),
    "precision_weighted": by_average(reference.precision_score, "weighted"),
    "recall_weighted": by_average(reference.recall_score, "weighted"),
    "f1_weighted": by_average(reference.f1_score, "weighted"),
    "roc_auc_macro": macro_area(reference.roc_auc_score),
    "pr_auc_macro": macro_area(reference.average_precision_score),
    "roc_auc": lambda p: reference.roc_auc_score(p.labels, p.probabilities[:, 1]),
    "pr_auc": lambda p: reference.average_precision_score(p.labels, p.probabilities[:, 1]),
    "log_loss": log_loss,
    "brier": brier,
    "mcc": by_label(reference.matthews_corrcoef),
    "cohen_kappa": by_label(reference.cohen_kappa_score),
}


@pytest.fixture(scope="module")
def values(predictions: Predictions) -> dict[str, float | None]:
    return compute_values(predictions)


def test_every_metric_has_a_reference() -> None:
    assert set(METRICS) - set(REFERENCES) == {"ece"}


@pytest.mark.parametrize("name", REFERENCES)
def test_value_equals_scikit_learn(name: str, predictions: Predictions, values: dict[str, float | None]) -> None:
    if values[name] is None:
        assert METRICS[name].compute(predictions).reason
        return
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UndefinedMetricWarning)
        # "y_pred contains classes not in y_true" is the very case under test.
        warnings.filterwarnings("ignore", message="y_pred contains classes", category=UserWarning)
        expected = REFERENCES[name](predictions)
    assert values[name] == pytest.approx(expected, abs=1e-7)


@pytest.mark.parametrize(("num_classes", "undefined"), [(7, {"roc_auc", "pr_auc"}), (2, {"top5_accuracy"})])
def test_few_metrics_are_undefined(draw: Callable[..., Predictions], num_classes: int, undefined: set[str]) -> None:
    values = compute_values(draw(300, num_classes))
    assert {name for name, value in values.items() if value is None} == undefined


def test_per_class_equals_scikit_learn(predictions: Predictions) -> None:
    measured = compute_metrics(predictions, resamples=0)
    labels, predicted = predictions.labels, predictions.logits.argmax(axis=1)
    classes = np.arange(predictions.logits.shape[1])
    expected = reference.precision_recall_fscore_support(labels, predicted, labels=classes, zero_division=np.nan)
    # A class that is never right but is predicted or present has an F1 of 0, not 0/0.
    for row, *figures, support in zip(measured["per_class"], *expected, strict=True):
        assert row["support"] == support
        assert row["predicted"] == (predicted == row["index"]).sum()
        for name, figure in zip(("precision", "recall", "f1"), figures, strict=True):
            assert (row[name] is None) == (name in row.get("reasons", {})) == bool(np.isnan(figure))
            assert row[name] is None or row[name] == pytest.approx(figure, abs=1e-7)
    assert measured["confusion_matrix"] == reference.confusion_matrix(labels, predicted, labels=classes).tolist()


def test_per_class_areas_equal_scikit_learn(predictions: Predictions) -> None:
    probabilities = predictions.probabilities
    for row in compute_metrics(predictions, resamples=0)["per_class"][:12]:
        positive = predictions.labels == row["index"]
        if positive.all() or not positive.any():
            assert row["roc_auc"] is row["pr_auc"] is None
            assert {"roc_auc", "pr_auc"} <= set(row["reasons"])
            continue
        scores = probabilities[:, row["index"]]
        assert row["roc_auc"] == pytest.approx(reference.roc_auc_score(positive, scores), abs=1e-7)
        assert row["pr_auc"] == pytest.approx(reference.average_precision_score(positive, scores), abs=1e-7)


def as_logits(*rows: tuple[float, ...]) -> np.ndarray:
    return np.log(np.array(rows))


def test_ece_worked_by_hand(build: Callable[..., Predictions]) -> None:
    # Confidences 0.9 and 0.92 share the bin (13/15, 14/15], one right: gap |0.91 - 0.5| for 2 of 4 samples.
    # 0.7 lies alone in (10/15, 11/15], right: gap 0.3. 0.55 lies alone in (8/15, 9/15], wrong: gap 0.55.
    logits = as_logits((0.9, 0.1), (0.92, 0.08), (0.3, 0.7), (0.45, 0.55))
    predictions = build(logits, [0, 1, 1, 0])
    expected = 2 / 4 * (0.91 - 0.5) + 1 / 4 * 0.3 + 1 / 4 * 0.55
    assert METRICS["ece"].compute(predictions).value == pytest.approx(expected, abs=1e-7)


def test_ece_bins_hold_their_upper_edge(build: Callable[..., Predictions]) -> None:
    # Exactly 0.5 of two equal logits is below 8/15; exactly 1 belongs to the last bin rather than to a sixteenth.
    predictions = build([[0, 0], [200, 0]], [1, 0])
    assert METRICS["ece"].compute(predictions).value == pytest.approx(0.25)


def test_brier_worked_by_hand(build: Callable[..., Predictions]) -> None:
    # 0.5^2 + 0.3^2 + 0.2^2 = 0.38 with the true class at 0.5; 0.1^2 + 0.9^2 + 0.8^2 = 1.46 with it at 0.1.
    predictions = build(as_logits((0.5, 0.3, 0.2), (0.1, 0.1, 0.8)), [0, 1])
    assert METRICS["brier"].compute(predictions).value == pytest.approx((0.38 + 1.46) / 2, abs=1e-7)
    # With two classes the sum over both is twice the one-column form.
    binary = build(as_logits((0.9, 0.1), (0.4, 0.6)), [1, 1])
    assert METRICS["brier"].compute(binary).value == pytest.approx(2 * (0.81 + 0.16) / 2, abs=1e-7)


def test_log_loss_survives_probabilities_that_underflow(build: Callable[..., Predictions]) -> None:
    assert METRICS["log_loss"].compute(build([[0, 2000]], [0])).value == pytest.approx(2000)


def test_ties_go_to_the_lowest_index_in_every_metric(build: Callable[..., Predictions]) -> None:
    predictions = build(np.zeros((6, 6)), np.arange(6))
    values = compute_values(predictions)
    assert values["accuracy"] == pytest.approx(1 / 6)
    assert values["top5_accuracy"] == pytest.approx(5 / 6)
    assert values["roc_auc_macro"] == pytest.approx(0.5)
