"""The report's figures, each a function that returns one SVG string.

The SVG holds no colour of its own apart from the matrix image: text is `currentColor` and everything else is a
CSS variable of the page (``--accent``, ``--warm``, ``--line``, ``--muted``, ``--paper``, ``--q0`` ... ``--q8``), so
that one figure serves the light and the dark theme. All text goes through `draw_text`, which escapes it.
"""

import base64
import io
import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

import numpy as np
from PIL import Image

from hfcls.pages.svg import (
    BOTTOM,
    HEIGHT,
    TOP,
    Frame,
    compute_ticks,
    count_columns,
    draw_legend,
    draw_text,
    format_count,
    format_number,
    format_percent,
    shorten,
    wrap_svg,
)

# One blue hue (OKLCH 256), lightness in even-looking steps, from "nothing" to "all of the row".
RAMP_LIGHT = ("#f4f7fb", "#e3eefc", "#cbe0fc", "#afcffa", "#8dbaf7", "#6ca4ee", "#2d71c7", "#1656a4", "#063e7d")
RAMP_DARK = ("#1a1e24", "#1d2b3e", "#213755", "#26466f", "#2b548a", "#3364a3", "#659ae1", "#8ab7f4", "#b3d4ff")
# Upper edges of steps 1 to 8 as a share of the row; narrow at the low end because errors are what one looks for.
SHARE_EDGES = (0.02, 0.05, 0.10, 0.20, 0.40, 0.60, 0.80, 1.0)
MAX_IMAGE_SIDE = 400
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


def plot_reliability(confidence: np.ndarray, correct: np.ndarray, *, bins: int = 15) -> str:
    """Draws accuracy against confidence in equal-width bins, with 95 % Wilson intervals.

    Args:
        confidence: (N,) largest probability of each image, in [0, 1].
        correct: (N,) bool.
        bins: number of bins.
    """
    ticks = [0.0, 0.2, 0.4, 0.6, 0.8, 1.0]
    frame = Frame(
        (0.0, 1.0), (0.0, 1.0), ticks, ticks, "confidence", "accuracy", format_percent, x_format=format_percent
    )
    which = np.clip(np.ceil(confidence * bins).astype(int) - 1, 0, bins - 1)
    body = [frame.axes(), frame.segment((0, 0), (1, 1), "stroke:var(--muted);stroke-dasharray:4 4")]
    worst = 0.0
    for index in range(bins):
        inside = which == index
        count = int(inside.sum())
        if not count:
            continue
        accuracy, mean = float(correct[inside].mean()), float(confidence[inside].mean())
        worst = max(worst, abs(accuracy - mean))
        low, high = _wilson(accuracy, count)
        tip = f"{count} images, confidence {format_percent(mean)}, accuracy {format_percent(accuracy)}"
        bar = frame.bar(index / bins, (index + 1) / bins, 0, accuracy, "fill:var(--accent);fill-opacity:.22")
        whisker = frame.segment((mean, low), (mean, high), "stroke:var(--accent);stroke-width:1.5")
        dot = f'<circle cx="{frame.px(mean):.1f}" cy="{frame.py(accuracy):.1f}" r="3.5" style="fill:var(--accent)"/>'
        body.append(f"<g><title>{escape(tip)}</title>{bar}{whisker}{dot}</g>")
    body.append(draw_legend([("perfectly calibrated", "muted", True)]))
    description = f"{bins} bins; the largest gap between confidence and accuracy is {100 * worst:.1f} points."
    return wrap_svg("reliability", "Reliability diagram", description, "".join(body))


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
    x_ticks = [0.0, 0.2, 0.4, 0.6, 0.8, 1.0]
    frame = Frame(
        (0, 1), (0, y_ticks[-1]), x_ticks, y_ticks, "confidence", "images", format_count, x_format=format_percent
    )
    body = [frame.axes()]
    for low, high, bad, good in zip(edges[:-1], edges[1:], wrong.tolist(), right.tolist(), strict=True):
        if bad + good:
            tip = escape(f"{format_percent(low)} to {format_percent(high)}: {good} right, {bad} wrong")
            bars = frame.bar(low, high, 0, bad, "fill:var(--warm)")
            bars += frame.bar(low, high, bad, bad + good, "fill:var(--accent);fill-opacity:.55")
            body.append(f"<g><title>{tip}</title>{bars}</g>")
    body.append(draw_legend([(f"right: {right.sum():,}", "accent", False), (f"wrong: {wrong.sum():,}", "warm", False)]))
    total = f"{int(right.sum())} right and {int(wrong.sum())} wrong answers."
    return wrap_svg("confidence", "Histogram of confidence", total, "".join(body))


