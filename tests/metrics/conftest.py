"""Predictions that the metric tests share."""

from collections.abc import Callable

import numpy as np
import pytest

from hfcls.structures import Predictions

Build = Callable[..., Predictions]


def build_predictions(logits: object, labels: object) -> Predictions:
    logits, labels = np.asarray(logits, dtype=np.float32), np.asarray(labels, dtype=np.int64)
    n, k = logits.shape
    return Predictions(logits, labels, tuple(f"image-{i}" for i in range(n)), tuple(f"class-{i}" for i in range(k)))


def draw_predictions(n: int, k: int, *, levels: int = 0, only: int | None = None, seed: int = 0) -> Predictions:
    """Logits that lean towards the true class; rounded to `levels` values if given; labels all `only` if given."""
    generator = np.random.default_rng(seed)
    labels = generator.integers(k, size=n) if only is None else np.full(n, only)
    logits = generator.normal(size=(n, k))
    logits[np.arange(n), labels] += 1.5
    return build_predictions(np.clip(np.round(logits), 0, levels - 1) if levels else logits, labels)


CASES = {
    "random": lambda: draw_predictions(300, 7),
    "tied": lambda: draw_predictions(300, 8, levels=2),
    "binary": lambda: draw_predictions(300, 2),
    "binary tied": lambda: draw_predictions(300, 2, levels=3),
    "missing classes": lambda: draw_predictions(20, 12),
    "one class": lambda: draw_predictions(60, 6, only=2),
    "1000 classes": lambda: draw_predictions(600, 1000),
}


@pytest.fixture(scope="session")
def build() -> Build:
    return build_predictions


@pytest.fixture(scope="session")
def draw() -> Build:
    return draw_predictions


@pytest.fixture(scope="module", params=CASES)
def predictions(request: pytest.FixtureRequest) -> Predictions:
    return CASES[request.param]()
