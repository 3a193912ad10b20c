"""Areas under the ROC and the precision-recall curve of every class against the rest, from arrays alone."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np


class OneVsRest(NamedTuple):
    """Areas in [0, 1] with the classes on the last axis; NaN where a class has no positive or no negative sample.

    Attributes:
        roc_auc: (..., K), the chance that a positive outscores a negative, ties counting one half
            (Hanley and McNeil, Radiology 143, 1982).
        pr_auc: (..., K), average precision: the precision at each distinct score, weighted by the recall
            gained there, without interpolation (Davis and Goadrich, ICML 2006).
    """

    roc_auc: np.ndarray
    pr_auc: np.ndarray


def compute_one_vs_rest(score_of: Callable[[int], np.ndarray], labels: np.ndarray, num_classes: int) -> OneVsRest:
    """Measures each class by one sort of its scores and two searches for its positives.

    Both areas are sums over the positives alone, so that with many classes, which have few positives each, the
    work is little more than the sort.

    Args:
        score_of: gives the scores (N,) of one class; larger means more likely.
        labels: (N,) in [0, K).
        num_classes: K.

    Returns:
        Areas of shape (K,).
    """
    n = len(labels)
    roc_auc, pr_auc = np.full((2, num_classes), np.nan)
    for index, count in enumerate(np.bincount(labels, minlength=num_classes)):
        if not 0 < count < n:
            continue
        scores = score_of(index)
        positives = np.sort(scores[labels == index])
        everything = np.sort(scores)
        below = np.searchsorted(everything, positives, side="left")
        up_to = np.searchsorted(everything, positives, side="right")
        rank_sum = (below + up_to + 1).sum() / 2
        roc_auc[index] = (rank_sum - count * (count + 1) / 2) / (count * (n - count))
        positives_at_or_above = count - np.searchsorted(positives, positives, side="left")
        pr_auc[index] = (positives_at_or_above / (n - below)).mean()
    return OneVsRest(roc_auc, pr_auc)


def compute_weighted_one_vs_rest(
    score_of: Callable[[int], np.ndarray], labels: np.ndarray, num_classes: int, weights: np.ndarray
) -> OneVsRest:
    """Measures each class on R weighted copies of the samples at once.

    Args:
        score_of: gives the scores (N,) of one class; larger means more likely.
        labels: (N,) in [0, K).
        num_classes: K.
        weights: (R, N), how often each copy holds each sample.

    Returns:
        Areas of shape (R, K).
    """
    roc_auc, pr_auc = np.full((2, len(weights), num_classes), np.nan)
    for index in np.unique(labels):
        scores = score_of(index)
        order = np.argsort(-scores, kind="stable")
        # Samples of equal score are passed by the threshold together, so the curves have one point a distinct score.
        starts = np.flatnonzero(np.diff(scores[order], prepend=np.inf))
        ordered = weights[:, order]
        gained = np.add.reduceat(ordered * (labels[order] == index), starts, axis=1)
        passed = np.add.reduceat(ordered, starts, axis=1)
        positives, total = gained.sum(axis=1), passed.sum(axis=1)
        negatives = total - positives
        defined = (positives > 0) & (negatives > 0)
        missed = passed - gained
        negatives_below = negatives[:, None] - missed.cumsum(axis=1) + missed / 2
        at_or_above = passed.cumsum(axis=1)
        precision = np.divide(gained.cumsum(axis=1), at_or_above, out=np.zeros_like(passed), where=at_or_above > 0)
        won, gained_precision = (gained * negatives_below).sum(axis=1), (gained * precision).sum(axis=1)
        roc_auc[defined, index] = won[defined] / (positives * negatives)[defined]
        pr_auc[defined, index] = gained_precision[defined] / positives[defined]
    return OneVsRest(roc_auc, pr_auc)
