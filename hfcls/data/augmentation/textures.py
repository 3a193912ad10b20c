"""Sharpness, blur, noise, compression. All images are float32 (N, 3, H, W) in [0, 255]."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from hfcls.data.augmentation.base import Factor, change_some, column
from hfcls.data.augmentation.colour import blend
from hfcls.data.draws import pixel_uniforms


def adjust_sharpness(images: Tensor, factors: np.ndarray) -> Tensor:
    """0 is the image smoothed by [[1, 1, 1], [1, 5, 1], [1, 1, 1]] / 13, 1 the image; the border stays as it is."""
    if min(images.shape[-2:]) < 3:
        return images
    smooth = images.clone()
    total = nn.functional.avg_pool2d(images, 3, stride=1) * 9
    inner = images[..., 1:-1, 1:-1]
    smooth[..., 1:-1, 1:-1] = (total + 4 * inner) / 13
    return blend(images, smooth, factors)


def strongest_blur(size: Sequence[int]) -> float:
    """The largest deviation in pixels: 2 from 112 pixels a side on, in proportion below."""
    return 2 * min(1.0, min(size) / 112)


def gaussian_blur(images: Tensor, sigmas: np.ndarray) -> Tensor:
    """A Gaussian of this many pixels for each image, cut off at three times `strongest_blur`; borders are reflected."""
    # Of the size alone, so that an image does not hang on the others of its batch.
    radius = min(math.ceil(3 * strongest_blur(images.shape[-2:])), min(images.shape[-2:]) - 1)
    places = torch.arange(-radius, radius + 1, device=images.device, dtype=torch.float32)
    weights = torch.exp(-0.5 * (places / column(np.maximum(sigmas, 1e-3), images).view(-1, 1)) ** 2)
    weights = weights / weights.sum(1, keepdim=True)
    count, channels, height, width = images.shape
    kernels = weights.repeat_interleave(channels, dim=0)[:, None, None]
    flat = nn.functional.pad(images, (radius,) * 4, mode="reflect").reshape(
        1, count * channels, *_padded(images, radius)
    )
    flat = nn.functional.conv2d(flat, kernels, groups=count * channels)
    flat = nn.functional.conv2d(flat, kernels.transpose(2, 3), groups=count * channels)
    return flat.view(count, channels, height, width)


def _padded(images: Tensor, radius: int) -> tuple[int, int]:
    return images.shape[-2] + 2 * radius, images.shape[-1] + 2 * radius


def jpeg(images: Tensor, qualities: np.ndarray) -> Tensor:
    """What JPEG of this quality (1 to 100, one for each image) leaves of them."""
    results = []
    for pixels, quality in zip(
        images.round().to(torch.uint8).permute(0, 2, 3, 1).cpu().numpy(), qualities, strict=True
    ):
        buffer = BytesIO()
        Image.fromarray(np.ascontiguousarray(pixels)).save(buffer, "JPEG", quality=int(quality))
        with Image.open(buffer) as image:
            results.append(torch.from_numpy(np.array(image)).permute(2, 0, 1))
    return torch.stack(results).to(images.device, images.dtype)


class Sharpen(Factor):
    """Sharpens or smooths by a factor in [1 - most, 1 + most]."""

    def change(self, images: Tensor, parameters: np.ndarray) -> Tensor:
        """Sharper or smoother."""
        return adjust_sharpness(images, parameters)


@dataclass(frozen=True)
class Blur:
    """With the given probability a Gaussian blur of 0.1 to 2 pixels; of less on images below 112 pixels a side."""

    probability: float
    draws = 2

    def parameters(self, uniforms: np.ndarray, size: tuple[int, int]) -> np.ndarray:
        """float (N,): the deviation in pixels; 0 where nothing is done."""
        sigmas = 0.1 + (strongest_blur(size) - 0.1) * uniforms[:, 1]
        return np.where(uniforms[:, 0] < self.probability, sigmas, 0)

    def change(self, images: Tensor, parameters: np.ndarray) -> Tensor:
        """Blurred where chosen."""
        return change_some(images, parameters > 0, lambda chosen, rows: gaussian_blur(chosen, parameters[rows]))


@dataclass(frozen=True)
class GaussianNoise:
    """Adds normal noise whose deviation is up to this fraction of full scale; grey images stay grey."""

    most: float
    draws = 2

    def parameters(self, uniforms: np.ndarray, size: tuple[int, int]) -> np.ndarray:
        """float (N, 2): the deviation in [0, 1]; what the noise is drawn from."""
        return np.stack([uniforms[:, 0] * self.most, uniforms[:, 1]], axis=1)

    def change(self, images: Tensor, parameters: np.ndarray) -> Tensor:
        """Adds the noise (Box and Muller 1958)."""
        first, second = pixel_uniforms(parameters[:, 1], images.shape, count=2, device=images.device)
        normal = (-2 * torch.log1p(-first)).sqrt_() * torch.cos(second * (2 * torch.pi))
        without_colour = (images == images[:, :1]).all(3).all(2).all(1)
        normal = torch.where(without_colour.view(-1, 1, 1, 1), normal[:, :1], normal)
        return (images + normal * column(parameters[:, 0] * 255, images)).clamp_(0, 255)


@dataclass(frozen=True)
class SaltAndPepper:
    """Makes up to this fraction of the pixels black or white."""

    most: float
    draws = 2

    def parameters(self, uniforms: np.ndarray, size: tuple[int, int]) -> np.ndarray:
        """float (N, 2): the fraction; what the places are drawn from."""
        return np.stack([uniforms[:, 0] * self.most, uniforms[:, 1]], axis=1)

    def change(self, images: Tensor, parameters: np.ndarray) -> Tensor:
        """Black and white points."""
        shape = (len(images), 1, *images.shape[-2:])
        where, colour = pixel_uniforms(parameters[:, 1], shape, count=2, device=images.device)
        return torch.where(where < column(parameters[:, 0], images), (colour < 0.5) * 255.0, images)


@dataclass(frozen=True)
class Jpeg:
    """Compresses by JPEG of a quality from this one (1 to 100) up to 100."""

    lowest: float
    draws = 1

    def parameters(self, uniforms: np.ndarray, size: tuple[int, int]) -> np.ndarray:
        """int (N,): the quality."""
        return np.floor(self.lowest + uniforms[:, 0] * (101 - self.lowest)).astype(np.int64)

    def change(self, images: Tensor, parameters: np.ndarray) -> Tensor:
        """Blocks and ringing."""
        return jpeg(images, parameters)
