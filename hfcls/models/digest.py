"""What tells weights apart, wherever they lie."""

from hashlib import blake2b
from typing import Any

import torch
from torch import Tensor, nn


def weights_digest(model: nn.Module) -> str:
    """Of the weights alone, which are the same as soon as they are trained and after they were saved."""
    digest = blake2b(digest_size=16)
    add_tensors(digest, dict(sorted(model.state_dict().items())))
    return digest.hexdigest()


def add_tensors(digest: Any, tensors: dict[str, Tensor]) -> None:
    """Feeds a digest with names, types, shapes and bytes."""
    for name, tensor in tensors.items():
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy())
