"""How far a classifier is to be trusted, on images that it neither learned from nor was calibrated on."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from hfcls.download import note
from hfcls.errors import UserError
from hfcls.metrics.samples import Samples
from hfcls.models.digest import weights_digest
from hfcls.structures import Predictions
from hfcls.uncertainty.calibration import measure_calibration
from hfcls.uncertainty.conformal import measure_sets
from hfcls.uncertainty.rejection import Abstention, compute_risk_coverage
from hfcls.uncertainty.scaling import Scaling
from hfcls.uncertainty.trust import CALIBRATION, Trust, load_trust

# The shares of answers of which the error is told.
COVERAGES = (0.5, 0.7, 0.8, 0.9, 0.95, 1.0)


def trust_of(classifier: Any, directory: Path, *, say: Callable[[str], None] = note) -> Trust | None:
    """What was learned about a classifier's answers; None where nothing was.

    Args:
        classifier: loaded, on any device.
        directory: that it was loaded from.
        say: is told why a calibration is left out that is not about these weights.

    Raises:
        UserError: ``calibration.json`` is damaged.
    """
    if not (directory / CALIBRATION).is_file():
        return None
    return load_trust(directory, classifier.class_names, weights=weights_digest(classifier.model), say=say)


def measure_trust(predictions: Predictions, trust: Trust) -> dict[str, Any]:
    """What calibration, sets, abstaining and the threshold of strangeness do on these predictions.

    Args:
        predictions: of the network, with known labels.
        trust: learned elsewhere.

    Returns:
        ``learned_from``, ``scaling``, ``accuracy`` of the scaled answers, which a vector changes, ``calibration``
        (``before`` and ``after``, see `measure_calibration`), ``sets``, ``abstaining`` (``aurc``, ``excess_aurc``, and
        ``risk`` by share of answers), ``strange``: the share held strange.
    """
    known = predictions.known
    judged = trust.judge(known.logits)
    scaled = Predictions(trust.scaled(known.logits), known.labels, known.ids, known.class_names)
    correct = judged.probabilities.argmax(axis=1) == known.labels
    curve = compute_risk_coverage(judged.probabilities.max(axis=1), correct)
    at = np.searchsorted(curve.coverage, np.array(COVERAGES) - 1e-12)
    risk = dict(zip(map(str, COVERAGES), curve.risk[at].tolist(), strict=True))
    return {
        "learned_from": {"split": trust.split, "n": trust.n},
        # None where it is in the weights already.
        "scaling": None if trust.folded else trust.scaling.to_json(),
        "accuracy": float(correct.mean()),
        "calibration": {"before": measure_calibration(known), "after": measure_calibration(scaled)},
        "sets": {
            "method": trust.conformal.method,
            "wanted": trust.conformal.coverage,
            **measure_sets(judged.sets, known.labels),
        },
        "abstaining": {"aurc": curve.area, "excess_aurc": curve.excess_area, "risk": risk},
        "strange": float(judged.strange.mean()),
    }


def scaled_samples(predictions: Predictions | None, trust: dict[str, Any] | None) -> Samples | None:
    """The predictions with scaled logits; None where there are none, or nothing is scaled.

    Args:
        trust: as `measure_trust` gave it.
    """
    if predictions is None or not trust or not trust["scaling"]:
        return None
    scaling = Scaling.from_json(trust["scaling"], len(predictions.class_names))
    return Samples(scaling.scale(predictions))


def choose_abstention_of(trust: Trust, risk: float) -> tuple[Abstention, str]:
    """From which sureness on to answer so that about a share of `risk` is wrong.

    Returns:
        It, and a sentence on what that means.

    Raises:
        UserError: the risk is out of range or cannot be kept.
    """
    if not 0 < risk < 1:
        raise UserError(f"--abstain_at_risk is {risk}: expected a share of wrong answers between 0 and 1.")
    abstention, n = trust.abstention(risk), int(trust.curve.answered[-1])
    if not abstention.coverage:
        raise UserError(
            f"No threshold keeps the share of wrong answers at {risk:g}: even of the surest of the {n:,} "
            f"{trust.split} images more are wrong. Allow a larger --abstain_at_risk."
        )
    return abstention, (
        f"answers with a probability from {abstention.threshold:.4f} on are given: {abstention.coverage:.1%} of the "
        f"{n:,} {trust.split} images, {abstention.risk:.2%} of them wrong. Of new images "
        f"about as many are wrong, as often as not more (95 % bound of a threshold chosen elsewhere: "
        f"{abstention.bound:.2%})."
    )
