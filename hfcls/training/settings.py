"""`TrainingArguments` as hfcls fills them: our defaults, timm's optimizers, bf16 where the hardware has it."""

from dataclasses import dataclass, fields
from typing import Any

import torch
from torch import nn
from transformers import TrainingArguments

from hfcls.errors import UserError, suggest
from hfcls.metrics import METRICS
from hfcls.models import has_batch_norm, has_depthwise_convolutions
from hfcls.trainer_flags import DECIDED_HERE, TRAINING_DEFAULTS
from hfcls.training.optimizers import TRAINER_NAMES, check_optimizer_name


@dataclass
class ClassifierTrainingArguments(TrainingArguments):
    """`TrainingArguments` whose ``optim`` may also be a name of timm's factory."""

    def __post_init__(self) -> None:
        name = str(getattr(self.optim, "value", self.optim))  # type: ignore[has-type]
        check_optimizer_name(name)
        if name not in TRAINER_NAMES:
            self.optim = "adamw_torch"
        super().__post_init__()
        if name not in TRAINER_NAMES:
            self.optim = name


def build_training_arguments(
    values: dict[str, Any], *, has_validation: bool, streaming: bool = False
) -> TrainingArguments:
    """Fills what was not given, checks what was.

    Args:
        values: what flags and config say.
        has_validation: without it there is nothing to evaluate on, and no best model to choose.
        streaming: the training images come as a stream, which knows no epochs.

    Raises:
        UserError: a value is impossible, or has no effect in this run.
    """
    names = {f.name for f in fields(TrainingArguments)}
    # Trainer itself never pushes: `hfcls train` does, once, when all is written.
    given = {name: value for name, value in values.items() if name in names and name not in DECIDED_HERE}
    filled = {**TRAINING_DEFAULTS, **given}
    filled |= {"remove_unused_columns": False, "label_names": ["labels"]}
    filled.setdefault("disable_tqdm", False)
    on_cuda = torch.cuda.is_available() and not filled.get("use_cpu")
    filled.setdefault("dataloader_pin_memory", on_cuda)
    if on_cuda and filled["dataloader_pin_memory"]:
        filled.setdefault("accelerator_config", {"non_blocking": True})
    if streaming:
        _in_steps(filled, given)
    if not has_validation:
        _without_validation(filled, given)
    _agree_on_saving(filled, given)
    metric = str(filled["metric_for_best_model"]).removeprefix("eval_")
    if metric != "loss" and metric not in METRICS:
        raise UserError(
            f"Unknown --metric_for_best_model {metric!r}.{suggest(metric, METRICS)} "
            f"Choose one of: loss, {', '.join(sorted(METRICS))}."
        )
    if "greater_is_better" not in given:
        filled["greater_is_better"] = metric != "loss" and METRICS[metric].greater_is_better
    filled["bf16"] = _bf16(filled["bf16"], use_cpu=bool(filled.get("use_cpu")), fp16=bool(filled.get("fp16")))
    if filled["bf16"] and _on_cpu(filled):
        filled["use_cpu"] = True  # without this word Trainer takes bf16 for a mistake
    if filled.get("report_to") is not None:
        _check_reporters(filled["report_to"])
    try:
        arguments = ClassifierTrainingArguments(**filled)
    except (ValueError, TypeError, ImportError, KeyError) as error:
        raise UserError(f"These training flags do not go together: {' '.join(str(error).split())}") from None
    _check_ranges(arguments)
    return arguments


