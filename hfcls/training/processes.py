"""What several processes need beside Trainer's own."""

import os
from collections.abc import Callable

from timm.layers import convert_sync_batchnorm
from torch import nn
from transformers import TrainingArguments

from hfcls.errors import UserError
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


def check_launcher() -> None:
    """What a launcher asked for and nothing here does.

    Raises:
        UserError: sharded training; on a CPU it would be data-parallel training without a word.
    """
    for name, asked in (("FSDP", "ACCELERATE_USE_FSDP"), ("DeepSpeed", "ACCELERATE_USE_DEEPSPEED")):
        if os.environ.get(asked, "false").lower() in {"true", "1", "yes"}:
            raise UserError(
                f"The launcher asks for {name}, which hfcls does not do: classifiers fit one device, and several "
                "processes share the data. Take a configuration with distributed_type: MULTI_GPU."
            )
