"""Random changes of the training images. To add one: a class, a row here, a flag in `hfcls.arguments`."""

from typing import Any

from hfcls.arguments import AugmentationArguments
from hfcls.data.augmentation.base import Augmentation, Change, Mix, Move, Warp
from hfcls.data.augmentation.colour import Brightness, Contrast, Grey, Hue, Saturation
from hfcls.data.augmentation.erasing import Cutout, RandomErasing
from hfcls.data.augmentation.mixing import CutMix, Mixup, OneOf
from hfcls.data.augmentation.moves import HorizontalFlip, PadAndCrop, Shift, VerticalFlip
from hfcls.data.augmentation.plan import AugmentationPlan
from hfcls.data.augmentation.policies import POLICIES
from hfcls.data.augmentation.presets import PRESETS
from hfcls.data.augmentation.textures import Blur, GaussianNoise, Jpeg, SaltAndPepper, Sharpen
from hfcls.data.augmentation.tones import Equalize
from hfcls.data.augmentation.warps import RandomResizedCrop, Rotation, Shear, Zoom
from hfcls.errors import UserError
from hfcls.registry import Registry

# In the order in which they are applied; see `AugmentationPlan`.
AUGMENTATIONS: Registry[Any] = Registry(
    "augmentation",
    {
        "horizontal_flip": HorizontalFlip,
        "vertical_flip": VerticalFlip,
        "pad_and_crop": PadAndCrop,
        "shift": Shift,
        "random_resized_crop": RandomResizedCrop,
        "zoom": Zoom,
        "rotation": Rotation,
        "shear": Shear,
        "policy": POLICIES.__getitem__,
        "brightness": Brightness,
        "contrast": Contrast,
        "saturation": Saturation,
        "hue": Hue,
        "grey": Grey,
        "equalize": Equalize,
        "sharpen": Sharpen,
        "blur": Blur,
        "gaussian_noise": GaussianNoise,
        "salt_and_pepper": SaltAndPepper,
        "jpeg": Jpeg,
        "cutout": Cutout,
        "random_erasing": RandomErasing,
        "mixup": Mixup,
        "cutmix": CutMix,
    },
)
# The smallest and the largest value of each dial; 1 where it is not in here.
_RANGES = {
    "pad_and_crop": (0, 4096),
    "rotation": (0, 180),
    "shear": (0, 60),
    "zoom": (0, 0.9),
    "hue": (0, 0.5),
    "brightness": (0, 10),
    "contrast": (0, 10),
    "saturation": (0, 10),
    "sharpen": (0, 10),
    "jpeg": (0, 100),
    "mixup": (0, 100),
    "cutmix": (0, 100),
}


def expand_preset(arguments: AugmentationArguments, *, size: tuple[int, int] | None = None) -> dict[str, Any]:
    """The dials of a run by name: those of the preset, then those that were given; 0 turns one off.

    Args:
        size: of the images (H, W), where it is known.

    Raises:
        UserError: an unknown preset, a value out of range, or one that has no effect.
    """
    given = {name: value for name, value in vars(arguments).items() if name != "augmentation" and value is not None}
    dials = {**PRESETS[arguments.augmentation or "none"], **given}
    for name, value in dials.items():
        if name == "policy":
            continue
        low, high = _RANGES.get(name, (0, 1))
        if not low <= value <= high:
            raise UserError(f"--{name} is {value:g}: expected {low:g} to {high:g}.")
    if dials.get("random_resized_crop") == 1:
        raise UserError("--random_resized_crop 1 would have no effect: the part is the whole image; give less than 1.")
    if size is not None and dials.get("pad_and_crop", 0) > min(size):
        raise UserError(
            f"--pad_and_crop is {dials['pad_and_crop']}: expected 0 to {min(size)}, the shorter side of the images."
        )
    return dials


def dials_in_effect(dials: dict[str, Any]) -> dict[str, Any]:
    """Those that change anything, in the order of the table."""
    return {name: dials[name] for name in AUGMENTATIONS if dials.get(name) not in (None, 0, "none")}


def describe_dials(dials: dict[str, Any]) -> str:
    """Those that change anything in words, such as ``horizontal_flip 0.5, policy augmix``; empty where none does."""
    listed = dials_in_effect(dials).items()
    return ", ".join(f"{name} {value if isinstance(value, str) else format(value, 'g')}" for name, value in listed)


def build_augmentations(arguments: AugmentationArguments) -> dict[str, Augmentation]:
    """The augmentations that the flags ask for, by name and in the order of the table.

    Raises:
        UserError: an unknown preset or policy, or a value out of range.
    """
    built = {name: AUGMENTATIONS[name](value) for name, value in dials_in_effect(expand_preset(arguments)).items()}
    if {"mixup", "cutmix"} <= built.keys():
        built["mixup"] = OneOf(built["mixup"], built.pop("cutmix"))
    return built


__all__ = [
    "AUGMENTATIONS",
    "POLICIES",
    "PRESETS",
    "Augmentation",
    "AugmentationPlan",
    "Change",
    "Mix",
    "Move",
    "Warp",
    "build_augmentations",
    "describe_dials",
    "dials_in_effect",
    "expand_preset",
]
