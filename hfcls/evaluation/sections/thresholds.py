"""What a threshold on the probability of the positive class gives, for runs with two classes."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from hfcls.evaluation.measured_run import MeasuredRun
from hfcls.evaluation.plots.ranking import plot_thresholds
from hfcls.evaluation.section import Figure, Part
from hfcls.metrics.samples import Samples

THRESHOLDS = (0.01, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99)


@dataclass(frozen=True)
class Operation:
    """The answers at one threshold: an image is predicted positive where its probability is no smaller.

    Attributes:
        threshold: in [0, 1].
        true_positives, false_positives, false_negatives, true_negatives: counts.
    """

    threshold: float
    true_positives: int
    false_positives: int
    false_negatives: int
    true_negatives: int

    @property
    def predicted(self) -> int:
        """Images predicted positive."""
        return self.true_positives + self.false_positives

    @property
    def precision(self) -> float | None:
        """None where nothing is predicted positive."""
        return _ratio(self.true_positives, self.predicted)

    @property
    def recall(self) -> float | None:
        """None where no image is positive."""
        return _ratio(self.true_positives, self.true_positives + self.false_negatives)

    @property
    def specificity(self) -> float | None:
        """Recall of the negative class; None where no image is negative."""
        return _ratio(self.true_negatives, self.true_negatives + self.false_positives)

    @property
    def f1(self) -> float | None:
        """None where no image is positive and none is predicted so."""
        return _ratio(2 * self.true_positives, 2 * self.true_positives + self.false_positives + self.false_negatives)


def build(run: MeasuredRun) -> Part | None:
    """The table, with the threshold that suits the validation split best where there is one."""
    samples = run.samples
    if samples is None or samples.num_classes != 2:
        return None
    scores, positive = samples.probability(1), samples.labels == 1
    rows: list[dict[str, Any]] = [
        {"at": compute_operation(scores, positive, t), "mark": "the usual one" if t == 0.5 else ""} for t in THRESHOLDS
    ]
    if (chosen := _threshold_of_validation(run)) is not None:
        rows.append({"at": compute_operation(scores, positive, chosen), "mark": "highest F1 on validation"})
        rows.sort(key=lambda row: row["at"].threshold)
    values: dict[str, Any] = {
        "positive": run.labels[1],
        "rows": rows,
        "chosen": chosen,
        "undefined": any(None in (row["at"].precision, row["at"].recall, row["at"].specificity) for row in rows),
    }
    return Part(values, (Figure("thresholds", "Figures by threshold", _plot(scores, positive)),))


def compute_operation(scores: np.ndarray, positive: np.ndarray, threshold: float) -> Operation:
    """Counts the answers at a threshold; `scores` and `positive` are (N,)."""
    said = scores >= threshold
    hits, n, positives = int((said & positive).sum()), len(scores), int(positive.sum())
    false = int(said.sum()) - hits
    return Operation(threshold, hits, false, positives - hits, n - positives - false)


def best_threshold(scores: np.ndarray, positive: np.ndarray) -> float | None:
    """The threshold of the highest F1, of several the lowest; None where no image is positive."""
    if not positive.any():
        return None
    order = np.argsort(-scores, kind="stable")
    ordered = scores[order]
    last = np.append(ordered[1:] != ordered[:-1], True)
    hits, said = np.cumsum(positive[order])[last], np.arange(1, len(scores) + 1)[last]
    f1 = 2 * hits / (said + positive.sum())
    return float(ordered[last][np.flatnonzero(f1 == f1.max())[-1]])


def _threshold_of_validation(run: MeasuredRun) -> float | None:
    """Choosing it on the very images that it is judged on would flatter it."""
    validation: Samples | None = run.other_predictions("validation") if run.split == "test" else None
    return None if validation is None else best_threshold(validation.probability(1), validation.labels == 1)


def _plot(scores: np.ndarray, positive: np.ndarray) -> str:
    thresholds = np.linspace(0, 1, 201)
    found = [compute_operation(scores, positive, float(t)) for t in thresholds]

    def values(name: str) -> np.ndarray:
        return np.array([getattr(one, name) for one in found], dtype=np.float64)

    lines = [("precision", values("precision")), ("recall", values("recall")), ("specificity", values("specificity"))]
    return plot_thresholds(thresholds, lines)


def _ratio(part: int, whole: int) -> float | None:
    return part / whole if whole else None
