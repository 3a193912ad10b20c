"""Which steps for hard images stand before a network: asked for, brought by a checkpoint, in words."""

import math
from dataclasses import replace
from typing import Any

from PIL import Image
from transformers.image_processing_utils import BaseImageProcessor

from hfcls.arguments import ModelArguments
from hfcls.errors import UserError
from hfcls.models.architectures import Classifier
from hfcls.networks import HardImageProcessor
from hfcls.structures import ImageSpec

# The flags, in the order in which they take effect; what each is where it is off.
_OFF: dict[str, Any] = {"letterbox": False, "colour_normalization": "none", "clahe": 0.0, "sharpen_input": 0.0}


def asked_steps(arguments: ModelArguments) -> dict[str, Any]:
    """The flags that were given.

    Raises:
        UserError: a value out of range.
    """
    steps = {name: getattr(arguments, name) for name in _OFF if getattr(arguments, name) is not None}
    for name in ("clahe", "sharpen_input"):
        if not 0 <= steps.get(name, 0) < math.inf:
            raise UserError(f"--{name} is {steps[name]:g}: expected a number above 0, or 0 for none.")
    return steps


def steps_of(processor: BaseImageProcessor) -> dict[str, Any]:
    """The steps of an image processor that has any, by flag; empty for the processors of transformers and timm."""
    return {name: getattr(processor, name) for name in _OFF} if isinstance(processor, HardImageProcessor) else {}


def describe_steps(processor: BaseImageProcessor) -> str:
    """The same in words, such as ``letterbox, clahe 2``; empty for the processors of transformers and timm."""
    steps = steps_of(processor)
    shown = {"letterbox": "letterbox", "colour_normalization": str(steps.get("colour_normalization")).replace("_", " ")}
    words = [
        shown.get(name) or f"{name.partition('_')[0]} {value:g}" for name, value in steps.items() if value != _OFF[name]
    ]
    return ", ".join(words) or ("the whole image resized" if steps else "")


def prepare_images(classifier: Classifier, spec: ImageSpec, steps: dict[str, Any]) -> Classifier:
    """The same network behind an image processor that takes these steps.

    Size, mean, standard deviation and interpolation stay as they are, and so do steps that the classifier has already
    and that are not named. Where its processor cut out the middle of the image, the whole image is resized instead.

    Args:
        spec: of the classifier's own processor.
        steps: as `asked_steps` returns them.
    """
    old = classifier.image_processor
    if not steps or (not steps_of(old) and all(value == _OFF[name] for name, value in steps.items())):
        return classifier
    processor = HardImageProcessor(
        {"height": spec.size[0], "width": spec.size[1]},
        image_mean=list(spec.mean),
        image_std=list(spec.std),
        resample=_interpolation(old),
        **{**steps_of(old), **steps},
    )
    notices = ["The whole image is resized: no margin of it is cut away any more."] if _crops(old) else []
    if classifier.model.config.model_type == "timm_wrapper":
        _name_in_config(classifier.model.config)
    return replace(classifier, image_processor=processor, notices=(*classifier.notices, *notices))


def _name_in_config(config: Any) -> None:
    """Lets transformers find the processor of a timm directory.

    For those it reads ``config.json`` where it would read ``preprocessor_config.json``. Without the type there it
    would quietly go by timm's transforms where remote code is not trusted, instead of saying so.
    """
    config.image_processor_type = HardImageProcessor.__name__
    reference = f"{HardImageProcessor.__module__.rpartition('.')[2]}.{HardImageProcessor.__name__}"
    config.auto_map = {**(getattr(config, "auto_map", None) or {}), "AutoImageProcessor": reference}


def _interpolation(processor: Any) -> int:
    """Pillow's number of a processor's interpolation."""
    if hasattr(processor, "val_transforms"):
        name = processor.data_config["interpolation"].upper()
        return Image.Resampling.__members__.get(name, Image.Resampling.BILINEAR)
    resample = getattr(processor, "resample", None)
    return Image.Resampling.BILINEAR if resample is None else int(resample)


def _crops(processor: Any) -> bool:
    if hasattr(processor, "val_transforms"):
        return processor.data_config["crop_mode"] != "squash" or processor.data_config["crop_pct"] != 1
    return bool(getattr(processor, "do_center_crop", False))
