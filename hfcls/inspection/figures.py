"""The histograms of the page."""

import math
from html import escape

import numpy as np

from hfcls.pages.svg import Frame, compute_ticks, format_count, wrap_svg

_BINS = 30
# Values that span more than this factor are drawn on a logarithmic axis.
_WIDE = 16.0


def plot_histogram(name: str, values: np.ndarray, *, x_label: str, limits: tuple[float, float] | None = None) -> str:
    """Draws how values spread over the images; empty where they are all the same.

    Args:
        name: of the figure, unique on the page.
        values: (N,); those that are not finite are left out.
        limits: of the axis; from the data if left out, and then logarithmic where they span far.
    """
    values = values[np.isfinite(values)].astype(np.float64)
    if not len(values) or values.min() == values.max():
        return ""
    logarithmic = limits is None and values.min() > 0 and values.max() / values.min() > _WIDE
    shown = np.log10(values) if logarithmic else values
    low, high = limits or (float(shown.min()), float(shown.max()))
    x_ticks = _decades(low, high) if logarithmic else compute_ticks(low, high)
    if limits is None and not logarithmic:
        low, high = x_ticks[0], x_ticks[-1]
    x_ticks = [tick for tick in x_ticks if low <= tick <= high]
    counts, edges = np.histogram(shown, bins=_BINS, range=(low, high))
    y_ticks = [tick for tick in compute_ticks(0, max(1, int(counts.max()))) if tick == int(tick)]

    def text(value: float) -> str:
        return format_count(float(f"{10**value if logarithmic else value:.3g}"))

    frame = Frame((low, high), (0, y_ticks[-1]), x_ticks, y_ticks, x_label, "images", format_count, x_format=text)
    body = [frame.axes()]
    for left, right, n in zip(edges[:-1].tolist(), edges[1:].tolist(), counts.tolist(), strict=True):
        if n:
            bar = frame.bar(left, right, 0, n, "fill:var(--accent);fill-opacity:.7")
            body.append(f"<g><title>{escape(f'{text(left)} to {text(right)}: {n:,}')}</title>{bar}</g>")
    spread = f"From {values.min():.4g} to {values.max():.4g}, median {np.median(values):.4g}."
    return wrap_svg(name, f"Histogram of {x_label}", spread, "".join(body))


def _decades(low: float, high: float) -> list[float]:
    """Logarithms of round numbers between two logarithms: 1, 2 and 5 times powers of ten, or the powers alone."""
    powers = range(math.floor(low), math.ceil(high) + 1)
    fine = [power + math.log10(m) for power in powers for m in (1, 2, 5)]
    inside = [tick for tick in fine if low <= tick <= high]
    return inside if len(inside) <= 7 else [float(power) for power in powers if low <= power <= high]
