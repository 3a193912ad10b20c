"""The operations that policies choose from, each with one number of strength for each image.

All images are float32 (N, 3, H, W) in [0, 255]. What is moved in from outside is black.
"""

from collections.abc import Callable

import numpy as np
from torch import Tensor

from hfcls.data.augmentation import colour, textures, tones
from hfcls.data.augmentation.base import change_some
from hfcls.data.augmentation.warps import affine, rotation, warp
from hfcls.registry import Registry

Operation = Callable[[Tensor, np.ndarray], Tensor]


def _warped(matrix: Callable[[np.ndarray, tuple[int, int]], np.ndarray]) -> Operation:
    def operation(images: Tensor, strengths: np.ndarray) -> Tensor:
        return warp(images, matrix(strengths, (images.shape[-2], images.shape[-1])), mirror=False)

    return operation


# Slants keep the upper or left edge, as in Pillow and torchvision; moves are in pixels.
OPERATIONS: Registry[Operation] = Registry(
    "operation",
    {
        "identity": lambda images, strengths: images,
        "shear_x": _warped(lambda s, size: affine(1, s, s * size[0] / 2, 0, 1, 0)),
        "shear_y": _warped(lambda s, size: affine(1, 0, 0, s, 1, s * size[1] / 2)),
        "translate_x": _warped(lambda s, size: affine(1, 0, -np.trunc(s), 0, 1, 0)),
        "translate_y": _warped(lambda s, size: affine(1, 0, 0, 0, 1, -np.trunc(s))),
        "rotate": _warped(lambda s, size: rotation(-s)),
        "brightness": lambda images, strengths: colour.adjust_brightness(images, 1 + strengths),
        "saturation": lambda images, strengths: colour.adjust_saturation(images, 1 + strengths),
        "contrast": lambda images, strengths: colour.adjust_contrast(images, 1 + strengths),
        "sharpness": lambda images, strengths: textures.adjust_sharpness(images, 1 + strengths),
        "posterize": tones.posterize,
        "solarize": tones.solarize,
        "autocontrast": lambda images, strengths: tones.autocontrast(images),
        "equalize": lambda images, strengths: tones.equalize(images),
        "invert": lambda images, strengths: tones.invert(images),
        "grey": lambda images, strengths: colour.grey(images).expand_as(images),
        "blur": textures.gaussian_blur,
    },
)
NAMES = tuple(OPERATIONS)


def index_of(name: str) -> int:
    """An operation's number, as parameters hold it."""
    return NAMES.index(name)


def apply_operations(images: Tensor, numbers: np.ndarray, strengths: np.ndarray) -> Tensor:
    """Each image by its own operation, in place.

    Args:
        numbers: int (N,), see `index_of`.
        strengths: float (N,).
    """
    for number in np.unique(numbers):
        if NAMES[number] != "identity":
            images = change_some(images, numbers == number, _with_strengths(OPERATIONS[NAMES[number]], strengths))
    return images


def _with_strengths(operation: Operation, strengths: np.ndarray) -> Operation:
    return lambda chosen, rows: operation(chosen, strengths[rows])
