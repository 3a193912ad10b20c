"""Percentile bootstrap intervals (Efron and Tibshirani, An Introduction to the Bootstrap, 1993, chapter 13)."""

from collections.abc import Iterator, Mapping
from typing import NamedTuple

import numpy as np

from hfcls.metrics.base import Metric, Tally
from hfcls.metrics.samples import Samples
from hfcls.metrics.wilson import wilson_interval

CONFIDENCE = 0.95

# Elements of an array over resamples x samples: 8 MiB each, of which a handful live at once.
BATCH_ELEMENTS = 2**20

# Resamples x samples x classes up to which metrics that sort the scores get an interval: 10 to 15 s of one core.
SORTING_BUDGET = 2 * 10**8


class Interval(NamedTuple):
    """Bounds of one metric.

    Attributes:
        low, high: the 2.5th and 97.5th percentile over the resamples on which the metric is defined; of an accuracy
            of 0 or 1 Wilson's bounds.
        undefined_resamples: how many resamples it is undefined on.
    """

    low: float
    high: float
    undefined_resamples: int

    def holds(self, value: float) -> bool:
        """Whether `value` is inside, but for the rounding of sums that were added up in another order."""
        slack = 1e-12 * max(1, abs(value))
        return self.low - slack <= value <= self.high + slack


def compute_intervals(
    metrics: Mapping[str, Metric], samples: Samples, *, resamples: int, seed: int
) -> dict[str, Interval | str]:
    """Intervals of `metrics`, all from the same resamples, in a time that grows with resamples x samples.

    Returns:
        By name an interval, or in words why there is none; empty where none was asked for or nothing is defined.

    Raises:
        ValueError: `resamples` is negative.
    """
    if resamples < 0:
        raise ValueError(f"resamples must be 0 or more, not {resamples}.")
    if samples.unusable or not resamples:
        return {}
    affordable = resamples * samples.n * samples.num_classes <= SORTING_BUDGET
    found: dict[str, list[np.ndarray]] = {
        name: [] for name, metric in metrics.items() if affordable or not metric.sorts_scores
    }
    for tally in draw_resamples(samples, resamples=resamples, seed=seed):
        for name, values in found.items():
            values.append(metrics[name].function(tally).values)
    intervals: dict[str, Interval | str] = dict.fromkeys(metrics, "the set is too large to resample this metric")
    intervals |= {name: _percentile_interval(np.concatenate(values)) for name, values in found.items()}
    return {name: _widened(name, interval, samples.n) for name, interval in intervals.items()}


def draw_resamples(samples: Samples, *, resamples: int, seed: int) -> Iterator[Tally]:
    """Yields tallies that together hold `resamples` draws of N samples with replacement."""
    generator = np.random.default_rng(seed)
    n = samples.n
    batch = max(1, BATCH_ELEMENTS // max(n, samples.num_classes))
    for start in range(0, resamples, batch):
        copies = min(batch, resamples - start)
        drawn = generator.integers(n, size=(copies, n))
        drawn += np.arange(copies)[:, None] * n
        counts = np.bincount(drawn.ravel(), minlength=copies * n)
        yield Tally(samples, counts.reshape(copies, n).astype(np.float64))


def _widened(name: str, interval: Interval | str, n: int) -> Interval | str:
    """Where all answers are right, or all wrong, resampling knows no other case, and a small set would look certain."""
    if isinstance(interval, str) or interval.low != interval.high:
        return interval
    if name == "accuracy":
        return Interval(*wilson_interval(round(interval.low * n), n), interval.undefined_resamples)
    return "it is the same on every resample"


def _percentile_interval(values: np.ndarray) -> Interval | str:
    defined = values[~np.isnan(values)]
    if not len(defined):
        return "it is undefined on every resample"
    tail = 100 * (1 - CONFIDENCE) / 2
    low, high = np.percentile(defined, [tail, 100 - tail])
    return Interval(float(low), float(high), len(values) - len(defined))
