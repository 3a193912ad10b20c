"""Whether confidence can be taken at its word, before and after the logits are scaled."""

from typing import Any

from hfcls.evaluation.formats import format_figure, format_value
from hfcls.evaluation.measured_run import MeasuredRun
from hfcls.evaluation.plots.calibration import plot_confidence, plot_reliability
from hfcls.evaluation.section import Figure, Part
from hfcls.evaluation.trusted import scaled_samples

# Name in metrics.json -> title, and what it says in a few words.
FIGURES = {
    "ece": ("ECE", "mean gap, 15 bins of equal width"),
    "mce": ("MCE", "largest gap of a bin"),
    "ece_equal_mass": ("ECE, equal mass", "bins of equally many images"),
    "ece_classwise": ("ECE, classwise", "mean over the classes"),
    "brier": ("Brier score", "squared error of all probabilities"),
    "log_loss": ("Log loss", "nats"),
}


def build(run: MeasuredRun) -> Part | None:
    """The reliability diagrams, the histogram of confidence and the calibration errors."""
    samples = run.samples
    if samples is None:
        return None
    confidence, accuracy = float(samples.confidence.mean()), float(samples.correct.mean())
    scaled = scaled_samples(run.predictions, run.measured.get("trust"))
    title = "Reliability" if scaled is None else "Reliability before scaling"
    figures = [Figure("reliability", title, plot_reliability(samples.confidence, samples.correct))]
    if scaled is not None:
        after = "Reliability after scaling"
        drawn = plot_reliability(scaled.confidence, scaled.correct, name="reliability-scaled", title=after)
        figures.append(Figure("reliability-scaled", after, drawn))
    figures.append(Figure("confidence", "Confidence", plot_confidence(samples.confidence, samples.correct)))
    values = {
        "ece": format_figure("ece", run.headline["ece"], digits=1) if run.headline.get("ece") else None,
        "confidence": {"raw": confidence, "text": format_value(confidence)},
        "accuracy": {"raw": accuracy, "text": format_value(accuracy)},
        "trust": None if scaled is None else _show_trust(run.measured["trust"]),
    }
    return Part(values, tuple(figures))


def _show_trust(trust: dict[str, Any]) -> dict[str, Any]:
    scaling, told = trust["scaling"], trust["calibration"]
    how = "by two numbers a class"
    if scaling["method"] == "temperature":
        how = f"divided by one temperature, {scaling['temperature']:.2f}"
    rows = [
        (title, meaning, [_show_figure(key, told[when][key]) for when in ("before", "after")])
        for key, (title, meaning) in FIGURES.items()
    ]
    return {"how": how, "learned_from": trust["learned_from"], "rows": rows}


def _show_figure(key: str, value: float) -> dict[str, Any]:
    # All of them are small: four decimals.
    return {"raw": value, "text": format_value(value, "log_loss" if key == "log_loss" else "ece", digits=2)}
