"""Two classifiers on the same images: by hand, and against what statistics says of means."""

import numpy as np
import pytest

from hfcls.metrics.comparison import compute_difference, compute_mcnemar, compute_share_difference


def test_mcnemar_by_hand():
    """Of five images that only one names right, the second names all: twice one half to the fifth."""
    first = np.array([True] * 10 + [False] * 5 + [False] * 5)
    second = np.array([True] * 10 + [True] * 5 + [False] * 5)
    found = compute_mcnemar(first, second)
    assert (found.both_right, found.only_first, found.only_second, found.both_wrong) == (10, 0, 5, 5)
    assert found.p_value == pytest.approx(2 / 32)
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


def test_a_share_of_few_images_is_not_certain():
    """By hand: of 10 images only the second names 4 right, so the shares become 1 / 12 and 5 / 12."""
    first, second = np.array([True] * 6 + [False] * 4), np.ones(10, dtype=bool)
    found = compute_share_difference(first, second)
    half = 1.959964 * np.sqrt((6 / 12 - (4 / 12) ** 2) / 12)
    assert (found.value, found.low, found.high) == pytest.approx((0.4, 4 / 12 - half, 4 / 12 + half), abs=1e-6)
    same = compute_share_difference(second[:3], second[:3])
    assert same.low < -0.2 and same.high > 0.2


def test_the_interval_of_a_share_holds_as_often_as_it_says():
    """1,000 draws of 20 images, both right with 0.7, one of them alone with 0.05 and 0.2: 0.95 ± 0.02 and no less."""
    rng, held = np.random.default_rng(0), 0
    for _ in range(1000):
        kind = rng.choice(4, 20, p=(0.7, 0.05, 0.2, 0.05))
        found = compute_share_difference(kind < 2, (kind == 0) | (kind == 2))
        held += found.low <= 0.15 <= found.high
    assert 0.93 <= held / 1000 <= 0.99
