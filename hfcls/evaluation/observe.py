"""What a network makes of images, logits and features, in one pass."""

from collections.abc import Iterable
from contextlib import nullcontext
from typing import Any

import numpy as np
import torch
from torch import nn
from tqdm.auto import tqdm

from hfcls.models import kept_features, linear_head
from hfcls.uncertainty.strangers import Known, Seen


def observe(
    model: nn.Module,
    batches: Iterable[Any],
    *,
    device: torch.device,
    description: str = "Looking",
    quiet: bool = False,
    total: int | None = None,
    features: bool = True,
) -> Seen:
    """Logits and features of every image, in float32.

    Args:
        model: a network with a classifier head (`hfcls.models.find_heads`), in eval mode.
        batches: of ``pixel_values (N, C, H, W)``, as tensors or in a mapping.
        device: where it runs.
        quiet: no progress bar (nor is there one without a terminal).
        total: how many batches there are, where it is known.
        features: keep them; without, any classifier will do.
    """
    logits: list[np.ndarray] = []
    kept: list[np.ndarray] = []
    bar = tqdm(batches, desc=description, unit="batch", disable=quiet or None, leave=False, total=total)
    keeping: Any = kept_features(model) if features else nullcontext([])  # type: ignore[arg-type]
    with torch.inference_mode(), keeping as seen:
        for batch in bar:
            values = batch if isinstance(batch, torch.Tensor) else batch["pixel_values"]
            logits.append(model(pixel_values=values.to(device)).logits.float().cpu().numpy())
            kept += [one.float().cpu().numpy() for one in seen]
            seen.clear()
    return Seen(np.concatenate(logits), np.concatenate(kept) if features else None)


def known_of(model: nn.Module, seen: Seen, labels: np.ndarray) -> Known:
    """What is known, for the scores of strangeness: images with labels, and the head."""
    head = linear_head(model)  # type: ignore[arg-type]
    weight, bias = (None, None) if head is None else (part.float().cpu().numpy() for part in head)
    return Known(seen, labels, weight, bias)
