"""What a card says of the training: the arguments that matter, all of them, and what they ran on."""

import re
from typing import Any

from hfcls.arguments import AugmentationArguments
from hfcls.evaluation.measured_run import MeasuredRun
from hfcls.hub.card.markdown import fence, fold, inline
from hfcls.hub.card.network import started_from
from hfcls.hub.paths import hide_places_in, is_place, last_part
from hfcls.parsing import dump_yaml, flags_of

_SECRET = re.compile(r"(^|_)(token|password|secret|api_key)$", re.IGNORECASE)


def training_rows(run: MeasuredRun, training: dict[str, Any], base: str | None) -> list[list[str]]:
    """What a reader wants to know first of a training: names and values, Markdown."""
    settings, state = run.settings, run.trainer_state
    processes = int(training.get("processes") or 1)
    rows = _combined_rows(settings) if settings.get("members") else _trained_rows(run, base, processes)
    if training.get("precision"):
        rows.append(["precision", inline(str(training["precision"]))])
    hardware = training.get("hardware") or run.speed.get("hardware")
    if hardware:
        rows.append(["hardware", inline(str(hardware)) + (f", {processes} processes" if processes > 1 else "")])
    if run.speed.get("train_runtime"):
        rows.append(["time", describe_seconds(float(run.speed["train_runtime"]))])
    if training.get("finished"):
        rows.append(["finished", inline(str(training["finished"]))])
    if state.get("best_global_step") and settings.get("load_best_model_at_end"):
        metric = inline(str(settings.get("metric_for_best_model", "")).removeprefix("eval_"))
        rows.append(["kept", f"step {state['best_global_step']:,}, the best {metric} on validation"])
    return [row for row in rows if row[1]]


def _combined_rows(settings: dict[str, Any]) -> list[list[str]]:
    """Of a model that `hfcls ensemble` has made of others."""
    members = [last_part(str(member)) if is_place(str(member)) else str(member) for member in settings["members"]]
    return [
        ["made of", ", ".join(inline(member) for member in members)],
        ["combined by", inline(str(settings.get("method", "")).replace("_", " "))],
    ]


def _trained_rows(run: MeasuredRun, base: str | None, processes: int) -> list[list[str]]:
    """Of a training."""
    settings = run.settings
    rows = [["begun with", started_from(settings, base)], ["length", _length(run)]]
    batch = settings.get("per_device_train_batch_size")
    if batch:
        steps = int(settings.get("gradient_accumulation_steps") or 1)
        parts = [f"{batch:,}", *([f"{processes} processes"] if processes > 1 else [])]
        rows.append(["batch", " × ".join([*parts, *([f"{steps} accumulated"] if steps > 1 else [])])])
    if settings.get("learning_rate") is not None:
        schedule = inline(str(settings.get("lr_scheduler_type", "")))
        rows.append(["learning rate", f"{settings['learning_rate']:g} at its peak, {schedule} schedule"])
    rows.append(
        ["optimizer", f"{inline(str(settings.get('optim', '')))}, weight decay {settings.get('weight_decay', 0):g}"]
    )
    if settings.get("label_smoothing_factor"):
        rows.append(["label smoothing", f"{settings['label_smoothing_factor']:g}"])
    if settings.get("freeze", "none") != "none":
        rows.append(["frozen", inline(str(settings["freeze"]))])
    if settings.get("lora_rank"):
        rows.append(["adapters", f"LoRA of rank {settings['lora_rank']}, merged into the weights"])
    rows.append(["augmentation", _augmentation(settings)])
    rows.append(["seed", str(settings.get("seed", ""))])
    return rows


def resolved_arguments(run: MeasuredRun) -> str:
    """``run.yaml`` without paths of this machine and without secrets."""
    kept = {key: value for key, value in run.settings.items() if key != "output_dir"}
    shown = {
        key: "(hidden)" if _SECRET.search(str(key)) and value else hide_places_in(value, run.settings)
        for key, value in kept.items()
    }
    return fold("All arguments, resolved", fence(dump_yaml(shown), "yaml"))


def describe_seconds(seconds: float) -> str:
    """``25 s``, ``8 min 13 s``, ``2 h 3 min``."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def _length(run: MeasuredRun) -> str:
    steps, epochs = run.trainer_state.get("global_step"), run.trainer_state.get("epoch")
    if not steps:
        return ""
    told = f"{steps:,} step{'' if steps == 1 else 's'}"
    return f"{epochs:.3g} epoch{'' if epochs == 1 else 's'}, {told}" if epochs else told


def _augmentation(settings: dict[str, Any]) -> str:
    names = [flag.name for flag in flags_of(AugmentationArguments)]
    told = [f"{one.replace('_', ' ')} {inline(str(settings[one]))}" for one in names if settings.get(one)]
    return ", ".join(told) or "none"
