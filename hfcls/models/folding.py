"""A classifier head that gives scaled logits by itself, so that any reader of the weights is calibrated."""

import numpy as np
import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from hfcls.errors import UserError
from hfcls.models.features import find_heads
from hfcls.networks import Ensemble, EnsembleConfig


@torch.no_grad()
def fold_scaling(model: PreTrainedModel, weight: np.ndarray, bias: np.ndarray, pixel_values: Tensor) -> None:
    """Multiplies and moves the logits of a network inside its head, in place; those of an ensemble by its config.

    Args:
        model: in eval mode.
        weight, bias: (K,); the new logits are ``logits * weight + bias``.
        pixel_values: (N, C, H, W), to see that they are.

    Raises:
        UserError: something stands between the head and the logits, so that it cannot be folded; nothing is changed.
    """
    if isinstance(model, Ensemble):
        _fold_into_config(model.config, weight, bias)
        return
    scale, shift = (torch.as_tensor(part, dtype=torch.float32) for part in (weight, bias))
    wanted = model(pixel_values=pixel_values).logits.float().cpu() * scale + shift
    heads = list(find_heads(model).values())
    before = [(head.weight.clone(), None if head.bias is None else head.bias.clone()) for head in heads]
    for head in heads:
        factor = scale.to(head.weight)
        head.weight.mul_(factor.view(-1, *[1] * (head.weight.ndim - 1)))
        offset = shift.to(head.weight)
        if head.bias is None:
            if bool(offset.any()):
                head.bias = nn.Parameter(offset)
        else:
            head.bias.mul_(factor).add_(offset)
    found = model(pixel_values=pixel_values).logits.float().cpu()
    # Rounding of float32 alone: the sums inside the head are scaled before instead of after.
    if torch.allclose(found, wanted, rtol=1e-4, atol=1e-4 * float(wanted.abs().max() + 1)):
        return
    for head, (old_weight, old_bias) in zip(heads, before, strict=True):
        head.weight.copy_(old_weight)
        head.bias = None if old_bias is None else nn.Parameter(old_bias)
    raise UserError(
        f"The scaling cannot be folded into {type(model).__name__}: something stands between its head and the logits. "
        "Keep it in calibration.json, which hfcls reads."
    )


def _fold_into_config(config: EnsembleConfig, weight: np.ndarray, bias: np.ndarray) -> None:
    """An ensemble has no head of its own: what is done to its logits stands in its configuration."""
    scale = np.ones(len(weight)) if config.logit_scale is None else np.asarray(config.logit_scale)
    shift = np.zeros(len(weight)) if config.logit_bias is None else np.asarray(config.logit_bias)
    config.logit_scale, config.logit_bias = (scale * weight).tolist(), (shift * weight + bias).tolist()
