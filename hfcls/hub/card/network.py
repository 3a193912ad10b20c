"""The network of a run, read from its files; nothing is loaded."""

import json
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hfcls.catalogue import CATALOGUE, Entry
from hfcls.errors import UserError
from hfcls.escaping import terminal_text
from hfcls.hub.card.markdown import inline
from hfcls.hub.card.run import read_json
from hfcls.hub.paths import last_part
from hfcls.pull import is_repo_id

# What the architecture of an ensemble begins with; see `hfcls.models.ensemble.describe_members`.
ENSEMBLE = "ensemble of "


@dataclass(frozen=True)
class Network:
    """What the weights belong to.

    Attributes:
        name: of the architecture.
        library: ``transformers`` or ``timm``.
        code: names of the Python files that come with the weights; empty where transformers knows the network.
        image_size: height and width in pixels, where known.
        parameters: weights and biases, where known.
        entry: its row in the catalogue, where there is one.
        labels: class names in the order of the logits.
    """

    name: str
    library: str
    code: tuple[str, ...]
    image_size: tuple[int, int] | None
    parameters: int | None
    entry: Entry | None
    labels: tuple[str, ...]


def read_network(run_dir: Path) -> Network:
    """Reads ``config.json`` and what lies beside it; loads nothing.

    Raises:
        UserError: it is not what a run writes.
    """
    config = read_json(run_dir / "config.json")
    processor = read_json(run_dir / "preprocessor_config.json")
    timm = config.get("model_type") == "timm_wrapper"
    name = config.get("architecture") or (config.get("architectures") or [config.get("model_type", "network")])[0]
    code = tuple(sorted(file.name for file in run_dir.glob("*.py")))
    own = config.get("auto_map") or processor.get("auto_map")
    names = config.get("label_names") or [label for _, label in sorted(_id2label(config).items())]
    entry = CATALOGUE.get(name) or next((row for row in CATALOGUE.values() if row.source_name == name), None)
    return Network(
        str(name),
        "timm" if timm and not own else "transformers",
        code if own else (),
        _image_size(config, processor),
        count_parameters(run_dir / "model.safetensors"),
        entry,
        tuple(map(str, names)),
    )


def count_parameters(weights: Path) -> int | None:
    """Weights and biases in a safetensors file, read from its header; None where it can't be."""
    try:
        with weights.open("rb") as file:
            (length,) = struct.unpack("<Q", file.read(8))
            header = json.loads(file.read(length)) if length < 100_000_000 else {}
    except (OSError, ValueError, struct.error):
        return None
    total = 0
    for key, tensor in header.items():
        if key == "__metadata__" or key.endswith(("running_mean", "running_var", "num_batches_tracked")):
            continue
        size = 1
        for side in tensor["shape"]:
            size *= side
        total += size
    return total or None


def base_model_of(settings: dict[str, Any], network: Network) -> str | None:
    """The Hub id that the weights started from, where the settings tell."""
    name = settings.get("model_name_or_path")
    if name:
        place = str(name)
        repo_id = place.partition("@")[0]
        return repo_id if is_repo_id(repo_id) and not Path(place).exists() else None
    return network.entry.checkpoint if settings.get("pretrained") and network.entry else None


def started_from(settings: dict[str, Any], base_model: str | None) -> str:
    """From which weights, in words."""
    if base_model:
        return f"the weights of {inline(base_model)}"
    if place := settings.get("weights") or settings.get("model_name_or_path"):
        return f"the weights in {inline(last_part(str(place)))}"
    return "random weights"


def _image_size(config: dict[str, Any], processor: dict[str, Any]) -> tuple[int, int] | None:
    timm_size = (config.get("pretrained_cfg") or {}).get("input_size")
    if timm_size:
        return int(timm_size[-2]), int(timm_size[-1])
    size = processor.get("crop_size") if processor.get("do_center_crop") else processor.get("size")
    size = size or config.get("image_size")
    if isinstance(size, dict):
        edge = size.get("shortest_edge")
        size = [size.get("height", edge), size.get("width", edge)]
    if isinstance(size, int):
        size = [size, size]
    return (int(size[0]), int(size[1])) if isinstance(size, list) and all(size) else None


def _id2label(config: dict[str, Any]) -> dict[int, str]:
    labels = config.get("id2label") or {}
    if odd := [index for index in labels if not index.isdecimal()]:
        raise UserError(
            f"config.json: id2label has {terminal_text(odd[0])[:60]!r}: expected the numbers of the classes."
        )
    return {int(index): label for index, label in labels.items()}
