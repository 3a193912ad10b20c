"""A Gaussian around the weights of the last layer: what other weights, nearly as good, would have answered."""

import numpy as np
from scipy.special import softmax

from hfcls.uncertainty.doubt import Votes
from hfcls.uncertainty.strangers import Known, Seen

# Of the precision of the weights' prior; the one with the largest evidence is taken.
_PRECISIONS = np.logspace(-4, 6, 41)


class LastLayerLaplace:
    """The Laplace approximation of the head's posterior, with Kronecker-factored curvature.

    The generalized Gauss-Newton matrix of the log loss is N · A ⊗ G, with A the mean outer product of the features
    (and a 1 for the bias) and G that of the logits' Hessian. The precision of the Gaussian prior is the one with the
    largest marginal likelihood. Needs no further pass of the network.

    Ritter, Botev, Barber 2018, A scalable Laplace approximation for neural networks (the factors); Kristiadi, Hein,
    Hennig 2020, Being Bayesian, even just a bit, fixes overconfidence in ReLU networks, arXiv:2002.10118 (the last
    layer); Daxberger et al. 2021, Laplace redux, arXiv:2106.14806 (the prior's precision).

    Args:
        known: images that the network learned from, with features and a linear head.
        count: how many it learned from in all, of which `known` are a draw; None where these are all.

    Attributes:
        precision: of the prior.

    Raises:
        ValueError: features or a linear head are missing.
    """

    def __init__(self, known: Known, *, count: int | None = None):
        if known.seen.features is None or known.weight is None or known.bias is None:
            raise ValueError("The last-layer Laplace approximation needs features and a linear head with a bias.")
        features, logits = _with_one(known.seen.features), known.seen.logits.astype(np.float64)
        n = len(features)
        # Each stands for as many as it was drawn from: the posterior knows all of them.
        each = (n if count is None else count) / n
        probabilities = softmax(logits, axis=1)
        hessian = np.diag(probabilities.mean(axis=0)) - probabilities.T @ probabilities / n
        a, self._across = np.linalg.eigh(features.T @ features / n)
        g, self._classes = np.linalg.eigh(hessian)
        # (D + 1, K): the curvature along each direction.
        self._curvature = each * n * np.outer(a.clip(0), g.clip(0))
        log_likelihood = each * np.log(probabilities[np.arange(n), known.labels].clip(1e-300)).sum()
        squares = float((known.weight**2).sum() + (known.bias**2).sum())
        evidence = [log_likelihood + self._log_prior(precision, squares) for precision in _PRECISIONS]
        self.precision = float(_PRECISIONS[int(np.argmax(evidence))])

    def variance(self, seen: Seen) -> np.ndarray:
        """The covariance of each image's logits, float64 (N, K, K)."""
        return np.einsum("kc,nc,lc->nkl", self._classes, self._spread(seen), self._classes)

    def votes(self, seen: Seen, *, members: int, seed: int) -> Votes:
        """The answers of some draws of the weights.

        Args:
            seen: N images.
            members: M draws.
            seed: of the draws.
        """
        spread = np.sqrt(self._spread(seen))
        rng = np.random.default_rng(seed)
        noise = rng.standard_normal((members, *spread.shape)) * spread
        return Votes(softmax(seen.logits.astype(np.float64) + noise @ self._classes.T, axis=2))

    def _spread(self, seen: Seen) -> np.ndarray:
        """The variance along each eigenvector of the logits' Hessian, (N, K)."""
        if seen.features is None:
            raise ValueError("The last-layer Laplace approximation needs features.")
        return (_with_one(seen.features) @ self._across) ** 2 @ (1 / (self._curvature + self.precision))

    def _log_prior(self, precision: float, squares: float) -> float:
        """The prior's part of the evidence, and Occam's."""
        parameters = self._curvature.size
        occam = np.log(self._curvature + precision).sum() - parameters * np.log(precision)
        return -0.5 * (precision * squares + float(occam))


def _with_one(features: np.ndarray) -> np.ndarray:
    return np.concatenate([features.astype(np.float64), np.ones((len(features), 1))], axis=1)
