"""Where a classifier ends, and what it sees just before: heads, feature maps, pooled features."""

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from hfcls.networks import Network


def find_heads(model: PreTrainedModel) -> dict[str, nn.Linear | nn.Conv2d]:
    """The layers that make the logits, by their full names; some families have two (DeiT with teacher)."""
    names = {module: name for name, module in model.named_modules()}
    if isinstance(model, Network):
        return {model.head_name: model.head}  # type: ignore[dict-item]
    if model.config.model_type == "timm_wrapper":
        found = model.timm_model.get_classifier()
        modules = found if isinstance(found, tuple | list) else (found,)
        return {names[module]: module for module in modules}
    inside = set(model.base_model.modules()) if model.base_model is not model else set()
    heads = {
        name: module
        for module, name in names.items()
        if module not in inside and _outputs(module) == model.config.num_labels
    }
    if not heads:
        raise TypeError(f"{type(model).__name__} has no layer with {model.config.num_labels} outputs.")
    return heads


def _outputs(module: nn.Module) -> int | None:
    if isinstance(module, nn.Linear):
        return module.out_features
    return module.out_channels if isinstance(module, nn.Conv2d) else None


@torch.no_grad()
def features(model: PreTrainedModel, pixel_values: Tensor) -> Tensor:
    """The last features before pooling.

    Args:
        pixel_values: (N, C, H, W).

    Returns:
        (N, D, h, w) for convolutional networks, (N, T, D) for token networks.
    """
    if isinstance(model, Network):
        return model.features(model._channels(pixel_values))
    if model.config.model_type == "timm_wrapper":
        return model.timm_model.forward_features(pixel_values)
    return model.base_model(pixel_values).last_hidden_state


@torch.no_grad()
def pooled_features(model: PreTrainedModel, pixel_values: Tensor) -> Tensor:
    """What the classifier head reads.

    Args:
        pixel_values: (N, C, H, W).

    Returns:
        (N, D); the first head's input where there are two, averaged over the places where the head is a convolution.
    """
    head = next(iter(find_heads(model).values()))
    seen: list[Tensor] = []
    hook = head.register_forward_pre_hook(lambda _module, inputs: seen.append(inputs[0]))
    try:
        model(pixel_values)
    finally:
        hook.remove()
    return seen[0].mean(dim=(2, 3)) if seen[0].ndim == 4 else seen[0].flatten(1)
