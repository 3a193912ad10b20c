"""Low-rank adaptation (LoRA; Hu et al. 2021): a few added weights learn, the rest stays; merged before it is saved."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from torch import Tensor, nn
from transformers import PreTrainedModel

from hfcls.errors import UserError
from hfcls.extras import require
from hfcls.models.features import find_heads

# What code that computes its own padding reads from a convolution, and peft's wrapper hides.
_CONVOLUTION_FIELDS = ("in_channels", "out_channels", "kernel_size", "stride", "padding", "dilation", "groups")


def add_lora(
    model: PreTrainedModel, *, rank: int, alpha: float | None = None, dropout: float = 0.0, targets: str | None = None
) -> int:
    """Puts adapters beside layers, in place; they and the classifier head ask for gradients, nothing else does.

    Args:
        rank: of the added matrices, 1 or more.
        alpha: the adapters' output is scaled by ``alpha / rank``; the rank where None.
        dropout: before the adapters, in [0, 1).
        targets: comma-separated ends of layer names; where None all linear layers and ungrouped convolutions below the
            head.

    Returns:
        How many layers have an adapter.

    Raises:
        UserError: a value out of range, no such layer, or peft is not installed.
    """
    for name, value, good, wanted in (
        ("rank", rank, rank >= 1, "1 or more"),
        ("alpha", alpha, alpha is None or alpha > 0, "above 0"),
        ("dropout", dropout, 0 <= dropout < 1, "0 up to 1"),
    ):
        if not good:
            raise UserError(f"--lora_{name} is {value}: expected {wanted}.")
    require("peft", extra="lora")
    from peft import LoraConfig, inject_adapter_in_model

    heads = find_heads(model)
    chosen = _targets(model, set(heads), targets)
    layers = dict(model.named_modules())
    config = LoraConfig(
        r=rank,
        lora_alpha=rank if alpha is None else alpha,  # type: ignore[arg-type]
        lora_dropout=dropout,
        target_modules=chosen,
    )
    inject_adapter_in_model(config, model)
    for name in chosen:
        if isinstance(layers[name], nn.Conv2d):
            wrapper = model.get_submodule(name)
            for field in _CONVOLUTION_FIELDS:
                if not hasattr(wrapper, field):
                    setattr(wrapper, field, getattr(layers[name], field))
    for name, parameter in model.named_parameters():
        parameter.requires_grad_("lora_" in name or name.rpartition(".")[0] in heads)
    return len(chosen)


def has_lora(model: nn.Module) -> bool:
    """Whether there are adapters in the network."""
    return any(True for _ in _adapted(model))


def merge_lora(model: PreTrainedModel) -> None:
    """Adds the adapters to the weights and takes them out again, in place: a plain network is left."""
    for name, layer in list(_adapted(model)):
        layer.merge()
        parent, _, child = name.rpartition(".")
        setattr(model.get_submodule(parent), child, layer.get_base_layer())


def plain_weights(model: PreTrainedModel) -> dict[str, Tensor]:
    """The state of the plain network with the adapters added, under the names that it has without them."""
    with _merged(model):
        return {
            name.replace(".base_layer.", "."): tensor.clone()
            for name, tensor in model.state_dict().items()
            if ".lora_" not in name
        }


@contextmanager
def _merged(model: nn.Module) -> Iterator[None]:
    """Adds the adapters to the weights for a while; the very same weights are there afterwards."""
    layers = [layer for _, layer in _adapted(model)]
    before = [layer.get_base_layer().weight.detach().clone() for layer in layers]
    for layer in layers:
        layer.merge()
    try:
        yield
    finally:
        for layer, weight in zip(layers, before, strict=True):
            layer.unmerge()
            layer.get_base_layer().weight.data.copy_(weight)


def _adapted(model: nn.Module) -> Iterator[tuple[str, Any]]:
    """The layers that have an adapter, by name."""
    for name, module in model.named_modules():
        if hasattr(module, "base_layer") and hasattr(module, "lora_A"):
            yield name, module


def _targets(model: nn.Module, heads: set[str], wanted: str | None) -> list[str]:
    """Full names of the layers to adapt."""
    # torch's attention reads the weights of its output layer without calling it.
    bypassed = {
        f"{name}.out_proj" for name, module in model.named_modules() if isinstance(module, nn.MultiheadAttention)
    }
    possible = [
        name
        for name, module in model.named_modules()
        if name not in heads | bypassed
        and getattr(module, "weight", None) is not None
        and module.weight.requires_grad
        and (isinstance(module, nn.Linear) or (isinstance(module, nn.Conv2d) and module.groups == 1))
    ]
    if wanted is None:
        chosen = possible
    else:
        ends = tuple(end.strip() for end in wanted.split(",") if end.strip())
        chosen = [name for name in possible if any(name == end or name.endswith(f".{end}") for end in ends)]
        useless = [end for end in ends if not any(n == end or n.endswith(f".{end}") for n in possible)]
        if useless or not ends:
            kinds = sorted({name.rpartition(".")[2] for name in possible})
            raise UserError(
                f"--lora_targets {wanted!r} names no linear layer or ungrouped convolution below the head: "
                f"this network has {', '.join(kinds)}."
            )
    if not chosen:
        raise UserError("--lora_rank: this network has no linear layer or ungrouped convolution below its head.")
    return chosen
