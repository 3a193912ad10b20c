"""What to do in doubt: several classes instead of one, or no answer."""

from typing import Any

from hfcls.evaluation.formats import format_value
from hfcls.evaluation.measured_run import MeasuredRun
from hfcls.evaluation.plots.abstaining import plot_risk_coverage
from hfcls.evaluation.section import Figure, Part
from hfcls.evaluation.trusted import scaled_samples
from hfcls.uncertainty.rejection import compute_risk_coverage

_METHODS = {"thr": "THR", "aps": "APS without random draws", "raps": "RAPS without random draws"}


def build(run: MeasuredRun) -> Part | None:
    """The sets of classes, what abstaining gains, and how many images of the split are held strange."""
    trust = run.measured.get("trust")
    if not trust:
        return None
    figures: tuple[Figure, ...] = ()
    if run.samples is not None:
        samples = scaled_samples(run.predictions, trust) or run.samples
        curve = compute_risk_coverage(samples.confidence, samples.correct)
        figures = (Figure("risk-coverage", "Wrong answers by how many are given", plot_risk_coverage(curve)),)
    sets, abstaining = trust["sets"], trust["abstaining"]
    return Part(
        {
            "method": _METHODS.get(sets["method"], sets["method"]),
            "learned_from": trust["learned_from"],
            "wanted": _share(sets["wanted"]),
            "covered": _share(sets["coverage"]),
            "rows": [
                ("True class in the set", f"{_share(sets['wanted'])['text']} wanted", _share(sets["coverage"])),
                ("The same for the worst class", "no promise by class", _share(sets["worst_class_coverage"])),
                ("Classes in a set", "mean", {"raw": sets["mean_size"], "text": f"{sets['mean_size']:.2f}"}),
                ("Sets of one class", "", _share(sets["single"])),
            ],
            "aurc": {"raw": abstaining["aurc"], "text": format_value(abstaining["aurc"], "ece", digits=2)},
            "excess": {
                "raw": abstaining["excess_aurc"],
                "text": format_value(abstaining["excess_aurc"], "ece", digits=2),
            },
            # As its keys are texts in a file.
            "risks": [(_share(float(share)), _share(risk)) for share, risk in abstaining["risk"].items()],
            "strange": _share(trust["strange"]),
        },
        figures,
    )


def _share(value: float) -> dict[str, Any]:
    return {"raw": value, "text": format_value(value)}
