"""Two classifiers on the same images: by hand, and against what statistics says of means."""

import numpy as np
import pytest

from hfcls.metrics.comparison import compute_difference, compute_mcnemar


def test_mcnemar_by_hand():
    """Of five images that only one names right, the second names all: twice one half to the fifth."""
    first = np.array([True] * 10 + [False] * 5 + [False] * 5)
    second = np.array([True] * 10 + [True] * 5 + [False] * 5)
    found = compute_mcnemar(first, second)
    assert (found.only_first, found.only_second, found.p_value) == (0, 5, pytest.approx(2 / 32))
    assert compute_mcnemar(first, first).p_value == 1


@pytest.mark.parametrize("figure", ["right or wrong", "log loss"])
def test_interval_of_a_difference(figure: str):
    rng = np.random.default_rng(0)
    if figure == "log loss":
        first, second = rng.exponential(1, 2000), rng.exponential(1.1, 2000)
    else:
        first, second = rng.random(2000) < 0.8, rng.random(2000) < 0.83
    found = compute_difference(first, second, resamples=4000)
    differences = second.astype(float) - first.astype(float)
    half = 1.96 * differences.std() / np.sqrt(2000)
    assert found.value == pytest.approx(differences.mean())
    # The percentiles of 4,000 resamples are exact to about 3 % of the width.
    assert found.low == pytest.approx(found.value - half, abs=0.1 * half)
    assert found.high == pytest.approx(found.value + half, abs=0.1 * half)
    assert found.is_certain == (abs(found.value) > half)
