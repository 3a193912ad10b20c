"""Running a classifier over a split: Predictions come out."""

from typing import Any

import numpy as np
import torch
from accelerate import Accelerator
from torch import nn
from torch.utils.data import DataLoader
from tqdm.auto import tqdm

from hfcls.data.workers import WorkerStart
from hfcls.structures import Predictions


def predict(
    model: nn.Module,
    dataset: Any,
    collator: Any,
    *,
    class_names: tuple[str, ...],
    accelerator: Accelerator,
    batch_size: int = 64,
    num_workers: int = 0,
    description: str = "Predicting",
    quiet: bool = False,
) -> Predictions:
    """Logits of every sample, once, in the order of the data set; in float32 whatever the training used.

    Args:
        model: takes ``pixel_values (N, C, H, W)``, returns an object with ``.logits (N, K)``.
        dataset: has ``ids`` and ``labels`` (N,).
        collator: from samples to a batch with ``pixel_values``.
        class_names: K names, in the order of the logits.
        accelerator: several processes share the work; each gets all predictions.
        quiet: no progress bar (nor is there one without a terminal).
    """
    loader = DataLoader(
        dataset,
        batch_size=batch_size,
        num_workers=num_workers,
        collate_fn=collator,
        worker_init_fn=WorkerStart(),
    )
    loader = accelerator.prepare_data_loader(loader)
    model.to(accelerator.device).eval()
    parts: list[np.ndarray] = []
    hidden = quiet or not accelerator.is_main_process
    with torch.inference_mode():
        for batch in tqdm(
            loader, desc=description, unit="batch", disable=hidden or None, leave=False, dynamic_ncols=True
        ):
            logits = model(pixel_values=batch["pixel_values"]).logits
            parts.append(accelerator.gather_for_metrics(logits).float().cpu().numpy())
    logits = np.concatenate(parts) if parts else np.zeros((0, len(class_names)), np.float32)
    return Predictions(logits, np.asarray(dataset.labels), tuple(dataset.ids), class_names)
