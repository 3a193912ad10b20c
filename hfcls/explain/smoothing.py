"""How a value for each pixel becomes a map that can be read; baselines that hide an image."""

import numpy as np
import torch
from scipy.ndimage import gaussian_filter
from torch import Tensor

# Share of the shorter side by which pixel maps are smoothed: 4 pixels of 224.
SIGMA = 1 / 56
# And by which an image is blurred until its objects are gone: 14 pixels of 224.
BLUR = 1 / 16


def readable(attributions: Tensor) -> Tensor:
    """Attributions of pixels as a map.

    They flicker from pixel to pixel, since what a convolution takes from one it gives to the next. The channels are
    summed up, neighbours averaged by a Gaussian of 1/56 of the shorter side, in which what cancels out is gone, and the
    hundredth of the largest values is cut down to one height, so that single pixels do not outshine all others.

    Args:
        attributions: (3, h, w).

    Returns:
        (h, w), with its sign.
    """
    values = attributions.detach().double().sum(dim=0).cpu().numpy()
    smooth = gaussian_filter(values, max(0.5, min(values.shape) * SIGMA), mode="nearest")
    return torch.from_numpy(np.minimum(smooth, np.percentile(smooth, 99)))


def blurred(pixel_values: Tensor) -> Tensor:
    """An image without its objects: a Gaussian of 1/16 of the shorter side.

    Args:
        pixel_values: (1, 3, h, w).
    """
    sigma = min(pixel_values.shape[2:]) * BLUR
    values = gaussian_filter(pixel_values.cpu().numpy(), (0, 0, sigma, sigma), mode="nearest")
    return torch.from_numpy(values).to(pixel_values)


def mean_colour(pixel_values: Tensor) -> Tensor:
    """An image of one colour, the mean of the other's.

    Args:
        pixel_values: (1, 3, h, w).
    """
    return pixel_values.mean(dim=(2, 3), keepdim=True).expand_as(pixel_values)
