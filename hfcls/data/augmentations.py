"""Random changes of the training images; parameters are drawn apart from where they are applied.

An augmentation draws its parameters for each image from (seed, epoch, id) and applies them to a whole batch. So the
same image gets the same change whatever the batch, the worker, the process or the moment of a resume.
To add one: a class and a row.
"""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from torch import Tensor, nn

from hfcls.data.draws import uniform_draws
from hfcls.registry import Registry


class Augmentation(Protocol):
    """One kind of random change.

    Attributes:
        draws: how many uniform numbers one image needs.
    """

    draws: int

    def parameters(self, uniforms: np.ndarray, size: tuple[int, int]) -> np.ndarray:
        """From uniform numbers (N, draws) in [0, 1) and the image size (H, W) to parameters (N, ...)."""
        ...

    def apply(self, pixels: Tensor, parameters: np.ndarray) -> Tensor:
        """Changes uint8 (N, C, H, W), each image by its own parameters."""
        ...


@dataclass(frozen=True)
class HorizontalFlip:
    """Mirrors left and right with the given probability in [0, 1]."""

    probability: float
    draws = 1

    def parameters(self, uniforms: np.ndarray, size: tuple[int, int]) -> np.ndarray:
        """bool (N,): whether to mirror."""
        return uniforms[:, 0] < self.probability

    def apply(self, pixels: Tensor, parameters: np.ndarray) -> Tensor:
        """Mirrors the chosen images."""
        chosen = torch.from_numpy(parameters).to(pixels.device)
        return torch.where(chosen[:, None, None, None], pixels.flip(-1), pixels)


@dataclass(frozen=True)
class PadAndCrop:
    """Pads by so many black pixels on each side and crops the old size at a random place (CIFAR's usual recipe)."""

    padding: float
    draws = 2

    def parameters(self, uniforms: np.ndarray, size: tuple[int, int]) -> np.ndarray:
        """int (N, 2): by how many pixels to move down and right, in [-padding, padding]."""
        span = int(self.padding)
        return np.floor(uniforms * (2 * span + 1)).astype(np.int64) - span

    def apply(self, pixels: Tensor, parameters: np.ndarray) -> Tensor:
        """Moves the images; black comes in."""
        return translate(pixels, parameters, mode="constant")


@dataclass(frozen=True)
class Shift:
    """Moves by up to this fraction of height and width, in whole pixels; the edge pixels are repeated."""

    fraction: float
    draws = 2

    def parameters(self, uniforms: np.ndarray, size: tuple[int, int]) -> np.ndarray:
        """int (N, 2): by how many pixels to move down and right."""
        span = np.floor(self.fraction * np.asarray(size)).astype(np.int64)
        return np.floor(uniforms * (2 * span + 1)).astype(np.int64) - span

    def apply(self, pixels: Tensor, parameters: np.ndarray) -> Tensor:
        """Moves the images; their edges come in."""
        return translate(pixels, parameters, mode="replicate")


def translate(pixels: Tensor, offsets: np.ndarray, *, mode: str) -> Tensor:
    """Moves each image of (N, C, H, W) down and right by its own offsets (N, 2).

    Args:
        mode: what comes in, as `torch.nn.functional.pad` names it: constant (black) or replicate.
    """
    span = int(np.abs(offsets).max(initial=0))
    if span == 0:
        return pixels
    height, width = pixels.shape[-2:]
    # replicate has no uint8 kernel; 8-bit values are exact in float32
    padded = nn.functional.pad(pixels.float(), (span,) * 4, mode=mode).to(pixels.dtype)
    start = span - torch.from_numpy(offsets).to(pixels.device)
    rows = (start[:, :1] + torch.arange(height, device=pixels.device))[:, None, :, None]
    columns = (start[:, 1:] + torch.arange(width, device=pixels.device))[:, None, None, :]
    batch = torch.arange(len(pixels), device=pixels.device)[:, None, None, None]
    channels = torch.arange(pixels.shape[1], device=pixels.device)[None, :, None, None]
    return padded[batch, channels, rows, columns]


AUGMENTATIONS: Registry[type] = Registry(
    "augmentation", {"horizontal_flip": HorizontalFlip, "pad_and_crop": PadAndCrop, "shift": Shift}
)


@dataclass(frozen=True)
class AugmentationPlan:
    """The augmentations of a run, in order, and the seed that they draw from."""

    augmentations: tuple[Augmentation, ...]
    seed: int

    def draw(self, keys: np.ndarray, epochs: np.ndarray, size: tuple[int, int]) -> list[np.ndarray]:
        """Parameters of each augmentation for the samples with these keys (N,) in these epochs (N,)."""
        return [
            step.parameters(uniform_draws(keys, seed=self.seed, epoch=epochs, stream=i, count=step.draws), size)
            for i, step in enumerate(self.augmentations)
        ]

    def apply(self, pixels: Tensor, parameters: list[np.ndarray]) -> Tensor:
        """Applies the drawn parameters to uint8 (N, C, H, W)."""
        for step, drawn in zip(self.augmentations, parameters, strict=True):
            pixels = step.apply(pixels, drawn)
        return pixels
