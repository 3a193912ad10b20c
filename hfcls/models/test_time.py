"""Test-time augmentation: a classifier that looks at several views of each image and averages what it sees.

A row of `TEST_TIME_AUGMENTATIONS` says which views, and how much each counts. To add one: a function and a row.
"""

from collections.abc import Callable, Iterator
from math import log

import torch
from torch import Tensor, nn
from torchvision.transforms.v2.functional import five_crop
from transformers.modeling_outputs import ImageClassifierOutput

from hfcls.registry import Registry

# From pixel_values (N, 3, H, W) to views of the same shape, each with its weight; the weights add up to 1.
Views = Callable[[Tensor], Iterator[tuple[float, Tensor]]]

# One pixel of CIFAR's 32.
_SHIFT = 1 / 32
# 224 of 256 pixels, as Krizhevsky et al. cut them.
_CROP = 7 / 8


def view_whole(pixel_values: Tensor) -> Iterator[tuple[float, Tensor]]:
    """The image as it is."""
    yield 1.0, pixel_values


def view_mirrored(pixel_values: Tensor) -> Iterator[tuple[float, Tensor]]:
    """The image and its mirror image (Krizhevsky et al. 2012; by itself Simonyan and Zisserman 2014, section 3.2)."""
    yield 0.5, pixel_values
    yield 0.5, pixel_values.flip(-1)


def view_shifted(pixel_values: Tensor) -> Iterator[tuple[float, Tensor]]:
    """The image, moved up and left, and moved down and right, each with its mirror image.

    It is moved by 1/32 of height and width, at least by one pixel; what comes in is reflected. A side of one pixel
    stays. The unmoved pair counts for a half, each moved pair for a quarter (Jordan 2024, arXiv:2404.00498,
    `infer_mirror_translate` in KellerJordan/cifar10-airbench, which averages logits).
    """
    height, width = pixel_values.shape[-2:]
    # A single pixel has nothing beside it to reflect.
    down, right = (min(max(1, int(side * _SHIFT)), side - 1) for side in (height, width))
    padded = nn.functional.pad(pixel_values, (right, right, down, down), mode="reflect")
    up_left, down_right = padded[..., 2 * down :, 2 * right :], padded[..., :height, :width]
    for weight, moved in ((0.5, pixel_values), (0.25, up_left), (0.25, down_right)):
        for share, view in view_mirrored(moved):
            yield weight * share, view


def view_five_crops(pixel_values: Tensor) -> Iterator[tuple[float, Tensor]]:
    """The corners and the centre, each 7/8 of height and width, resized back to the size that the network takes."""
    height, width = pixel_values.shape[-2:]
    for crop in five_crop(pixel_values, [round(height * _CROP), round(width * _CROP)]):
        yield 1 / 5, nn.functional.interpolate(crop, size=(height, width), mode="bilinear", align_corners=False)


def view_ten_crops(pixel_values: Tensor) -> Iterator[tuple[float, Tensor]]:
    """The five crops, each with its mirror image (Krizhevsky et al. 2012, section 4.1)."""
    for weight, crop in view_five_crops(pixel_values):
        for share, view in view_mirrored(crop):
            yield weight * share, view


# `--tta` offers the same names.
TEST_TIME_AUGMENTATIONS: Registry[Views] = Registry(
    "test-time augmentation",
    {
        "none": view_whole,
        "flip": view_mirrored,
        "flip_shift": view_shifted,
        "five_crop": view_five_crops,
        "ten_crop": view_ten_crops,
    },
)


class AveragedViews(nn.Module):
    """A classifier whose probabilities are the weighted mean of another's over several views of each image.

    Args:
        model: takes ``pixel_values (N, 3, H, W)``, returns an object with ``.logits (N, K)``.
        views: a row of `TEST_TIME_AUGMENTATIONS`.
    """

    def __init__(self, model: nn.Module, views: Views):
        super().__init__()
        self.model = model
        self.views = views

    def forward(self, pixel_values: Tensor) -> ImageClassifierOutput:
        """One view after the other, so that it takes no more memory than the classifier alone.

        Returns:
            ``logits`` (N, K): of a single view the classifier's own; of several, the logarithm of the mean
            probability in float32, so that their softmax is that mean.
        """
        seen = [(weight, self.model(pixel_values=view).logits) for weight, view in self.views(pixel_values)]
        if len(seen) == 1:
            return ImageClassifierOutput(logits=seen[0][1])
        # Probabilities and not logits, as Krizhevsky et al. and Simonyan and Zisserman average them: each view has one
        # vote, one that is wildly sure outweighs no others, and where they disagree the answer is less sure.
        votes = torch.stack([logits.float().log_softmax(-1) + log(weight) for weight, logits in seen])
        return ImageClassifierOutput(logits=votes.logsumexp(0))


def average_views(model: nn.Module, name: str) -> AveragedViews:
    """The classifier with a test-time augmentation around it.

    Args:
        model: any classifier.
        name: a row of `TEST_TIME_AUGMENTATIONS`; with "none" the answers are the classifier's own, bit for bit.

    Raises:
        UserError: there is no such row.
    """
    return AveragedViews(model, TEST_TIME_AUGMENTATIONS[name])
