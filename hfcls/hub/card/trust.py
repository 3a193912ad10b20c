"""What a card says of trust: Markdown made from a calibration and the predictions that it was measured on."""

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from hfcls.errors import UserError
from hfcls.evaluation.formats import format_interval, format_value
from hfcls.evaluation.measured_run import MeasuredRun
from hfcls.evaluation.trusted import measure_trust
from hfcls.hub.card.markdown import table
from hfcls.metrics.wilson import wilson_interval
from hfcls.structures import Predictions
from hfcls.uncertainty.trust import Trust, load_trust

TITLE = "How far to trust it"
_FIGURES = {
    "ece": ("Calibration error", "ECE, mean gap over 15 bins"),
    "brier": ("Brier score", "squared error of all probabilities"),
    "log_loss": ("Log loss", "nats"),
}
# Shares of answers of which the card tells the error.
_SHARES = ("0.9", "0.8", "0.5")
_METHODS = {"thr": "THR", "aps": "APS without random draws", "raps": "RAPS without random draws"}
_TOLERANCE = 1e-6


def split_trust(run: MeasuredRun) -> tuple[MeasuredRun, Trust | None]:
    """The calibration that ``metrics.json`` tells of, if it is still there; the run without, if it is not.

    Raises:
        UserError: it cannot be read, or the figures are not those of the predictions.
    """
    told = run.measured.get("trust") if run.split else None
    if not told:
        return run, None
    trust = None if run.predictions is None else load_trust(run.directory, run.predictions.class_names)
    found = None if trust is None or run.predictions is None else measure_trust(run.predictions, trust)
    # An hfcls of another time measured other things.
    another = found is None or told.keys() != found.keys()
    if found is None or another or any(not _same(told[key], found[key]) for key in ("learned_from", "scaling")):
        measured = {key: value for key, value in run.measured.items() if key != "trust"}
        return replace(run, splits=run.splits | {run.split: measured}), None
    differing = [key for key in found if not _same(told.get(key), found[key])]
    if differing:
        file = Path("predictions") / f"{run.split}.parquet"
        raise UserError(
            f"metrics.json tells of trust what calibration.json and {file} of {run.directory} do not ({differing[0]}): "
            "a card tells what was measured, so restore the file that was changed."
        )
    return run, trust


def describe_trust(predictions: Predictions, trust: Trust, *, split: str) -> str:
    """What calibration, sets of classes, abstaining and the threshold of strangeness are worth.

    Args:
        predictions: of the split, of images that the calibration was not learned from.
        trust: the calibration.
        split: its name.
    """
    known = predictions.known
    found, n = measure_trust(known, trust), len(known)
    how = "by two numbers a class"
    if trust.scaling.method == "temperature":
        how = f"by one temperature, {trust.scaling.temperature:.2f}"
    else:
        right = format_value(found["accuracy"])
        how += f", which changes answers (as `hfcls predict` gives them {right} are right; Results is of the network)"
    before, after = (found["calibration"][when] for when in ("before", "after"))
    rows = [
        [f"{title}<br><sub>{meaning}</sub>", *(format_value(one[key], "ece", digits=2) for one in (before, after))]
        for key, (title, meaning) in _FIGURES.items()
    ]
    return "\n\n".join(
        (
            f"Learned from {trust.n:,} {trust.split} images, measured on {n:,} {split} images that it was not learned "
            "from. Kept in `calibration.json`, by which `hfcls predict` and the demo go; what `pipeline` prints is not "
            "scaled. Where the same images also chose the weights, as those of the best epoch, sets can hold the true "
            "class, and abstaining keep to a share of wrong answers, a little less often than was wanted. Logits are "
            f"scaled {how}:",
            table(["", "as they are", "scaled"], rows, right=(1, 2)),
            "\n".join(f"- {line}" for line in (_sets(found, n), _abstaining(found), _strange(found, trust, split))),
        )
    )


def _sets(found: dict[str, Any], n: int) -> str:
    sets = found["sets"]
    interval = format_interval(*wilson_interval(round(sets["coverage"] * n), n))
    return (
        f"**Sets of classes.** Sets ({_METHODS.get(sets['method'], sets['method'])}) that were to hold the true class "
        f"in {format_value(sets['wanted'])} of the images hold it in {format_value(sets['coverage'])} (95 % interval "
        f"{interval}), in {format_value(sets['worst_class_coverage'])} of the worst class; {sets['mean_size']:.2f} "
        f"classes in the mean."
    )


def _abstaining(found: dict[str, Any]) -> str:
    risk = found["abstaining"]["risk"]
    told = ", ".join(
        f"of the surest {format_value(float(share), digits=0)} {format_value(risk[share])}" for share in _SHARES
    )
    return f"**Abstaining.** Of all answers {format_value(risk['1.0'])} are wrong; {told}."


def _strange(found: dict[str, Any], trust: Trust, split: str) -> str:
    score = f"{trust.strangeness.replace('_', ' ')} above {trust.strange_from:.2f}".replace("-", "−")
    return (
        f"**Strange images.** {format_value(found['strange'])} of the {split} images, which do show its classes, are "
        f"held to show none of them ({score}). How many images of other things are found out is not measured here."
    )


def _same(told: Any, found: Any) -> bool:
    """Whether two values as JSON has them are the same but for rounding."""
    if isinstance(found, dict):
        return isinstance(told, dict) and told.keys() == found.keys() and all(_same(told[k], found[k]) for k in found)
    if isinstance(found, list):
        return isinstance(told, list) and len(told) == len(found) and all(map(_same, told, found))
    if isinstance(found, float):
        return isinstance(told, int | float) and math.isclose(told, found, rel_tol=0, abs_tol=_TOLERANCE)
    return bool(np.array_equal(told, found))
