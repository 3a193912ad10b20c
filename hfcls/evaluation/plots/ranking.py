"""ROC and precision-recall curves, and figures by threshold."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from html import escape
from typing import Any

import numpy as np

from hfcls.pages.paths import draw_path
from hfcls.pages.svg import HEIGHT, WIDTH, Frame, compute_ticks, draw_key, draw_legend, format_percent, wrap_svg

_TICKS = [0.0, 0.2, 0.4, 0.6, 0.8, 1.0]
# Where the ROC plot may end, if by then nearly all positives are found.
_ROC_ENDS, _NEARLY_ALL = (0.1, 0.2), 0.99
# Where all lines stay above it, the lower half is left out.
_HALF = 0.5


@dataclass(frozen=True)
class RankedLine:
    """One curve.

    Attributes:
        label: what the key calls it.
        value: what the key says of it, such as its area.
        x, y: (M,), in [0, 1].
        color: name of a CSS variable of the page.
        dashed: a second cue beside the colour.
        strong: drawn thicker than the others.
    """

    label: str
    value: str
    x: np.ndarray
    y: np.ndarray
    color: str
    dashed: bool = False
    strong: bool = False


def plot_roc(lines: Sequence[RankedLine], *, chance: bool = True) -> str:
    """Draws recall against the false positive rate; the first lines lie on top.

    Where all lines are close to the upper left corner the axes end early, and say so.

    Args:
        lines: each from (0, 0) to (1, 1).
        chance: draw the line of guessing, if the axes hold it.
    """
    end = next((x for x in _ROC_ENDS if all(np.interp(x, line.x, line.y) >= _NEARLY_ALL for line in lines)), 1.0)
    # All that the lines leave below is a stroke along the axis.
    left = min(float(line.y[line.x == 0].max()) for line in lines)
    start = _round_down(left) if end < 1 and left >= _HALF else 0.0
    x_label = "false positive rate" if end == 1 else f"false positive rate (up to {format_percent(end)})"
    frame = _frame((0.0, end), (start, 1.0), x_label, "recall")
    drawn = [replace(line, **_cut(line, end, start)) for line in lines]
    if chance and end == 1:
        drawn.append(RankedLine("chance", "50 %", np.array([0.0, 1.0]), np.array([0.0, 1.0]), "muted", dashed=True))
    return _draw("roc", "ROC curves", frame, drawn, "AUC")


def plot_precision_recall(lines: Sequence[RankedLine], *, chance: float | None = None) -> str:
    """Draws precision against recall; the first lines lie on top.

    Args:
        lines: each from a recall of 0 to 1.
        chance: precision of guessing, drawn if the axes hold it.
    """
    start = _round_down(min(float(line.y.min()) for line in lines))
    start = start if start >= _HALF else 0.0
    frame = _frame((0.0, 1.0), (start, 1.0), "recall", "precision")
    drawn = list(lines)
    if chance is not None and chance >= start:
        level = np.array([chance, chance])
        drawn.append(RankedLine("chance", format_percent(chance), np.array([0.0, 1.0]), level, "muted", dashed=True))
    return _draw("precision-recall", "Precision-recall curves", frame, drawn, "average precision")


def plot_thresholds(thresholds: np.ndarray, figures: Sequence[tuple[str, np.ndarray]]) -> str:
    """Draws shares against the threshold on the probability of the positive class.

    Args:
        thresholds: (M,), rising.
        figures: name and values (M,) each; values that are not finite are left out.
    """
    frame = Frame((0, 1), (0, 1), _TICKS, _TICKS, "threshold", "share", format_percent)
    body, legend = [frame.axes()], []
    for number, (label, values) in enumerate(figures):
        where, dashed = np.isfinite(values), number % 2 == 1
        style = f"stroke:var(--c{number});stroke-width:2" + ";stroke-dasharray:5 4" * dashed
        body.append(draw_path(_pixels(frame, thresholds[where], values[where]), style, tip=escape(label)))
        legend.append((label, f"c{number}", dashed))
    body.append(draw_legend(legend))
    return wrap_svg("thresholds", "Figures by threshold", "How the figures move with the threshold.", "".join(body))


def _draw(name: str, title: str, frame: Frame, lines: Sequence[RankedLine], area: str) -> str:
    body = [frame.axes()]
    for line in reversed(lines):
        style = f"stroke:var(--{line.color});stroke-width:{2.75 if line.strong else 1.5}"
        style += ";stroke-dasharray:5 3" if line.dashed else ""
        tip = escape(f"{line.label}: {area} {line.value}")
        body.append(draw_path(_pixels(frame, line.x, line.y), style, tip=tip))
    key, height = draw_key([(line.label, line.value, line.color, line.dashed) for line in lines], top=HEIGHT + 12)
    told = "; ".join(f"{line.label} {line.value}" for line in lines[:12])
    return wrap_svg(name, title, f"By {area}: {told}.", "".join(body) + key, size=(WIDTH, HEIGHT + 12 + height))


def _frame(x: tuple[float, float], y: tuple[float, float], x_label: str, y_label: str) -> Frame:
    x_ticks, y_ticks = ([tick for tick in compute_ticks(*ends) if ends[0] <= tick <= ends[1]] for ends in (x, y))
    if y[0]:
        y_label = f"{y_label} (from {format_percent(y[0])})"
    return Frame(x, y, x_ticks, y_ticks, x_label, y_label, format_percent, format_percent)


def _cut(line: RankedLine, end: float, start: float) -> dict[str, Any]:
    """The part of a ROC curve that its axes hold."""
    inside = line.x <= end
    x = np.append(line.x[inside], end)
    y = np.append(line.y[inside], np.interp(end, line.x, line.y))
    return {"x": x, "y": np.maximum(y, start)}


def _round_down(share: float) -> float:
    """To a multiple of ten per cent, below 1."""
    return min(math.floor(share * 10), 9) / 10


def _pixels(frame: Frame, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """(M, 2) pixels of values (M,) across and up."""
    (x0, x1), (y0, y1) = frame.x, frame.y
    left, right, low, high = frame.px(x0), frame.px(x1), frame.py(y0), frame.py(y1)
    return np.stack([left + (x - x0) / (x1 - x0) * (right - left), low + (y - y0) / (y1 - y0) * (high - low)], axis=1)
