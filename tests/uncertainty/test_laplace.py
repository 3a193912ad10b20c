"""Where every image has the same probabilities, the Kronecker factors are exact: the full matrix is the reference."""

import numpy as np
import pytest
from scipy.special import softmax

from hfcls.uncertainty.laplace import _PRECISIONS, LastLayerLaplace
from hfcls.uncertainty.strangers import Known, Seen


def known() -> Known:
    """Three classes, a head that reads nothing from the features but has biases."""
    rng = np.random.default_rng(0)
    features = rng.normal(0, 1, (50, 2))
    bias = np.array([0.5, 0.0, -0.5])
    labels = rng.choice(3, 50, p=softmax(bias))
    return Known(Seen(np.tile(bias, (50, 1)), features), labels, np.zeros((3, 2)), bias)


def full_curvature(base: Known) -> np.ndarray:
    p = softmax(base.bias)
    hessian = np.diag(p) - np.outer(p, p)
    features = np.c_[base.seen.features, np.ones(50)]
    return sum(np.kron(np.outer(f, f), hessian) for f in features)


def test_covariance_of_the_logits_is_that_of_the_full_matrix():
    base = known()
    fitted = LastLayerLaplace(base)
    covariance = np.linalg.inv(full_curvature(base) + fitted.precision * np.eye(9))
    one = Seen(base.bias[None], np.array([[2.0, -1.0]]))
    jacobian = np.kron(np.array([[2.0, -1.0, 1.0]]), np.eye(3))
    np.testing.assert_allclose(fitted.variance(one)[0], jacobian @ covariance @ jacobian.T, rtol=1e-8)


def test_images_that_stand_for_others_count_as_those():
    """Three copies of each, and one of each that stands for three."""
    base = known()
    copies = Known(
        Seen(np.tile(base.seen.logits, (3, 1)), np.tile(base.seen.features, (3, 1))),
        np.tile(base.labels, 3), base.weight, base.bias,
    )  # fmt: skip
    one = Seen(base.bias[None], np.array([[2.0, -1.0]]))
    drawn, whole = LastLayerLaplace(base, count=150), LastLayerLaplace(copies)
    assert drawn.precision == whole.precision
    np.testing.assert_allclose(drawn.variance(one), whole.variance(one), rtol=1e-9)
    assert np.trace(drawn.variance(one)[0]) < 0.9 * np.trace(LastLayerLaplace(base).variance(one)[0])


def test_precision_has_the_largest_evidence():
    base = known()
    matrix = full_curvature(base)

    def evidence(precision: float) -> float:
        _, volume = np.linalg.slogdet(matrix + precision * np.eye(9))
        return -0.5 * (precision * (base.bias**2).sum() + volume - 9 * np.log(precision))

    best = max(_PRECISIONS, key=evidence)
    assert LastLayerLaplace(base).precision == pytest.approx(best)


def test_votes_spread_as_the_covariance_says_and_more_where_nothing_is_known():
    fitted = LastLayerLaplace(known())
    near, far = Seen(np.zeros((1, 3)), np.zeros((1, 2))), Seen(np.zeros((1, 3)), np.full((1, 2), 30.0))
    assert np.trace(fitted.variance(far)[0]) > 50 * np.trace(fitted.variance(near)[0])
    votes = fitted.votes(near, members=20_000, seed=0)
    logs = np.log(votes.probabilities[:, 0])
    spread = np.cov((logs - logs.mean(axis=1, keepdims=True)).T)
    centre = np.eye(3) - 1 / 3
    # Four standard errors of a variance from 20,000 draws.
    np.testing.assert_allclose(spread, centre @ fitted.variance(near)[0] @ centre, rtol=0.04, atol=1e-3)
    assert (
        fitted.votes(near, members=5, seed=1).probabilities == fitted.votes(near, members=5, seed=1).probabilities
    ).all()


def test_what_is_missing_is_said():
    base = known()
    with pytest.raises(ValueError, match="linear head"):
        LastLayerLaplace(Known(base.seen, base.labels))
