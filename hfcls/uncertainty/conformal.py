"""Sets of classes that hold the true one as often as asked, whatever the network is."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from hfcls.registry import Registry

# Of RAPS: how many classes are free of charge, and what each further one costs.
FREE_CLASSES, COST = 5, 0.01

Scores = Callable[[np.ndarray, np.ndarray], np.ndarray]


def threshold_scores(probabilities: np.ndarray, draws: np.ndarray) -> np.ndarray:
    """How strange each class is: 1 - its probability (N, K). The smallest sets on average, uneven between images.

    Sadinle, Lei, Wasserman 2019, Least ambiguous set-valued classifiers with bounded error levels, JASA 114.

    Args:
        probabilities: (N, K).
        draws: (N,) in [0, 1); not used.
    """
    return 1 - probabilities


def adaptive_scores(probabilities: np.ndarray, draws: np.ndarray) -> np.ndarray:
    """The probability of all likelier classes and a random share of the class's own (N, K): larger sets in doubt.

    Romano, Sesia, Candès 2020, Classification with valid and adaptive coverage, arXiv:2006.02544.

    Args:
        probabilities: (N, K).
        draws: (N,) in [0, 1), of a random number for each sample, so that the coverage is met and not exceeded. Where
            all are 0 the likeliest class scores 0, and every set holds it.
    """
    above, _ = _likelier(probabilities)
    return above + draws[:, None] * probabilities


def regularized_scores(probabilities: np.ndarray, draws: np.ndarray) -> np.ndarray:
    """`adaptive_scores`, and a cost for each class from the sixth on (N, K), so that sets of many classes are rare.

    Angelopoulos, Bates, Malik, Jordan 2021, Uncertainty sets for image classifiers using conformal prediction,
    arXiv:2009.14193; with the paper's 0.01 a class, the first five free of charge.
    """
    above, rank = _likelier(probabilities)
    return above + draws[:, None] * probabilities + COST * (rank + 1 - FREE_CLASSES).clip(0)


CONFORMAL: Registry[Scores] = Registry(
    "conformal method", {"thr": threshold_scores, "aps": adaptive_scores, "raps": regularized_scores}
)


@dataclass(frozen=True)
class ConformalSets:
    """Which classes are held possible.

    Attributes:
        method: a name of ``CONFORMAL``.
        coverage: how often the set is to hold the true class, in (0, 1).
        thresholds: float64 (K,); a class is held possible where its score is no larger; infinite where there were too
            few samples to exclude it.
    """

    method: str
    coverage: float
    thresholds: np.ndarray

    def sets(self, probabilities: np.ndarray, draws: np.ndarray | None = None) -> np.ndarray:
        """The sets, bool (N, K).

        Args:
            probabilities: (N, K), scaled as those that it was fitted on.
            draws: (N,), independent and uniform in [0, 1), where they were fitted with such. Then sets may be empty,
                by chance and of sure answers too. Without draws the same image always gets the same set, with the
                likeliest class in it, which can only add to the coverage.
        """
        if draws is not None:
            return CONFORMAL[self.method](probabilities, draws) <= self.thresholds
        sets = CONFORMAL[self.method](probabilities, np.zeros(len(probabilities))) <= self.thresholds
        sets[np.arange(len(sets)), probabilities.argmax(axis=1)] = True
        return sets


def fit_conformal(
    probabilities: np.ndarray,
    labels: np.ndarray,
    *,
    method: str,
    coverage: float,
    draws: np.ndarray | None = None,
    by_class: bool = False,
) -> ConformalSets:
    """Finds the threshold from samples that the network did not learn from.

    If these and later images are drawn alike, a set holds the true class with a probability of `coverage` or up to
    1 / (n + 1) more, over the draw of all of them (Vovk, Gammerman, Shafer 2005). Without draws it can be still more:
    where more answers than that are right, their share.

    Args:
        probabilities: (N, K).
        labels: (N,) in [0, K).
        method: a name of ``CONFORMAL``.
        coverage: in (0, 1).
        draws: (N,), independent and uniform in [0, 1); none where the sets are not to hang on any.
        by_class: a threshold for each class, so that each is covered (Vovk 2012, Conditional validity of inductive
            conformal predictors, arXiv:1209.2673).

    Raises:
        ValueError: the coverage is out of range.
    """
    if not 0 < coverage < 1:
        raise ValueError(f"The coverage is {coverage}: expected a number between 0 and 1.")
    num_classes = probabilities.shape[1]
    draws = np.zeros(len(labels)) if draws is None else draws
    scores = CONFORMAL[method](probabilities, draws)[np.arange(len(labels)), labels]
    if by_class:
        thresholds = [quantile_of_one_more(scores[labels == index], coverage) for index in range(num_classes)]
    else:
        thresholds = [quantile_of_one_more(scores, coverage)] * num_classes
    return ConformalSets(method, coverage, np.array(thresholds))


def measure_sets(sets: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    """What sets (N, K) do on samples that they were not fitted on.

    Returns:
        ``coverage``, ``worst_class_coverage`` (of the classes that are among the labels), ``mean_size``,
        ``empty`` and ``single``: the shares of sets with no and with one class.
    """
    covered, sizes = sets[np.arange(len(labels)), labels], sets.sum(axis=1)
    per_class = [covered[labels == index].mean() for index in np.unique(labels)]
    return {
        "coverage": float(covered.mean()),
        "worst_class_coverage": float(min(per_class)),
        "mean_size": float(sizes.mean()),
        "empty": float((sizes == 0).mean()),
        "single": float((sizes == 1).mean()),
    }


def quantile_of_one_more(scores: np.ndarray, coverage: float) -> float:
    """The smallest score that a share of `coverage` of n + 1 exchangeable ones does not exceed.

    Args:
        scores: (n,).
        coverage: in (0, 1).

    Returns:
        One of the scores; infinite where n is too small for any of them to do.
    """
    rank = math.ceil((len(scores) + 1) * coverage)
    return float(np.partition(scores, rank - 1)[rank - 1]) if rank <= len(scores) else math.inf


def _likelier(probabilities: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """For each class the probability of all likelier ones, and how many they are; of equal ones the first is."""
    order = np.argsort(-probabilities, axis=1, kind="stable")
    ordered = np.take_along_axis(probabilities, order, axis=1)
    above = np.empty_like(probabilities)
    np.put_along_axis(above, order, np.cumsum(ordered, axis=1) - ordered, axis=1)
    rank = np.empty(probabilities.shape, dtype=np.int64)
    np.put_along_axis(rank, order, np.broadcast_to(np.arange(probabilities.shape[1]), order.shape), axis=1)
    return above, rank
