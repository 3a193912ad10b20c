"""Losses as sums over a batch, so that whoever trains chooses the divisor."""

import torch
from torch import Tensor, nn


def cross_entropy(
    logits: Tensor, targets: Tensor, *, class_weight: Tensor | None = None, label_smoothing: float = 0.0
) -> Tensor:
    """Summed cross-entropy in float32.

    Args:
        logits: (N, K).
        targets: classes int64 (N,), or probabilities (N, K).
        class_weight: (K,) or None.
        label_smoothing: in [0, 1), as in `torch.nn.functional.cross_entropy`.

    Returns:
        A scalar.
    """
    return nn.functional.cross_entropy(
        logits.float(), targets, weight=class_weight, label_smoothing=label_smoothing, reduction="sum"
    )


def target_weight(targets: Tensor, class_weight: Tensor | None = None) -> Tensor:
    """The divisor that turns the summed `cross_entropy` into the weighted mean.

    For classes that is torch's own mean; for probabilities torch divides by N even where classes have weights, so that
    its mean hangs on their scale, and the same labels one-hot give another loss.

    Args:
        targets: classes int64 (N,), or probabilities (N, K).
        class_weight: (K,) or None.

    Returns:
        A float scalar: N, or the sum of the targets' class weights.
    """
    if class_weight is None:
        return torch.tensor(float(len(targets)), device=targets.device)
    return (class_weight[targets] if targets.ndim == 1 else targets @ class_weight).sum()
