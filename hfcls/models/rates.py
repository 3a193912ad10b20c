"""Dropout and stochastic depth, by the name that each family has for them."""

from copy import deepcopy
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from transformers import AutoModelForImageClassification

from hfcls.errors import UserError

# flag: timm's argument; the attributes of other configs, the first that is there.
_PARAMETERS: dict[str, tuple[str, tuple[str, ...]]] = {
    "dropout": (
        "drop_rate",
        ("dropout", "hidden_dropout_prob", "classifier_dropout_prob", "classifier_dropout", "dropout_rate"),
    ),
    "drop_path": ("drop_path_rate", ("drop_path_rate", "drop_connect_rate")),
}
_MEANING = {"dropout": "dropout", "drop_path": "stochastic depth"}


def set_rates(
    config: Any,
    name: str,
    *,
    dropout: float | None,
    drop_path: float | None,
    trust_remote_code: bool = False,
) -> None:
    """Writes the rates into a config, before the network is built from it.

    Args:
        name: what the user calls the network.
        trust_remote_code: run Python files that come with a checkpoint.
        dropout: probability of dropping a unit, in [0, 1); left as it is where None.
        drop_path: probability of skipping a residual block (Huang et al. 2016, Deep networks with stochastic depth);
            left as it is where None.

    Raises:
        UserError: out of range, or the network has no such thing.
    """
    for flag, rate in (("dropout", dropout), ("drop_path", drop_path)):
        if rate is None:
            continue
        if not 0 <= rate < 1:
            raise UserError(f"--{flag} is {rate}: expected 0 or more and less than 1.")
        if not _has_effect(config, flag, trust_remote_code):
            raise UserError(f"--{flag} would have no effect: {name} has no {_MEANING[flag]}.")
        _set(config, flag, rate)


def _set(config: Any, flag: str, rate: float) -> bool:
    """Writes one rate; False where the config has no place for it."""
    timm_name, attributes = _PARAMETERS[flag]
    if config.model_type == "timm_wrapper":
        config.model_args = {**(config.model_args or {}), timm_name: rate}
        return True
    found = next((attribute for attribute in attributes if hasattr(config, attribute)), None)
    if found is not None:
        setattr(config, found, rate)
    return found is not None


def _has_effect(config: Any, flag: str, trust_remote_code: bool) -> bool:
    """Whether a training pass draws more random numbers at a rate above 0 than at 0.

    The networks are built without memory and pass shapes alone: an argument that a constructor takes and forgets is
    found out like one that it does not take.
    """
    counts = []
    for rate in (0.0, 0.5):
        changed = deepcopy(config)
        if not _set(changed, flag, rate):
            return False
        side = _side(changed)
        try:
            with torch.device("meta"):
                model = AutoModelForImageClassification.from_config(
                    changed, trust_remote_code=trust_remote_code
                ).train()
                with _CountDraws() as counter, torch.no_grad():
                    model(torch.empty(2, getattr(changed, "num_channels", 3), side, side))
        except TypeError:
            return False
        counts.append(counter.count)
    return counts[1] > counts[0]


def _side(config: Any) -> int:
    if config.model_type == "timm_wrapper":
        return config.pretrained_cfg["input_size"][-1]
    size = getattr(config, "image_size", 224)
    return size if isinstance(size, int) else size[0]


class _CountDraws(TorchDispatchMode):
    """Counts the operations that draw random numbers."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.count += any(word in func.name() for word in ("dropout", "bernoulli", "rand"))
        return func(*args, **(kwargs or {}))
