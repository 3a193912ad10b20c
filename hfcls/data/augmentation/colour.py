"""Changes of colour and light. All images are float32 (N, 3, H, W) in [0, 255]; numbers are one for each image."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from hfcls.data.augmentation.base import Chance, Factor, change_some, column, spread

# ITU-R 601 luma, as Pillow and torchvision weigh it.
_LUMA = (0.2989, 0.587, 0.114)


def grey(images: Tensor) -> Tensor:
    """Luma, (N, 1, H, W)."""
    red, green, blue = images.unbind(1)
    return (red * _LUMA[0]).add_(green, alpha=_LUMA[1]).add_(blue, alpha=_LUMA[2]).unsqueeze(1)


def blend(images: Tensor, others: Tensor | float, factors: np.ndarray) -> Tensor:
    """``factor * image + (1 - factor) * other``, within [0, 255]."""
    factor = column(factors, images)
    return (images * factor).add_((1 - factor) * others).clamp_(0, 255)


def adjust_brightness(images: Tensor, factors: np.ndarray) -> Tensor:
    """0 is black, 1 the image."""
    return (images * column(factors, images)).clamp_(0, 255)


def adjust_contrast(images: Tensor, factors: np.ndarray) -> Tensor:
    """0 is the image's mean grey, 1 the image."""
    return blend(images, grey(images).mean((1, 2, 3), keepdim=True), factors)


def adjust_saturation(images: Tensor, factors: np.ndarray) -> Tensor:
    """0 is grey, 1 the image."""
    return blend(images, grey(images), factors)


def adjust_hue(images: Tensor, turns: np.ndarray) -> Tensor:
    """Turns the hue of the HSV model by a fraction of the colour circle, in [-0.5, 0.5]."""
    top, bottom = images.amax(1, keepdim=True), images.amin(1, keepdim=True)
    chroma = top - bottom
    red, green, blue = images.split(1, dim=1)
    divisor = torch.where(chroma > 0, chroma, 1.0)
    sixths = torch.where(
        top == red, (green - blue) / divisor, torch.where(top == green, (blue - red) / divisor + 2, 4.0)
    )
    sixths = torch.where((top != red) & (top != green), (red - green) / divisor + 4, sixths)
    turned = sixths + 6 * column(turns, images)
    places = (turned + torch.tensor([5.0, 3.0, 1.0], device=images.device).view(1, 3, 1, 1)) % 6
    return top - chroma * torch.minimum(places, 4 - places).clamp_(0, 1)


class Brightness(Factor):
    """Multiplies all values by a factor in [1 - most, 1 + most]."""

    def change(self, images: Tensor, parameters: np.ndarray) -> Tensor:
        """Brighter or darker."""
        return adjust_brightness(images, parameters)


class Contrast(Factor):
    """Multiplies the distance from the image's mean grey by a factor in [1 - most, 1 + most]."""

    def change(self, images: Tensor, parameters: np.ndarray) -> Tensor:
        """More or less contrast."""
        return adjust_contrast(images, parameters)


class Saturation(Factor):
    """Multiplies the distance from grey by a factor in [1 - most, 1 + most]."""

    def change(self, images: Tensor, parameters: np.ndarray) -> Tensor:
        """More or less colour."""
        return adjust_saturation(images, parameters)


@dataclass(frozen=True)
class Hue:
    """Turns the colours by up to this fraction of the colour circle either way, at most 0.5."""

    most: float
    draws = 1

    def parameters(self, uniforms: np.ndarray, size: tuple[int, int]) -> np.ndarray:
        """float (N,): the fraction."""
        return spread(uniforms[:, 0], self.most)

    def change(self, images: Tensor, parameters: np.ndarray) -> Tensor:
        """Other colours."""
        return adjust_hue(images, parameters)


class Grey(Chance):
    """Takes all colour away with the given probability."""

    def change(self, images: Tensor, parameters: np.ndarray) -> Tensor:
        """Grey where chosen."""
        return change_some(images, parameters, lambda chosen, rows: grey(chosen).expand_as(chosen))
