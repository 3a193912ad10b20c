"""What a launcher of several processes (accelerate, torchrun) says of this one."""

import os

from hfcls.errors import UserError


def is_first_process() -> bool:
    """Whether this one prints and writes; alone it is the first."""
    return int(os.environ.get("RANK", "0")) == 0


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
