"""What a metric is, and the sums that it is computed from."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np

from hfcls.metrics.one_vs_rest import OneVsRest, compute_weighted_one_vs_rest
from hfcls.metrics.samples import Samples
from hfcls.structures import Predictions

SCIKIT_LEARN = "Pedregosa et al., Scikit-learn: Machine Learning in Python, JMLR 12, 2011."


class Tally:
    """Sums over R weighted copies of one set of N samples.

    The set itself is one copy in which every weight is 1. A bootstrap resample is a copy whose weights say how often
    each sample was drawn. So a metric that is written over these sums is also its own bootstrap, for all resamples
    at once.

    Attributes:
        samples: the N samples.
        weights: float64 (R, N); each row sums to N.
    """

    def __init__(self, samples: Samples, weights: np.ndarray | None = None):
        self.samples = samples
        self.weights = np.ones((1, samples.n)) if weights is None else weights
        self._is_the_set_itself = weights is None

    @property
    def n(self) -> int:
        """Samples in each copy."""
        return self.samples.n

    @cached_property
    def true(self) -> np.ndarray:
        """Samples of each class, (R, K)."""
        return self.sum_by(self.samples.labels, self.samples.num_classes)

    @cached_property
    def predicted(self) -> np.ndarray:
        """Samples predicted as each class, (R, K)."""
        return self.sum_by(self.samples.predicted, self.samples.num_classes)

    @cached_property
    def hits(self) -> np.ndarray:
        """Samples of each class that were predicted as that class, (R, K)."""
        return self.sum_by(self.samples.labels, self.samples.num_classes, values=self.samples.correct)

    @cached_property
    def one_vs_rest(self) -> OneVsRest:
        """Areas (R, K) under the ROC and precision-recall curves of each class against the rest."""
        samples = self.samples
        if self._is_the_set_itself:
            return OneVsRest(*(area[None] for area in samples.one_vs_rest))
        return compute_weighted_one_vs_rest(samples.probability, samples.labels, samples.num_classes, self.weights)

    def mean(self, values: np.ndarray) -> np.ndarray:
        """Mean (R,) of a per-sample quantity (N,)."""
        return self.weights @ values / self.n

    def sum_by(self, groups: np.ndarray, num_groups: int, *, values: np.ndarray | None = None) -> np.ndarray:
        """Sums `values` (N,), or counts samples, within each of `groups` (N,): (R, num_groups)."""
        copies = len(self.weights)
        weights = self.weights if values is None else self.weights * values
        cells = np.arange(copies)[:, None] * num_groups + groups
        sums = np.bincount(cells.ravel(), weights=weights.ravel(), minlength=copies * num_groups)
        return sums.reshape(copies, num_groups)


class Estimate(NamedTuple):
    """What a metric finds on each copy of a `Tally`.

    Attributes:
        values: float64 (R,); NaN where the metric is undefined.
        undefined: why it is undefined where it is, in words.
        remark: what a reader of a defined value must know, in words.
    """

    values: np.ndarray
    undefined: str = ""
    remark: str = ""


class Measurement(NamedTuple):
    """One figure.

    Attributes:
        value: None where the metric is undefined.
        reason: why it is undefined, or what was left out of it; else empty.
    """

    value: float | None
    reason: str = ""


@dataclass(frozen=True)
class Metric:
    """One row of ``METRICS``.

    Attributes:
        function: the formula, over all copies of a tally at once.
        description: one line.
        citation: the paper that defines it.
        greater_is_better: False for losses.
        needs_scores: whether it reads the logits, and not only which class was predicted.
        sorts_scores: whether its interval takes a pass over resamples x samples x classes, and is therefore left
            out on large sets.
    """

    function: Callable[[Tally], Estimate]
    description: str
    citation: str = SCIKIT_LEARN
    greater_is_better: bool = True
    needs_scores: bool = False
    sorts_scores: bool = False

    def compute(self, predictions: Predictions) -> Measurement:
        """The metric over the samples whose label is known."""
        return self.measure(Tally(Samples(predictions)))

    def measure(self, tally: Tally) -> Measurement:
        """The metric over a tally of one copy, which other metrics may share."""
        if tally.samples.unusable:
            return Measurement(None, tally.samples.unusable)
        estimate = self.function(tally)
        value = float(estimate.values[0])
        return Measurement(None, estimate.undefined) if np.isnan(value) else Measurement(value, estimate.remark)
