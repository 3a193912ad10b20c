"""What several processes need beside Trainer's own."""

from collections.abc import Callable

from timm.layers import convert_sync_batchnorm
from torch import nn
from transformers import TrainingArguments

from hfcls.models import has_batch_norm


def share_normalization(model: nn.Module, training: TrainingArguments, say: Callable[[str], None]) -> None:
    """Batch statistics over all processes where the device can (CUDA); a word to the user where it cannot.

    Changes the model in place; its weights and their names stay.
    """
    if training.world_size < 2 or not has_batch_norm(model):
        return
    if training.device.type == "cuda":
        convert_sync_batchnorm(model)
    else:
        say(
            f"note: Each of the {training.world_size} processes normalizes by its own "
            f"{training.per_device_train_batch_size} images: synchronized batch normalization needs CUDA."
        )
