"""Changes of place by whole pixels: 8 bits stay 8 bits."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from hfcls.data.augmentation.base import Chance


class HorizontalFlip(Chance):
    """Mirrors left and right with the given probability in [0, 1]."""

    def move(self, pixels: Tensor, parameters: np.ndarray) -> Tensor:
        """Mirrors the chosen images."""
        return _mirror(pixels, parameters, -1)


class VerticalFlip(Chance):
    """Turns upside down with the given probability in [0, 1]."""

    def move(self, pixels: Tensor, parameters: np.ndarray) -> Tensor:
        """Turns the chosen images."""
        return _mirror(pixels, parameters, -2)


@dataclass(frozen=True)
class PadAndCrop:
    """Pads by so many black pixels on each side and crops the old size at a random place (CIFAR's usual recipe)."""

    padding: float
    draws = 2

    def parameters(self, uniforms: np.ndarray, size: tuple[int, int]) -> np.ndarray:
        """int (N, 2): by how many pixels to move down and right, in [-padding, padding]."""
        return _offsets(uniforms, int(self.padding))

    def move(self, pixels: Tensor, parameters: np.ndarray) -> Tensor:
        """Moves the images; black comes in."""
        return translate(pixels, parameters, edges=False)


@dataclass(frozen=True)
class Shift:
    """Moves by up to this fraction of height and width, one pixel at least; the edge pixels are repeated."""

    fraction: float
    draws = 2

    def parameters(self, uniforms: np.ndarray, size: tuple[int, int]) -> np.ndarray:
        """int (N, 2): by how many pixels to move down and right."""
        span = np.floor(self.fraction * np.asarray(size)).astype(np.int64)
        return _offsets(uniforms, np.maximum(span, self.fraction > 0))

    def move(self, pixels: Tensor, parameters: np.ndarray) -> Tensor:
        """Moves the images; their edges come in."""
        return translate(pixels, parameters, edges=True)


def _offsets(uniforms: np.ndarray, span: int | np.ndarray) -> np.ndarray:
    return np.floor(uniforms * (2 * span + 1)).astype(np.int64) - span


def _mirror(pixels: Tensor, chosen: np.ndarray, axis: int) -> Tensor:
    rows = torch.from_numpy(np.flatnonzero(chosen)).to(pixels.device)
    mirrored = pixels.clone()
    mirrored[rows] = pixels[rows].flip(axis)
    return mirrored


def translate(pixels: Tensor, offsets: np.ndarray, *, edges: bool) -> Tensor:
    """Moves each image of uint8 (N, C, H, W) down and right by its own offsets (N, 2).

    Args:
        edges: the edge pixels are repeated; else black comes in.
    """
    height, width = pixels.shape[-2:]
    # Further than its side an image only stays out of sight, while the padding would outgrow the memory.
    offsets = np.clip(offsets, (-height, -width), (height, width))
    span = int(np.abs(offsets).max(initial=0))
    if span == 0:
        return pixels
    padded = _pad(pixels, span, edges=edges)
    # All windows of the old size as a view; one is picked for each image.
    windows = padded.unfold(2, height, 1).unfold(3, width, 1)
    start = span - torch.from_numpy(offsets).to(pixels.device)
    return windows[torch.arange(len(pixels), device=pixels.device), :, start[:, 0], start[:, 1]]


def _pad(pixels: Tensor, span: int, *, edges: bool) -> Tensor:
    """Padding of 8-bit pixels, for which torch has no replication."""
    count, channels, height, width = pixels.shape
    padded = pixels.new_zeros(count, channels, height + 2 * span, width + 2 * span)
    inner = padded[:, :, span:-span, span:-span]
    inner.copy_(pixels)
    if edges:
        padded[:, :, span:-span, :span] = inner[..., :1]
        padded[:, :, span:-span, -span:] = inner[..., -1:]
        padded[:, :, :span] = padded[:, :, span : span + 1].clone()
        padded[:, :, -span:] = padded[:, :, -span - 1 : -span].clone()
    return padded
