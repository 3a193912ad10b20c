"""How well a score tells two kinds apart: wrong answers from right ones, strangers from what the network knows."""

import numpy as np

# Of intervals.
CONFIDENCE = 0.95


def measure_detection(positive: np.ndarray, negative: np.ndarray) -> dict[str, float]:
    """Figures of a detector, as Hendrycks, Gimpel 2017 (arXiv:1610.02136) and OpenOOD (arXiv:2210.07242) have them.

    Args:
        positive: scores (P,) of what is to be found; larger is more suspicious.
        negative: scores (N,) of the others.

    Returns:
        ``auroc``; ``aupr``, the average precision with `positive` to be found, and ``aupr_in`` with `negative`;
        ``fpr95``: the share of `positive` that passes for one of the others where 95 % of those pass.

    Raises:
        ValueError: one of them is empty.
    """
    from sklearn.metrics import average_precision_score, roc_auc_score

    if not len(positive) or not len(negative):
        raise ValueError("Detection needs samples of both kinds.")
    scores = np.concatenate([positive, negative])
    found = np.concatenate([np.ones(len(positive)), np.zeros(len(negative))])
    return {
        "auroc": float(roc_auc_score(found, scores)),
        "aupr": float(average_precision_score(found, scores)),
        "aupr_in": float(average_precision_score(1 - found, -scores)),
        "fpr95": float((positive <= threshold_95(negative)).mean()),
    }


def bootstrap_auroc(
    positive: np.ndarray, negative: np.ndarray, *, resamples: int = 300, seed: int = 0
) -> tuple[float, float]:
    """The 95 % percentile bootstrap interval of the AUROC of `measure_detection`; each kind is resampled for itself.

    Args:
        positive, negative: scores (P,) and (N,).
        resamples: of the bootstrap.
        seed: of its draws.
    """
    # Each distinct score once, with how many of either kind have it; equal ones count a half.
    scores, which = np.unique(np.concatenate([positive, negative]), return_inverse=True)
    counts = [np.bincount(part, minlength=len(scores)) for part in (which[: len(positive)], which[len(positive) :])]
    rng, areas = np.random.default_rng(seed), []
    for _ in range(resamples):
        found, others = (rng.multinomial(count.sum(), count / count.sum()) for count in counts)
        below = np.cumsum(others) - others / 2
        areas.append(float((found * below).sum() / (found.sum() * others.sum())))
    tail = 100 * (1 - CONFIDENCE) / 2
    low, high = np.percentile(areas, [tail, 100 - tail])
    return float(low), float(high)


def threshold_95(known: np.ndarray) -> float:
    """The score that 95 % of what is known do not exceed."""
    rank = int(np.ceil(0.95 * len(known))) - 1
    return float(np.partition(known, rank)[rank])
