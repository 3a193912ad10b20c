"""Hiding a part of the image. All images are float32 (N, C, H, W) in [0, 255]."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor


def fill_boxes(images: Tensor, boxes: np.ndarray, value: float | Tensor) -> Tensor:
    """Puts a value, or what stands at the same place in another batch, into a box of each image.

    Args:
        boxes: int (N, 4): top, left, bottom, right.
    """
    inside = box_mask(boxes, images.shape[-2:], images.device)
    return torch.where(inside, value, images)


def box_mask(boxes: np.ndarray, size: tuple[int, ...], device: torch.device) -> Tensor:
    """bool (N, 1, H, W): what lies inside the boxes (N, 4)."""
    top, left, bottom, right = torch.from_numpy(boxes.astype(np.int64)).to(device).unbind(1)
    rows, columns = torch.arange(size[0], device=device), torch.arange(size[1], device=device)
    tall = (rows >= top[:, None]) & (rows < bottom[:, None])
    wide = (columns >= left[:, None]) & (columns < right[:, None])
    return (tall[:, :, None] & wide[:, None, :])[:, None]


def boxes_within(sides: np.ndarray, places: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Boxes of these sides (N, 2; height, width) at a random place wholly inside, int (N, 4)."""
    whole = np.array(size)
    sides = np.clip(np.round(sides), 0, whole).astype(np.int64)
    start = np.floor(places * (whole - sides + 1)).astype(np.int64)
    return np.concatenate([start, start + sides], axis=1)


@dataclass(frozen=True)
class Cutout:
    """Makes a square of this fraction of the side, one pixel at least, grey; centred anywhere, a part may lie outside.

    DeVries and Taylor 2017, Improved Regularization of Convolutional Neural Networks with Cutout, arXiv:1708.04552.
    """

    fraction: float
    draws = 2

    def parameters(self, uniforms: np.ndarray, size: tuple[int, int]) -> np.ndarray:
        """int (N, 4): top, left, bottom, right."""
        side = max(round(self.fraction * min(size)), self.fraction > 0)
        start = np.floor(uniforms * np.array(size)).astype(np.int64) - side // 2
        return np.concatenate([start, start + side], axis=1)

    def change(self, images: Tensor, parameters: np.ndarray) -> Tensor:
        """Grey squares."""
        return fill_boxes(images, parameters, 127.5)


@dataclass(frozen=True)
class RandomErasing:
    """With the given probability makes a box of 2 to 33 % of the area, up to 3.3 times as wide as tall, grey.

    Zhong et al. 2017, Random Erasing Data Augmentation, arXiv:1708.04896.
    """

    probability: float
    draws = 5

    def parameters(self, uniforms: np.ndarray, size: tuple[int, int]) -> np.ndarray:
        """int (N, 4): top, left, bottom, right; empty where nothing is hidden."""
        area = (0.02 + 0.31 * uniforms[:, 1]) * size[0] * size[1]
        stretch = np.exp(np.log(3.3) * (uniforms[:, 2] - 0.5))
        sides = np.stack([np.sqrt(area) * stretch, np.sqrt(area) / stretch], axis=1)
        chosen = uniforms[:, :1] < self.probability
        return boxes_within(np.where(chosen, sides, 0), uniforms[:, 3:], size)

    def change(self, images: Tensor, parameters: np.ndarray) -> Tensor:
        """Grey boxes."""
        return fill_boxes(images, parameters, 127.5)
