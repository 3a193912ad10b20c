"""How far confidence can be taken at its word."""

from html import escape

import numpy as np

from hfcls.metrics.by_score import ECE_BINS
from hfcls.metrics.wilson import wilson_interval
from hfcls.pages.svg import Frame, compute_ticks, draw_legend, format_count, format_percent, wrap_svg

_TICKS = [0.0, 0.2, 0.4, 0.6, 0.8, 1.0]


def plot_reliability(
    confidence: np.ndarray, correct: np.ndarray, *, name: str = "reliability", title: str = "Reliability diagram"
) -> str:
    """Draws accuracy against confidence in the bins of the calibration error, with 95 % Wilson intervals.

    Args:
        confidence: (N,) largest probability of each image, in [0, 1].
        correct: (N,) bool.
        name: identifier of the figure, unique in the page.
        title: for those who hear it.
    """
    frame = Frame(
        (0.0, 1.0), (0.0, 1.0), _TICKS, _TICKS, "confidence", "accuracy", format_percent, x_format=format_percent
    )
    which = np.searchsorted(np.linspace(0, 1, ECE_BINS + 1), confidence, side="left") - 1
    body = [frame.axes(), frame.segment((0, 0), (1, 1), "stroke:var(--muted);stroke-dasharray:4 4")]
    worst = 0.0
    for index in np.unique(which).tolist():
        inside = which == index
        count, right = int(inside.sum()), int(correct[inside].sum())
        accuracy, mean = right / count, float(confidence[inside].mean())
        worst = max(worst, abs(accuracy - mean))
        low, high = wilson_interval(right, count)
        images = "1 image" if count == 1 else f"{count:,} images"
        tip = f"{images}, confidence {format_percent(mean)}, accuracy {format_percent(accuracy)}"
        bar = frame.bar(index / ECE_BINS, (index + 1) / ECE_BINS, 0, accuracy, "fill:var(--accent);fill-opacity:.22")
        whisker = frame.segment((mean, low), (mean, high), "stroke:var(--accent);stroke-width:1.5")
        dot = f'<circle cx="{frame.px(mean):.1f}" cy="{frame.py(accuracy):.1f}" r="3.5" style="fill:var(--accent)"/>'
        body.append(f"<g><title>{escape(tip)}</title>{bar}{whisker}{dot}</g>")
    body.append(draw_legend([("perfectly calibrated", "muted", True)]))
    description = f"{ECE_BINS} bins; the largest gap between confidence and accuracy is {100 * worst:.1f} points."
    return wrap_svg(name, title, description, "".join(body))


def plot_confidence(confidence: np.ndarray, correct: np.ndarray, *, bins: int = 20) -> str:
    """Draws how many images fall in each confidence bin, wrong answers stacked below right ones.

    Args:
        confidence: (N,) largest probability of each image, in [0, 1].
        correct: (N,) bool.
        bins: number of bins.
    """
    edges = np.linspace(0, 1, bins + 1)
    wrong = np.histogram(confidence[~correct], edges)[0]
    right = np.histogram(confidence[correct], edges)[0]
    y_ticks = [tick for tick in compute_ticks(0, max(1, int((wrong + right).max()))) if tick == int(tick)]
    frame = Frame((0, 1), (0, y_ticks[-1]), _TICKS, y_ticks, "confidence", "images", format_count, format_percent)
    body = [frame.axes()]
    for low, high, bad, good in zip(edges[:-1], edges[1:], wrong.tolist(), right.tolist(), strict=True):
        if bad + good:
            tip = escape(f"{format_percent(low)} to {format_percent(high)}: {good:,} right, {bad:,} wrong")
            bars = frame.bar(low, high, 0, bad, "fill:var(--warm)")
            bars += frame.bar(low, high, bad, bad + good, "fill:var(--accent);fill-opacity:.55")
            body.append(f"<g><title>{tip}</title>{bars}</g>")
    body.append(draw_legend([(f"right: {right.sum():,}", "accent", False), (f"wrong: {wrong.sum():,}", "warm", False)]))
    total = f"{int(right.sum())} right and {int(wrong.sum())} wrong answers."
    return wrap_svg("confidence", "Histogram of confidence", total, "".join(body))
