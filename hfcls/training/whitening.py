"""The first look at the training images, for networks whose first layer is computed instead of learned."""

from typing import Any

import numpy as np
from torch import nn
from torch.utils.data import IterableDataset

from hfcls.data.transforms import Preprocessing

_COUNT = 5000


def whiten_first_layer(model: nn.Module, dataset: Any, preprocessing: Preprocessing) -> list[str]:
    """Computes the first layer of a network that has ``whiten`` from training images; leaves others alone.

    The images are those with the smallest keys, which hang on content alone: the same ones in every process and
    whatever the data came in.

    Args:
        dataset: the train split, an `ImageDataset` or a `StreamDataset`.

    Returns:
        Notices for the user.
    """
    whiten = getattr(model, "whiten", None)
    if whiten is None:
        return []
    if isinstance(dataset, IterableDataset):
        return ["The network's first layer keeps its general filters: a stream has no images to compute them from."]
    chosen = np.argsort(dataset.keys, kind="stable")[:_COUNT]
    whiten(preprocessing.normalize(dataset.__getitems__(chosen)["pixels"]))
    return [f"The network's first layer was computed from {len(chosen):,} training images."]
