"""What a config.json may say: whoever wrote it, networks are built from nothing but what is here."""

import math
import re
from typing import Any

import torch
from transformers.models.timm_wrapper.configuration_timm_wrapper import TimmWrapperConfig

from hfcls.errors import UserError
from hfcls.networks import Ensemble, EnsembleConfig

# Arguments with which timm takes weights or settings from elsewhere.
_TIMM_SOURCES = frozenset(
    ("model_name", "pretrained", "pretrained_cfg", "pretrained_cfg_overlay", "checkpoint_path", "cache_dir")
)


def check_ensemble(name_or_path: str, config: EnsembleConfig, *, changed: bool) -> None:
    """Whether the members can be built, from nothing but what is here.

    Args:
        changed: other classes, another size or other rates are asked for.

    Raises:
        UserError: the configuration is not as `hfcls.models.build_ensemble` writes it, or something is to be changed.
    """
    if changed:
        raise UserError(
            f"{name_or_path} is an ensemble, which answers as it is: train its members, and make a new one of them."
        )
    members, weights = config.members, config.member_weights
    if not members or not _are_numbers(weights, len(members)) or min(weights or ()) <= 0:
        raise UserError(f"{name_or_path} contradicts itself: its config.json has no members, or not a weight for each.")
    for settings in members:
        if not isinstance(settings, dict) or not isinstance(settings.get("model_type"), str):
            raise UserError(f"{name_or_path} has a member without a model_type in its config.json: none can be built.")
        if "auto_map" in settings or settings.get("model_type") == EnsembleConfig.model_type:
            raise UserError(
                f"{name_or_path} has a member that is an ensemble, or that brings Python code of its own: expected "
                "networks of transformers, timm or hfcls."
            )
    _check_numbers(name_or_path, config)
    try:
        for settings in members:
            if settings["model_type"] == "timm_wrapper":
                check_timm(name_or_path, TimmWrapperConfig(**settings))
        with torch.device("meta"):
            Ensemble(config)
    except UserError:
        raise
    except Exception as error:  # whatever a library makes of settings that it does not know
        reason = " ".join(str(error).split())[:200]
        raise UserError(
            f"The config.json of {name_or_path} has a member that cannot be built ({type(error).__name__}: {reason}): "
            "make the ensemble again."
        ) from None


def _check_numbers(name_or_path: str, config: EnsembleConfig) -> None:
    """The members' orders and inputs, and the scaling.

    Raises:
        UserError: they are not as `EnsembleConfig` has them.
    """
    count, classes = len(config.members or ()), list(range(config.num_labels))

    def is_change(change: Any) -> bool:
        return isinstance(change, dict) and all(_are_numbers(change.get(key), 3) for key in ("scale", "shift"))

    def is_order(order: Any) -> bool:
        return _are_numbers(order, len(classes)) and sorted(order) == classes

    for key, fits in (("member_orders", is_order), ("member_inputs", is_change)):
        given = getattr(config, key)
        right = isinstance(given, list) and len(given) == count and all(one is None or fits(one) for one in given)
        if given is not None and not right:
            raise UserError(f"The {key} in the config.json of {name_or_path} do not fit its members and classes.")
    scaling = (config.logit_scale, config.logit_bias)
    if scaling != (None, None) and not all(_are_numbers(part, len(classes)) for part in scaling):
        raise UserError(f"The config.json of {name_or_path} needs a logit_scale and a logit_bias for each class.")


def _are_numbers(values: Any, count: int) -> bool:
    """Whether this is a list of so many finite numbers."""
    fits = isinstance(values, list) and len(values) == count
    return fits and all(isinstance(one, int | float) and math.isfinite(one) for one in values)


def check_timm(name_or_path: str, config: Any) -> None:
    """The config names a network of timm, and no place to take one from.

    Raises:
        UserError: timm would fetch another repository, or read files that the config names.
    """
    from timm import is_model

    name = config.architecture
    if not (isinstance(name, str) and re.fullmatch(r"[\w.-]+", name, re.ASCII) and is_model(name)):
        raise UserError(
            f"The config.json of {name_or_path} has the architecture {name!r}: expected the name of a network that "
            "this version of timm has, such as 'resnet18', and no other place to take one from."
        )
    leading = sorted(_TIMM_SOURCES & set(config.model_args or ()))
    if leading:
        raise UserError(
            f"The config.json of {name_or_path} has {leading[0]} in its model_args, which can lead to files that are "
            "not its own: expected arguments of the network alone; take it out in a copy of your own, and give that."
        )
