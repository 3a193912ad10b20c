"""Abstaining: what is gained where the classifier says nothing on what it is least sure of."""

from dataclasses import dataclass

import numpy as np
from scipy.stats import beta


@dataclass(frozen=True)
class RiskCoverage:
    """The error among those that are answered, by how many those are.

    Attributes:
        threshold: (M,) falling; the sureness from which on samples are answered.
        answered: int (M,) rising to N, how many are.
        wrong: int (M,), how many of them wrongly.
    """

    threshold: np.ndarray
    answered: np.ndarray
    wrong: np.ndarray

    @property
    def coverage(self) -> np.ndarray:
        """The share (M,) that is answered."""
        return self.answered / self.answered[-1]

    @property
    def risk(self) -> np.ndarray:
        """The share (M,) of wrong answers among the answered."""
        return self.wrong / self.answered

    @property
    def area(self) -> float:
        """The area under the curve (AURC), in [0, 1]: the mean risk over all coverages.

        Geifman, Uziel, El-Yaniv 2019, Bias-reduced uncertainty estimation for deep neural classifiers,
        arXiv:1805.08206. Samples of equal sureness are answered together: each has their common risk.
        """
        steps = np.diff(self.coverage, prepend=0.0)
        return float((self.risk * steps).sum())

    @property
    def excess_area(self) -> float:
        """The area above that of an order which leaves out just the wrong ones first (E-AURC)."""
        return self.area - ideal_area(int(self.wrong[-1]), int(self.answered[-1]))


@dataclass(frozen=True)
class Abstention:
    """From which sureness on samples are answered.

    Attributes:
        threshold: what is below is not answered; infinite where nothing may be.
        coverage: the share that is answered, of the samples that it was chosen on.
        risk: the share of wrong answers among them.
        bound: what the risk of new samples does not exceed, with a probability of 95 % (Clopper and Pearson 1934,
            for one threshold that was not chosen; 1 where nothing is answered).
    """

    threshold: float
    coverage: float
    risk: float
    bound: float


def compute_risk_coverage(sureness: np.ndarray, correct: np.ndarray) -> RiskCoverage:
    """The risk-coverage curve (El-Yaniv, Wiener 2010, On the foundations of noise-free selective classification).

    Args:
        sureness: (N,), larger is surer.
        correct: bool (N,).
    """
    order = np.argsort(-sureness, kind="stable")
    ordered = sureness[order]
    wrong = np.cumsum(~correct[order])
    last = np.append(ordered[1:] != ordered[:-1], True)
    answered = np.arange(1, len(sureness) + 1)[last]
    return RiskCoverage(ordered[last], answered, wrong[last])


def ideal_area(wrong: int, n: int) -> float:
    """The area under the curve of `n` samples whose `wrong` ones are all left out first."""
    answered = np.arange(n - wrong + 1, n + 1)
    return float(((answered - (n - wrong)) / answered).sum() / n)


def thin_out(curve: RiskCoverage, most: int) -> RiskCoverage:
    """The curve with at most so many points, evenly by their number, the last among them."""
    kept = np.unique(np.linspace(0, len(curve.answered) - 1, min(most, len(curve.answered))).round().astype(int))
    return RiskCoverage(curve.threshold[kept], curve.answered[kept], curve.wrong[kept])


def choose_abstention(curve: RiskCoverage, *, risk: float) -> Abstention:
    """The threshold that answers most samples with no more than a wanted share of wrong answers among these.

    Of new samples about so many are wrong, in about half of all cases more: it is no bound such as that of Geifman,
    El-Yaniv 2017 (Selective classification for deep neural networks, arXiv:1705.08500), which few samples never meet.

    Args:
        curve: of samples that the network did not learn from.
        risk: the wanted share of wrong answers, in [0, 1).
    """
    fine = np.flatnonzero(curve.risk <= risk)
    if not len(fine):
        return Abstention(float("inf"), 0.0, 0.0, 1.0)
    last = fine[-1]
    answered, wrong = int(curve.answered[last]), int(curve.wrong[last])
    bound = float(beta.ppf(0.95, wrong + 1, answered - wrong)) if wrong < answered else 1.0
    return Abstention(float(curve.threshold[last]), float(curve.coverage[last]), float(curve.risk[last]), bound)
