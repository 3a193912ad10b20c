"""How good predictions are: one table of metrics, and all of them at once with intervals.

To add a metric, write one function over a `Tally` in ``by_label`` or ``by_score`` and add one row to `METRICS`.
"""

from collections.abc import Iterable
from typing import Any

import numpy as np

from hfcls.metrics import by_label, by_score
from hfcls.metrics.base import Measurement, Metric, Tally
from hfcls.metrics.bootstrap import CONFIDENCE, Interval, compute_intervals
from hfcls.metrics.samples import Samples
from hfcls.registry import Registry
from hfcls.structures import Predictions

__all__ = ["METRICS", "Measurement", "Metric", "compute_metrics", "compute_some", "compute_values", "flat_metrics"]

_BRODERSEN = "Brodersen et al., The Balanced Accuracy and Its Posterior Distribution, ICPR 2010."
_GORODKIN = "Gorodkin, Comparing two K-category assignments, Computational Biology and Chemistry 28, 2004."
_COHEN = "Cohen, A Coefficient of Agreement for Nominal Scales, Educational and Psychological Measurement 20, 1960."
_HANLEY = "Hanley and McNeil, The meaning and use of the area under a ROC curve, Radiology 143, 1982."
_DAVIS = "Davis and Goadrich, The Relationship Between Precision-Recall and ROC Curves, ICML 2006."
_BRIER = "Brier, Verification of forecasts expressed in terms of probability, Monthly Weather Review 78, 1950."
_GUO = "Guo et al., On Calibration of Modern Neural Networks, ICML 2017."

METRICS: Registry[Metric] = Registry(
    "metric",
    {
        "accuracy": Metric(by_label.accuracy, "Share of samples that are predicted right."),
        "balanced_accuracy": Metric(
            by_label.balanced_accuracy, "Mean recall over the classes that are among the labels.", _BRODERSEN
        ),
        "top5_accuracy": Metric(
            by_score.top5_accuracy, "Share of samples whose class is among the five largest logits.", needs_scores=True
        ),
        "precision_macro": Metric(by_label.precision_macro, "Unweighted mean of the classes' precision."),
        "recall_macro": Metric(by_label.recall_macro, "Unweighted mean of the classes' recall."),
        "f1_macro": Metric(by_label.f1_macro, "Unweighted mean of the classes' F1."),
        "precision_weighted": Metric(by_label.precision_weighted, "Mean precision, weighted by class size."),
        "recall_weighted": Metric(by_label.recall_weighted, "Mean recall, weighted by class size."),
        "f1_weighted": Metric(by_label.f1_weighted, "Mean F1, weighted by class size."),
        "roc_auc_macro": Metric(
            by_score.roc_auc_macro,
            "Unweighted mean of the areas under the classes' one-vs-rest ROC curves.",
            _HANLEY,
            needs_scores=True,
            sorts_scores=True,
        ),
        "pr_auc_macro": Metric(
            by_score.pr_auc_macro,
            "Unweighted mean of the classes' one-vs-rest average precision.",
            _DAVIS,
            needs_scores=True,
            sorts_scores=True,
        ),
        "roc_auc": Metric(
            by_score.roc_auc,
            "Area under the ROC curve of two classes; the positive class is index 1.",
            _HANLEY,
            needs_scores=True,
            sorts_scores=True,
        ),
        "pr_auc": Metric(
            by_score.pr_auc,
            "Average precision of two classes; the positive class is index 1.",
            _DAVIS,
            needs_scores=True,
            sorts_scores=True,
        ),
        "log_loss": Metric(
            by_score.log_loss,
            "Mean negative log-likelihood of the true class, in nats.",
            greater_is_better=False,
            needs_scores=True,
        ),
        "brier": Metric(
            by_score.brier,
            "Mean squared distance between probabilities and one-hot label, summed over all classes (0 to 2).",
            _BRIER,
            greater_is_better=False,
            needs_scores=True,
        ),
        "ece": Metric(
            by_score.ece,
            "Expected calibration error: mean gap between top confidence and accuracy over 15 equal-width bins.",
            _GUO,
            greater_is_better=False,
            needs_scores=True,
        ),
        "mcc": Metric(by_label.mcc, "Matthews correlation coefficient of K classes.", _GORODKIN),
        "cohen_kappa": Metric(by_label.cohen_kappa, "Agreement with the labels beyond chance.", _COHEN),
    },
)


def compute_values(predictions: Predictions) -> dict[str, float | None]:
    """Every row of `METRICS` without intervals: what is cheap enough to run after each epoch.

    Samples whose label is -1 are left out. An undefined metric is None.
    """
    tally = Tally(Samples(predictions))
    return {name: metric.measure(tally).value for name, metric in METRICS.items()}


