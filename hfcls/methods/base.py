"""What is learned from a batch."""

from typing import Any, Protocol

from torch import Tensor, nn


class Method(Protocol):
    """A way to learn: the one Trainer subclass calls `loss` and leaves the scaling to it."""

    def weight(self, batch: dict[str, Any]) -> Tensor:
        """How much the batch counts for, a scalar: the divisor that turns its summed loss into a mean."""
        ...

    def loss(self, model: nn.Module, batch: dict[str, Any], *, total_weight: Tensor | None = None) -> dict[str, Tensor]:
        """The loss of a batch.

        Args:
            model: the classifier (perhaps wrapped for several processes).
            batch: ``pixel_values``, ``labels``, ``ids``.
            total_weight: the weight of all batches of this optimizer step over all processes, divided by the number of
                processes (whose gradients are averaged). So accumulation and any number of processes give the
                gradient of one large batch. None: the batch stands alone.

        Returns:
            ``loss``, and ``logits`` where there are any.
        """
        ...
