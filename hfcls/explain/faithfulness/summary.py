"""From the figures of single images to means with intervals, and to a sentence on what to believe."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from hfcls.explain.faithfulness.unexplained import CENTRE, RANDOM

CONFIDENCE, RESAMPLES = 0.95, 2000


@dataclass(frozen=True)
class Mean:
    """A mean over images.

    Attributes:
        value: the mean.
        low, high: percentile bootstrap interval over the images; None of a single one.
        n: how many images.
    """

    value: float
    low: float | None
    high: float | None
    n: int


@dataclass(frozen=True)
class Summary:
    """One measure of one method.

    Attributes:
        method, measure: names of their tables.
        mean: over all images that have the figure.
        over_random, over_centre: mean difference to the random map and to the centre blob of the same image, in the
            good direction: above 0, the method is better; None where no image has both.
    """

    method: str
    measure: str
    mean: Mean
    over_random: Mean | None
    over_centre: Mean | None


def mean_of(values: Sequence[float] | np.ndarray, *, seed: int = 0) -> Mean:
    """A mean with its percentile bootstrap interval (Efron and Tibshirani 1993, chapter 13)."""
    numbers = np.asarray(values, np.float64)
    if len(numbers) < 2:
        return Mean(float(numbers.mean()), None, None, len(numbers))
    drawn = np.random.default_rng(seed).integers(len(numbers), size=(RESAMPLES, len(numbers)))
    tail = 100 * (1 - CONFIDENCE) / 2
    low, high = np.percentile(numbers[drawn].mean(axis=1), [tail, 100 - tail])
    return Mean(float(numbers.mean()), float(low), float(high), len(numbers))


def summarize(
    values: Mapping[tuple[str, str], Mapping[str, float]], better: Mapping[str, str], *, seed: int = 0
) -> list[Summary]:
    """Means of all methods and measures.

    Args:
        values: by (method, measure), for each image id the figure.
        better: by measure, "higher" or "lower".
        seed: of the resamples, the same for all.
    """
    return [
        Summary(
            method,
            measure,
            mean_of(list(found.values()), seed=seed),
            *(
                _difference(found, values.get((other, measure), {}), better[measure], seed) if method != other else None
                for other in (RANDOM, CENTRE)
            ),
        )
        for (method, measure), found in values.items()
        if found
    ]


def _difference(found: Mapping[str, float], other: Mapping[str, float], better: str, seed: int) -> Mean | None:
    both = [found[key] - other[key] for key in found if key in other]
    return mean_of(np.array(both) * (1 if better == "higher" else -1), seed=seed) if both else None
