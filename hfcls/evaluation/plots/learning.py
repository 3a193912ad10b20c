"""Values against epochs."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

import numpy as np

from hfcls.pages.svg import (
    BOTTOM,
    HEIGHT,
    TOP,
    Frame,
    compute_ticks,
    draw_legend,
    draw_text,
    format_number,
    format_percent,
    wrap_svg,
)

MAX_POINTS = 400


@dataclass(frozen=True)
class Series:
    """One line of a chart.

    Attributes:
        label: what the legend calls it.
        points: (x, y) pairs in any order; a y that is not finite leaves a gap in the line.
        color: ``"accent"`` or ``"warm"``, a CSS variable of the page.
        dashed: a second cue beside the colour, for readers who don't see the difference.
    """

    label: str
    points: Sequence[tuple[float, float]]
    color: str = "accent"
    dashed: bool = False


def plot_curves(
    name: str, series: Sequence[Series], *, y_label: str, best_epoch: float | None = None, percent: bool = False
) -> str:
    """Draws values against epochs.

    Args:
        name: identifier of the figure, unique in the page.
        series: the lines; those without a finite point are left out.
        y_label: quantity and unit of the y axis.
        best_epoch: where to draw the mark of the chosen epoch.
        percent: y is a share in [0, 1], shown as per cent; otherwise it is a loss and the axis holds 0.
    """
    lines = [(one, _thin(one.points)) for one in series]
    lines = [(one, points) for one, points in lines if any(math.isfinite(y) for _, y in points)]
    ys = [y for _, points in lines for _, y in points if math.isfinite(y)]
    xs = [x for _, points in lines for x, _ in points]
    if not ys:
        return ""
    low, high = (min(ys), max(ys)) if percent else (min(0.0, *ys), max(ys))
    if percent and high - low < 0.01:
        # A flat line needs some room around it, within what a share can be.
        low, high = max(0.0, low - 0.01), min(1.0, high + 0.01)
    y_ticks = compute_ticks(low, high)
    x_end = max(*xs, best_epoch or 0.0, 1e-9)
    x_ticks = [tick for tick in compute_ticks(0.0, x_end) if tick <= x_end * (1 + 1e-9)]
    if x_end >= 2:
        x_ticks = [tick for tick in x_ticks if tick == int(tick)]
    y_range = (min(y_ticks[0], *ys), max(y_ticks[-1], *ys))
    frame = Frame(
        (0.0, x_end), y_range, x_ticks, y_ticks, "epoch", y_label, format_percent if percent else format_number
    )
    body = [frame.axes()]
    if best_epoch is not None:
        body.append(_best_mark(frame, best_epoch, at_bottom=percent))
    body += [_line(frame, one, points) for one, points in lines]
    body.append(draw_legend([(one.label, one.color, one.dashed) for one, _ in lines]))
    last = "; ".join(f"{one.label} ends at {frame.y_format(points[-1][1])}" for one, points in lines)
    return wrap_svg(name, f"{y_label} by epoch", f"{last}.", "".join(body))


def _line(frame: Frame, series: Series, points: Sequence[tuple[float, float]]) -> str:
    """The line, in pieces where a value is not finite, with dots where there are few enough to tell apart."""
    path, pen_down = "", False
    finite = [(x, y) for x, y in points if math.isfinite(y)]
    for x, y in points:
        if math.isfinite(y):
            path += f"{'L' if pen_down else 'M'}{frame.px(x):.1f} {frame.py(y):.1f}"
        pen_down = math.isfinite(y)
    dash = ";stroke-dasharray:5 4" if series.dashed else ""
    stroke = f"fill:none;stroke:var(--{series.color});stroke-width:2;stroke-linejoin:round{dash}"
    dots = (
        ""
        if len(finite) > 30
        else "".join(
            f'<circle cx="{frame.px(x):.1f}" cy="{frame.py(y):.1f}" r="2.75" style="fill:var(--{series.color})">'
            f"<title>{escape(f'{series.label}, epoch {x:g}: {frame.y_format(y)}')}</title></circle>"
            for x, y in finite
        )
    )
    return f'<path d="{path}" style="{stroke}"/>{dots}'


def _best_mark(frame: Frame, epoch: float, *, at_bottom: bool) -> str:
    anchor, shift = ("end", -6) if epoch > frame.x[1] / 2 else ("start", 6)
    y = HEIGHT - BOTTOM - 9 if at_bottom else TOP + 15
    mark = frame.segment((epoch, frame.y[0]), (epoch, frame.y[1]), "stroke:var(--muted);stroke-dasharray:2 3")
    halo = "paint-order:stroke;stroke:var(--paper);stroke-width:4px"
    return mark + draw_text(frame.px(epoch) + shift, y, f"best: epoch {epoch:.3g}", anchor=anchor, style=halo)


def _thin(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """At most `MAX_POINTS` points by x; then each is the mean of its neighbours, as a logged loss already is."""
    ordered = sorted(points, key=lambda point: point[0])
    if len(ordered) <= MAX_POINTS:
        return ordered
    groups = np.array_split(np.array(ordered, dtype=np.float64), MAX_POINTS)
    return [(float(group[:, 0].mean()), float(group[:, 1].mean())) for group in groups]
