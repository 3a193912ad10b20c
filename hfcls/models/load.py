"""From a Hub id, a directory or a weights file to a classifier with the wanted classes."""

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import nn
from transformers import (
    AutoConfig,
    AutoImageProcessor,
    AutoModelForImageClassification,
    PreTrainedModel,
    ViTImageProcessor,
)
from transformers.utils import logging as transformers_logging

from hfcls.errors import UserError
from hfcls.models.architectures import Classifier, names_of, set_names
from hfcls.models.features import find_heads
from hfcls.models.rates import set_rates
from hfcls.models.sizes import change_size

transformers_logging.disable_progress_bar()


def load_classifier(
    name_or_path: str,
    *,
    class_names: tuple[str, ...] | None = None,
    trust_remote_code: bool = False,
    allow_pickle: bool = False,
    image_size: int | None = None,
    dropout: float | None = None,
    drop_path: float | None = None,
) -> Classifier:
    """Loads a checkpoint; replaces its head where the classes differ.

    Args:
        name_or_path: a Hub id or a directory: transformers, timm or ours.
        class_names: K names; the checkpoint's own where None. With the same names in the same
            order the head is kept, otherwise it starts anew.
        trust_remote_code: run Python files that come with the checkpoint.
        allow_pickle: also read weights that are not safetensors.
        image_size: height and width in pixels to work at; the checkpoint's own where None.
        dropout, drop_path: as `build_classifier` has them; the checkpoint's own where None.

    Raises:
        UserError: not found, not an image classifier, unsafe, only partly loadable, or the network cannot take that
            size or has no such dropout.
    """
    config = _load_config(name_or_path, trust_remote_code)
    set_rates(config, name_or_path, dropout=dropout, drop_path=drop_path, trust_remote_code=trust_remote_code)
    keep_head = class_names is None or class_names == names_of(config)
    if class_names is not None:
        set_names(config, class_names)
    try:
        model, loading = AutoModelForImageClassification.from_pretrained(
            name_or_path,
            config=config,
            dtype=torch.float32,
            ignore_mismatched_sizes=not keep_head,
            output_loading_info=True,
            trust_remote_code=trust_remote_code,
            use_safetensors=None if allow_pickle else True,
        )
    except (OSError, ValueError, RuntimeError, SafetensorError, ImportError) as error:
        raise UserError(_why_not(name_or_path, error)) from None
    heads = find_heads(model)
    _check_loaded(name_or_path, loading, heads, keep_head)
    notices = []
    if not keep_head:
        for head in heads.values():
            nn.init.normal_(head.weight, std=0.02)
            if head.bias is not None:
                nn.init.zeros_(head.bias)
        notices.append(f"The head of {name_or_path} was replaced by a new one for {config.num_labels} classes.")
    processor, notice = _load_image_processor(name_or_path, config, trust_remote_code)
    if image_size is not None:
        model, processor = change_size(model, processor, image_size, name=name_or_path)
    return Classifier(model, processor, tuple(notices + notice))


def load_weights(classifier: Classifier, file: str) -> tuple[str, ...]:
    """Puts a safetensors file into a classifier; a head of other classes is left out.

    Keys are those of the network itself; for networks of timm and torchvision, those of the library.

    Returns:
        Notices for the user.

    Raises:
        UserError: the file is missing, damaged, or does not fit the network.
    """
    try:
        tensors = load_file(file)
    except (OSError, SafetensorError) as error:
        raise UserError(f"{file} is not a readable safetensors file: {error}.") from None
    model: PreTrainedModel = classifier.model
    timm = model.config.model_type == "timm_wrapper"
    prefix = "timm_model." if timm else getattr(model, "weights_prefix", "")
    tensors = {key if key.startswith(prefix) else prefix + key: value for key, value in tensors.items()}
    unwanted = re.compile("|".join(getattr(model, "_keys_to_ignore_on_load_unexpected", None) or ["(?!)"]))
    tensors = {key: value for key, value in tensors.items() if not unwanted.match(key)}
    expected = model.state_dict()
    head_keys = {f"{name}.{part}" for name in find_heads(model) for part in ("weight", "bias")}
    misfit = [k for k, v in tensors.items() if k not in expected or v.shape != expected[k].shape]
    missing = [k for k in expected if k not in tensors and not k.endswith("num_batches_tracked")]
    wrong = [key for key in [*misfit, *missing] if key not in head_keys]
    if wrong:
        raise UserError(
            f"{file} does not fit {_kind(model)}: {len(wrong)} tensors are missing, unknown or of another shape, "
            f"such as {wrong[0]!r}. Give the architecture that the file was saved from."
        )
    model.load_state_dict({k: v for k, v in tensors.items() if k not in misfit}, strict=False)
    return (f"The head in {file} has other classes: it starts anew.",) if misfit or missing else ()


