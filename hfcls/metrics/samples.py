"""What the metrics read off each sample, computed once and only when asked for."""

from collections.abc import Iterator
from functools import cached_property
from typing import NamedTuple

import numpy as np

from hfcls.metrics.one_vs_rest import OneVsRest, compute_one_vs_rest
from hfcls.structures import Predictions

# Elements of a temporary float64 array: 8 MiB, whatever N and K are.
BLOCK_ELEMENTS = 2**20


class Softmax(NamedTuple):
    """What remains of the probabilities once each row has been summed up; all float64 (N,).

    Attributes:
        maximum: the largest logit.
        normaliser: the sum of ``exp(logit - maximum)``, in [1, K].
        log_loss: minus the log-probability of the true class, in nats.
        brier: squared distance between the probabilities and the one-hot label, in [0, 2].
    """

    maximum: np.ndarray
    normaliser: np.ndarray
    log_loss: np.ndarray
    brier: np.ndarray


class Samples:
    """The samples of `Predictions` whose label is known.

    Attributes:
        logits: (N, K).
        labels: (N,), in [0, K).
        n: N.
        num_classes: K.

    Raises:
        ValueError: a label is K or more.
    """

    def __init__(self, predictions: Predictions):
        known = predictions.known
        self.logits, self.labels = known.logits, known.labels
        self.n, self.num_classes = self.logits.shape
        if self.n and self.labels.max() >= self.num_classes:
            raise ValueError(f"Label {self.labels.max()} has no logit: labels go from 0 to {self.num_classes - 1}.")

    @cached_property
    def unusable(self) -> str:
        """Why no metric is defined on these samples, or an empty string."""
        if not self.n:
            return "there is no sample with a known label"
        broken = self.n - int(np.isfinite(self.logits).all(axis=1).sum())
        return f"the logits of {broken} of {self.n} samples are not finite" if broken else ""

    @cached_property
    def predicted(self) -> np.ndarray:
        """Predicted classes (N,); of equal logits the lowest class index wins."""
        return self.logits.argmax(axis=1)

    @cached_property
    def correct(self) -> np.ndarray:
        """Boolean (N,)."""
        return self.predicted == self.labels

    @cached_property
    def rank(self) -> np.ndarray:
        """Rank (N,) of the true class among the logits, 0 the best; of equal logits the lowest class index is first."""
        rank = np.empty(self.n, dtype=np.int64)
        classes = np.arange(self.num_classes)
        for block in self._row_blocks():
            logits, labels = self.logits[block], self.labels[block, None]
            true = np.take_along_axis(logits, labels, axis=1)
            rank[block] = ((logits > true) | ((logits == true) & (classes < labels))).sum(axis=1)
        return rank

    @cached_property
    def softmax(self) -> Softmax:
        """The log loss comes from the logits by log-sum-exp: a probability that underflows still has its logarithm."""
        softmax = Softmax(*np.empty((4, self.n)))
        for block in self._row_blocks():
            logits, labels = self.logits[block].astype(np.float64), self.labels[block]
            rows = np.arange(len(labels))
            maximum = logits.max(axis=1)
            probabilities = np.exp(logits - maximum[:, None])
            normaliser = probabilities.sum(axis=1)
            probabilities /= normaliser[:, None]
            softmax.maximum[block] = maximum
            softmax.normaliser[block] = normaliser
            softmax.log_loss[block] = np.log(normaliser) - (logits[rows, labels] - maximum)
            probabilities[rows, labels] -= 1
            softmax.brier[block] = np.einsum("nk,nk->n", probabilities, probabilities)
        return softmax

    @property
    def confidence(self) -> np.ndarray:
        """Probability (N,) of the predicted class, in [1/K, 1]."""
        return 1 / self.softmax.normaliser

    def probability(self, index: int) -> np.ndarray:
        """Probability (N,) of one class: a column of the softmax, without the other columns in memory."""
        shifted = self.logits[:, index].astype(np.float64) - self.softmax.maximum
        return np.exp(shifted) / self.softmax.normaliser

    @cached_property
    def one_vs_rest(self) -> OneVsRest:
        """Areas (K,) under the ROC and precision-recall curves of each class; the score is its probability."""
        return compute_one_vs_rest(self.probability, self.labels, self.num_classes)

    def _row_blocks(self) -> Iterator[slice]:
        rows = max(1, BLOCK_ELEMENTS // self.num_classes)
        for start in range(0, self.n, rows):
            yield slice(start, start + rows)
