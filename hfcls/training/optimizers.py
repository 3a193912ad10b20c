"""Optimizers by name: Trainer's own beside those of timm's factory."""

from typing import Any

import timm.optim
import torch
from torch import nn
from transformers.training_args import OptimizerNames

from hfcls.errors import UserError, suggest

TRAINER_NAMES = frozenset(name.value for name in OptimizerNames)


def check_optimizer_name(name: str) -> None:
    """Raises a `UserError` where neither Trainer nor timm knows the optimizer."""
    # Second-order ones need another kind of backward pass than Trainer makes.
    usable = {known for known in timm.optim.list_optimizers() if not timm.optim.get_optimizer_info(known).second_order}
    known = sorted(TRAINER_NAMES | usable)
    if name not in known:
        raise UserError(f"Unknown --optim {name!r}.{suggest(name, known)} Choose one of: {', '.join(known)}.")


def parameter_groups(model: nn.Module, weight_decay: float) -> list[dict[str, Any]]:
    """Two groups: weight decay for matrices and kernels; none for biases, norms and what the model itself exempts."""
    exempt = set()
    for prefix, module in model.named_modules():
        if callable(names := getattr(module, "no_weight_decay", None)):
            exempt |= {f"{prefix}.{name}".lstrip(".") for name in names()}
    trained = [(name, p) for name, p in model.named_parameters() if p.requires_grad]
    decayed = [p for name, p in trained if p.ndim > 1 and name not in exempt]
    free = [p for name, p in trained if p.ndim <= 1 or name in exempt]
    groups = [{"params": decayed, "weight_decay": weight_decay}, {"params": free, "weight_decay": 0.0}]
    return [group for group in groups if group["params"]]


def learning_rate_scales(
    stages: list[list[str]], *, layer_decay: float | None = None, head_scale: float = 1.0
) -> dict[str, float]:
    """What the learning rate of each parameter is multiplied with.

    Args:
        stages: parameter names by depth, the classifier head last.
        layer_decay: each stage learns so many times as fast as the one after it, in (0, 1] (Clark et al. 2020, ELECTRA;
            Bao et al. 2022, BEiT); equally fast where None.
        head_scale: for the head.
    """
    decay = 1.0 if layer_decay is None else layer_decay
    top = len(stages) - 1
    scales = {name: decay ** (top - depth) for depth, stage in enumerate(stages) for name in stage}
    return scales | dict.fromkeys(stages[top], head_scale)


def scale_learning_rates(optimizer: torch.optim.Optimizer, scales: dict[nn.Parameter, float]) -> None:
    """Splits the groups of an optimizer that has made no step yet, so that each parameter has a rate of its own.

    The fastest group comes first: its learning rate is the one that Trainer logs.
    """
    split = []
    for group in optimizer.param_groups:
        by_scale: dict[float, list[nn.Parameter]] = {}
        for parameter in group["params"]:
            by_scale.setdefault(scales.get(parameter, 1.0), []).append(parameter)
        split += [{**group, "params": params, "lr": group["lr"] * scale} for scale, params in by_scale.items()]
    # In place: wrappers around an optimizer (lookahead) hold the same list.
    optimizer.param_groups[:] = sorted(split, key=lambda group: -group["lr"])


def build_timm_optimizer(
    model: nn.Module, name: str, *, learning_rate: float, weight_decay: float, optim_args: str | None
) -> torch.optim.Optimizer:
    """An optimizer of timm's factory (``sgd`` is Trainer's; timm's SGD with momentum 0.9 goes by ``nesterov``).

    Args:
        optim_args: ``key=value,...`` for the optimizer's constructor.

    Raises:
        UserError: the optimizer refuses the arguments or needs a package that is not there.
    """
    try:
        options = dict(pair.split("=") for pair in (optim_args or "").replace(" ", "").split(",") if pair)
        options = {key: _number(value) for key, value in options.items()}
        return timm.optim.create_optimizer_v2(
            parameter_groups(model, weight_decay), opt=name, lr=learning_rate, weight_decay=weight_decay, **options
        )
    except (TypeError, ValueError, AssertionError, ImportError) as error:
        raise UserError(f"--optim {name} with --optim_args {optim_args or ''!r} is refused: {error}.") from None


def _number(text: str) -> Any:
    lowered = text.strip().lower()
    if lowered in {"true", "false"}:
        return lowered == "true"
    try:
        return float(text)
    except ValueError:
        return text
