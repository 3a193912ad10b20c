"""From a Hub id, a directory or a weights file to a classifier with the wanted classes."""

import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch
from huggingface_hub.errors import StrictDataclassError
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
from hfcls.models.config_checks import check_ensemble, check_timm
from hfcls.models.features import find_heads
from hfcls.models.rates import set_rates
from hfcls.models.sizes import change_size
from hfcls.networks import EnsembleConfig
from hfcls.pull import commit_of, local_model

transformers_logging.disable_progress_bar()


def load_classifier(
    name_or_path: str,
    *,
    directory: Path | None = None,
    class_names: tuple[str, ...] | None = None,
    trust_remote_code: bool = False,
    allow_pickle: bool = False,
    image_size: int | None = None,
    dropout: float | None = None,
    drop_path: float | None = None,
) -> Classifier:
    """Loads a checkpoint; replaces its head where the classes differ.

    Args:
        name_or_path: a directory or a Hub id (``user/name`` or ``user/name@revision``): transformers, timm or ours.
        directory: where `local_model` has put it, if it has.
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
    directory = directory or local_model(name_or_path, allow_pickle=allow_pickle)
    config = _load_config(name_or_path, directory, trust_remote_code)
    if config.model_type == EnsembleConfig.model_type:
        check_ensemble(
            name_or_path, config, changed=(class_names, image_size, dropout, drop_path) != (None, None, None, None)
        )
    set_rates(config, name_or_path, dropout=dropout, drop_path=drop_path, trust_remote_code=trust_remote_code)
    keep_head = class_names is None or class_names == names_of(config)
    if class_names is not None:
        set_names(config, class_names)
    try:
        model, loading = AutoModelForImageClassification.from_pretrained(
            directory,
            config=config,
            dtype=torch.float32,
            ignore_mismatched_sizes=not keep_head,
            output_loading_info=True,
            trust_remote_code=trust_remote_code,
            use_safetensors=None if allow_pickle else True,
        )
    except (OSError, ValueError, RuntimeError, SafetensorError, ImportError) as error:
        raise UserError(_why_not(name_or_path, directory, error)) from None
    heads = find_heads(model)
    _check_loaded(name_or_path, loading, heads, keep_head)
    notices = []
    if not keep_head:
        for head in heads.values():
            nn.init.normal_(head.weight, std=0.02)
            if head.bias is not None:
                nn.init.zeros_(head.bias)
        notices.append(f"The head of {name_or_path} was replaced by a new one for {config.num_labels} classes.")
    processor, notice = _load_image_processor(name_or_path, directory, config, trust_remote_code)
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


def _load_config(name_or_path: str, directory: Path, trust_remote_code: bool) -> Any:
    if trust_remote_code:
        _check_code(name_or_path, directory)
    try:
        config = AutoConfig.from_pretrained(directory, trust_remote_code=trust_remote_code)
    except (OSError, ValueError, KeyError, TypeError, StrictDataclassError) as error:
        raise UserError(_why_not(name_or_path, directory, error)) from None
    # A choice of kernels can lead to code on the Hub; the default computes the same.
    config._attn_implementation = config._experts_implementation = None
    if config.model_type == "timm_wrapper":
        check_timm(name_or_path, config)
    if sorted(config.id2label) != list(range(config.num_labels)):
        raise UserError(
            f"{name_or_path} contradicts itself: its config.json names {len(config.id2label)} classes "
            f"for {config.num_labels} outputs. Mend id2label and num_labels there."
        )
    return config


def _check_code(name_or_path: str, directory: Path) -> None:
    """Code that is to be run comes with the weights, from the same commit.

    Raises:
        UserError: a repository of the Hub takes it from elsewhere, where it can change at any time.
    """
    for file in (directory / "config.json", directory / "preprocessor_config.json") if commit_of(directory) else ():
        try:
            places = json.loads(file.read_text(encoding="utf-8")).get("auto_map") or {}
        except (OSError, ValueError, AttributeError):
            continue
        foreign = re.search(r"[\w.-]+/[\w.-]+--", json.dumps(places))
        if foreign:
            raise UserError(
                f"{file.name} of {name_or_path} takes its Python code from another repository, "
                f"{foreign[0].removesuffix('--')}, at no fixed commit: fetch both into one directory, name the files "
                "under auto_map without their repository, and give that directory."
            )


def _why_not(name_or_path: str, directory: Path, error: Exception) -> str:
    """One sentence out of what transformers says at length."""
    text = str(error)
    commit = commit_of(directory)
    if "trust_remote_code" in text:
        whose = f"{name_or_path.partition('@')[0]} at commit {commit[:12]}" if commit else name_or_path
        return (
            f"{name_or_path} comes with Python code of its own, which is not run unless you trust it: "
            f"--trust_remote_code would run the .py files of {whose} on this machine, with all that you may do here; "
            f"read them first, in {directory}."
        )
    if not (directory / "config.json").is_file():
        return f"{name_or_path} holds no config.json: expected a directory that save_pretrained wrote."
    if not list(directory.glob("*.safetensors*")):
        pickles = sorted(file.name for file in directory.glob("*.bin"))
        what = f"{pickles[0]} is a pickle, which" if pickles else "weights in pickle files"
        needs = "can run code when it is read: it needs" if pickles else "need"
        return f"{name_or_path} holds no safetensors weights; {what} {needs} --allow_pickle."
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


def _load_image_processor(
    name_or_path: str, directory: Path, config: Any, trust_remote_code: bool
) -> tuple[Any, list[str]]:
    try:
        return AutoImageProcessor.from_pretrained(directory, trust_remote_code=trust_remote_code), []
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
