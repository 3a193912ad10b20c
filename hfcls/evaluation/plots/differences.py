"""On which classes one classifier is better than another."""

from collections.abc import Sequence
from html import escape
from typing import Any

from hfcls.pages.svg import compute_ticks, count_columns, draw_text, shorten, wrap_svg

# Pixels: of a row, above the first, of the plot, and from its end to that of the counts.
_ROW, _TOP, _PLOT, _COUNT = 22, 48, 300, 84


def plot_differences(rows: Sequence[dict[str, Any]], *, name: str) -> str:
    """Draws a dot with its interval for the difference in recall of each class, in points, a row a class.

    Args:
        rows: as in ``per_class`` of comparison.json, in the order to draw them, with ``label``, the name to show.
        name: of the drawing, unique on its page.
    """
    short = [shorten(row["label"], 26) for row in rows]
    left = 12 + int(6.6 * max(sum(map(count_columns, label)) for label in short))
    bottom = _TOP + _ROW * len(rows)
    ticks = compute_ticks(min(0.0, *(row["low"] for row in rows)), max(0.0, *(row["high"] for row in rows)), 4)
    low, high = max(ticks[0], -1.0), min(ticks[-1], 1.0)

    def across(value: float) -> float:
        return left + _PLOT * (value - low) / (high - low)

    body = [
        draw_text(across(0) - 8, 14, "← first is better", anchor="end", style="fill:var(--warm)"),
        draw_text(across(0) + 8, 14, "second is better →", style="fill:var(--accent)"),
        draw_text(left + _PLOT + _COUNT, _TOP - 10, "images", anchor="end", style="fill:var(--muted)"),
    ]
    for tick in ticks:
        if low <= tick <= high:
            style = "stroke:var(--muted);stroke-width:1.5" if tick == 0 else "stroke:var(--line)"
            x = across(tick)
            body.append(f'<line x1="{x:.1f}" y1="{_TOP - 4}" x2="{x:.1f}" y2="{bottom}" style="{style}"/>')
            body.append(draw_text(x, _TOP - 10, _points(tick, digits=0), anchor="middle", style="fill:var(--muted)"))
    for number, (row, label) in enumerate(zip(rows, short, strict=True)):
        y = _TOP + _ROW * (number + 0.5)
        certain = row["low"] > 0 or row["high"] < 0
        color = ("accent" if row["difference"] > 0 else "warm") if certain else "muted"
        place = f'x1="{across(row["low"]):.1f}" y1="{y:g}" x2="{across(row["high"]):.1f}" y2="{y:g}"'
        marks = f'<line {place} style="stroke:var(--{color});stroke-width:1.5"/>'
        marks += f'<circle cx="{across(row["difference"]):.1f}" cy="{y:g}" r="4" style="fill:var(--{color})"/>'
        body.append(draw_text(left - 8, y + 4, label, anchor="end", tip=row["label"]))
        body.append(f"<g><title>{escape(_tip(row))}</title>{marks}</g>")
        body.append(draw_text(left + _PLOT + _COUNT, y + 4, f"{row['n']:,}", anchor="end"))
    told = f"{len(rows)} classes, from the one on which the second is worst beside the first to the one it is best on."
    size = (left + _PLOT + _COUNT + 8, bottom + 6)
    return wrap_svg(name, "Difference in recall", told, "".join(body), size=size, keep_width=True)


def _points(value: float, *, digits: int = 1) -> str:
    return f"{100 * value:+.{digits}f}".replace("-", "−") if value else "0"


def _tip(row: dict[str, Any]) -> str:
    ends = f"{_points(row['low'])} to {_points(row['high'])}"
    shares = f"{100 * row['first']:.1f} % and {100 * row['second']:.1f} %"
    return f"{row['label']}: {_points(row['difference'])} points ({ends}), {shares} of {row['n']:,} images"
