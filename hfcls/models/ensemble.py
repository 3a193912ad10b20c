"""From several classifiers to one: the ensemble that answers with the weighted mean of their probabilities."""

import copy
import math
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from PIL import Image
from transformers.image_processing_utils import BaseImageProcessor
from transformers.models.timm_wrapper.image_processing_timm_wrapper import TimmWrapperImageProcessor

from hfcls.errors import UserError
from hfcls.models.architectures import Classifier, set_names
from hfcls.models.preparation import describe_steps
from hfcls.networks import Ensemble, EnsembleConfig, HardImageProcessor, Network

# What a member's configuration need not say again, or must not.
_LEFT_OUT = (
    *("id2label", "label2id", "label_names", "num_labels", "num_classes", "architectures", "_name_or_path"),
    *("transformers_version", "auto_map", "image_processor_type", "dtype"),
)
_CHANNELS = 3
# Red, green and blue that tell scale, offset and order of the channels.
_COLOURS = ("black", "white", (250, 120, 30))


def build_ensemble(
    members: Sequence[Classifier], weights: Sequence[float] | None = None, *, names: Sequence[str] | None = None
) -> Classifier:
    """One classifier whose probabilities are the weighted mean of those of others.

    Images are resized as the first member has it; each member gets its own normalization. The members' weights are
    copied.

    Args:
        members: one or more, for the same classes in any order, and for images of one size.
        weights: of each, 0 or more, in proportion; those of 0 are left out. All alike where None.
        names: of the members, for messages.

    Raises:
        UserError: the members do not go together, or a weight is impossible.
    """
    names = [f"member {number}" for number, _ in enumerate(members, start=1)] if names is None else list(names)
    shares = _shares(weights, len(members))
    kept = [index for index, share in enumerate(shares) if share > 0]
    members, names = [members[index] for index in kept], [names[index] for index in kept]
    orders, size, inputs, notices = _match(members, names)
    first = members[0]
    config = EnsembleConfig(
        architecture=describe_members(members),
        image_size=size[0] if size[0] == size[1] else list(size),
        members=[_settings(member) for member in members],
        member_weights=[shares[index] for index in kept],
        member_orders=orders if any(order is not None for order in orders) else None,
        member_inputs=inputs if any(one is not None for one in inputs) else None,
    )
    set_names(config, first.class_names)
    _keep_timm_processor(config, first.image_processor)
    model = Ensemble(config).eval()
    for own, member in zip(model.members, members, strict=True):
        own.load_state_dict(member.model.state_dict())
    return Classifier(model, copy.copy(first.image_processor), tuple(notices))


def check_members(members: Sequence[Classifier], names: Sequence[str]) -> None:
    """Whether classifiers can be members of one ensemble, told without building it.

    Raises:
        UserError: they cannot.
    """
    _match(members, names)


def match_inputs(
    members: Sequence[Classifier], names: Sequence[str]
) -> tuple[tuple[int, int], list[dict[str, list[float]] | None], list[str]]:
    """Whether several classifiers can answer of the same images.

    Returns:
        The size of the images, how each member's values come from the first one's (None where they are the same), and
        notices on members that resize or crop otherwise.

    Raises:
        UserError: the members take other sizes, or see images that no normalization turns into each other.
    """
    processors = [member.image_processor for member in members]
    sizes = [tuple(_values(processor, _noise(97, 61)).shape[1:]) for processor in processors]
    for name, size in zip(names, sizes, strict=True):
        if size != sizes[0]:
            wanted, found = ("x".join(map(str, one)) for one in (sizes[0], size))
            raise UserError(
                f"{names[0]} takes images of {wanted} pixels and {name} of {found}: the members of an ensemble need "
                "the same size; fine-tune one of them at the other's with --image_size."
            )
    steps = [describe_steps(p) if isinstance(p, HardImageProcessor) else "" for p in processors]
    inputs, notices = [], []
    for name, processor, step in zip(names, processors, steps, strict=True):
        if step.replace("the whole image resized", "") != steps[0].replace("the whole image resized", ""):
            raise UserError(
                f"{names[0]} sees images after {steps[0] or 'no further step'} and {name} after "
                f"{step or 'no further step'}: the members of an ensemble need the same steps before them."
            )
        change = _change(processors[0], processor)
        if not _agrees(processors[0], processor, change, [_plain(colour, sizes[0]) for colour in _COLOURS]):
            raise UserError(
                f"The image processors of {names[0]} and {name} differ by more than a mean and a standard deviation, "
                "such as by the order of the channels: they cannot be members of one ensemble."
            )
        inputs.append(change)
        if not _agrees(processors[0], processor, change, [_noise(97, 61), _noise(53, 89)]):
            notices.append(f"{name} resizes or crops images otherwise; as a member it sees them as {names[0]} does.")
    return (sizes[0][0], sizes[0][1]), inputs, notices


def is_ensemble(model: Any) -> bool:
    """Whether a model is an ensemble of ours."""
    return isinstance(model, Ensemble)


def describe_members(members: Sequence[Classifier]) -> str:
    """Such as ``ensemble of 1 lenet5, 2 simple_cnn and 1 resnet18``."""
    *most, last = [f"{count} {kind}" for kind, count in Counter(_kind(member) for member in members).items()]
    return f"ensemble of {', '.join(most)}{' and ' if most else ''}{last}"


