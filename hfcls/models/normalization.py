"""How a network normalizes, which says what kind it is."""

from torch import nn


def has_batch_norm(model: nn.Module) -> bool:
    """Whether statistics of a batch go into it."""
    return any(isinstance(module, nn.modules.batchnorm._BatchNorm) for module in model.modules())


def has_layer_norm(model: nn.Module) -> bool:
    """Whether each token or pixel is normalized by itself, as in transformers and ConvNeXt; by any library's class."""
    return any(isinstance(m, nn.LayerNorm) or "layernorm" in type(m).__name__.lower() for m in model.modules())
