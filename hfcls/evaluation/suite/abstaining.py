"""What is gained where the classifier says nothing on what it is least sure of."""

from typing import Any

import numpy as np

from hfcls.evaluation.suite.several import ORDERS
from hfcls.evaluation.suite.subject import Subject
from hfcls.evaluation.trusted import COVERAGES
from hfcls.metrics.wilson import wilson_interval
from hfcls.structures import Predictions
from hfcls.uncertainty.doubt import DOUBTS, Votes
from hfcls.uncertainty.rejection import choose_abstention, compute_risk_coverage, thin_out
from hfcls.uncertainty.scaling import fit_temperature

_POINTS = 400
# Shares of wrong answers that somebody may want to keep to.
WANTED = (0.01, 0.05)


def run(subject: Subject) -> dict[str, Any]:
    """The error of the surest answers, in the order of each doubt; on logits scaled by one temperature.

    And what is answered, and how much of it wrongly, where a share of wrong answers is to be kept: from a sureness on
    that was chosen on other images.
    """
    scaling = fit_temperature(subject.fitting)
    fitting, fresh = scaling.scale(subject.fitting), scaling.scale(subject.fresh)
    votes = Votes(fresh.probabilities[None])
    correct = fresh.logits.argmax(axis=1) == fresh.labels
    rows = []
    for name in ORDERS:
        curve = compute_risk_coverage(-DOUBTS[name](votes), correct)
        at = np.searchsorted(curve.coverage, np.array(COVERAGES) - 1e-12)
        risks = []
        for share, place in zip(COVERAGES, at.tolist(), strict=True):
            wrong, answered = int(curve.wrong[place]), int(curve.answered[place])
            low, high = wilson_interval(wrong, answered)
            told = {"share": share, "answered": answered, "value": wrong / answered, "low": low, "high": high}
            risks.append(told)
        thin = thin_out(curve, _POINTS)
        rows.append(
            {
                "doubt": name,
                "aurc": curve.area,
                "excess_aurc": curve.excess_area,
                "risks": risks,
                "curve": {"answered": thin.answered.tolist(), "wrong": thin.wrong.tolist()},
            }
        )
    kept = [_kept(fitting, fresh, risk) for risk in WANTED]
    return {"n": len(fresh), "fitted_on": subject.fitted_on, "rows": rows, "kept": kept, "passes": 0}


def _kept(fitting: Predictions, fresh: Predictions, risk: float) -> dict[str, Any]:
    """What is answered where a share of wrong answers is to be kept.

    Returns:
        ``wanted``; ``reachable``: whether the surest answers kept to it where the threshold was chosen; of the fresh
        images the ``answered`` share and ``count``, how many of these are ``wrong``, their share ``risk`` with Wilson's
        interval ``low`` and ``high`` (None where none is answered).
    """
    sureness = fitting.probabilities.max(axis=1)
    curve = compute_risk_coverage(sureness, fitting.logits.argmax(axis=1) == fitting.labels)
    threshold = choose_abstention(curve, risk=risk).threshold
    answered = fresh.probabilities.max(axis=1) >= threshold
    wrong = int((fresh.logits.argmax(axis=1) != fresh.labels)[answered].sum())
    count = int(answered.sum())
    low, high = wilson_interval(wrong, count) if count else (None, None)
    return {
        "wanted": risk,
        "reachable": bool(np.isfinite(threshold)),
        "answered": count / len(fresh),
        "count": count,
        "wrong": wrong,
        "risk": wrong / count if count else None,
        "low": low,
        "high": high,
    }
