"""Predictions that are already there: whether they are of the very same model and images, told by fingerprints."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch

from hfcls.evaluation.fingerprints import classifier_digest, dataset_digest, file_digest, noise_pixels, pixels_digest
from hfcls.files import write_json
from hfcls.models.digest import weights_digest
from hfcls.structures import Predictions

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


def keep_origin(output: Path, split: str, *, classifier: Any, dataset: Any) -> None:
    """Writes beside the predictions of a split which classifier and images they are of; see `same_predictions`.

    Args:
        output: the directory of the predictions.
        classifier: that has made them, alone and as it is.
        dataset: of the split; nothing is written where it does not know its images' contents.
    """
    if dataset.image_keys is None:
        return
    content = {
        **_describe_classifier(classifier),
        "an answer": _answer_to_noise(classifier).tolist(),
        "the predictions": file_digest(output / f"{split}.parquet"),
        "the images": [f"{key:016x}" for key in dataset.image_keys.tolist()],
    }
    write_json(output / f"{split}.origin.json", content)


def unseen_predictions(directory: Path, split: str, *, classifier: Any, dataset: Any) -> Predictions | None:
    """What a run has kept of a split, if it is of this classifier, and of none of the images of another split.

    Args:
        directory: of the run.
        classifier: as it is today.
        dataset: of the other split.

    Returns:
        None as well where that cannot be told, as of a run that has kept predictions alone.
    """
    found = _kept(directory, split, classifier=classifier)
    if found is None or dataset.image_keys is None:
        return None
    predictions, keys = found
    return predictions if set(keys).isdisjoint(dataset.image_keys.tolist()) else None


def same_predictions(directory: Path, split: str, *, classifier: Any, dataset: Any) -> Predictions | None:
    """What a run has kept of a split, if it is of this classifier and the very same images; in the order of `dataset`.

    The labels are those of `dataset`, which may have been mended since.

    Args:
        directory: of the run.
        classifier: as it is today.
        dataset: of the split, with the classes in the order of the logits.

    Returns:
        None as well where that cannot be told.
    """
    found = _kept(directory, split, classifier=classifier)
    if found is None or dataset.image_keys is None:
        return None
    predictions, keys = found
    rows = {sample: row for row, sample in enumerate(zip(predictions.ids, keys, strict=True))}
    wanted = list(zip(dataset.ids, dataset.image_keys.tolist(), strict=True))
    if predictions.class_names != dataset.class_names or len(rows) != len(wanted) or not rows.keys() >= set(wanted):
        return None
    logits = predictions.logits[[rows[sample] for sample in wanted]]
    return Predictions(logits, np.asarray(dataset.labels), dataset.ids, predictions.class_names)


def _kept(directory: Path, split: str, *, classifier: Any) -> tuple[Predictions, list[int]] | None:
    """Predictions of a run with the keys of their images, if they are of this classifier and as they were written."""
    place = directory / "predictions"
    try:
        kept = json.loads((place / f"{split}.origin.json").read_text(encoding="utf-8"))
        same = kept["the predictions"] == file_digest(place / f"{split}.parquet")
        keys = [int(key, 16) for key in kept["the images"]]
        answer = np.asarray(kept["an answer"], np.float32)
    except (OSError, ValueError, KeyError, TypeError):
        return None  # not there, or cut short
    if not same or any(kept.get(name) != value for name, value in _describe_classifier(classifier).items()):
        return None
    if not _alike(answer, _answer_to_noise(classifier)):
        return None
    predictions = Predictions.load(place / f"{split}.parquet")
    return (predictions, keys) if len(keys) == len(predictions) else None


def _describe_classifier(classifier: Any) -> dict[str, str]:
    """What is the same to the bit as soon as a classifier is trained and after it was loaded."""
    return {
        "the weights": weights_digest(classifier.model),
        "the pixels": pixels_digest(noise_pixels(classifier)),
    }


def _answer_to_noise(classifier: Any) -> np.ndarray:
    """Logits of noise, (K,): what configuration, code and libraries make of the weights."""
    model = classifier.model
    device = next(model.parameters()).device
    training = model.training
    model.eval()
    with torch.no_grad():
        logits: np.ndarray = model(pixel_values=noise_pixels(classifier).to(device)).logits[0].float().cpu().numpy()
    model.train(training)
    return logits


def _alike(one: np.ndarray, other: np.ndarray) -> bool:
    """To a thousandth of the largest logit: what threads and devices change, and little else."""
    largest = max(float(np.abs(one).max(initial=0.0)), 1.0)
    return one.shape == other.shape and bool(np.abs(one - other).max(initial=0.0) <= 1e-3 * largest)


def _predictions(output: Path, split: str) -> Path:
    return output / "predictions" / f"{split}.parquet"


def _file(output: Path, split: str) -> Path:
    return output / "predictions" / f"{split}.made_of.json"
