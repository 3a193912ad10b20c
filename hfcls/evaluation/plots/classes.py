"""Recall, precision and F1 of each class."""

from collections.abc import Sequence
from html import escape
from typing import Any

from hfcls.metrics.wilson import wilson_interval
from hfcls.pages.svg import count_columns, draw_text, shorten, wrap_svg

# Pixels: of a row, above the first, of the plot, and from its end to that of the counts.
_ROW, _TOP, _PLOT, _COUNT = 22, 48, 300, 84


def plot_classes(rows: Sequence[dict[str, Any]]) -> str:
    """Draws a bar for F1, a dot with its 95 % Wilson interval for recall and a diamond for precision, a row a class.

    Args:
        rows: as in ``per_class`` of metrics.json, in the order to draw them, with ``label``, the name to show.
    """
    short = [shorten(row["label"], 26) for row in rows]
    left = 12 + int(6.6 * max(sum(map(count_columns, label)) for label in short))
    bottom = _TOP + _ROW * len(rows)
    body = [_key(left)]
    for tick in range(0, 101, 20):
        x = left + _PLOT * tick / 100
        body.append(f'<line x1="{x:g}" y1="{_TOP - 4}" x2="{x:g}" y2="{bottom}" style="stroke:var(--line)"/>')
        body.append(draw_text(x, _TOP - 10, f"{tick} %", anchor="middle", style="fill:var(--muted)"))
    body.append(draw_text(left + _PLOT + _COUNT, _TOP - 10, "images", anchor="end", style="fill:var(--muted)"))
    for number, (row, label) in enumerate(zip(rows, short, strict=True)):
        y = _TOP + _ROW * (number + 0.5)
        body.append(draw_text(left - 8, y + 4, label, anchor="end", tip=row["label"]))
        body.append(f"<g><title>{escape(_tip(row))}</title>{_marks(row, left, y)}</g>")
        body.append(draw_text(left + _PLOT + _COUNT, y + 4, f"{row['support']:,}", anchor="end"))
    return wrap_svg(
        "classes", "Classes", f"{len(rows)} classes from the lowest F1 up.", "".join(body),
        size=(left + _PLOT + _COUNT + 8, bottom + 6), keep_width=True,
    )  # fmt: skip


def _key(left: float) -> str:
    x, y = float(left), 10
    parts = [
        f'<rect x="{x:g}" y="{y - 5}" width="22" height="10" style="fill:var(--tint)"/>',
        draw_text(x + 28, 14, "F1"),
    ]
    parts += [_dot(x + 76, y), draw_text(x + 86, 14, "recall, 95 % interval")]
    parts += [_diamond(x + 232, y), draw_text(x + 242, 14, "precision")]
    return "".join(parts)


def _marks(row: dict[str, Any], left: float, y: float) -> str:
    parts = []
    if row["f1"] is not None:
        width = max(_PLOT * row["f1"], 0.5)
        parts.append(f'<rect x="{left}" y="{y - 8:g}" width="{width:.1f}" height="16" style="fill:var(--tint)"/>')
    if row["recall"] is not None:
        low, high = wilson_interval(round(row["recall"] * row["support"]), row["support"])
        place = f'x1="{left + _PLOT * low:.1f}" y1="{y:g}" x2="{left + _PLOT * high:.1f}" y2="{y:g}"'
        parts.append(f'<line {place} style="stroke:var(--accent);stroke-width:1.5"/>')
        parts.append(_dot(left + _PLOT * row["recall"], y))
    if row["precision"] is not None:
        parts.append(_diamond(left + _PLOT * row["precision"], y))
    return "".join(parts)


def _dot(x: float, y: float) -> str:
    return f'<circle cx="{x:.1f}" cy="{y:g}" r="4" style="fill:var(--accent)"/>'


def _diamond(x: float, y: float) -> str:
    shape = f"M{x - 4.5:.1f} {y:g}l4.5 -4.5l4.5 4.5l-4.5 4.5z"
    return f'<path d="{shape}" style="fill:var(--paper);stroke:var(--warm);stroke-width:1.75"/>'


def _tip(row: dict[str, Any]) -> str:
    figures = ((title, row[key]) for title, key in (("F1", "f1"), ("recall", "recall"), ("precision", "precision")))
    told = ", ".join(f"{title} {'undefined' if value is None else f'{100 * value:.1f} %'}" for title, value in figures)
    return f"{row['label']}: {told}, {row['support']:,} images"
