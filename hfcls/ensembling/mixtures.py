"""How much each member of a mean of probabilities counts."""

import numpy as np

from hfcls.ensembling.base import Case, Choice

# Of the mixture: members that count for less are left out, since each costs a pass.
LEAST_WEIGHT = 0.005
_ITERATIONS, _TOLERANCE = 10_000, 1e-10
# A later round of greedy selection must gain so much: all else is chance, and another member costs another pass.
_LEAST_GAIN = 1e-4
# Of greedy selection: how often a member is added in all, for each member that there is.
_ROUNDS = 5


def choose_all(case: Case) -> Choice:
    """All alike (Lakshminarayanan, Pritzel, Blundell 2017, arXiv:1612.01474); needs no validation."""
    count = len(case.probabilities)
    return Choice(np.full(count, 1 / count))


def fit_mixture(case: Case) -> Choice:
    """The weights that minimize the log loss of the weighted mean, by expectation maximization.

    The loss is convex in them, so that the minimum is the only one (Dempster, Laird, Rubin 1977, section 4.3, for
    mixtures of known components). Members with less than half a per cent are left out.
    """
    weights = mixture_weights(case.probabilities, case.labels)
    weights[weights < min(LEAST_WEIGHT, weights.max())] = 0
    return Choice(weights / weights.sum())


def mixture_weights(probabilities: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """See `fit_mixture`; all weights as they come out.

    Args:
        probabilities: float64 (M, N, K).
        labels: (N,).
    """
    # A true class that every member excludes says nothing of them, and must not divide by zero.
    true = probabilities[:, np.arange(len(labels)), labels].clip(1e-30)
    weights = np.full(len(true), 1 / len(true))
    for _ in range(_ITERATIONS):
        shares = weights[:, None] * true
        found = (shares / shares.sum(axis=0)).mean(axis=1)
        moved = float(np.abs(found - weights).max())
        weights = found
        if moved < _TOLERANCE:
            break
    return weights


def select_greedily(case: Case) -> Choice:
    """Adds, again and again, the member with which the mean of all that were added is best, with replacement.

    Of all rounds the best one is kept. With bags, each is a random half of the members, and the mean over the bags
    counts, which guards against chance where there are many members and few images.

    Caruana, Niculescu-Mizil, Crew, Ksikes 2004, Ensemble selection from libraries of models, ICML.
    """
    count = len(case.probabilities)
    if not case.bags:
        return _select(case, np.arange(count))
    rng = np.random.default_rng(case.seed)
    size = max(2, -(-count // 2)) if count > 1 else 1
    bags = [np.sort(rng.choice(count, size=size, replace=False)) for _ in range(case.bags)]
    found = [_select(case, bag) for bag in bags]
    steps = [{"bag": bag.tolist(), "steps": one.steps} for bag, one in zip(bags, found, strict=True)]
    return Choice(np.mean([one.weights for one in found], axis=0), steps)


def _select(case: Case, allowed: np.ndarray) -> Choice:
    count = len(case.probabilities)
    total = np.zeros_like(case.probabilities[0])
    counts, best, kept = np.zeros(count), -np.inf, np.zeros(count)
    steps = []
    for taken in range(1, _ROUNDS * len(allowed) + 1):
        scores = [case.score((total + case.probabilities[member]) / taken) for member in allowed]
        added = int(allowed[int(np.argmax(scores))])
        total += case.probabilities[added]
        counts[added] += 1
        score = max(scores)
        steps.append({"added": added, case.metric: _figure(score, case.metric)})
        if score > best + _LEAST_GAIN:
            best, kept = score, counts.copy()
    return Choice(kept / kept.sum(), steps[: int(kept.sum())])


def _figure(score: float, metric: str) -> float:
    """A score as its metric has it."""
    return -score if metric == "log_loss" else score
