"""How far probabilities can be taken at their word, as they are and scaled."""

from typing import Any

from hfcls.evaluation.suite.subject import SEED, Subject
from hfcls.metrics import compute_some
from hfcls.uncertainty.calibration import measure_calibration
from hfcls.uncertainty.scaling import SCALINGS

FIGURES = ("accuracy", "ece", "brier", "log_loss")
FURTHER = ("mce", "ece_equal_mass", "ece_classwise")


def run(subject: Subject) -> dict[str, Any]:
    """A row for the plain logits and for each way to scale them."""
    fitting, fresh = subject.fitting, subject.fresh
    rows = []
    for name in ("none", *SCALINGS):
        scaling = None if name == "none" else SCALINGS[name](fitting)
        told = fresh if scaling is None else scaling.scale(fresh)
        figures = measure_calibration(told)
        rows.append(
            {
                "scaling": name,
                "temperature": None if scaling is None else scaling.temperature,
                "mean_confidence": float(told.probabilities.max(axis=1).mean()),
                **compute_some(told, FIGURES, seed=SEED),
                **{key: {"value": figures[key]} for key in FURTHER},
            }
        )
    return {"n": len(fresh), "fitted_on": subject.fitted_on, "rows": rows, "passes": 0}
