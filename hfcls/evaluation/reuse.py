"""An evaluation that is already there: of the very same model, images and batches, told by fingerprints."""

import json
from pathlib import Path
from typing import Any

import torch

from hfcls.evaluation.fingerprints import classifier_digest, dataset_digest, file_digest
from hfcls.files import write_json

# Of the figures: one more whenever one of them is computed in another way, so that none is taken from before.
_FORM = 1


def describe_making(
    classifier: Any, dataset: Any, *, split: str, batch_size: int, device: torch.device
) -> dict[str, Any]:
    """What the predictions of a split and their figures hang on, ready for JSON."""
    return {
        "form": _FORM,
        "the model": classifier_digest(classifier),
        "the images": dataset_digest(dataset),
        "split": split,
        "--per_device_eval_batch_size": batch_size,
        "the device": device.type,
        "torch": torch.__version__,
    }


def keep_making(output: Path, split: str, making: dict[str, Any]) -> None:
    """Writes beside the predictions of a split what they hang on, and their digest."""
    write_json(_file(output, split), {**making, "the predictions": file_digest(_predictions(output, split))})


def earlier_evaluation(
    output: Path, making: dict[str, Any], *, prefix: str
) -> tuple[dict[str, Any], dict[str, Any]] | None:
    """What ``metrics.json`` and ``PREFIX_results.json`` hold, if they were made of the same; else None.

    Args:
        output: of the evaluation.
        making: of `describe_making`.
        prefix: of flat figures.
    """
    split = making["split"]
    try:
        kept = json.loads(_file(output, split).read_text(encoding="utf-8"))
        digest = file_digest(_predictions(output, split))
        content = json.loads((output / "metrics.json").read_text(encoding="utf-8"))
        flat = json.loads((output / f"{prefix}_results.json").read_text(encoding="utf-8"))
        whole = kept == {**making, "the predictions": digest} and content["splits"].keys() == {split}
        whole = whole and bool(content["speed"])
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None  # not there, or cut short: it is made anew
    return (content, flat) if whole else None


def _predictions(output: Path, split: str) -> Path:
    return output / "predictions" / f"{split}.parquet"


def _file(output: Path, split: str) -> Path:
    return output / "predictions" / f"{split}.made_of.json"
