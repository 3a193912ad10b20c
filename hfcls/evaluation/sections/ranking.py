"""ROC and precision-recall curves, one class against the rest."""

from typing import Any

import numpy as np

from hfcls.evaluation.formats import format_value
from hfcls.evaluation.measured_run import MeasuredRun
from hfcls.evaluation.plots.ranking import RankedLine, plot_precision_recall, plot_roc
from hfcls.evaluation.section import Figure, Part
from hfcls.metrics.curves import PR_GRID, ROC_GRID, MeanCurve, compute_curve, compute_mean_curve
from hfcls.metrics.samples import Samples

# Up to so many classes each has a curve; of more, so many at each end have one.
MAX_CURVES, ENDS = 10, 3


def build(run: MeasuredRun) -> Part | None:
    """The curves of each class or of the extreme ones, and their mean; the areas are those of metrics.json."""
    samples = run.samples
    per_class = run.measured.get("per_class") or []
    areas = [row["index"] for row in per_class if row.get("roc_auc") is not None and row.get("pr_auc") is not None]
    if samples is None or not areas:
        return None
    binary = samples.num_classes == 2
    mean = None if binary else compute_mean_curve(samples.probability, samples.labels, areas)
    roc, precision_recall = ([*_mean_lines(run, mean, kind), *_class_lines(run, samples, kind)] for kind in _KINDS)
    chance = float((samples.labels == 1).mean()) if binary else None
    figures = (
        Figure("roc", "ROC curves", plot_roc(roc)),
        Figure("precision-recall", "Precision-recall curves", plot_precision_recall(precision_recall, chance=chance)),
    )
    values: dict[str, Any] = {
        "positive": run.labels[1] if binary else None,
        "classes": len(areas),
        "left_out": len(per_class) - len(areas),
        "ends": ENDS if len(areas) > MAX_CURVES else None,
    }
    return Part(values, figures)


# Name of the area in metrics.json.
_KINDS = ("roc_auc", "pr_auc")


def _mean_lines(run: MeasuredRun, mean: MeanCurve | None, kind: str) -> list[RankedLine]:
    if mean is None:
        return []
    value = format_value((run.headline.get(f"{kind}_macro") or {}).get("value"))
    if kind == "roc_auc":
        x, y = np.concatenate([[0], ROC_GRID]), np.concatenate([[0], mean.recall])
    else:
        x, y = np.concatenate([[0], PR_GRID]), np.concatenate([mean.precision[:1], mean.precision])
    return [RankedLine("mean of all", value, x, y, "ink", strong=True)]


def _class_lines(run: MeasuredRun, samples: Samples, kind: str) -> list[RankedLine]:
    lines = []
    for number, (index, area) in enumerate(_chosen(run, kind)):
        curve = compute_curve(samples.probability(index), samples.labels == index)
        if kind == "roc_auc":
            x, y = curve.false_positive_rate, curve.recall
        else:
            # Down at once and then level to the next positive.
            x = np.repeat(np.concatenate([[0.0], curve.gained]), 2)[1:-1]
            y = np.repeat(curve.precision, 2)
        binary = samples.num_classes == 2
        color, dashed = ("accent", False) if binary else (f"c{number}", number >= 5)
        lines.append(RankedLine(run.labels[index], format_value(area), x, y, color, dashed, strong=binary))
    return lines


def _chosen(run: MeasuredRun, kind: str) -> list[tuple[int, float]]:
    """Index and area of the classes that get a curve."""
    defined = [(row["index"], row[kind]) for row in run.measured["per_class"] if row.get(kind) is not None]
    if len(run.labels) == 2:
        return [entry for entry in defined if entry[0] == 1]
    if len(defined) <= MAX_CURVES:
        return defined
    ranked = sorted(defined, key=lambda entry: (entry[1], entry[0]))
    return [*ranked[:ENDS], *ranked[-ENDS:]]
