"""ROC and precision-recall curves of a class against the rest, and their means over the classes."""

from collections.abc import Callable, Iterable
from typing import NamedTuple

import numpy as np

# Where the mean curves are read: evenly, and finely near zero, where the ROC curves of good classifiers bend.
ROC_GRID = np.unique(np.concatenate([np.linspace(0, 1, 101), np.geomspace(1e-4, 0.1, 61)]))
PR_GRID = np.linspace(0, 1, 201)[1:]


class Curve(NamedTuple):
    """The corners of both curves; in between they are straight.

    The area under (`false_positive_rate`, `recall`) is the ROC AUC. The precision-recall curve goes in steps: each
    precision holds down to the gained recall before it, so that its area is the average precision.

    Attributes:
        false_positive_rate: (M,), from 0 to 1.
        recall: (M,), from 0 to 1, of the ROC curve.
        gained: (J,), the recalls at which a positive is gained, up to 1.
        precision: (J,), there.
    """

    false_positive_rate: np.ndarray
    recall: np.ndarray
    gained: np.ndarray
    precision: np.ndarray


class MeanCurve(NamedTuple):
    """Means over the classes that have both a positive and a negative sample.

    Attributes:
        recall: mean recall at each false positive rate of `ROC_GRID`.
        precision: mean precision at each recall of `PR_GRID`.
        classes: how many went in.
    """

    recall: np.ndarray
    precision: np.ndarray
    classes: int


def compute_curve(scores: np.ndarray, positive: np.ndarray) -> Curve:
    """The curves of one class.

    Args:
        scores: (N,), larger means more likely.
        positive: bool (N,), with a True and a False.
    """
    everything = np.sort(scores)
    distinct, counts = np.unique(scores[positive], return_counts=True)
    distinct, counts = distinct[::-1], counts[::-1]
    n, positives = len(scores), int(counts.sum())
    gained_at = np.cumsum(counts)
    gained_before = gained_at - counts
    above = n - np.searchsorted(everything, distinct, side="right")
    at_or_above = n - np.searchsorted(everything, distinct, side="left")
    wrong = np.stack([above - gained_before, at_or_above - gained_at], axis=1).ravel()
    right = np.stack([gained_before, gained_at], axis=1).ravel()
    return Curve(
        np.concatenate([[0.0], wrong / (n - positives), [1.0]]),
        np.concatenate([[0.0], right / positives, [1.0]]),
        gained_at / positives,
        gained_at / at_or_above,
    )


def compute_mean_curve(
    score_of: Callable[[int], np.ndarray], labels: np.ndarray, classes: Iterable[int]
) -> MeanCurve | None:
    """Averages the curves of some classes, the ROC curves at equal false positive rates, the others at equal recall.

    Args:
        score_of: gives the scores (N,) of one class.
        labels: (N,).
        classes: those without a positive or a negative sample are left out.

    Returns:
        None where no class remains.
    """
    recall, precision, used = np.zeros(len(ROC_GRID)), np.zeros(len(PR_GRID)), 0
    for index in classes:
        positive = labels == index
        if not positive.any() or positive.all():
            continue
        curve = compute_curve(score_of(index), positive)
        recall += np.interp(ROC_GRID, curve.false_positive_rate, curve.recall)
        precision += curve.precision[np.searchsorted(curve.gained, PR_GRID - 1e-12)]
        used += 1
    return MeanCurve(recall / used, precision / used, used) if used else None
