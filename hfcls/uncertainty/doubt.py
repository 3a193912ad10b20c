"""How much a classifier doubts: from one set of logits, or from several members that answer the same question."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.special import entr

from hfcls.registry import Registry


@dataclass(frozen=True)
class Votes:
    """What several members say: networks of an ensemble, passes with dropout, views of an image, draws of weights.

    Attributes:
        probabilities: float64 (M, N, K).
        weights: of the members, (M,) with sum 1; all alike where None.
    """

    probabilities: np.ndarray
    weights: np.ndarray | None = None

    @property
    def mean(self) -> np.ndarray:
        """The mean of the members (N, K)."""
        return self.over_members(self.probabilities)

    def over_members(self, values: np.ndarray) -> np.ndarray:
        """The mean of values (M, ...) over the members, as they count."""
        return values.mean(axis=0) if self.weights is None else np.tensordot(self.weights, values, axes=1)


def predictive_entropy(votes: Votes) -> np.ndarray:
    """The entropy of the mean (N,), in nats: all doubt, of the data and of the members."""
    return entr(votes.mean).sum(axis=1)


def mutual_information(votes: Votes) -> np.ndarray:
    """What the members disagree about (N,), in nats: the entropy of the mean less the mean of their entropies.

    Houlsby et al. 2011, Bayesian active learning for classification and preference learning, arXiv:1112.5745.
    """
    return (predictive_entropy(votes) - votes.over_members(entr(votes.probabilities).sum(axis=2))).clip(0)


def variation_ratio(votes: Votes) -> np.ndarray:
    """The share of members (N,) that do not name the class that most of them name (Freeman 1965)."""
    members, _, num_classes = votes.probabilities.shape
    named = votes.probabilities.argmax(axis=2)
    if votes.weights is None:
        most = np.stack([(named == index).sum(axis=0) for index in range(num_classes)]).max(axis=0)
        return 1 - most / members
    shares = np.stack([votes.over_members((named == index).astype(float)) for index in range(num_classes)])
    return 1 - shares.max(axis=0)


def least_confidence(votes: Votes) -> np.ndarray:
    """1 - the largest probability of the mean (N,)."""
    return 1 - votes.mean.max(axis=1)


# Larger means more doubt.
DOUBTS: Registry[Callable[[Votes], np.ndarray]] = Registry(
    "doubt",
    {
        "least_confidence": least_confidence,
        "predictive_entropy": predictive_entropy,
        "mutual_information": mutual_information,
        "variation_ratio": variation_ratio,
    },
)
