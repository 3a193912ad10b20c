"""From the flags on freezing, adapters, learning rates and averages to what the trainer is given."""

from dataclasses import dataclass, fields
from typing import Any

from transformers import PreTrainedModel, TrainingArguments

from hfcls.arguments import TransferArguments
from hfcls.errors import UserError
from hfcls.models import Freezing, add_lora, build_freezing, find_stages
from hfcls.training.optimizers import learning_rate_scales


@dataclass(frozen=True)
class Transfer:
    """What of a network learns, and how fast.

    Attributes:
        freezing: None where adapters decide it.
        rates: factors of the learning rate by parameter name; empty where all are 1.
        description: for the user; empty where everything learns alike.
    """

    freezing: Freezing | None
    rates: dict[str, float]
    description: str


def check_transfer(arguments: TransferArguments, *, pretrained: bool, streamed: bool) -> None:
    """What can be said before there is a model.

    Raises:
        UserError: a flag that has no effect in this run, or a value out of range.
    """
    given = {f.name: getattr(arguments, f.name) for f in fields(arguments) if getattr(arguments, f.name) is not None}
    if arguments.freeze == "none":
        del given["freeze"]
    for name in ("lora_alpha", "lora_dropout", "lora_targets"):
        if name in given and "lora_rank" not in given:
            raise UserError(f"--{name} would have no effect without --lora_rank.")
    for name in ("freeze", "probe_epochs", "unfreeze_every", "lora_rank"):
        if name in given and not pretrained:
            raise UserError(
                f"--{name} would hold random weights as they are: it goes with --model_name_or_path, --pretrained or "
                "--weights."
            )
    for name in ("freeze", "probe_epochs", "unfreeze_every", "layer_decay"):
        if name in given and "lora_rank" in given:
            raise UserError(f"--{name} would have no effect: with --lora_rank the adapters and the head learn alone.")
    for name in ("probe_epochs", "unfreeze_every"):
        if name in given and streamed:
            raise UserError(f"--{name} counts epochs, which --streaming does not know.")
    if "layer_decay" in given and arguments.freeze == "backbone":
        raise UserError("--layer_decay would have no effect: with --freeze backbone the head learns alone.")
    if arguments.layer_decay is not None and not 0 < arguments.layer_decay <= 1:
        raise UserError(f"--layer_decay is {arguments.layer_decay}: expected above 0 up to 1, such as 0.75.")
    if arguments.head_learning_rate is not None and not arguments.head_learning_rate > 0:
        raise UserError(f"--head_learning_rate is {arguments.head_learning_rate}: expected above 0.")
    if arguments.ema_decay is not None and not 0 < arguments.ema_decay < 1:
        raise UserError(f"--ema_decay is {arguments.ema_decay}: expected between 0 and 1, such as 0.999.")
    if arguments.average_checkpoints is not None and arguments.average_checkpoints < 2:
        raise UserError(f"--average_checkpoints is {arguments.average_checkpoints}: expected 2 or more.")


def learning_of(arguments: TransferArguments) -> str:
    """What of the network learns: ``all``, ``head`` or ``adapters``."""
    if arguments.lora_rank is not None:
        return "adapters"
    return "head" if arguments.freeze == "backbone" else "all"


def checkpoints_to_keep(arguments: TransferArguments, values: dict[str, Any]) -> dict[str, Any]:
    """The limit of checkpoints that leaves enough of them to average; nothing where none are averaged.

    Raises:
        UserError: the flags leave too few.
    """
    number = arguments.average_checkpoints
    if number is None:
        return {}
    if values.get("save_strategy") == "no":
        raise UserError("--average_checkpoints would have no effect: --save_strategy no leaves no checkpoints.")
    limit = values.get("save_total_limit")
    if limit is not None and 0 < limit < number:
        raise UserError(f"--average_checkpoints {number} needs a --save_total_limit of {number} or more, not {limit}.")
    # One more: the best one so far is always kept, and may be older than those.
    return {} if limit is not None else {"save_total_limit": number + 1}


def build_transfer(model: PreTrainedModel, arguments: TransferArguments, training: TrainingArguments) -> Transfer:
    """Puts adapters into the model where they are asked for, and plans the rest.

    Raises:
        UserError: a value that this network cannot have.
    """
    stages = find_stages(model, fine=True)
    head_scale = 1.0
    if arguments.head_learning_rate is not None:
        if not training.learning_rate:
            raise UserError("--head_learning_rate needs a --learning_rate above 0.")
        head_scale = arguments.head_learning_rate / training.learning_rate
    rates = learning_rate_scales(stages, layer_decay=arguments.layer_decay, head_scale=head_scale)
    freezing, parts = None, []
    if arguments.lora_rank is None:
        freezing = build_freezing(
            model,
            freeze=arguments.freeze,
            probe_epochs=arguments.probe_epochs,
            unfreeze_every=arguments.unfreeze_every,
        )
        _check_epochs(freezing, training)
        parts += [freezing.describe()]
    else:
        layers = add_lora(
            model,
            rank=arguments.lora_rank,
            alpha=arguments.lora_alpha,
            dropout=arguments.lora_dropout or 0.0,
            targets=arguments.lora_targets,
        )
        parts += [f"adapters of rank {arguments.lora_rank} on {layers} layers"]
    if arguments.layer_decay is not None:
        slowest = arguments.layer_decay ** (len(stages) - 1) * training.learning_rate
        parts += [f"learning rate {slowest:.2g} in the first of {len(stages)} stages"]
    if arguments.head_learning_rate is not None:
        parts += [f"{arguments.head_learning_rate:g} in the head"]
    return Transfer(
        freezing,
        rates if any(rate != 1.0 for rate in rates.values()) else {},
        "; ".join(part for part in parts if part),
    )


def _check_epochs(freezing: Freezing, training: TrainingArguments) -> None:
    latest = max(start for start in freezing.starts if start is not None)
    if training.max_steps <= 0 and latest >= training.num_train_epochs:
        raise UserError(
            f"The last stage would join after {latest} epochs, but the training has {training.num_train_epochs:g}: "
            "raise --num_train_epochs, or lower --probe_epochs or --unfreeze_every."
        )
