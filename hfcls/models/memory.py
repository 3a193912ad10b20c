"""How weights lie in memory."""

import torch
from torch import nn


def use_fast_layout(model: nn.Module) -> None:
    """Puts the channels of convolutions last in memory, in place; values, names and shapes stay.

    Convolutional networks then train and predict up to twice as fast. Those with layer normalization, which move the
    channels to and fro by themselves, are faster as they are.
    """
    modules = list(model.modules())
    if any(isinstance(module, nn.Conv2d) for module in modules) and not any(
        isinstance(module, nn.LayerNorm) or "layernorm" in type(module).__name__.lower() for module in modules
    ):
        model.to(memory_format=torch.channels_last)
