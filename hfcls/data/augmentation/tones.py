"""Changes that look each value up in a table. All images are float32 (N, C, H, W) in [0, 255]."""

import numpy as np
import torch
from torch import Tensor

from hfcls.data.augmentation.base import Chance, change_some, column


def invert(images: Tensor) -> Tensor:
    """The negative."""
    return 255 - images


def solarize(images: Tensor, thresholds: np.ndarray) -> Tensor:
    """The negative of all values from the threshold on, one for each image."""
    return torch.where(images >= column(thresholds, images), 255 - images, images)


def posterize(images: Tensor, bits: np.ndarray) -> Tensor:
    """Keeps the highest bits (0 to 8, one number for each image) of the rounded values."""
    step = column(2.0 ** (8 - np.asarray(bits)), images)
    return (images.round() / step).floor_() * step


def autocontrast(images: Tensor) -> Tensor:
    """Stretches each channel so that its darkest value is 0 and its brightest 255; a flat one stays."""
    low, high = images.amin((2, 3), keepdim=True), images.amax((2, 3), keepdim=True)
    flat = high <= low
    scale = torch.where(flat, 1.0, 255 / torch.where(flat, 1.0, high - low))
    return ((images - torch.where(flat, 0.0, low)) * scale).clamp_(0, 255)


def equalize(images: Tensor) -> Tensor:
    """Makes all values of a channel about equally frequent, as Pillow does it; values are rounded."""
    count, channels, height, width = images.shape
    values = images.round().to(torch.int64).view(count * channels, -1)
    shelf = torch.arange(len(values), device=images.device)[:, None] * 256
    histogram = torch.bincount((values + shelf).flatten(), minlength=256 * len(values)).view(-1, 256)
    # The brightest value does not count towards the step.
    last = 255 - (histogram.flip(1) > 0).to(torch.uint8).argmax(1)
    step = (height * width - histogram.gather(1, last[:, None]).squeeze(1)) // 255
    below = histogram.cumsum(1) - histogram
    table = ((below + (step // 2)[:, None]) // step.clamp(min=1)[:, None]).clamp_(0, 255)
    identity = torch.arange(256, device=images.device).expand_as(table)
    table = torch.where(step[:, None] == 0, identity, table)
    return table.gather(1, values).view_as(images).to(images.dtype)


class Equalize(Chance):
    """Equalizes the histogram of each channel with the given probability."""

    def change(self, images: Tensor, parameters: np.ndarray) -> Tensor:
        """Equalized where chosen."""
        return change_some(images, parameters, lambda chosen, rows: equalize(chosen))
