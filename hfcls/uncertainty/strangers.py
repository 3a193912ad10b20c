"""How strange an image is to a network: scores of what it was never meant to see, larger for stranger.

To add one, write a class derived from `Detector` and a row in ``DETECTORS``.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from scipy.special import logsumexp

from hfcls.registry import Registry

# Rows of a block of distances, so that they fit the memory.
_BLOCK = 1024
# Of a log-sum-exp in float32 logits that is 0 but for that.
_ROUNDING = 1e-4
# Of the features' squares, which rounding alone leaves of what should be 0.
_NOTHING = 1e-12


@dataclass(frozen=True)
class Seen:
    """What a network makes of some images.

    Attributes:
        logits: (N, K).
        features: (N, D), what the classifier head reads; None where only the logits are at hand.
    """

    logits: np.ndarray
    features: np.ndarray | None = None


@dataclass(frozen=True)
class Known:
    """What a network makes of images that it learned from or that are like them, and its head.

    Attributes:
        seen: of N images.
        labels: (N,) in [0, K).
        weight, bias: of a linear head, (K, D) and (K,); None of another one.
    """

    seen: Seen
    labels: np.ndarray
    weight: np.ndarray | None = None
    bias: np.ndarray | None = None


class Detector(ABC):
    """Fitted once on what is known, then asked.

    Attributes:
        title, paper: for people.
        needs: "logits", "features" or "head" (features, and a linear head).
    """

    title: ClassVar[str]
    paper: ClassVar[str]
    needs: ClassVar[str] = "logits"

    @abstractmethod
    def __init__(self, known: Known): ...

    @classmethod
    def lacks(cls, known: Known) -> str:
        """What is missing to fit it, in words; empty where nothing is."""
        if cls.needs != "logits" and known.seen.features is None:
            return "features"
        if cls.needs == "head" and (known.weight is None or known.bias is None):
            return "a head that is one linear layer with a bias"
        return ""

    @abstractmethod
    def score(self, seen: Seen) -> np.ndarray:
        """How strange each image is, float64 (N,)."""


class _OfLogits(Detector):
    def __init__(self, known: Known):
        pass


class MaximumSoftmax(_OfLogits):
    """1 - the largest probability."""

    title, paper = "MSP", "Hendrycks, Gimpel 2017, arXiv:1610.02136"

    def score(self, seen: Seen) -> np.ndarray:
        """See `Detector.score`."""
        return -np.exp(_largest(seen) - logsumexp(seen.logits.astype(np.float64), axis=1))


class MaximumLogit(_OfLogits):
    """The largest logit, which sees how much speaks for a class, not only for which."""

    title, paper = "Max logit", "Hendrycks et al. 2022, arXiv:1911.11132"

    def score(self, seen: Seen) -> np.ndarray:
        """See `Detector.score`."""
        return -_largest(seen)


class Energy(_OfLogits):
    """The log-sum-exp of the logits: the free energy of the image.

    Of logits that are logarithms of probabilities it is 0 for all images; see `tells_energy`.
    """

    title, paper = "Energy", "Liu, Wang, Owens, Li 2020, arXiv:2010.03759"

    def score(self, seen: Seen) -> np.ndarray:
        """See `Detector.score`."""
        return -logsumexp(seen.logits.astype(np.float64), axis=1)


class Mahalanobis(Detector):
    """The distance of the features to the nearest class mean, by the covariance that the classes share."""

    title, paper, needs = "Mahalanobis", "Lee, Lee, Lee, Shin 2018, arXiv:1807.03888", "features"

    @classmethod
    def lacks(cls, known: Known) -> str:
        """See `Detector.lacks`: of one image a class nothing is known of how a class varies."""
        if missing := super().lacks(known):
            return missing
        features = _features(known.seen)
        _, centred = _class_means(features, known.labels)
        varies = (centred**2).sum() > _NOTHING * (features**2).sum()
        return "" if varies else "two images of a class that differ"

    def __init__(self, known: Known):
        if missing := self.lacks(known):
            raise ValueError(f"The Mahalanobis distance needs {missing}.")
        features = _features(known.seen)
        self._means, centred = _class_means(features, known.labels)
        values, vectors = np.linalg.eigh(centred.T @ centred / len(features))
        # Directions in which nothing varies would make everything infinitely strange.
        kept = values > values.max() * 1e-6
        self._whiten = vectors[:, kept] / np.sqrt(values[kept])

    def score(self, seen: Seen) -> np.ndarray:
        """See `Detector.score`."""
        return _nearest(_features(seen) @ self._whiten, self._means @ self._whiten, 1)


class NearestNeighbour(Detector):
    """The distance to the 50th nearest known image, of features that are scaled to length 1."""

    title, paper, needs = "k-NN", "Sun, Ming, Zhu, Li 2022, arXiv:2204.06507", "features"
    k = 50

    def __init__(self, known: Known):
        self._bank = _unit(_features(known.seen))

    def score(self, seen: Seen) -> np.ndarray:
        """See `Detector.score`."""
        return _nearest(_unit(_features(seen)), self._bank, min(self.k, len(self._bank)))


class VirtualLogit(Detector):
    """The energy against one more logit: the length of what lies outside the features' principal space (ViM).

    The space has half the dimensions of the features; 512 from 768 on, 1,000 from 2,048 on, as in the paper.
    """

    title, paper, needs = "ViM", "Wang, Li, Feng, Zhang 2022, arXiv:2203.10807", "head"

    def __init__(self, known: Known):
        features, weight, bias = _head(known)
        count = features.shape[1]
        kept = 1000 if count >= 2048 else 512 if count >= 768 else count // 2
        self._origin = -np.linalg.pinv(weight) @ bias
        centred = features - self._origin
        _, vectors = np.linalg.eigh(centred.T @ centred / len(features))
        self._outside = vectors[:, : count - kept]  # of the smallest eigenvalues
        lengths = np.linalg.norm(centred @ self._outside, axis=1)
        self._scale = known.seen.logits.max(axis=1).astype(np.float64).mean() / max(float(lengths.mean()), 1e-12)

    def score(self, seen: Seen) -> np.ndarray:
        """See `Detector.score`."""
        outside = np.linalg.norm((_features(seen) - self._origin) @ self._outside, axis=1)
        return self._scale * outside - logsumexp(seen.logits.astype(np.float64), axis=1)


class Rectified(Detector):
    """The energy after features are cut at the 90th percentile of the known ones (ReAct)."""

    title, paper, needs = "ReAct", "Sun, Guo, Li 2021, arXiv:2111.12797", "head"

    def __init__(self, known: Known):
        features, self._weight, self._bias = _head(known)
        self._most = float(np.percentile(features, 90))

    def score(self, seen: Seen) -> np.ndarray:
        """See `Detector.score`."""
        cut = np.minimum(_features(seen), self._most)
        return -logsumexp(cut @ self._weight.T + self._bias, axis=1)


DETECTORS: Registry[type[Detector]] = Registry(
    "out-of-distribution score",
    {
        "msp": MaximumSoftmax,
        "max_logit": MaximumLogit,
        "energy": Energy,
        "vim": VirtualLogit,
        "knn": NearestNeighbour,
        "mahalanobis": Mahalanobis,
        "react": Rectified,
    },
)


def tells_energy(logits: np.ndarray) -> bool:
    """Whether the log-sum-exp of logits (N, K) says anything: not of an ensemble's, the logarithms of probabilities.

    Scaled by a temperature it would, but what it said would turn with the temperature at 1.
    """
    return bool((np.abs(logsumexp(logits.astype(np.float64), axis=1)) > _ROUNDING).any())


def usable(known: Known) -> list[str]:
    """The names of ``DETECTORS`` that what is at hand is enough for."""
    return [name for name, detector in DETECTORS.items() if not detector.lacks(known)]


def _largest(seen: Seen) -> np.ndarray:
    return seen.logits.max(axis=1).astype(np.float64)


def _features(seen: Seen) -> np.ndarray:
    if seen.features is None:
        raise ValueError("This score needs features, and only logits are given.")
    return seen.features.astype(np.float64)


def _class_means(features: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The mean of each class that there is, and the features less their own class's."""
    classes = np.unique(labels)
    means = np.stack([features[labels == index].mean(axis=0) for index in classes])
    return means, features - means[np.searchsorted(classes, labels)]


def _head(known: Known) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    if known.weight is None or known.bias is None:
        raise ValueError("This score needs a linear head with a bias.")
    return _features(known.seen), known.weight.astype(np.float64), known.bias.astype(np.float64)


def _unit(features: np.ndarray) -> np.ndarray:
    return features / np.maximum(np.linalg.norm(features, axis=1, keepdims=True), 1e-12)


def _nearest(points: np.ndarray, bank: np.ndarray, k: int) -> np.ndarray:
    """The distance of each point to the `k`-th nearest of the bank."""
    squares = (bank**2).sum(axis=1)
    found = np.empty(len(points))
    for start in range(0, len(points), _BLOCK):
        block = points[start : start + _BLOCK]
        distances = (block**2).sum(axis=1)[:, None] + squares - 2 * block @ bank.T
        found[start : start + _BLOCK] = np.partition(distances, k - 1, axis=1)[:, k - 1]
    return np.sqrt(found.clip(0))
