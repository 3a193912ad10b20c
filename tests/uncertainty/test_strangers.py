"""Scores of strangeness: by hand on small numbers, and on strangers of a kind that each score is made for."""

import numpy as np
import pytest
from scipy.special import logsumexp

from hfcls.uncertainty.detection import measure_detection
from hfcls.uncertainty.strangers import DETECTORS, Known, Seen, usable


def known(n: int = 600, *, seed: int = 0) -> Known:
    """Three classes in 8 dimensions, of which the head reads the first three."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 3, n)
    features = rng.normal(0, [0.5] * 4 + [0.05] * 4, (n, 8)).clip(-3, 3)
    features[:, :3] += 3 * np.eye(3)[labels]
    weight, bias = np.eye(3, 8) * 2, np.full(3, 0.1)
    return Known(Seen(features @ weight.T + bias, features), labels, weight, bias)


def seen(features: np.ndarray) -> Seen:
    base = known(3)
    return Seen(features @ base.weight.T + base.bias, features)


@pytest.mark.parametrize("name", sorted(DETECTORS))
def test_strangers_are_told(name: str):
    """Images that say nothing of any class; those outside the space of the known are told by the features alone."""
    detector = DETECTORS[name](known())
    friends = detector.score(known(seed=1).seen)
    assert friends.shape == (600,) and np.isfinite(friends).all()
    rng = np.random.default_rng(2)
    weak = detector.score(seen(rng.normal(0, 0.2, (300, 8))))
    assert measure_detection(weak, friends)["auroc"] > 0.95
    off = known(300, seed=3).seen.features + np.array([0, 0, 0, 0, 1, 1, 1, 1])
    auroc = measure_detection(detector.score(seen(off)), friends)["auroc"]
    assert auroc > 0.95 if name in {"mahalanobis", "knn", "vim"} else 0.4 < auroc < 0.6


def test_logit_scores_by_hand():
    one = Seen(np.array([[2.0, 0.0]]))
    assert DETECTORS["msp"](known()).score(one) == pytest.approx(-1 / (1 + np.exp(-2)))
    assert DETECTORS["max_logit"](known()).score(one) == -2
    assert DETECTORS["energy"](known()).score(one) == pytest.approx(-np.log(np.exp(2) + 1))


def test_feature_scores_by_hand():
    base = known()
    mean = np.stack([base.seen.features[base.labels == index].mean(axis=0) for index in range(3)])
    covariance = np.cov((base.seen.features - mean[base.labels]).T, bias=True)
    point = np.ones((1, 8))
    expected = min(np.sqrt((point - m) @ np.linalg.inv(covariance) @ (point - m).T).item() for m in mean)
    assert DETECTORS["mahalanobis"](base).score(seen(point)) == pytest.approx(expected, rel=1e-6)
    unit = base.seen.features / np.linalg.norm(base.seen.features, axis=1, keepdims=True)
    distances = np.sort(np.linalg.norm(unit - point / np.sqrt(8), axis=1))
    assert DETECTORS["knn"](base).score(seen(point)) == pytest.approx(distances[49], rel=1e-6)
    cut = np.minimum(point, np.percentile(base.seen.features, 90))
    energy = -logsumexp(cut @ base.weight.T + base.bias, axis=1)
    assert DETECTORS["react"](base).score(seen(point)) == pytest.approx(energy, rel=1e-9)


def test_one_image_a_class_says_nothing_of_how_classes_vary():
    base = known()
    for rows in ([np.flatnonzero(base.labels == label)[0] for label in range(3)] * times for times in (1, 3)):
        one = Known(Seen(base.seen.logits[rows], base.seen.features[rows]), base.labels[rows], base.weight, base.bias)
        assert set(DETECTORS) - set(usable(one)) == {"mahalanobis"}
        with pytest.raises(ValueError, match="two images of a class"):
            DETECTORS["mahalanobis"](one)


def test_what_is_not_at_hand_is_not_offered():
    base = known()
    assert set(usable(base)) == set(DETECTORS)
    assert set(usable(Known(base.seen, base.labels))) == set(DETECTORS) - {"vim", "react"}
    assert set(usable(Known(Seen(base.seen.logits), base.labels))) == {"msp", "max_logit", "energy"}
