"""What an augmentation is; parameters are drawn apart from where they are applied."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
import torch
from torch import Tensor


class Augmentation(Protocol):
    """One kind of random change.

    It is one of four, told by the method that it has: `Move` (whole pixels), `Warp` (a matrix), `Change` (of values) or
    `Mix` (of two images).

    Attributes:
        draws: how many uniform numbers one image needs.
    """

    draws: int

    def parameters(self, uniforms: np.ndarray, size: tuple[int, int]) -> np.ndarray:
        """From uniform numbers (N, draws) in [0, 1) and the image size (H, W) to parameters (N, ...)."""
        ...


@runtime_checkable
class Move(Augmentation, Protocol):
    """Moves whole pixels, so that 8 bits stay 8 bits."""

    def move(self, pixels: Tensor, parameters: np.ndarray) -> Tensor:
        """Changes uint8 (N, C, H, W), each image by its own parameters."""
        ...


@runtime_checkable
class Warp(Augmentation, Protocol):
    """An affine map. Those of a plan are multiplied, and the images are sampled once."""

    def matrix(self, parameters: np.ndarray, size: tuple[int, int]) -> np.ndarray:
        """Where each pixel of the result comes from.

        Returns:
            float64 (N, 3, 3), from (x, y, 1) in the result to the same in the image, in pixels from the centre.
        """
        ...


@runtime_checkable
class Change(Augmentation, Protocol):
    """A change of values."""

    def change(self, images: Tensor, parameters: np.ndarray) -> Tensor:
        """Changes float32 (N, 3, H, W) in [0, 255], each image by its own parameters; in place where it likes."""
        ...


@runtime_checkable
class Mix(Augmentation, Protocol):
    """Mixes each image with another one of the batch: the first with the last, the second with the last but one, ..."""

    def mix(self, images: Tensor, parameters: np.ndarray) -> Tensor:
        """Mixes float32 (N, C, H, W)."""
        ...

    def shares(self, parameters: np.ndarray, size: tuple[int, int]) -> np.ndarray:
        """How much of each image is left, float64 (N,) in [0, 1]; that much of its label is left as well."""
        ...


@dataclass(frozen=True)
class Chance:
    """What is done with a probability, in [0, 1]."""

    probability: float
    draws = 1

    def parameters(self, uniforms: np.ndarray, size: tuple[int, int]) -> np.ndarray:
        """bool (N,): whether it is done."""
        return uniforms[:, 0] < self.probability


@dataclass(frozen=True)
class Factor:
    """What is done by a factor in [1 - most, 1 + most]."""

    most: float
    draws = 1

    def parameters(self, uniforms: np.ndarray, size: tuple[int, int]) -> np.ndarray:
        """float (N,): the factor, 0 or more."""
        return np.maximum(1 + spread(uniforms[:, 0], self.most), 0)


def spread(uniforms: np.ndarray, most: float) -> np.ndarray:
    """From [0, 1) to [-most, most)."""
    return (2 * uniforms - 1) * most


def column(values: np.ndarray, images: Tensor) -> Tensor:
    """Numbers (N,) as float32 (N, 1, 1, 1) where the images are."""
    return torch.from_numpy(np.ascontiguousarray(values, dtype=np.float32)).to(images.device).view(-1, 1, 1, 1)


def change_some(images: Tensor, chosen: np.ndarray, change: Callable[[Tensor, np.ndarray], Tensor]) -> Tensor:
    """Changes the chosen images (bool (N,)) in place: ``change(images[rows], rows)``."""
    rows = np.flatnonzero(chosen)
    if len(rows):
        places = torch.from_numpy(rows).to(images.device)
        images[places] = change(images[places], rows)
    return images