def _in_steps(filled: dict[str, Any], given: dict[str, Any]) -> None:
    """A stream has no length: everything goes by steps."""
    steps = int(given.get("max_steps") or 0)
    if steps < 1:
        raise UserError("--streaming needs --max_steps: nobody knows how long an epoch is.")
    for name in ("num_train_epochs", "eval_strategy", "save_strategy", "logging_strategy"):
        if name in given and given[name] not in ("steps", "no", "best"):
            raise UserError(f"--{name} {given[name]} would have no effect with --streaming, which goes by steps.")
    every = max(steps // 10, 1)
    for name in ("eval", "save", "logging"):
        filled[f"{name}_strategy"] = given.get(f"{name}_strategy", "steps")
        filled[f"{name}_steps"] = given.get(f"{name}_steps") or every
    # What evaluations and checkpoints agree on below.
    given.setdefault("eval_steps", filled["eval_steps"])
    given.setdefault("save_steps", given["eval_steps"])


def _without_validation(filled: dict[str, Any], given: dict[str, Any]) -> None:
    for name in ("eval_strategy", "load_best_model_at_end", "metric_for_best_model"):
        if given.get(name) not in (None, False, "no"):
            raise UserError(f"--{name} would have no effect: there is no validation split.")
    filled |= {"eval_strategy": "no", "load_best_model_at_end": False}


def _agree_on_saving(filled: dict[str, Any], given: dict[str, Any]) -> None:
    """Evaluations and checkpoints come together, so that the best evaluation has its checkpoint."""
    for one, other in (("eval_strategy", "save_strategy"), ("save_strategy", "eval_strategy")):
        if one in given and other not in given and given[one] != "no" and filled[other] != "no":
            filled[other] = "epoch" if given[one] == "best" else given[one]
    if "no" in (filled["eval_strategy"], filled["save_strategy"]):
        filled["load_best_model_at_end"] = given.get("load_best_model_at_end", False)
    if filled["eval_strategy"] == filled["save_strategy"] == "steps":
        steps = given.get("eval_steps") or given.get("save_steps") or given.get("logging_steps", 500)
        filled["eval_steps"], filled["save_steps"] = given.get("eval_steps") or steps, given.get("save_steps") or steps
        if filled["load_best_model_at_end"] and filled["eval_steps"] != filled["save_steps"]:
            raise UserError(
                f"--eval_steps is {filled['eval_steps']} and --save_steps {filled['save_steps']}: make them equal, so "
                "that the best evaluation has its checkpoint, or set --load_best_model_at_end false."
            )


def _check_ranges(arguments: TrainingArguments) -> None:
    for name in ("per_device_train_batch_size", "per_device_eval_batch_size", "gradient_accumulation_steps"):
        if getattr(arguments, name) < 1:
            raise UserError(f"--{name} is {getattr(arguments, name)}: expected 1 or more.")
    for name in ("seed", "data_seed"):
        if not 0 <= (getattr(arguments, name) or 0) < 2**32:
            raise UserError(f"--{name} is {getattr(arguments, name)}: expected 0 to {2**32 - 1}.")
    if arguments.fp16 and arguments.device.type == "cpu":
        raise UserError("--fp16 would have no effect: it needs an accelerator. --bf16 also works on some CPUs.")
    for name in ("learning_rate", "weight_decay", "num_train_epochs", "max_grad_norm", "dataloader_num_workers"):
        if not getattr(arguments, name) >= 0:
            raise UserError(f"--{name} is {getattr(arguments, name)}: expected 0 or more.")
    if not 0 <= arguments.label_smoothing_factor < 1:
        raise UserError(f"--label_smoothing_factor is {arguments.label_smoothing_factor}: expected 0 up to 1.")


def _check_reporters(reporters: str | list[str]) -> None:
    from hfcls.extras import require

    if "tensorboard" in ([reporters] if isinstance(reporters, str) else reporters):
        require("tensorboard", extra="tensorboard")


def _bf16(wanted: bool | str, *, use_cpu: bool, fp16: bool) -> bool:
    """Whether to compute in bfloat16; ``auto`` says yes on an accelerator that has it."""
    if wanted is False:
        return False
    on_cuda = torch.cuda.is_available() and not use_cpu
    on_cpu = _on_cpu({"use_cpu": use_cpu})
    has = _cpu_has_bf16() if on_cpu else not on_cuda or torch.cuda.is_bf16_supported(including_emulation=False)
    if wanted == "auto":
        return on_cuda and has and not fp16
    if not has:
        raise UserError(
            "--bf16: this hardware has no bfloat16 instructions and would be slower with it. Set --bf16 false."
        )
    return True


def choose_bf16(values: dict[str, Any], model: nn.Module) -> dict[str, Any]:
    """Settles ``--bf16 auto`` for a network on a processor that has bfloat16 instructions.

    It makes most networks 1.2 to 2.1 times as fast there (one thread, AVX512-BF16; batch-normalized networks with
    depthwise convolutions 0.7 to 1.15 times, so that these stay in float32).
    """
    automatic = values.get("bf16") in (None, "auto") and not values.get("fp16")
    if not automatic or not _on_cpu(values):
        return values
    return {**values, "bf16": _cpu_has_bf16() and not (has_depthwise_convolutions(model) and has_batch_norm(model))}


def _on_cpu(values: dict[str, Any]) -> bool:
    return bool(values.get("use_cpu")) or not torch.accelerator.is_available()


def _cpu_has_bf16() -> bool:
    capabilities = torch.cpu.get_capabilities()
    return any(capabilities.get(name) for name in ("avx512_bf16", "amx_bf16", "bf16"))
