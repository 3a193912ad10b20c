"""The confusion matrix: with its counts for a few classes, as a picture for many."""

import base64
import io
from collections.abc import Sequence
from html import escape

import numpy as np
from PIL import Image

from hfcls.pages.palette import DARK, LIGHT, RAMP
from hfcls.pages.svg import compute_ticks, count_columns, draw_text, format_count, shorten, wrap_svg

# Upper edges of the shares of a row that have one colour, and the step of the ramp; narrow at the low end because
# errors are what one looks for. Single dots of a picture need a stronger colour to be seen than cells with a number.
CELL_STEPS = ((0.02, 1), (0.05, 2), (0.10, 3), (0.20, 4), (0.40, 5), (0.60, 6), (0.80, 7), (1.0, 8))
IMAGE_STEPS = ((0.05, 3), (0.10, 4), (0.20, 5), (0.60, 6), (0.80, 7), (1.0, 8))
MAX_IMAGE_SIDE = 300
# Up to so many classes have their names beside the picture.
MAX_NAMED = 100
_MUTED = "fill:var(--muted)"


def plot_confusion_matrix(
    name: str, matrix: np.ndarray, labels: Sequence[str], *, totals: np.ndarray | None = None
) -> str:
    """Draws the matrix with its counts, for up to about 30 classes.

    Args:
        name: identifier of the figure, unique in the page.
        matrix: (K, K) counts; the row is the true class, the column the predicted one.
        labels: K class names.
        totals: (K,) images of each class, where `matrix` is a part of a larger one; the sums of the rows if left out.
    """
    k = len(labels)
    cell = 64 if k <= 4 else 46 if k <= 8 else 34 if k <= 12 else 26
    totals = matrix.sum(axis=1) if totals is None else totals
    steps, body = compute_share_steps(matrix, totals), []
    kind = "cell small" if k > 12 else "cell"
    left, top, right, axis = _named_axes(labels, cell)
    for i, (row, total) in enumerate(zip(matrix.tolist(), totals.tolist(), strict=True)):
        for j, count in enumerate(row):
            x, y, step = left + j * cell, top + i * cell, int(steps[i, j])
            share = f" ({100 * count / total:.1f} % of the class)" if total else ""
            tip = escape(f"true {shorten(labels[i], 40)}, predicted {shorten(labels[j], 40)}: {count:,}{share}")
            place = f'x="{x + cell / 2 - 0.5:g}" y="{y + cell / 2 + 4:g}"'
            number = f"<text {place}>{format_count(count)}</text>" if count else ""
            rect = f'<rect x="{x}" y="{y}" width="{cell - 1}" height="{cell - 1}" rx="2"/>'
            body.append(f'<g class="{kind} q{step}"><title>{tip}</title>{rect}{number}</g>')
    size = (left + k * cell + right, top + k * cell + 4)
    return wrap_svg(
        name, "Confusion matrix", _diagonal(matrix, totals), axis + "".join(body), size=size, keep_width=True
    )


