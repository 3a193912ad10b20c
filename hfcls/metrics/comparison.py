"""Whether one classifier is better than another on the same images, or only luckier."""

from dataclasses import dataclass

import numpy as np
from scipy.stats import binomtest

from hfcls.metrics.bootstrap import CONFIDENCE


@dataclass(frozen=True)
class McNemar:
    """Which of two classifiers name an image right, over all images.

    Attributes:
        both_right, only_first, only_second, both_wrong: how many images.
        p_value: of the hypothesis that being the only right one is as likely for both; exact.
    """

    both_right: int
    only_first: int
    only_second: int
    both_wrong: int
    p_value: float


@dataclass(frozen=True)
class Difference:
    """A figure of the second classifier less that of the first.

    Attributes:
        value: the difference.
        low, high: its 95 % interval.
    """

    value: float
    low: float
    high: float

    @property
    def is_certain(self) -> bool:
        """Whether the interval leaves out 0."""
        return self.low > 0 or self.high < 0


def compute_mcnemar(first: np.ndarray, second: np.ndarray) -> McNemar:
    """The exact test of McNemar 1947, Note on the sampling error of the difference between correlated proportions.

    Args:
        first, second: bool (N,), whether each image is named right.
    """
    only_first, only_second = int((first & ~second).sum()), int((second & ~first).sum())
    n = only_first + only_second
    p_value = float(binomtest(only_first, n).pvalue) if n else 1.0
    return McNemar(int((first & second).sum()), only_first, only_second, int((~first & ~second).sum()), p_value)


def compute_share_difference(first: np.ndarray, second: np.ndarray) -> Difference:
    """The share of True in the second less that in the first, with an interval that holds for a handful of images.

    A bootstrap of few images, all of them alike, would be sure of what it cannot know. Bonett and Price 2012, Adjusted
    Wald confidence interval for a difference of binomial proportions based on paired data, J. Educational and
    Behavioral Statistics 37.

    Args:
        first, second: bool (N,), of the same images.
    """
    n, z = len(first), 1.959963984540054
    only_first, only_second = ((int(part.sum()) + 1) / (n + 2) for part in (first & ~second, second & ~first))
    middle = only_second - only_first
    half = z * np.sqrt((only_first + only_second - middle**2) / (n + 2))
    value = float(np.mean(second)) - float(np.mean(first))
    return Difference(value, float(max(middle - half, -1.0)), float(min(middle + half, 1.0)))


def compute_difference(first: np.ndarray, second: np.ndarray, *, resamples: int = 1000, seed: int = 0) -> Difference:
    """The mean of the second less the mean of the first, with a paired percentile bootstrap.

    Each resample draws images, with what both classifiers make of them.

    Args:
        first, second: (N,), a figure of each image, such as whether it is named right.
        resamples: of the bootstrap.
        seed: of its draws.
    """
    differences = np.asarray(second, dtype=np.float64) - np.asarray(first, dtype=np.float64)
    rng = np.random.default_rng(seed)
    n = len(differences)
    # The values are few where the figures are 0 and 1: drawing how often each comes is drawing images.
    values, counts = np.unique(differences, return_counts=True)
    if len(values) <= 64:
        means = rng.multinomial(n, counts / n, size=resamples) @ values / n
    else:
        means = np.array([differences[rng.integers(n, size=n)].mean() for _ in range(resamples)])
    tail = 100 * (1 - CONFIDENCE) / 2
    low, high = np.percentile(means, [tail, 100 - tail])
    return Difference(float(differences.mean()), float(low), float(high))
