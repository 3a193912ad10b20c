"""What an evaluation learns and says of trust: calibration, groups, and a copy of the model that is calibrated."""

import json
from collections.abc import Sequence
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from datasets import Dataset

from hfcls.command_arguments import EvaluateArguments
from hfcls.data.transforms import Preprocessing
from hfcls.errors import UserError
from hfcls.evaluation.comparing import measure_groups
from hfcls.evaluation.fingerprints import image_digests
from hfcls.evaluation.trusted import measure_trust, trust_of
from hfcls.models import Classifier, save_classifier
from hfcls.models.digest import weights_digest
from hfcls.models.folding import fold_scaling
from hfcls.structures import Predictions
from hfcls.uncertainty.learning import fit_trust
from hfcls.uncertainty.trust import CALIBRATION, Trust

# Fewer say nothing of the rest.
FEWEST = 20
# Of each class, for two numbers each: a half of them is kept for the sets.
FEWEST_OF_A_CLASS = 10


def check_calibrating(model: str, arguments: EvaluateArguments) -> None:
    """Whether there is a place to keep what is learned.

    Raises:
        UserError: there is not.
    """
    if arguments.calibrate and not Path(model).is_dir():
        raise UserError(f"--calibrate writes beside the weights, and {model} is no directory: fetch it first.")
    if arguments.calibrate and arguments.split == "train":
        raise UserError(
            "--calibrate on the images that the model learned from would find it too sure of itself: give --split "
            "validation, or other images with --split test --test_dir."
        )
    if arguments.calibrate and arguments.tta != "none":
        raise UserError("--calibrate is for the model's own answers: leave --tta out.")
    if arguments.folded_dir and Path(arguments.folded_dir).exists():
        raise UserError(f"--folded_dir {arguments.folded_dir} exists: choose a new place.")


def check_known_trust(directory: Path, classifier: Classifier, arguments: EvaluateArguments, *, data: str = "") -> None:
    """Whether what was learned before can be used, or anew from these images; told before all are worked through.

    Args:
        directory, classifier: of the model.
        arguments: what was asked for.
        data: fingerprint of the split.

    Raises:
        UserError: it cannot be read, there is none and nothing is to be learned, or the model learned from the images.
    """
    if arguments.calibrate:
        if data and data == fingerprint_of(_summary(directory), "train"):
            raise UserError(
                "--calibrate was given the very images that the model learned from, which would find it too sure of "
                "itself: name others."
            )
        return
    if trust_of(classifier, directory) is None and arguments.folded_dir:
        raise UserError("--folded_dir needs a calibration: give --calibrate as well, or before.")


def trusted_figures(
    directory: Path,
    classifier: Classifier,
    predictions: Predictions,
    arguments: EvaluateArguments,
    parts: Sequence[str] | None = None,
    *,
    data: str = "",
    images: Sequence[str] = (),
) -> dict[str, Any]:
    """Learns what was asked for, and measures what is known by now.

    Args:
        directory: of the model.
        classifier: the same, loaded.
        predictions: of the split.
        arguments: what was asked for.
        parts: of each sample the value in the column that ``--by`` names.
        data: fingerprint of the split.
        images: of each of its images the digest; see `hfcls.evaluation.fingerprints.image_digests`.

    Returns:
        ``trust``, of the images that the model's calibration was not learned from, where there is one and are such;
        ``by`` where parts were asked for.
    """
    found: dict[str, Any] = {}
    if arguments.calibrate:
        learn_trust(
            directory,
            predictions,
            split=arguments.split,
            scaling=arguments.calibrate,
            data=data,
            images=images,
            weights=weights_digest(classifier.model),
        )
    # That it is left out was said at the start.
    trust = trust_of(classifier, directory, say=lambda _: None)
    if trust is not None and arguments.tta == "none":
        fresh = predictions.only(trust.is_fresh(images, data=data, split=arguments.split)).known
        if len(fresh) and np.isfinite(fresh.logits).all():
            found["trust"] = measure_trust(fresh, trust)
    if arguments.folded_dir:
        assert trust is not None  # see check_known_trust
        save_folded(classifier, trust, Path(arguments.folded_dir))
    if parts is not None:
        found["by"] = {"column": arguments.by, **measure_groups(predictions, parts)}
    return found


