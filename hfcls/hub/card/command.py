"""The one command that makes a run again."""

import json
import shlex
from typing import Any

from hfcls.arguments import TRAIN_ARGUMENTS, AugmentationArguments
from hfcls.hub.paths import PLACE_FLAGS, is_place, last_part
from hfcls.parsing import flags_of, training_flags

# What follows from other flags or from the machine, and what changes no weight.
_LEFT_OUT = frozenset(
    (
        *("output_dir", "greater_is_better", "dataloader_pin_memory", "dataloader_num_workers", "use_cpu", "project"),
        *("accelerator_config", "trust_remote_code", "disable_tqdm", "log_level", "log_level_replica", "run_name"),
        *("overwrite_output_dir", "resume_from_checkpoint", "save_total_limit", "cache_gb", "figures", "report_to"),
    )
)
# Where these are not given, a training chooses them anew.
_CHOSEN = frozenset(("learning_rate", "num_train_epochs", "label_smoothing_factor", "seed"))


def reproducing_command(settings: dict[str, Any], *, processes: int = 1) -> str:
    """The command line, with the last part of each local path in its place.

    Args:
        settings: ``run.yaml``.
        processes: in how many it ran.
    """
    defaults = {flag.name: flag.default for cls in TRAIN_ARGUMENTS for flag in flags_of(cls)}
    dials = {flag.name for flag in flags_of(AugmentationArguments)}
    defaults |= {flag.name: flag.default for flag in training_flags()}
    combined = settings.get("members") or []
    words: list[str] = [_shown("members", [last_part(str(m)) if is_place(str(m)) else m for m in combined])]
    words = [*words, f"--method {_shown('method', settings.get('method'))}"] if combined else []
    for name, value in settings.items():
        chosen = name in _CHOSEN or name in dials
        if name in _LEFT_OUT or name not in defaults or ((value or None) == (defaults[name] or None) and not chosen):
            continue
        if _idle(name, value, settings):
            continue
        words.append(f"--{name} {_shown(name, value)}")
    if settings.get("trust_remote_code"):
        words.append("--trust_remote_code")
    start = "hfcls ensemble" if combined else "hfcls train"
    if processes > 1:
        start = f"torchrun --standalone --nproc_per_node {processes} -m hfcls train"
    return " \\\n  ".join([start, *_lines(words), "--output_dir runs/again"])


def _idle(name: str, value: Any, settings: dict[str, Any]) -> bool:
    """Whether a training does without being told."""
    if name == "num_train_epochs":
        return settings.get("max_steps", -1) > 0
    if name == "label_smoothing_factor" and not value:
        return not (settings.get("pretrained") or settings.get("model_name_or_path") or settings.get("weights"))
    return name == "optim" and value == "adamw_torch_fused"


def _shown(name: str, value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict):
        return shlex.quote(json.dumps(value))
    if isinstance(value, list):
        return " ".join(shlex.quote(str(item)) for item in value)
    text = str(value)
    return shlex.quote(last_part(text) if name in PLACE_FLAGS and is_place(text) else text)


def _lines(words: list[str], *, width: int = 100) -> list[str]:
    """Flags joined to lines of a readable length."""
    lines: list[str] = []
    for word in words:
        if lines and len(lines[-1]) + len(word) < width:
            lines[-1] += f" {word}"
        else:
            lines.append(word)
    return lines