def plot_confusion_image(matrix: np.ndarray, labels: Sequence[str]) -> str:
    """Draws the matrix of many classes as one PNG per theme; up to `MAX_NAMED` classes with their names.

    Where there are more classes than `MAX_IMAGE_SIDE`, each dot is the strongest cell of a block: an average would
    make a lone confusion vanish.

    Args:
        matrix: (K, K) counts; the row is the true class, the column the predicted one.
        labels: K class names.
    """
    k, block = len(matrix), image_block(len(matrix))
    side = -(-k // block)
    steps = np.zeros((side * block, side * block), dtype=np.uint8)
    steps[:k, :k] = compute_share_steps(matrix, matrix.sum(axis=1), IMAGE_STEPS)
    pooled = steps.reshape(side, block, side, block).max(axis=(1, 3))
    named = k <= MAX_NAMED
    # A whole number of pixels for each dot.
    cell = max(9, 560 // k) if named else max(2, 560 // side)
    size = side * cell
    left, top, right, axis = _named_axes(labels, cell) if named else _numbered_axes(k, side * block, size)
    place = f'x="{left}" y="{top}" width="{size}" height="{size}" style="image-rendering:pixelated"'
    images = "".join(
        f'<image class="only-{theme}" {place} href="{_png(pooled, palette)}"/>'
        for theme, palette in (("light", LIGHT), ("dark", DARK))
    )
    frame = f'<rect x="{left}" y="{top}" width="{size}" height="{size}" style="fill:none;stroke:var(--line)"/>'
    whole = (left + size + right, top + size + 4)
    description = _diagonal(matrix, matrix.sum(axis=1))
    return wrap_svg("confusion", "Confusion matrix", description, axis + images + frame, size=whole, keep_width=named)


def image_block(classes: int) -> int:
    """Returns how many classes share one dot of `plot_confusion_image` along each axis."""
    return -(-classes // MAX_IMAGE_SIDE)


def compute_share_steps(
    matrix: np.ndarray, totals: np.ndarray, steps: Sequence[tuple[float, int]] = CELL_STEPS
) -> np.ndarray:
    """Returns uint8 (K, K): the step of the colour ramp by share of `totals` (K,), 0 for an empty cell."""
    edges, colors = (np.array(column) for column in zip(*steps, strict=True))
    shares = matrix / np.maximum(totals[:, None], 1)
    return np.where(matrix > 0, colors[np.searchsorted(edges[:-1], shares, side="left")], 0).astype(np.uint8)


def _named_axes(labels: Sequence[str], cell: int) -> tuple[int, int, int, str]:
    """Room on the left, above and on the right, and the axes with a name for each class."""
    k, font = len(labels), min(12, cell)
    short = [shorten(label, 16) for label in labels]
    widest = int(font * 7 / 12 * max(sum(map(count_columns, label)) for label in short)) + 1
    # Names above the columns lie, lean, or stand where leaning ones would touch.
    turn = 0 if widest <= cell - 4 else -45 if cell >= 1.5 * font else -90
    rise = int(widest * {0: 0, -45: 0.72, -90: 1}[turn])
    left, top = 26 + widest, 40 if not turn else 42 + rise
    right = max(8, rise - cell // 2 + 8) if turn == -45 else 8
    axis = draw_text(left, 13, "predicted class", style=_MUTED)
    axis += draw_text(11, top + k * cell / 2, "true class", anchor="middle", style=_MUTED, turn=-90)
    style = "" if font == 12 else f"font-size:{font}px"
    for i in range(k):
        center = (i + 0.5) * cell
        axis += draw_text(left - 5, top + center + font / 3, short[i], anchor="end", tip=labels[i], style=style)
        x = left + center + {0: 0, -45: 2, -90: font / 3}[turn]
        anchor = "start" if turn else "middle"
        axis += draw_text(x, top - 8, short[i], anchor=anchor, turn=turn, tip=labels[i], style=style)
    return left, top, right, axis


def _numbered_axes(k: int, span: int, size: int) -> tuple[int, int, int, str]:
    """The same with positions instead of names; `span` is how many classes fill the picture."""
    left, top = 62, 42
    axis = draw_text(left, 16, "predicted class, by position", style=_MUTED)
    axis += draw_text(14, top + size / 2, "true class, by position", anchor="middle", style=_MUTED, turn=-90)
    for tick in (tick for tick in compute_ticks(0, k) if tick < k):
        at = tick * size / span
        axis += draw_text(left + at, top - 7, format_count(tick), anchor="middle" if tick else "start")
        axis += draw_text(left - 7, top + at + (4 if tick else 10), format_count(tick), anchor="end")
    return left, top, 8, axis


def _png(steps: np.ndarray, palette: dict[str, str]) -> str:
    image = Image.fromarray(steps)
    colors = [palette[f"q{step}"] for step in range(RAMP)]
    image.putpalette([int(color[i : i + 2], 16) for color in colors for i in (1, 3, 5)])
    buffer = io.BytesIO()
    image.save(buffer, "PNG", bits=4, optimize=True)
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()


def _diagonal(matrix: np.ndarray, totals: np.ndarray) -> str:
    total, right = int(totals.sum()), int(np.trace(matrix))
    return f"{right:,} of {total:,} images are on the diagonal, which is where true and predicted class agree."
