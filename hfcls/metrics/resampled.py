"""What several trainings on overlapping parts of the same data say of a figure."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Resampled:
    """A figure over several trainings.

    Attributes:
        mean: over the trainings.
        std: between them, with one degree of freedom less.
        low, high: 95 % interval of the mean.
        n: trainings in which the figure is defined.
    """

    mean: float
    std: float
    low: float
    high: float
    n: int


def summarize_resampled(values: Sequence[float], *, test_share: float) -> Resampled:
    """Mean, spread and corrected interval of a figure over folds.

    The trainings share images, so that their figures vary less than those of independent ones: the variance of the
    mean is ``(1 / J + n_test / n_train) * variance`` instead of ``variance / J`` (Nadeau, Bengio 2003, Inference for
    the generalization error, Machine Learning 52), with Student's t of J - 1 degrees of freedom.

    Args:
        values: J figures, two or more.
        test_share: n_test / n_train; of k folds 1 / (k - 1).
    """
    from scipy.stats import t

    scores = np.asarray(values, dtype=np.float64)
    mean, std = float(scores.mean()), float(scores.std(ddof=1))
    half = float(t.ppf(0.975, len(scores) - 1)) * std * float(np.sqrt(1 / len(scores) + test_share))
    return Resampled(mean, std, mean - half, mean + half, len(scores))
