"""Whether confidence can be taken at its word."""

from hfcls.evaluation.formats import format_figure, format_value
from hfcls.evaluation.measured_run import MeasuredRun
from hfcls.evaluation.plots.calibration import plot_confidence, plot_reliability
from hfcls.evaluation.section import Figure, Part


def build(run: MeasuredRun) -> Part | None:
    """The reliability diagram, the histogram of confidence and the calibration error."""
    samples = run.samples
    if samples is None:
        return None
    confidence, accuracy = float(samples.confidence.mean()), float(samples.correct.mean())
    figures = (
        Figure("reliability", "Reliability", plot_reliability(samples.confidence, samples.correct)),
        Figure("confidence", "Confidence", plot_confidence(samples.confidence, samples.correct)),
    )
    values = {
        "ece": format_figure("ece", run.headline["ece"], digits=1) if run.headline.get("ece") else None,
        "confidence": {"raw": confidence, "text": format_value(confidence)},
        "accuracy": {"raw": accuracy, "text": format_value(accuracy)},
    }
    return Part(values, figures)
