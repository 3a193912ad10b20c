"""Mixing each image with another one of the batch, and its label likewise."""

from dataclasses import dataclass

import numpy as np
import torch
from scipy.special import betaincinv
from torch import Tensor

from hfcls.data.augmentation.base import column
from hfcls.data.augmentation.erasing import fill_boxes


def partners(images: Tensor) -> Tensor:
    """What each is mixed with: the first with the last, the second with the last but one, ..."""
    return images.flip(0)


def mixed_targets(labels: Tensor, shares: np.ndarray, class_count: int) -> Tensor:
    """Probabilities of the classes, each row of which adds up to 1.

    Args:
        labels: int64 (N,), or probabilities (N, K) that were mixed before.
        shares: float (N,): how much of its own label each image keeps.

    Returns:
        float32 (N, K).
    """
    own = labels if labels.ndim == 2 else torch.nn.functional.one_hot(labels, class_count).float()
    kept = torch.from_numpy(shares.astype(np.float32))[:, None]
    return own * kept + own.flip(0) * (1 - kept)


@dataclass(frozen=True)
class Mixup:
    """Adds the images up, with shares from Beta(alpha, alpha), one for each image.

    Zhang et al. 2017, mixup: Beyond Empirical Risk Minimization, arXiv:1710.09412.
    """

    alpha: float
    draws = 1

    def parameters(self, uniforms: np.ndarray, size: tuple[int, int]) -> np.ndarray:
        """float (N,): how much is kept."""
        return betaincinv(self.alpha, self.alpha, uniforms[:, 0])

    def mix(self, images: Tensor, parameters: np.ndarray) -> Tensor:
        """The weighted sum."""
        return torch.lerp(partners(images), images, column(parameters, images))

    def shares(self, parameters: np.ndarray, size: tuple[int, int]) -> np.ndarray:
        """As drawn."""
        return parameters


@dataclass(frozen=True)
class CutMix:
    """Puts a box of the other image in, whose area is a share from Beta(alpha, alpha), cut off at the border.

    Yun et al. 2019, CutMix: Regularization Strategy to Train Strong Classifiers, arXiv:1905.04899.
    """

    alpha: float
    draws = 3

    def parameters(self, uniforms: np.ndarray, size: tuple[int, int]) -> np.ndarray:
        """int (N, 4): top, left, bottom, right."""
        side = np.sqrt(1 - betaincinv(self.alpha, self.alpha, uniforms[:, :1]))
        whole = np.array(size)
        sides = np.floor(side * whole).astype(np.int64)
        start = np.floor(uniforms[:, 1:] * whole).astype(np.int64) - sides // 2
        return np.concatenate([np.clip(start, 0, whole), np.clip(start + 2 * (sides // 2), 0, whole)], axis=1)

    def mix(self, images: Tensor, parameters: np.ndarray) -> Tensor:
        """The box of the other image."""
        return fill_boxes(images, parameters, partners(images))

    def shares(self, parameters: np.ndarray, size: tuple[int, int]) -> np.ndarray:
        """What is left of the area."""
        top, left, bottom, right = parameters.T
        return 1 - (bottom - top) * (right - left) / (size[0] * size[1])


@dataclass(frozen=True)
class OneOf:
    """For each image one of two ways to mix, equally often; what the other one drew has no effect."""

    first: Mixup
    second: CutMix

    @property
    def draws(self) -> int:
        """Of both, and one that chooses."""
        return 1 + self.first.draws + self.second.draws

    def parameters(self, uniforms: np.ndarray, size: tuple[int, int]) -> np.ndarray:
        """float (N, 5): the share kept by Mixup (1 where it is not chosen); CutMix's box (empty likewise)."""
        chosen = uniforms[:, 0] < 0.5
        kept = self.first.parameters(uniforms[:, 1 : 1 + self.first.draws], size)
        box = self.second.parameters(uniforms[:, 1 + self.first.draws :], size)
        return np.concatenate([np.where(chosen, kept, 1)[:, None], np.where(chosen[:, None], 0, box)], axis=1)

    def mix(self, images: Tensor, parameters: np.ndarray) -> Tensor:
        """One of the two; the other changes nothing."""
        boxed = self.second.mix(images, parameters[:, 1:])
        kept = column(parameters[:, 0], images)
        return boxed * kept + partners(images) * (1 - kept)

    def shares(self, parameters: np.ndarray, size: tuple[int, int]) -> np.ndarray:
        """Of the one that was chosen."""
        return self.first.shares(parameters[:, 0], size) * self.second.shares(parameters[:, 1:], size)
