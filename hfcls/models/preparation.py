"""Which steps for hard images stand before a network: asked for, brought by a checkpoint, in words."""

import copy
import math
from dataclasses import replace
from typing import Any

import torch
from PIL import Image, ImageOps
from transformers.image_processing_utils import BaseImageProcessor

from hfcls.arguments import ModelArguments
from hfcls.errors import UserError
from hfcls.models.architectures import Classifier
from hfcls.networks import HardImageProcessor
from hfcls.structures import ImageSpec

# The flags, in the order in which they take effect; what each is where it is off.
_OFF: dict[str, Any] = {"letterbox": False, "colour_normalization": "none", "clahe": 0.0, "sharpen_input": 0.0}

# Pillow takes the amount in whole percent, in a C integer.
SHARPEN_RANGE = (0.01, 10.0)
# Red, green and blue that tell scale, offset and order of the channels.
_COLOURS = ("black", "white", (250, 120, 30))


def asked_steps(arguments: ModelArguments) -> dict[str, Any]:
    """The flags that were given.

    Raises:
        UserError: a value out of range.
    """
    steps = {name: getattr(arguments, name) for name in _OFF if getattr(arguments, name) is not None}
    if not 0 <= steps.get("clahe", 0) < math.inf:
        raise UserError(f"--clahe is {steps['clahe']:g}: expected a number above 0, or 0 for none.")
    least, most = SHARPEN_RANGE
    amount = steps.get("sharpen_input", 0)
    if amount != 0 and not least <= amount <= most:
        raise UserError(f"--sharpen_input is {amount:g}: expected {least:g} to {most:g}, or 0 for none.")
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

    Raises:
        UserError: its processor makes other values of the same pixels, which its network learned from.
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
    _check_values(old, processor, spec, steps)
    notices = ["The whole image is resized: no margin of it is cut away any more."] if _crops(old, spec) else []
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


def _check_values(old: Any, new: HardImageProcessor, spec: ImageSpec, steps: dict[str, Any]) -> None:
    """Compares what both make of images of one colour, which no crop or resize changes.

    Raises:
        UserError: see `prepare_images`.
    """
    height, width = spec.size
    step = 1 / (255 * torch.tensor(spec.std).view(-1, 1, 1))
    for colour in _COLOURS:
        image = Image.new("RGB", (width, height), colour)
        off = (_values(_without_steps(old), image) - _values(_without_steps(new), image)).abs()
        if bool((off > 1.5 * step).any()):
            names = [name for name, value in steps.items() if value != _OFF[name]] or list(steps)
            flags = ", ".join(f"--{name}" for name in names)
            raise UserError(
                f"{flags} cannot stand before this network: its {type(old).__name__} does more than resize and "
                f"normalize (values differ by up to {off.max():.3g}, as by another channel order, scale or margin), "
                f"which would be lost; leave {flags} out or start from another checkpoint."
            )


def _crops(processor: Any, spec: ImageSpec) -> bool:
    """Whether a margin of wide or tall images is lost, told from a white frame around black."""
    height, width = spec.size
    # Two pixels, of which the resize of the longer side makes one.
    frame = 2
    halfway = ((0.5 - torch.tensor(spec.mean)) / torch.tensor(spec.std)).mean()
    for size in ((2 * width, height), (width, 2 * height)):
        inside = Image.new("RGB", (size[0] - 2 * frame, size[1] - 2 * frame))
        values = _values(_without_steps(processor), ImageOps.expand(inside, frame, "white")).mean(dim=0)
        for line in (values[height // 2], values[:, width // 2]):
            white = line > halfway
            middle = len(line) // 2
            if not (white[:middle].any() and white[middle:].any()):
                return True
    return False


def _values(processor: Any, image: Image.Image) -> torch.Tensor:
    """``pixel_values`` (3, H, W) of one image."""
    return processor(image, return_tensors="pt").pixel_values[0].float()


def _without_steps(processor: Any) -> Any:
    if not steps_of(processor):
        return processor
    plain = copy.copy(processor)
    for name, value in _OFF.items():
        setattr(plain, name, value)
    return plain
