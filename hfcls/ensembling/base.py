"""What a way to combine is given, and what it gives back."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np


def log_loss_score(probabilities: np.ndarray, labels: np.ndarray) -> float:
    """Minus the log loss of probabilities (N, K): the mean log-probability of the true class, in nats."""
    true = probabilities[np.arange(len(labels)), labels]
    # What underflows in a member would be an infinite loss, whatever the others say.
    return float(np.log(true.clip(1e-30)).mean())


def accuracy_score(probabilities: np.ndarray, labels: np.ndarray) -> float:
    """The share of right answers, in [0, 1]."""
    return float((probabilities.argmax(axis=1) == labels).mean())


# By the name of the metric: larger is better.
METRICS: dict[str, Callable[[np.ndarray, np.ndarray], float]] = {
    "log_loss": log_loss_score,
    "accuracy": accuracy_score,
}


@dataclass(frozen=True)
class Case:
    """What is known of M members on N validation images of K classes.

    Attributes:
        probabilities: float64 (M, N, K).
        labels: int64 (N,), in [0, K).
        metric: a name of ``METRICS``, by which is chosen where something is.
        bags: how many random halves of the members are selected from, for their mean; 0: all members, once.
        seed: of what is drawn.
        soup: the probabilities (N, K) of one network with the mean of some members' weights; None where that is not
            asked for.
    """

    probabilities: np.ndarray
    labels: np.ndarray
    metric: str = "log_loss"
    bags: int = 0
    seed: int = 0
    soup: Callable[[Sequence[int]], np.ndarray] | None = None

    def score(self, probabilities: np.ndarray) -> float:
        """Of answers (N, K), by the metric; larger is better."""
        return METRICS[self.metric](probabilities, self.labels)


@dataclass(frozen=True)
class Choice:
    """How much each member counts.

    Attributes:
        weights: float64 (M,), 0 or more, with sum 1.
        steps: how it came to that, a row a step, ready for JSON; empty where nothing was tried.
    """

    weights: np.ndarray
    steps: list[dict[str, Any]] = field(default_factory=list)


@dataclass(frozen=True)
class Combination:
    """One row of ``COMBINATIONS``.

    Attributes:
        title: in words.
        choose: from what is known on validation to how much each member counts.
        of: what is averaged: the members' answers, or their weights, which makes one network.
        asks: the settings of a `Case` that it goes by.
        metric: by which it chooses where nothing is said.
    """

    title: str
    choose: Callable[[Case], Choice]
    of: Literal["answers", "weights"] = "answers"
    asks: tuple[str, ...] = ()
    metric: str = "log_loss"