def _match(
    members: Sequence[Classifier], names: Sequence[str]
) -> tuple[list[list[int] | None], tuple[int, int], list[dict[str, list[float]] | None], list[str]]:
    """The orders of the members' classes, the size of the images, what each makes of them, and notices."""
    for member, name in zip(members, names, strict=True):
        _check_kind(member, name)
    wanted = members[0].class_names
    orders = [_order(wanted, member.class_names, names[0], name) for member, name in zip(members, names, strict=True)]
    return orders, *match_inputs(members, names)


def _kind(member: Classifier) -> str:
    config = member.model.config
    return str(getattr(config, "architecture", None) or config.model_type.removeprefix("hfcls_"))


def _shares(weights: Sequence[float] | None, count: int) -> list[float]:
    """Weights with sum 1."""
    if not count:
        raise UserError("An ensemble needs at least one member.")
    if weights is None:
        return [1 / count] * count
    if len(weights) != count:
        raise UserError(f"{count} members and {len(weights)} weights were given: expected one weight for each member.")
    given = [float(weight) for weight in weights]
    if not all(math.isfinite(weight) and weight >= 0 for weight in given) or not sum(given) > 0:
        raise UserError(f"The weights of an ensemble are {given}: expected numbers from 0 on, not all of them 0.")
    return [weight / sum(given) for weight in given]


def _check_kind(member: Classifier, name: str) -> None:
    """Whether a stranger's process can build the network again from its configuration."""
    model = member.model
    if isinstance(model, Ensemble):
        raise UserError(f"{name} is an ensemble itself: name its members instead.")
    if not isinstance(model, Network) and not type(model).__module__.startswith("transformers."):
        raise UserError(
            f"{name} is a network whose Python code came with it ({type(model).__name__}): the members of an ensemble "
            "are networks of transformers, of timm or of hfcls."
        )


def _order(wanted: tuple[str, ...], found: tuple[str, ...], first: str, name: str) -> list[int] | None:
    """Where each class of the ensemble is among a member's logits; None where they are in the same order."""
    if wanted == found:
        return None
    if sorted(wanted) != sorted(found) or len(set(wanted)) < len(wanted):
        odd = sorted(set(wanted) ^ set(found)) or [n for n, count in Counter(wanted).items() if count > 1]
        raise UserError(
            f"{first} and {name} know other classes, such as {odd[0]!r}: the members of an ensemble need the same ones."
        )
    return [found.index(class_name) for class_name in wanted]


def _settings(member: Classifier) -> dict[str, Any]:
    """A member's configuration, for `Ensemble` to build it from."""
    settings = member.model.config.to_diff_dict()
    settings = {key: value for key, value in settings.items() if key not in _LEFT_OUT}
    return {"model_type": member.model.config.model_type, **settings}


def _keep_timm_processor(config: EnsembleConfig, processor: BaseImageProcessor) -> None:
    """timm's processor lives in the configuration of the model, wherever it is saved."""
    if isinstance(processor, TimmWrapperImageProcessor):
        config.image_processor_type = type(processor).__name__
        config.pretrained_cfg = {
            key: list(value) if isinstance(value, tuple) else value for key, value in processor.data_config.items()
        }


def _change(first: BaseImageProcessor, other: BaseImageProcessor) -> dict[str, list[float]] | None:
    """The scale and shift from one normalization to another; None where they are the same."""
    (mean, std), (other_mean, other_std) = _normalization(first), _normalization(other)
    if np.array_equal(mean, other_mean) and np.array_equal(std, other_std):
        return None
    return {"scale": (std / other_std).tolist(), "shift": ((mean - other_mean) / other_std).tolist()}


def _normalization(processor: Any) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation of each channel, for pixels in [0, 1]."""
    if isinstance(processor, TimmWrapperImageProcessor):
        mean, std = processor.data_config["mean"], processor.data_config["std"]
    elif processor.do_normalize:
        mean, std = processor.image_mean, processor.image_std
    else:
        mean, std = 0.0, 1.0
    return tuple(np.broadcast_to(np.asarray(part, dtype=np.float64), (_CHANNELS,)) for part in (mean, std))  # type: ignore[return-value]


def _agrees(first: Any, other: Any, change: dict[str, list[float]] | None, images: Sequence[Image.Image]) -> bool:
    """Whether both make the same of images, to half an 8-bit step, but for their normalization."""
    step = 1 / (255 * torch.tensor(_normalization(other)[1].tolist()).view(-1, 1, 1))
    for image in images:
        values = _values(first, image)
        if change is not None:
            scale, shift = (torch.tensor(change[key]).view(-1, 1, 1) for key in ("scale", "shift"))
            values = values * scale + shift
        if bool(((values - _values(other, image)).abs() > 0.5 * step).any()):
            return False
    return True


def _values(processor: Any, image: Image.Image) -> torch.Tensor:
    """``pixel_values`` (3, H, W) of one image."""
    return processor(image, return_tensors="pt").pixel_values[0].float()


def _noise(width: int, height: int) -> Image.Image:
    return Image.fromarray(np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8))


def _plain(colour: Any, size: tuple[int, ...]) -> Image.Image:
    return Image.new("RGB", (size[1], size[0]), colour)
