"""Affine maps. Those of a plan are multiplied and the images sampled once, so that they are blurred once."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from hfcls.data.augmentation.base import spread


@dataclass(frozen=True)
class RandomResizedCrop:
    """Crops a box of this fraction of the area or more, a little wide or tall, and enlarges it to the old size.

    Szegedy et al. 2015, Going Deeper with Convolutions: area uniform in [smallest, 1], ratio of width to height in
    pixels log-uniform in [3/4, 4/3], or in what of it lets a box of that area fit; where nothing does, the nearest.
    """

    smallest: float
    draws = 4

    def parameters(self, uniforms: np.ndarray, size: tuple[int, int]) -> np.ndarray:
        """float (N, 4): the box's centre (x, y) in pixels from the image's centre; its width and height as shares."""
        area = self.smallest + (1 - self.smallest) * uniforms[:, 0]
        # Of the box's ratio to the image's, in logarithms; beyond `most` a side would be longer than the image's.
        bound, image, most = np.log(4 / 3), np.log(size[1] / size[0]), -np.log(area)
        low, high = np.clip(-bound - image, -most, most), np.clip(bound - image, -most, most)
        stretch = np.exp((low + high) / 4 + (high - low) / 2 * (uniforms[:, 1] - 0.5))
        # Above 1 by rounding alone.
        shares = np.minimum(np.sqrt(area)[:, None] * np.stack([stretch, 1 / stretch], axis=1), 1.0)
        room = (1 - shares) * np.array(size[::-1])
        return np.concatenate([room * (uniforms[:, 2:] - 0.5), shares], axis=1)

    def matrix(self, parameters: np.ndarray, size: tuple[int, int]) -> np.ndarray:
        """Enlarges the box."""
        x, y, wide, tall = parameters.T
        return affine(wide, 0, x, 0, tall, y)


@dataclass(frozen=True)
class Zoom:
    """Enlarges or shrinks by a factor in [1 - fraction, 1 + fraction]; beyond the border it is mirrored."""

    fraction: float
    draws = 1

    def parameters(self, uniforms: np.ndarray, size: tuple[int, int]) -> np.ndarray:
        """float (N,): the factor."""
        return 1 + spread(uniforms[:, 0], self.fraction)

    def matrix(self, parameters: np.ndarray, size: tuple[int, int]) -> np.ndarray:
        """Zooms about the centre."""
        return affine(1 / parameters, 0, 0, 0, 1 / parameters, 0)


@dataclass(frozen=True)
class Rotation:
    """Turns by up to this many degrees either way; beyond the border it is mirrored."""

    degrees: float
    draws = 1

    def parameters(self, uniforms: np.ndarray, size: tuple[int, int]) -> np.ndarray:
        """float (N,): degrees, clockwise."""
        return spread(uniforms[:, 0], self.degrees)

    def matrix(self, parameters: np.ndarray, size: tuple[int, int]) -> np.ndarray:
        """Turns about the centre."""
        return rotation(parameters)


@dataclass(frozen=True)
class Shear:
    """Slants the image sideways by up to this many degrees either way; beyond the border it is mirrored."""

    degrees: float
    draws = 1

    def parameters(self, uniforms: np.ndarray, size: tuple[int, int]) -> np.ndarray:
        """float (N,): degrees."""
        return spread(uniforms[:, 0], self.degrees)

    def matrix(self, parameters: np.ndarray, size: tuple[int, int]) -> np.ndarray:
        """Slants about the centre."""
        return affine(1, np.tan(np.radians(parameters)), 0, 0, 1, 0)


def rotation(degrees: np.ndarray) -> np.ndarray:
    """Turns the image clockwise about its centre, (N, 3, 3); see `Warp.matrix`."""
    cosine, sine = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    return affine(cosine, sine, 0, -sine, cosine, 0)


def affine(*rows: np.ndarray | float) -> np.ndarray:
    """float64 (N, 3, 3) from the six numbers of the first two rows, each (N,) or the same for all."""
    numbers = np.broadcast_arrays(*(np.atleast_1d(np.asarray(row, dtype=np.float64)) for row in rows))
    matrices = np.zeros((len(numbers[0]), 3, 3))
    matrices[:, :2] = np.stack(numbers, axis=1).reshape(-1, 2, 3)
    matrices[:, 2, 2] = 1
    return matrices


def warp(images: Tensor, matrices: np.ndarray, *, mirror: bool = True) -> Tensor:
    """Samples each image where its matrix says, bilinearly.

    Args:
        images: float32 (N, C, H, W).
        matrices: float64 (N, 3, 3), see `Warp.matrix`.
        mirror: what lies beyond the border is the image mirrored; else it is black.
    """
    height, width = images.shape[-2:]
    # grid_sample counts from -1 to 1 across the image.
    half = np.array([width / 2, height / 2, 1])
    scaled = (matrices * half[None, None, :] / half[None, :, None])[:, :2]
    theta = torch.from_numpy(scaled.astype(np.float32)).to(images.device)
    x = (torch.arange(width, device=images.device) * 2 + 1) / width - 1
    y = (torch.arange(height, device=images.device) * 2 + 1) / height - 1
    # By broadcasting, a plane for each coordinate: affine_grid takes as long as the sampling itself.
    along, down = theta[:, :, :1] * x, theta[:, :, 1:2] * y + theta[:, :, 2:]
    grid = (down[..., None] + along[:, :, None]).permute(0, 2, 3, 1)
    return nn.functional.grid_sample(
        images, grid, mode="bilinear", padding_mode="reflection" if mirror else "zeros", align_corners=False
    )
