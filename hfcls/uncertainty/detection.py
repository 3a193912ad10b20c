"""How well a score tells two kinds apart: wrong answers from right ones, strangers from what the network knows."""

import numpy as np

# Of intervals.
CONFIDENCE = 0.95
# Samples of a kind from which on the bootstrap of an area can be trusted.
FEW = 100
_Z = 1.959963984540054


def measure_detection(positive: np.ndarray, negative: np.ndarray) -> dict[str, float]:
    """Figures of a detector, as Hendrycks, Gimpel 2017 (arXiv:1610.02136) and OpenOOD (arXiv:2210.07242) have them.

    Args:
        positive: scores (P,) of what is to be found; larger is more suspicious.
        negative: scores (N,) of the others.

    Returns:
        ``auroc``; ``aupr``, the average precision with `positive` to be found, and ``aupr_in`` with `negative` (OpenOOD
        has the area by trapezoids, which differs a little where scores are few or equal); ``fpr95``: the share of
        `positive` that passes for one of the others where 95 % of those pass.

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


def auroc_interval(positive: np.ndarray, negative: np.ndarray, *, seed: int = 0) -> tuple[float, float]:
    """The 95 % interval of the AUROC of `measure_detection`, also where one kind has few samples.

    From ``FEW`` of each on by `bootstrap_auroc`. The bootstrap of fewer is far too sure near 1, where it never draws
    what was not met with: then from the lower to the upper end of two intervals, of the logit of the area by
    the variance of DeLong, DeLong, Clarke-Pearson 1988 (Biometrics 44), and by inverting a score test with that of
    Hanley, McNeil 1982 (Radiology 143), of the area that is asked about, as Newcombe 2006 (Statistics in Medicine 25)
    proposes. It holds the area more often than 95 % where the scores' tails are light.

    Args:
        positive, negative: scores (P,) and (N,).
        seed: of the bootstrap's draws.
    """
    area, variance = _area(positive, negative)
    if min(len(positive), len(negative)) >= FEW and 0 < area < 1:
        return bootstrap_auroc(positive, negative, seed=seed)
    low, high = _score_interval(area, len(positive), len(negative))
    if 0 < area < 1 and variance > 0:
        middle, half = np.log(area / (1 - area)), _Z * np.sqrt(variance) / (area * (1 - area))
        ends = 1 / (1 + np.exp([half - middle, -half - middle]))
        low, high = min(low, float(ends[0])), max(high, float(ends[1]))
    return low, high


def _area(positive: np.ndarray, negative: np.ndarray) -> tuple[float, float]:
    """The area, and its variance by DeLong et al.; not a number with one sample of a kind."""
    from scipy.stats import rankdata

    p, n = len(positive), len(negative)
    ranks = rankdata(np.concatenate([positive, negative]))
    above = (ranks[:p] - rankdata(positive)) / n
    below = 1 - (ranks[p:] - rankdata(negative)) / p
    if min(p, n) < 2:
        return float(above.mean()), 0.0
    return float(above.mean()), float(above.var(ddof=1) / p + below.var(ddof=1) / n)


def _score_interval(area: float, p: int, n: int) -> tuple[float, float]:
    """All areas that the found one does not speak against: with a width where it is 0 or 1, too."""
    from scipy.optimize import brentq

    def beyond(true: float) -> float:
        shares = (1 - true) / (2 - true), true / (1 + true)
        # The exponential model has a direction; the one that gives more.
        pairs = max((p - 1) * shares[0] + (n - 1) * shares[1], (n - 1) * shares[0] + (p - 1) * shares[1])
        return float((area - true) ** 2 - _Z**2 * true * (1 - true) * (1 + pairs) / (p * n))

    edge = 1e-9
    inside = min(max(area, edge), 1 - edge)  # 0 and 1 would be solutions of no worth
    low = float(brentq(beyond, edge, inside)) if area > edge and beyond(edge) > 0 else 0.0
    high = float(brentq(beyond, inside, 1 - edge)) if area < 1 - edge and beyond(1 - edge) > 0 else 1.0
    return low, high


def threshold_95(known: np.ndarray) -> float:
    """The score that 95 % of what is known do not exceed."""
    rank = int(np.ceil(0.95 * len(known))) - 1
    return float(np.partition(known, rank)[rank])