def plot_confusion_matrix(matrix: np.ndarray, labels: Sequence[str]) -> str:
    """Draws the matrix with its counts, for up to about 30 classes.

    Args:
        matrix: (K, K) counts; the row is the true class, the column the predicted one.
        labels: K class names.
    """
    k = len(labels)
    cell = 64 if k <= 4 else 32 if k <= 12 else 26
    short = [shorten(label, 16) for label in labels]
    widest = max(7 * sum(map(count_columns, label)) for label in short)
    flat = widest <= cell - 4
    left, top = 22 + widest, 40 if flat else 34 + int(widest * 0.72) + 8
    right = 8 if flat else max(8, int(widest * 0.72) - cell // 2 + 8)
    steps, body = compute_share_steps(matrix), []
    kind = "cell small" if k > 12 else "cell"
    axis = draw_text(left, 13, "predicted class", style="fill:var(--muted)")
    middle = top + k * cell / 2
    axis += draw_text(11, middle, "true class", anchor="middle", style="fill:var(--muted)", turn=-90)
    for i in range(k):
        center = (i + 0.5) * cell
        body.append(draw_text(left - 5, top + center + 4, short[i], anchor="end", tip=labels[i]))
        x, turn = (left + center, 0) if flat else (left + center + 2, -45)
        body.append(draw_text(x, top - 8, short[i], anchor="middle" if flat else "start", turn=turn, tip=labels[i]))
    for i, row in enumerate(matrix.tolist()):
        total = sum(row)
        for j, count in enumerate(row):
            x, y, step = left + j * cell, top + i * cell, int(steps[i, j])
            share = f" ({100 * count / total:.1f} % of the class)" if total else ""
            tip = escape(f"true {shorten(labels[i], 40)}, predicted {shorten(labels[j], 40)}: {count:,}{share}")
            number = f'<text x="{x + cell / 2 - 0.5:g}" y="{y + cell / 2 + 4:g}">{format_count(count)}</text>' * (
                count > 0
            )
            rect = f'<rect x="{x}" y="{y}" width="{cell - 1}" height="{cell - 1}" rx="2"/>'
            body.append(f'<g class="{kind} q{step}"><title>{tip}</title>{rect}{number}</g>')
    size = (left + k * cell + right, top + k * cell + 4)
    return wrap_svg(
        "confusion", "Confusion matrix", _diagonal(matrix), axis + "".join(body), size=size, keep_width=True
    )


def plot_confusion_image(matrix: np.ndarray) -> str:
    """Draws the matrix of many classes as one PNG per theme, without labels.

    Where there are more classes than `MAX_IMAGE_SIDE`, each dot is the strongest cell of a block: an average would
    make a lone confusion vanish.

    Args:
        matrix: (K, K) counts; the row is the true class, the column the predicted one.
    """
    k, block = len(matrix), image_block(len(matrix))
    side = -(-k // block)
    steps = np.zeros((side * block, side * block), dtype=np.uint8)
    steps[:k, :k] = compute_share_steps(matrix)
    pooled = steps.reshape(side, block, side, block).max(axis=(1, 3))
    left, top, size = 62, 42, 560
    place = f'x="{left}" y="{top}" width="{size}" height="{size}" style="image-rendering:pixelated"'
    images = "".join(
        f'<image class="{theme}" {place} href="{_png(pooled, ramp)}"/>'
        for theme, ramp in (("only-light", RAMP_LIGHT), ("only-dark", RAMP_DARK))
    )
    ticks = [tick for tick in compute_ticks(0, k) if tick < k]
    scale = size / (side * block)
    axis = draw_text(left, 16, "predicted class (index)", style="fill:var(--muted)")
    axis += draw_text(14, top + size / 2, "true class (index)", anchor="middle", style="fill:var(--muted)", turn=-90)
    for tick in ticks:
        axis += draw_text(left + tick * scale, top - 7, format_count(tick), anchor="middle" if tick else "start")
        axis += draw_text(left - 7, top + tick * scale + (4 if tick else 10), format_count(tick), anchor="end")
    frame = f'<rect x="{left}" y="{top}" width="{size}" height="{size}" style="fill:none;stroke:var(--line)"/>'
    whole = (left + size + 8, top + size + 4)
    return wrap_svg("confusion", "Confusion matrix", _diagonal(matrix), axis + images + frame, size=whole)


def image_block(classes: int) -> int:
    """Returns how many classes share one dot of `plot_confusion_image` along each axis."""
    return -(-classes // MAX_IMAGE_SIDE)


def compute_share_steps(matrix: np.ndarray) -> np.ndarray:
    """Returns uint8 (K, K): the step of the colour ramp, 0 for an empty cell, else 1 to 8 by share of the row."""
    shares = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    steps = 1 + np.searchsorted(np.array(SHARE_EDGES[:-1]), shares, side="left")
    return np.where(matrix > 0, steps, 0).astype(np.uint8)


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


def _png(steps: np.ndarray, ramp: Sequence[str]) -> str:
    image = Image.fromarray(steps)
    image.putpalette([int(color[i : i + 2], 16) for color in ramp for i in (1, 3, 5)])
    buffer = io.BytesIO()
    image.save(buffer, "PNG", bits=4, optimize=True)
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()


def _wilson(share: float, n: int) -> tuple[float, float]:
    """95 % interval of a share of n (Wilson, 1927)."""
    z2 = 1.959964**2
    center, half = share + z2 / (2 * n), math.sqrt(z2 * (share * (1 - share) / n + z2 / (4 * n * n)))
    return (center - half) / (1 + z2 / n), (center + half) / (1 + z2 / n)


def _diagonal(matrix: np.ndarray) -> str:
    total, right = int(matrix.sum()), int(np.trace(matrix))
    return f"{right:,} of {total:,} images are on the diagonal, which is where true and predicted class agree."
