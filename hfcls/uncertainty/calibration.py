"""How far probabilities can be taken at their word."""

import numpy as np

from hfcls.structures import Predictions

BINS = 15


def measure_calibration(predictions: Predictions, *, bins: int = BINS) -> dict[str, float]:
    """Every calibration figure of one set of predictions.

    Args:
        predictions: N samples with known labels, K classes.
        bins: of those figures that need them.

    Returns:
        - ``ece``, ``mce``: the mean and the largest gap between confidence and accuracy over bins of equal width
          (Guo et al. 2017, arXiv:1706.04599);
        - ``ece_equal_mass``: the mean gap over bins of equally many samples (Nixon et al. 2019, arXiv:1904.01685);
        - ``ece_classwise``: the mean over the classes of the gap between a class's probability and its share
          (Kull et al. 2019, arXiv:1910.12656);
        - ``brier`` = ``miscalibration`` - ``discrimination`` + ``uncertainty``, exactly (`decompose_brier`);
        - ``log_loss`` in nats.

    Raises:
        ValueError: there is no sample with a known label.
    """
    known = predictions.known
    if not len(known):
        raise ValueError("There is no sample with a known label.")
    probabilities, labels = known.probabilities, known.labels
    confidence, correct = probabilities.max(axis=1), probabilities.argmax(axis=1) == labels
    by_width = bin_gaps(confidence, correct, equal_width(confidence, bins))
    by_mass = bin_gaps(confidence, correct, equal_mass(confidence, bins))
    miscalibration, discrimination, uncertainty = decompose_brier(probabilities, labels)
    return {
        "ece": float(by_width.sum()),
        "mce": largest_gap(confidence, correct, equal_width(confidence, bins)),
        "ece_equal_mass": float(by_mass.sum()),
        "ece_classwise": classwise_error(probabilities, labels, bins=bins),
        "brier": miscalibration - discrimination + uncertainty,
        "miscalibration": miscalibration,
        "discrimination": discrimination,
        "uncertainty": uncertainty,
        "log_loss": log_loss(known.logits, labels),
    }


def equal_width(values: np.ndarray, bins: int) -> np.ndarray:
    """The bin (N,) of each value in [0, 1]; bins hold their upper edge."""
    return (np.searchsorted(np.linspace(0, 1, bins + 1), values, side="left") - 1).clip(0)


def equal_mass(values: np.ndarray, bins: int) -> np.ndarray:
    """The bin (N,) of each value by its rank; equal values stay together in the bin of the first of them."""
    order = np.sort(values)
    return np.searchsorted(order, values, side="left") * bins // len(values)


def bin_gaps(confidence: np.ndarray, correct: np.ndarray, which: np.ndarray) -> np.ndarray:
    """The gap of each bin, times the share of samples in it."""
    sums = np.bincount(which, weights=confidence - correct, minlength=int(which.max()) + 1)
    return np.abs(sums) / len(confidence)


def largest_gap(confidence: np.ndarray, correct: np.ndarray, which: np.ndarray) -> float:
    """The largest gap of a bin that holds anything."""
    counts = np.bincount(which)
    sums = np.bincount(which, weights=confidence - correct)
    return float(np.abs(sums[counts > 0] / counts[counts > 0]).max())


def classwise_error(probabilities: np.ndarray, labels: np.ndarray, *, bins: int = BINS) -> float:
    """The mean over the classes of the binned gap between their probability and how often they are true."""
    gaps = [
        bin_gaps(probabilities[:, index], labels == index, equal_width(probabilities[:, index], bins)).sum()
        for index in range(probabilities.shape[1])
    ]
    return float(np.mean(gaps))


def decompose_brier(probabilities: np.ndarray, labels: np.ndarray) -> tuple[float, float, float]:
    """The Brier score in three parts, summed over the classes.

    What calibration would mend, what is told apart, and what there is to tell apart at all. Each class's probabilities
    are recalibrated by isotonic regression, which needs no bins; the score is the first part minus the second plus the
    third, exactly. Dimitriadis, Gneiting, Jordan 2021, Stable reliability diagrams for probabilistic classifiers,
    PNAS 118(8).

    Args:
        probabilities: (N, K).
        labels: (N,) in [0, K).

    Returns:
        Miscalibration, discrimination, uncertainty; each 0 or more.
    """
    from sklearn.isotonic import isotonic_regression

    miscalibration = discrimination = uncertainty = 0.0
    for index in range(probabilities.shape[1]):
        given, true = probabilities[:, index], (labels == index).astype(np.float64)
        # Equal probabilities are one forecast: they are recalibrated to one value.
        _, which, counts = np.unique(given, return_inverse=True, return_counts=True)
        shares = np.bincount(which, weights=true) / counts
        recalibrated = isotonic_regression(shares, sample_weight=counts.astype(np.float64))[which]
        score, best = ((given - true) ** 2).mean(), ((recalibrated - true) ** 2).mean()
        base = true.mean() * (1 - true.mean())
        miscalibration += float(score - best)
        discrimination += float(base - best)
        uncertainty += float(base)
    return miscalibration, discrimination, uncertainty


def log_loss(logits: np.ndarray, labels: np.ndarray) -> float:
    """Mean negative log-likelihood of the true class in nats, from the logits (N, K)."""
    from scipy.special import logsumexp

    wide = logits.astype(np.float64)
    return float((logsumexp(wide, axis=1) - wide[np.arange(len(labels)), labels]).mean())
