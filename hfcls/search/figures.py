"""Figures of a search: its history, what matters, all settings of each trial, each setting against the value."""

import math
from collections.abc import Sequence
from html import escape
from typing import Any

from hfcls.pages.svg import (
    BOTTOM,
    HEIGHT,
    RIGHT,
    WIDTH,
    Frame,
    compute_ticks,
    draw_text,
    format_number,
    shorten,
    wrap_svg,
)
from hfcls.search.plan import Plan
from hfcls.search.proposals import RANDOM
from hfcls.search.space import Dimension
from hfcls.search.table import best_row, value_text

# Of values that are far worse than the rest only the fact is shown.
_SHOWN_BELOW = 4.0


def plot_history(plan: Plan, rows: Sequence[dict[str, Any]]) -> str:
    """Each trial's value by its number, and the best up to then."""
    low, high = _value_range(plan, rows)
    most = max(len(rows), 2)
    ticks = compute_ticks(low, high)
    numbers = [tick for tick in compute_ticks(1, most, 8) if tick == int(tick) and 1 <= tick <= most]
    frame = Frame(
        (0.5, most + 0.5), (ticks[0], ticks[-1]), numbers, ticks, "trial", f"validation {plan.metric}", format_number
    )
    parts = [frame.axes()]
    best: float | None = None
    line: list[str] = []
    for row in rows:
        x = row["number"]
        if row["state"] == "complete" and (best is None or plan.better(row["value"], best)):
            if best is not None:
                line.append(f"L{frame.px(x):.1f} {frame.py(_clip(best, ticks)):.1f}")
            best = row["value"]
            line.append(f"{'L' if line else 'M'}{frame.px(x):.1f} {frame.py(_clip(best, ticks)):.1f}")
    if best is not None:
        line.append(f"L{frame.px(most + 0.5):.1f} {frame.py(_clip(best, ticks)):.1f}")
        parts.append(f'<path d="{"".join(line)}" style="fill:none;stroke:var(--warm);stroke-width:2"/>')
    parts += [_mark(frame, row["number"], row, ticks, hollow=plan.startup > 0) for row in rows]
    x = WIDTH - RIGHT - 60
    parts.append(f'<line x1="{x - 24}" y1="9" x2="{x - 6}" y2="9" style="stroke:var(--warm);stroke-width:2"/>')
    parts.append(draw_text(x, 13, "best so far"))
    told = f"{len(rows)} trials; the best value is {best:.4f}." if best is not None else f"{len(rows)} trials."
    return wrap_svg("history", "History of the search", told, "".join(parts))


def plot_dimension(plan: Plan, dimension: Dimension, rows: Sequence[dict[str, Any]]) -> str:
    """One setting across, the value up."""
    rows = [row for row in rows if dimension.name in row["params"]]
    low, high = _value_range(plan, rows)
    ticks = compute_ticks(low, high)
    positions, labels, ends = _axis(dimension)
    frame = Frame(
        ends, (ticks[0], ticks[-1]), list(labels), ticks, dimension.name, f"validation {plan.metric}", format_number,
        lambda tick: labels[tick],
    )  # fmt: skip
    parts = [frame.axes()]
    seen: dict[tuple[float, int], int] = {}
    for row in rows:
        x = positions(row["params"][dimension.name])
        if dimension.choices:
            # Equal settings beside each other.
            column = (x, row["number"] % 7)
            seen[column] = seen.get(column, 0) + 1
            x += (row["number"] % 7 - 3) * 0.05
        parts.append(_mark(frame, x, row, ticks, hollow=plan.startup > 0))
    told = f"validation {plan.metric} by {dimension.name}, {len(rows)} trials."
    return wrap_svg(f"by-{dimension.name}", f"{dimension.name} and {plan.metric}", told, "".join(parts))


def plot_importances(shares: dict[str, float]) -> str:
    """Bars, the largest first."""
    height, left = 26 * len(shares) + 8, 160
    width = 440
    parts = []
    for at, (name, share) in enumerate(sorted(shares.items(), key=lambda pair: -pair[1])):
        y = 26 * at + 6
        length = max(share, 0) * (width - left - 60)
        parts.append(draw_text(left - 10, y + 13, shorten(name, 22), anchor="end", tip=name))
        parts.append(f'<rect x="{left}" y="{y}" width="{length:.1f}" height="17" rx="2" style="fill:var(--accent)"/>')
        parts.append(draw_text(left + length + 6, y + 13, f"{100 * share:.0f} %"))
    told = ", ".join(f"{name} {share:.2f}" for name, share in shares.items())
    return wrap_svg("importances", "Importance of each setting", told, "".join(parts), size=(width, height))