def _kind(model: PreTrainedModel) -> str:
    return getattr(model.config, "architecture", None) or type(model).__name__


def _load_config(name_or_path: str, trust_remote_code: bool) -> Any:
    try:
        config = AutoConfig.from_pretrained(name_or_path, trust_remote_code=trust_remote_code)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(_why_not(name_or_path, error)) from None
    if sorted(config.id2label) != list(range(config.num_labels)):
        raise UserError(
            f"{name_or_path} contradicts itself: its config.json names {len(config.id2label)} classes "
            f"for {config.num_labels} outputs. Mend id2label and num_labels there."
        )
    return config


def _why_not(name_or_path: str, error: Exception) -> str:
    """One sentence out of what transformers says at length."""
    text = str(error)
    if "trust_remote_code" in text:
        return (
            f"{name_or_path} comes with Python code of its own, which is not run unless you trust it: "
            "read that code, then add --trust_remote_code."
        )
    path = Path(name_or_path)
    if path.is_dir() and not (path / "config.json").is_file():
        return f"{name_or_path} holds no config.json: expected a directory that save_pretrained wrote."
    if path.is_dir() and not list(path.glob("*.safetensors*")):
        return f"{name_or_path} holds no safetensors weights; weights in pickle files need --allow_pickle."
    if not path.exists() and (path.is_absolute() or name_or_path.startswith(".") or name_or_path.count("/") != 1):
        return f"The model {name_or_path} does not exist: expected a directory or a Hub id such as user/name."
    if not path.exists():
        return (
            f"The model {name_or_path} is neither a directory here nor to be had from the Hub "
            "(no such repository, no access, or no network): where there is a network, run "
            f"`hf download {name_or_path} --local-dir DIR`, and give DIR in its place."
        )
    return (
        f"{name_or_path} cannot be loaded as an image classifier: {text.strip().splitlines()[0] if text else error!r}"
    )


def _check_loaded(name_or_path: str, loading: dict, heads: Iterable[str], keep_head: bool) -> None:
    """Only the head may be new: a checkpoint that loads in part is an error, not a warning."""
    new = [*loading["missing_keys"], *(entry[0] for entry in loading["mismatched_keys"])]
    # A head can be more than its last layer (normalization, dropout): all below its parent may be new, unless
    # that parent is the whole network.
    parents = {name: name.rpartition(".")[0] for name in heads}
    tops = [name if parent in {"", "timm_model"} else parent for name, parent in parents.items()]
    allowed = () if keep_head else tuple(f"{name}." for name in tops)
    wrong = [key for key in new if not key.startswith(allowed)]
    if wrong:
        raise UserError(
            f"{name_or_path} does not hold a whole network: {len(wrong)} tensors are missing or of another shape, "
            f"such as {wrong[0]!r}."
        )


def _load_image_processor(name_or_path: str, config: Any, trust_remote_code: bool) -> tuple[Any, list[str]]:
    try:
        return AutoImageProcessor.from_pretrained(name_or_path, trust_remote_code=trust_remote_code), []
    except (OSError, ValueError, ImportError):
        size = getattr(config, "image_size", 224)
        height, width = (size, size) if isinstance(size, int) else tuple(size)
        processor = ViTImageProcessor(
            size={"height": height, "width": width}, image_mean=[0.5] * 3, image_std=[0.5] * 3
        )
        return processor, [
            f"{name_or_path} holds no preprocessor_config.json: images are resized to {height}x{width} "
            "and scaled to [-1, 1]."
        ]
