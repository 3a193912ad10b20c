"""Networks at other image sizes than they were made for."""

import sys
from copy import deepcopy

import torch
from torch import nn
from transformers import AutoModelForImageClassification, PreTrainedModel
from transformers.image_processing_utils import BaseImageProcessor
from transformers.models.timm_wrapper.image_processing_timm_wrapper import TimmWrapperImageProcessor

from hfcls.errors import UserError
from hfcls.networks import HardImageProcessor


@torch.no_grad()
def try_size(model: PreTrainedModel, side: int) -> None:
    """One pass over a black image of that size; raises what the network raises."""
    training = model.training
    model.eval()
    try:
        model(torch.zeros(1, 3, side, side, device=model.device))
    finally:
        model.train(training)


def check_patches(model: PreTrainedModel, side: int) -> None:
    """Raises a `ValueError` where patches with positions would leave a margin of the image unseen."""
    patch = _patch_side(model)
    if patch and side % patch:
        near = sorted({max(patch, side // patch * patch), -(-side // patch) * patch})
        raise ValueError(f"its patches have {patch} pixels: sizes close by are {' and '.join(map(str, near))}")


def _patch_side(model: PreTrainedModel) -> int | None:
    if model.config.model_type == "timm_wrapper":
        embedding = getattr(model.timm_model, "patch_embed", None)
        size = getattr(embedding, "patch_size", None) if getattr(embedding, "img_size", None) else None
    else:
        size = getattr(model.config, "patch_size", None) if _position_embeddings(model) else None
    return size[0] if isinstance(size, tuple | list) else size


def _position_embeddings(model: PreTrainedModel) -> dict[str, nn.Module]:
    """Modules that add a learned vector to each patch, by name."""
    return {
        name: module
        for name, module in model.named_modules()
        if isinstance(getattr(module, "position_embeddings", None), nn.Parameter)
    }


def change_size(
    model: PreTrainedModel, processor: BaseImageProcessor, side: int, *, name: str
) -> tuple[PreTrainedModel, BaseImageProcessor]:
    """The same weights for images of another size; position embeddings are interpolated.

    Args:
        side: height and width in pixels.
        name: what the user calls the checkpoint.

    Raises:
        UserError: the network cannot be taken to that size.
    """
    try:
        changed = _changed_timm(model, side) if model.config.model_type == "timm_wrapper" else _changed(model, side)
        check_patches(changed, side)
        try_size(changed, side)
    except (RuntimeError, AssertionError, ValueError, ZeroDivisionError, IndexError, TypeError) as error:
        lines = [line.strip() for line in str(error).strip().splitlines() if line.strip()]
        reason = lines[0] if lines else type(error).__name__
        raise UserError(
            f"{name} cannot be taken to images of {side} pixels ({reason.rstrip('.:')}): leave --image_size out or "
            "choose another."
        ) from None
    return changed, _changed_processor(changed, processor, side, name)


def _changed_timm(model: PreTrainedModel, side: int) -> PreTrainedModel:
    """timm's own way: a network of that size, and the state through the family's filter, which interpolates."""
    config = deepcopy(model.config)
    pretrained_cfg = dict(config.pretrained_cfg)
    pretrained_cfg["input_size"] = (3, side, side)
    pretrained_cfg.pop("test_input_size", None)
    config.pretrained_cfg = pretrained_cfg
    if not pretrained_cfg.get("fixed_input_size"):
        model.config = config
        return model
    config.model_args = {**(config.model_args or {}), "img_size": side}
    changed = AutoModelForImageClassification.from_config(config)
    state = model.timm_model.state_dict()
    adapt = getattr(sys.modules[type(model.timm_model).__module__], "checkpoint_filter_fn", None)
    changed.timm_model.load_state_dict(adapt(state, changed.timm_model) if adapt else state, strict=True)
    return changed


def _changed(model: PreTrainedModel, side: int) -> PreTrainedModel:
    config = deepcopy(model.config)
    if hasattr(config, "image_size"):
        config.image_size = side
    changed = type(model)(config)
    expected, state = changed.state_dict(), model.state_dict()
    for name, module in _position_embeddings(model).items():
        key = f"{name}.position_embeddings"
        if state[key].shape == expected[key].shape:
            continue
        interpolate = getattr(module, "interpolate_pos_encoding", None)
        if interpolate is None:
            raise ValueError("its positions belong to one size")
        with torch.no_grad():
            # The method compares the number of patches with the number that the network was made for.
            state[key] = interpolate(torch.empty_like(expected[key]), side, side)
    misfit = [key for key in state if key not in expected or state[key].shape != expected[key].shape]
    if misfit:
        raise ValueError(f"{misfit[0]} belongs to one size")
    changed.load_state_dict(state, strict=True)
    return changed


def _changed_processor(
    model: PreTrainedModel, processor: BaseImageProcessor, side: int, name: str
) -> BaseImageProcessor:
    if model.config.model_type == "timm_wrapper" and not isinstance(processor, HardImageProcessor):
        return TimmWrapperImageProcessor(
            pretrained_cfg=model.config.pretrained_cfg, architecture=model.config.architecture
        )
    changed = deepcopy(processor)
    square = {"height": side, "width": side}
    crop = dict(getattr(processor, "crop_size", None) or {})
    size = dict(getattr(processor, "size", None) or {})
    if getattr(processor, "do_center_crop", False) and crop.get("height"):
        # The same share of the photo is cut away as before.
        changed.crop_size = square
        size = {key: round(value * side / crop["height"]) for key, value in size.items() if value}
        changed.size = type(processor.size)(**size) if not isinstance(processor.size, dict) else size
    elif size.get("height"):
        changed.size = type(processor.size)(**square) if not isinstance(processor.size, dict) else square
    else:
        edge = {"shortest_edge": side}
        changed.size = type(processor.size)(**edge) if not isinstance(processor.size, dict) else edge
    probe = torch.zeros(3, side + 5, side + 40, dtype=torch.uint8)
    found = tuple(changed(probe, return_tensors="pt").pixel_values.shape[-2:])
    if found != (side, side):
        raise UserError(
            f"The image processor of {name} ({type(processor).__name__}) makes images of {found[0]}x{found[1]} where "
            f"--image_size asks for {side}: set its size in preprocessor_config.json and leave --image_size out."
        )
    return changed
