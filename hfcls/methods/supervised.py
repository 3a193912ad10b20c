"""Learning from labels."""

from typing import Any

import torch
from torch import Tensor, nn

from hfcls.losses import cross_entropy, target_weight


class Supervised:
    """Cross-entropy with label smoothing, class weights and soft targets.

    Args:
        label_smoothing: in [0, 1); Szegedy et al. 2016, Rethinking the Inception Architecture.
        class_weight: float32 (K,), or None for equal weights.
    """

    def __init__(self, *, label_smoothing: float = 0.0, class_weight: Tensor | None = None):
        self._smoothing = label_smoothing
        self._class_weight = class_weight

    def weight(self, batch: dict[str, Any]) -> Tensor:
        """The number of samples, or the sum of their class weights."""
        return target_weight(batch["labels"], self._weight_on(batch["labels"]))

    def loss(self, model: nn.Module, batch: dict[str, Any], *, total_weight: Tensor | None = None) -> dict[str, Tensor]:
        """Mean cross-entropy and the logits (N, K); see `Method.loss`."""
        logits = model(pixel_values=batch["pixel_values"]).logits
        labels = batch["labels"]
        class_weight = self._weight_on(labels)
        summed = cross_entropy(logits, labels, class_weight=class_weight, label_smoothing=self._smoothing)
        divisor = target_weight(labels, class_weight) if total_weight is None else total_weight
        return {"loss": summed / divisor.to(torch.float32), "logits": logits}

    def _weight_on(self, labels: Tensor) -> Tensor | None:
        return None if self._class_weight is None else self._class_weight.to(labels.device)
