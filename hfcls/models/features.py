"""Where a classifier ends, and what it sees just before: heads, feature maps, pooled features."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from hfcls.networks import Ensemble, Network


def find_heads(model: PreTrainedModel) -> dict[str, nn.Linear | nn.Conv2d]:
    """The layers that make the logits, by their full names; some families have two (DeiT with teacher).

    Of an ensemble those of all its members.
    """
    if isinstance(model, Ensemble):
        return {
            f"members.{index}.{name}": head
            for index, member in enumerate(model.members)
            for name, head in find_heads(member).items()  # type: ignore[arg-type]
        }
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

    Raises:
        TypeError: the model is an ensemble, whose members have different ones.
    """
    if isinstance(model, Ensemble):
        raise TypeError("An ensemble has no one feature map: ask its members.")
    if isinstance(model, Network):
        return model.features(model._channels(pixel_values))
    if model.config.model_type == "timm_wrapper":
        return model.timm_model.forward_features(pixel_values)
    return model.base_model(pixel_values).last_hidden_state


@contextmanager
def kept_features(model: PreTrainedModel) -> Iterator[list[Tensor]]:
    """While open, each forward pass adds what the classifier head reads to the list.

    (N, D) each; the first head's input where there are two, averaged over the places where the head is a convolution;
    of an ensemble those of its members side by side.
    """
    seen: list[Tensor] = []
    members = list(model.members) if isinstance(model, Ensemble) else [model]
    heads = [next(iter(find_heads(member).values())) for member in members]  # type: ignore[arg-type]
    parts: list[Tensor] = []

    def keeper(number: int) -> Callable[[nn.Module, tuple[Tensor, ...]], None]:
        def keep(_module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
            features = inputs[0].detach()
            if number == 0:
                parts.clear()
            parts.append(features.mean(dim=(2, 3)) if features.ndim == 4 else features.flatten(1))
            if number == len(heads) - 1:
                seen.append(torch.cat(parts, dim=1))

        return keep

    hooks = [head.register_forward_pre_hook(keeper(number)) for number, head in enumerate(heads)]
    try:
        yield seen
    finally:
        for hook in hooks:
            hook.remove()


@torch.no_grad()
def pooled_features(model: PreTrainedModel, pixel_values: Tensor) -> Tensor:
    """What the classifier head reads of a batch, (N, D), as `kept_features` has it.

    Args:
        pixel_values: (N, C, H, W).
    """
    with kept_features(model) as seen:
        model(pixel_values)
    return seen[0]


def linear_head(model: PreTrainedModel) -> tuple[Tensor, Tensor] | None:
    """Weight (K, D) and bias (K,) of a head that is one linear layer of the features; None of another one."""
    if isinstance(model, Ensemble):
        return None  # even of one member the logits are logarithms of probabilities
    heads = list(find_heads(model).values())
    if len(heads) != 1 or not isinstance(heads[0], nn.Linear) or heads[0].bias is None:
        return None
    return heads[0].weight.detach(), heads[0].bias.detach()
