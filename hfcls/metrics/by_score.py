"""Metrics that need the logits.

Each takes a `Tally` of R copies and K classes and returns an `Estimate` with values (R,).
"""

import numpy as np

from hfcls.metrics.base import Estimate, Tally

ECE_BINS = 15


def top5_accuracy(tally: Tally) -> Estimate:
    """Share of samples whose true class is among the five largest logits, in [0, 1].

    Of equal logits the lowest class index comes first, the rule by which the predicted class is chosen too
    (scikit-learn's ``top_k_accuracy_score`` prefers the highest).
    """
    num_classes = tally.samples.num_classes
    if num_classes <= 5:
        reason = f"with {num_classes} classes the true one is always among the first five"
        return Estimate(_undefined(tally), undefined=reason)
    return Estimate(tally.mean(tally.samples.rank < 5))


def log_loss(tally: Tally) -> Estimate:
    """Mean negative log-likelihood of the true class in nats, in [0, inf), from the logits and without clipping."""
    return Estimate(tally.mean(tally.samples.softmax.log_loss))


def brier(tally: Tally) -> Estimate:
    """Mean squared distance between the probabilities and the one-hot label, summed over all classes, in [0, 2].

    The form of Brier, Monthly Weather Review 78, 1950, for any number of classes. With two classes it is twice
    the one-column form: scikit-learn's ``brier_score_loss`` gives it with ``scale_by_half=False``.
    """
    return Estimate(tally.mean(tally.samples.softmax.brier))


def ece(tally: Tally) -> Estimate:
    """Expected calibration error, in [0, 1]: mean gap between confidence and accuracy over 15 bins.

    Confidence is the largest probability, with two classes too. The bins have equal width and hold their upper edge;
    each weighs as many samples as it holds (Guo et al., On Calibration of Modern Neural Networks, ICML 2017).
    """
    confidence = tally.samples.confidence
    bins = np.searchsorted(np.linspace(0, 1, ECE_BINS + 1), confidence, side="left") - 1
    gaps = tally.sum_by(bins, ECE_BINS, values=confidence - tally.samples.correct)
    return Estimate(np.abs(gaps).sum(axis=1) / tally.n)


def roc_auc_macro(tally: Tally) -> Estimate:
    """Unweighted mean of the classes' areas under the one-vs-rest ROC curve, in [0, 1]."""
    return _macro_area(tally.one_vs_rest.roc_auc)


def pr_auc_macro(tally: Tally) -> Estimate:
    """Unweighted mean of the classes' one-vs-rest average precision, in [0, 1]."""
    return _macro_area(tally.one_vs_rest.pr_auc)


def roc_auc(tally: Tally) -> Estimate:
    """Area under the ROC curve with two classes, in [0, 1]; the positive class is index 1."""
    if tally.samples.num_classes != 2:
        return _not_binary(tally)
    return Estimate(tally.one_vs_rest.roc_auc[:, 1], undefined="all labels are of one class")


def pr_auc(tally: Tally) -> Estimate:
    """Average precision with two classes, in [0, 1]; the positive class is index 1."""
    if tally.samples.num_classes != 2:
        return _not_binary(tally)
    return Estimate(tally.one_vs_rest.pr_auc[:, 1], undefined="all labels are of one class")


def _macro_area(areas: np.ndarray) -> Estimate:
    defined = ~np.isnan(areas)
    counts = defined.sum(axis=1)
    total = np.where(defined, areas, 0).sum(axis=1)
    values = np.divide(total, counts, out=np.full(len(areas), np.nan), where=counts > 0)
    num_classes = areas.shape[1]
    left_out = num_classes - int(counts[0])
    remark = f"left out: {left_out} of {num_classes} classes, which have no sample" if left_out else ""
    return Estimate(values, undefined="all labels are of one class", remark=remark)


def _not_binary(tally: Tally) -> Estimate:
    return Estimate(_undefined(tally), undefined=f"it is for two classes, and there are {tally.samples.num_classes}")


def _undefined(tally: Tally) -> np.ndarray:
    return np.full(len(tally.weights), np.nan)