def compute_some(
    predictions: Predictions, names: Iterable[str], *, resamples: int = 1000, seed: int = 0
) -> dict[str, dict[str, Any]]:
    """Some rows of `METRICS` with intervals, each as an entry of ``headline`` of `compute_metrics`."""
    samples, chosen = Samples(predictions), {name: METRICS[name] for name in names}
    tally = Tally(samples)
    intervals = compute_intervals(chosen, samples, resamples=resamples, seed=seed)
    return {name: _entry(metric.measure(tally), intervals.get(name)) for name, metric in chosen.items()}


def compute_metrics(predictions: Predictions, *, resamples: int = 1000, seed: int = 0) -> dict[str, Any]:
    """Everything that is measured on one set of predictions, ready for JSON.

    Samples whose label is -1 are left out. An undefined figure is None with a reason; where logits are not finite,
    and where there are no samples, all are. A defined one has ``low`` and ``high``, or a reason for having none: the
    areas under curves have none on sets so large that resampling them would take minutes, nor has a metric that
    resampling shifts past its own value (resamples repeat samples, which raises the ECE of calibrated models and the
    precision of rare classes). An interval has no width where all samples agree, such as at an accuracy of 1.

    Args:
        predictions: N samples, K classes.
        resamples: bootstrap resamples, 0 for none.
        seed: of the resampling.

    Returns:
        ``n``, ``class_names``, ``interval`` (method, confidence, resamples, seed), ``headline`` (name to ``value``,
        ``low``, ``high``, ``reason``, and ``undefined_resamples`` where the interval had to leave some out),
        ``per_class`` (a list of K) and ``confusion_matrix`` (K rows of true classes by K predicted ones, or None
        where nothing was measured).
    """
    samples = Samples(predictions)
    tally = Tally(samples)
    intervals = compute_intervals(METRICS, samples, resamples=resamples, seed=seed)
    headline = {name: _entry(metric.measure(tally), intervals.get(name)) for name, metric in METRICS.items()}
    return {
        "n": samples.n,
        "class_names": list(predictions.class_names),
        "interval": {
            "method": "percentile bootstrap",
            "confidence": CONFIDENCE,
            "resamples": resamples,
            "seed": seed,
        },
        "headline": headline,
        "per_class": _per_class(tally, predictions.class_names),
        "confusion_matrix": None
        if samples.unusable
        else by_label.confusion_matrix(samples.labels, samples.predicted, num_classes=samples.num_classes).tolist(),
    }


def flat_metrics(measured: dict[str, Any], prefix: str) -> dict[str, float | None]:
    """The headline values of `compute_metrics` as ``{"test_accuracy": ...}`` for the prefix ``"test"``."""
    return {f"{prefix}_{name}": entry["value"] for name, entry in measured["headline"].items()}


def _entry(measurement: Measurement, interval: Interval | str | None) -> dict[str, Any]:
    value, reason = measurement
    entry: dict[str, Any] = {"value": value}
    if value is not None and interval is not None:
        if isinstance(interval, Interval) and not interval.holds(value):
            interval = "resampling shifts this metric past its own value"
        if isinstance(interval, str):
            reason = "; ".join(filter(None, (reason, f"no interval: {interval}")))
        else:
            entry |= {"low": min(interval.low, value), "high": max(interval.high, value)}
            if interval.undefined_resamples:
                entry["undefined_resamples"] = interval.undefined_resamples
    return entry | ({"reason": reason} if reason else {})


def _per_class(tally: Tally, class_names: tuple[str, ...]) -> list[dict[str, Any]]:
    """One row a class. Unlike in the macro means, a rate of a single class that is 0/0 is None."""
    samples = tally.samples
    support = np.bincount(samples.labels, minlength=samples.num_classes)
    rows: list[dict[str, Any]] = []
    for index, class_name in enumerate(class_names):
        row: dict[str, Any] = {"class_name": class_name, "index": index, "support": int(support[index])}
        if samples.unusable:
            names = ("precision", "recall", "f1", "roc_auc", "pr_auc")
            row |= {"predicted": None} | dict.fromkeys(names) | {"reasons": dict.fromkeys(names, samples.unusable)}
        else:
            row |= _class_figures(tally, index)
        rows.append(row)
    return rows


def _class_figures(tally: Tally, index: int) -> dict[str, Any]:
    n, true, predicted = tally.n, tally.true[0, index], tally.predicted[0, index]
    rates = by_label.class_rates(tally)
    never_predicted = "" if predicted else "the class is never predicted"
    no_sample = "" if true else "the class has no sample"
    one_sided = no_sample or ("" if true < n else "all labels are of this class")
    figures = {
        "precision": (rates.precision, never_predicted),
        "recall": (rates.recall, no_sample),
        "f1": (rates.f1, never_predicted and no_sample and "the class has no sample and is never predicted"),
        "roc_auc": (tally.one_vs_rest.roc_auc, one_sided),
        "pr_auc": (tally.one_vs_rest.pr_auc, one_sided),
    }
    row: dict[str, Any] = {"predicted": int(predicted)}
    row |= {name: None if reason else float(values[0, index]) for name, (values, reason) in figures.items()}
    reasons = {name: reason for name, (_, reason) in figures.items() if reason}
    return row | ({"reasons": reasons} if reasons else {})
