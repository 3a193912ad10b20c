"""The figures of all folds, one dot each, with their mean and its interval."""

from collections.abc import Sequence

from hfcls.pages.svg import RIGHT, WIDTH, compute_ticks, draw_text, format_percent, wrap_svg

_LABEL, _ROW, _TOP, _BOTTOM = 132, 46, 8, 34


def plot_folds(rows: Sequence[tuple[str, Sequence[float], float, float, float]]) -> str:
    """Draws a line of dots for each metric.

    Args:
        rows: title, values of the folds (shares), mean, and the ends of its interval.
    """
    lowest = min(min(*values, low) for _, values, _, low, _ in rows)
    highest = max(max(*values, high) for _, values, _, _, high in rows)
    ticks = compute_ticks(max(lowest, 0.0), min(highest, 1.0))
    left, right = ticks[0], ticks[-1]
    height = _TOP + _ROW * len(rows) + _BOTTOM

    def px(value: float) -> float:
        inside = min(max(value, left), right)
        return _LABEL + (inside - left) / (right - left) * (WIDTH - _LABEL - RIGHT)

    parts = []
    for tick in ticks:
        x = px(tick)
        parts.append(
            f'<line x1="{x:.1f}" y1="{_TOP}" x2="{x:.1f}" y2="{height - _BOTTOM}" style="stroke:var(--line)"/>'
        )
        parts.append(draw_text(x, height - _BOTTOM + 18, format_percent(tick), anchor="middle"))
    for number, (title, values, mean, low, high) in enumerate(rows):
        y = _TOP + _ROW * (number + 0.5)
        parts.append(draw_text(0, y + 4, title))
        told = f"{title}: mean {format_percent(mean)}, 95 % interval {format_percent(low)} to {format_percent(high)}"
        band = f'x="{px(low):.1f}" y="{y - 13:.1f}" width="{max(px(high) - px(low), 1):.1f}" height="26" rx="3"'
        parts.append(f'<rect {band} style="fill:var(--accent);opacity:0.16"><title>{told}</title></rect>')
        line = f'x1="{px(mean):.1f}" x2="{px(mean):.1f}" y1="{y - 13:.1f}" y2="{y + 13:.1f}"'
        parts.append(f'<line {line} style="stroke:var(--accent);stroke-width:2"/>')
        for place, value in enumerate(values):
            # Folds that lie on each other stay apart.
            shift = (place % 5 - 2) * 4
            dot = f'cx="{px(value):.1f}" cy="{y + shift:.1f}" r="3.2"'
            parts.append(f'<circle {dot} style="fill:var(--warm)"><title>{format_percent(value)}</title></circle>')
    told = f"{len(rows[0][1])} folds; " + "; ".join(f"{title} {format_percent(mean)}" for title, _, mean, _, _ in rows)
    return wrap_svg("folds", "Figures of all folds", told, "".join(parts), size=(WIDTH, height))
