"""Dials by the name of what the images are, or of the policy."""

from typing import Any

from hfcls.data.augmentation.policies import POLICIES
from hfcls.registry import Registry

PRESETS: Registry[dict[str, Any]] = Registry(
    "augmentation",
    {
        "none": {},
        "light": {"horizontal_flip": 0.5, "shift": 0.1},
        "standard": {
            **{"horizontal_flip": 0.5, "shift": 0.1, "zoom": 0.1, "rotation": 10},
            **{"brightness": 0.2, "contrast": 0.2, "saturation": 0.2},
        },
        "strong": {"horizontal_flip": 0.5, "shift": 0.1, "policy": "trivialaugment", "random_erasing": 0.25},
        # Left and right differ in a body; colours and grey levels mean something.
        "medical": {
            **{"shift": 0.05, "zoom": 0.1, "rotation": 15},
            **{"brightness": 0.1, "contrast": 0.1, "gaussian_noise": 0.02},
        },
        # What a scanner or a phone does to a page; mirrored letters are others.
        "document": {
            **{"shift": 0.05, "zoom": 0.1, "rotation": 4, "shear": 4, "brightness": 0.2, "contrast": 0.2},
            **{"blur": 0.2, "gaussian_noise": 0.03, "jpeg": 40},
        },
        # From above, no direction is special.
        "satellite": {
            **{"horizontal_flip": 0.5, "vertical_flip": 0.5, "zoom": 0.1, "rotation": 180},
            **{"brightness": 0.1, "contrast": 0.1, "saturation": 0.1},
        },
        "trivialaugment": {"horizontal_flip": 0.5, "shift": 0.1, "policy": "trivialaugment"},
        "three_augment": {
            **{"horizontal_flip": 0.5, "shift": 0.1, "policy": "three_augment"},
            **{"brightness": 0.3, "contrast": 0.3, "saturation": 0.3},
        },
        **{
            name: {"horizontal_flip": 0.5, "shift": 0.1, "policy": name}
            for name in POLICIES
            if name not in {"trivialaugment", "three_augment"}
        },
    },
)