def learn_trust(
    directory: Path,
    predictions: Predictions,
    *,
    split: str,
    scaling: str = "temperature",
    data: str = "",
    images: Sequence[str] = (),
    weights: str = "",
) -> Trust:
    """Fits ``calibration.json`` on predictions, and keeps it beside the model; see `fit_trust`.

    Raises:
        UserError: they are too few, of a class for a vector, or the model's outputs are not numbers.
    """
    if len(predictions.known) < FEWEST:
        raise UserError(
            f"{len(predictions.known)} images with known classes are too few to learn from how far answers can be "
            f"trusted: expected {FEWEST} or more. Give others that the model has not seen, with --split test "
            "--test_dir, or train with a larger --validation_fraction."
        )
    counts = np.bincount(predictions.known.labels, minlength=len(predictions.class_names))
    if scaling == "vector" and counts.min() < FEWEST_OF_A_CLASS:
        raise UserError(
            f"{counts.min()} images of the class {predictions.class_names[counts.argmin()]} are too few to learn a "
            f"vector from: expected {FEWEST_OF_A_CLASS} or more of each class, or --calibrate temperature."
        )
    if not np.isfinite(predictions.known.logits).all():
        raise UserError("Some of the model's outputs are not numbers: there is nothing to learn from them.")
    trust = fit_trust(predictions, split=split, scaling=scaling, data=data, images=images, weights=weights)
    trust.save(directory)
    return trust


def learn_and_measure_trust(
    run_dir: Path, classifier: Classifier, measured: dict[str, Any], *, validation_data: Dataset | None
) -> None:
    """Learns from a finished training's validation split, and measures on its test split.

    Args:
        run_dir: with the predictions of what was measured.
        classifier: the one that was measured.
        validation_data: the validation split, if there is one.
        measured: by split, what ``metrics.json`` will hold; the test split gets ``trust``.
    """
    # Of weights that are no more, where the run was resumed.
    (run_dir / CALIBRATION).unlink(missing_ok=True)
    if "validation" not in measured or measured["validation"]["n"] < FEWEST:
        return
    files = {split: run_dir / "predictions" / f"{split}.parquet" for split in measured}
    validation = Predictions.load(files["validation"])
    if not np.isfinite(validation.logits).all():
        return
    learn_trust(
        run_dir,
        validation,
        split="validation",
        data=fingerprint_of(_summary(run_dir), "validation"),
        images=() if validation_data is None else image_digests(validation_data),
        weights=weights_digest(classifier.model),
    )
    # As it is kept, to the last bit: whoever has the file finds the same figures.
    trust = trust_of(classifier, run_dir)
    if "test" in measured and trust is not None:
        test = Predictions.load(files["test"])
        if len(test.known) and np.isfinite(test.logits).all():
            measured["test"]["trust"] = measure_trust(test, trust)


def fingerprint_of(summary: dict[str, Any], split: str) -> str:
    """Of a split's images and labels, by what ``data.json`` holds; empty where it is not known, as of a stream."""
    found = (summary.get("splits") or {}).get(split) or {}
    return str(found.get("fingerprint") or "")


def _summary(run_dir: Path) -> dict[str, Any]:
    file = run_dir / "data.json"
    found: dict[str, Any] = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
    return found


def save_folded(classifier: Classifier, trust: Trust, place: Path) -> None:
    """A copy of the model whose own logits are calibrated; the model itself stays as it is.

    Raises:
        UserError: the scaling cannot be folded into this network, or is folded in already.
    """
    if trust.folded:
        raise UserError("The scaling is in this model's weights already: there is nothing to fold.")
    size = Preprocessing(classifier.image_processor).spec.size
    generator = torch.Generator().manual_seed(0)
    device = next(classifier.model.parameters()).device
    sample = torch.randn((2, 3, *size), generator=generator).to(device)
    folded = replace(classifier, model=deepcopy(classifier.model))
    fold_scaling(folded.model, trust.scaling.weight, trust.scaling.bias, sample)
    save_classifier(folded, place)
    replace(trust, folded=True, weights=weights_digest(folded.model)).save(place)


def trust_text(measured: dict[str, Any]) -> str:
    """Lines for the screen, each with a line break before it."""
    lines = []
    if trust := measured.get("trust"):
        before, after = (100 * trust["calibration"][when]["ece"] for when in ("before", "after"))
        sets, risk = trust["sets"], trust["abstaining"]["risk"]
        changed = ""
        if trust["scaling"] and trust["scaling"]["method"] == "vector":
            changed = f"; scaled answers are right in {trust['accuracy']:.2%}, which is what predict gives"
        lines.append(
            f"calibrated  ECE {before:.2f} % before, {after:.2f} % after; sets of {sets['mean_size']:.2f} classes "
            f"hold the true one in {sets['coverage']:.1%} ({sets['wanted']:.0%} wanted); wrong "
            f"{100 * risk['1.0']:.2f} %, of the surest 90 % {100 * risk['0.9']:.2f} %{changed}"
        )
    if by := measured.get("by"):
        worst = by["groups"][0]
        lines.append(
            f"by {by['column']:<8} worst {worst['group']!r}: accuracy {worst['accuracy']:.4f} [{worst['low']:.4f}, "
            f"{worst['high']:.4f}], {worst['n']:,} images; {len(by['groups'])} groups, {100 * by['gap']:.1f} points "
            "between best and worst"
        )
    return "".join(f"\n{line}" for line in lines)