def plot_parallel(plan: Plan, rows: Sequence[dict[str, Any]]) -> str:
    """A line for each trial across an axis for each setting and one for the value."""
    axes = plan.space.dimensions
    gap, top, bottom = 150, 40, 250
    width = gap * len(axes) + 130
    low, high = _value_range(plan, rows)
    ticks = compute_ticks(low, high)
    spots = [66 + gap * at for at in range(len(axes) + 1)]

    def height_of(share: float) -> float:
        return bottom - share * (bottom - top)

    parts = []
    best = best_row(plan, list(rows))
    # The best on top, also of equals.
    sign = 1 if plan.greater_is_better else -1
    ordered = sorted(rows, key=lambda row: (sign * row["value"], row is best))
    for place, row in enumerate(ordered):
        points = []
        for x, one in zip(spots, axes, strict=False):
            positions, _, (start, end) = _axis(one)
            points.append((x, height_of((positions(row["params"][one.name]) - start) / (end - start))))
        share = (_clip(row["value"], ticks) - ticks[0]) / (ticks[-1] - ticks[0])
        points.append((spots[-1], height_of(share)))
        path = "".join(f"{'L' if at else 'M'}{x:.1f} {y:.1f}" for at, (x, y) in enumerate(points))
        step = 2 + round(5 * place / max(len(ordered) - 1, 1))
        is_best = best is not None and row["number"] == best["number"]
        style = "stroke:var(--warm);stroke-width:2.5" if is_best else f"stroke:var(--q{step});stroke-width:1.3"
        tip = escape(f"trial {row['number']}: {row['value']:.4f}")
        parts.append(f'<path d="{path}" style="fill:none;{style}"><title>{tip}</title></path>')
    for x, one in zip(spots, axes, strict=False):
        _, labels, (start, end) = _axis(one)
        parts += _vertical(x, [(height_of((at - start) / (end - start)), text) for at, text in labels.items()])
        parts.append(draw_text(x, 14, shorten(one.name, 18), anchor="middle", tip=one.name))
    shares = [(tick - ticks[0]) / (ticks[-1] - ticks[0]) for tick in ticks]
    parts += _vertical(spots[-1], [(height_of(s), f"{t:.4g}") for s, t in zip(shares, ticks, strict=True)])
    parts.append(draw_text(spots[-1], 14, plan.metric, anchor="middle", style="font-weight:600"))
    told = f"{len(rows)} trials across {len(axes)} settings."
    body = "".join(parts)
    return wrap_svg("parallel", "Settings of each trial", told, body, size=(width, bottom + 20), keep_width=True)


def _vertical(x: float, labels: Sequence[tuple[float, str]]) -> list[str]:
    """An axis of the parallel coordinates; its labels have the paper behind them."""
    parts = [f'<line x1="{x}" y1="40" x2="{x}" y2="250" style="stroke:var(--muted)"/>']
    for y, text in labels:
        outline = "paint-order:stroke;stroke:var(--paper);stroke-width:4px;stroke-linejoin:round;font-size:11px"
        parts.append(draw_text(x + 5, y + 4, shorten(text, 14), style=outline, tip=text))
    return parts


def _axis(one: Dimension) -> tuple[Any, dict[float, str], tuple[float, float]]:
    """From a setting to its place, the labels of some places, and the ends of an axis."""
    if one.choices:
        places = {(type(choice), choice): float(at) for at, choice in enumerate(one.choices)}
        labels = {float(at): shorten(value_text(choice), 16) for at, choice in enumerate(one.choices)}
        return (
            lambda value: places.get((type(value), value), places.get((float, value), 0.0)),
            labels,
            (-0.5, len(labels) - 0.5),
        )
    if not one.log:
        ticks = [tick for tick in compute_ticks(one.low, one.high, 4) if one.low <= tick <= one.high]
        margin = (one.high - one.low) * 0.04
        return float, {tick: f"{tick:g}" for tick in ticks}, (one.low - margin, one.high + margin)
    low, high = math.log10(one.low), math.log10(one.high)
    tens = range(math.ceil(low - 1e-9), math.floor(high + 1e-9) + 1)
    labels = {float(power): f"{10.0**power:g}" for power in tens}
    if len(labels) < 2:
        labels = {end: f"{10**end:.3g}" for end in (low, high)}
    margin = (high - low) * 0.04
    return math.log10, labels, (low - margin, high + margin)


def _value_range(plan: Plan, rows: Sequence[dict[str, Any]]) -> tuple[float, float]:
    """Of the metric: from the best to the worst that is not far behind the rest."""
    values = sorted(
        value
        for row in rows
        if (value := row["value"] if row["value"] is not None else row["reached"]) is not None and math.isfinite(value)
    )
    if not values:
        return 0.0, 1.0
    if plan.greater_is_better:
        values = values[::-1]
    best, middle = values[0], values[len(values) // 2]
    reach = abs(middle - best) * _SHOWN_BELOW or abs(values[-1] - best) or 0.01
    worst = max((value for value in values if abs(value - best) <= reach), key=lambda value: abs(value - best))
    return min(best, worst), max(best, worst)


def _clip(value: float, ticks: Sequence[float]) -> float:
    return min(max(value, ticks[0]), ticks[-1])


def _mark(frame: Frame, x: float, row: dict[str, Any], ticks: Sequence[float], *, hollow: bool) -> str:
    """A dot for a trial that came to its end, a cross for a pruned one, a triangle at the foot for a failed one."""
    value = row["value"] if row["value"] is not None else row["reached"]
    across = frame.px(x)
    tip = f"trial {row['number']}, {row['state']}" + ("" if value is None else f": {value:.4f}")
    if row["state"] == "failed" or value is None:
        if row["state"] != "failed":
            return ""
        foot = HEIGHT - BOTTOM
        path = f"M{across - 4:.1f} {foot} L{across + 4:.1f} {foot} L{across:.1f} {foot - 7} Z"
        return f'<path d="{path}" style="fill:var(--warm)"><title>{escape(tip)}</title></path>'
    y = frame.py(_clip(value, ticks))
    if row["state"] != "complete":
        path = f"M{across - 3:.1f} {y - 3:.1f} l6 6 m0 -6 l-6 6"
        return f'<path d="{path}" style="stroke:var(--muted);stroke-width:1.5"><title>{escape(tip)}</title></path>'
    fill = "var(--paper)" if row["drawn"] == RANDOM and hollow else "var(--accent)"
    style = f"fill:{fill};stroke:var(--accent);stroke-width:1.5"
    return f'<circle cx="{across:.1f}" cy="{y:.1f}" r="3.5" style="{style}"><title>{escape(tip)}</title></circle>'
