"""The strokes that figures are made of: axes, text, legends, ticks. All text is escaped here."""

import math
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape

WIDTH, HEIGHT = 420, 270
LEFT, RIGHT, TOP, BOTTOM = 46, 20, 34, 40


@dataclass(frozen=True)
class Frame:
    """The plot area: maps data to pixels and draws the axes."""

    x: tuple[float, float]
    y: tuple[float, float]
    x_ticks: Sequence[float]
    y_ticks: Sequence[float]
    x_label: str
    y_label: str
    y_format: Callable[[float], str]
    x_format: Callable[[float], str] = lambda value: f"{value:g}"

    def px(self, value: float) -> float:
        """Data to pixels, across."""
        return LEFT + (value - self.x[0]) / (self.x[1] - self.x[0]) * (WIDTH - LEFT - RIGHT)

    def py(self, value: float) -> float:
        """Data to pixels, down."""
        return HEIGHT - BOTTOM - (value - self.y[0]) / (self.y[1] - self.y[0]) * (HEIGHT - TOP - BOTTOM)

    def segment(self, start: tuple[float, float], end: tuple[float, float], style: str) -> str:
        """A line between two points of the data."""
        (x1, y1), (x2, y2) = [(self.px(x), self.py(y)) for x, y in (start, end)]
        return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" style="{style}"/>'

    def bar(self, left: float, right: float, low: float, high: float, style: str) -> str:
        """A bar between two values across and two up."""
        x, width = self.px(left) + 0.75, self.px(right) - self.px(left) - 1.5
        y, height = self.py(high), self.py(low) - self.py(high)
        return f'<rect x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}" style="{style}"/>'

    def axes(self) -> str:
        """Ticks, grid lines and labels."""
        parts = [draw_text(0, 13, self.y_label, style="fill:var(--muted)")]
        middle = (LEFT + WIDTH - RIGHT) / 2
        parts.append(draw_text(middle, HEIGHT - 4, self.x_label, anchor="middle", style="fill:var(--muted)"))
        for tick in self.y_ticks:
            parts.append(self.segment((self.x[0], tick), (self.x[1], tick), "stroke:var(--line)"))
            parts.append(draw_text(LEFT - 7, self.py(tick) + 4, self.y_format(tick), anchor="end"))
        for tick in self.x_ticks:
            parts.append(draw_text(self.px(tick), HEIGHT - BOTTOM + 17, self.x_format(tick), anchor="middle"))
        return "".join(parts)


def wrap_svg(
    name: str,
    title: str,
    description: str,
    body: str,
    *,
    size: tuple[int, int] = (WIDTH, HEIGHT),
    keep_width: bool = False,
) -> str:
    """Wraps `body`; with `keep_width` a narrow page scrolls the figure instead of shrinking its text."""
    width, height = size
    style = f"min-width:{width}px;max-width:{width * 1.25:.0f}px" if keep_width else f"max-width:{width * 1.2:.0f}px"
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" role="img" aria-labelledby="{name}-title {name}-desc" '
        f'viewBox="0 0 {width} {height}" style="{style}"><title id="{name}-title">{escape(title)}</title>'
        f'<desc id="{name}-desc">{escape(description)}</desc>{body}</svg>'
    )


def draw_text(
    x: float, y: float, text: str, *, anchor: str = "start", style: str = "", turn: int = 0, tip: str = ""
) -> str:
    """Text at a point, with a tooltip where `tip` says more."""
    attributes = f' text-anchor="{anchor}"' if anchor != "start" else ""
    attributes += f' style="{style}"' if style else ""
    attributes += f' transform="rotate({turn} {x:.1f} {y:.1f})"' if turn else ""
    title = f"<title>{escape(tip)}</title>" if tip and tip != text else ""
    return f'<text x="{x:.1f}" y="{y:.1f}"{attributes}>{title}{escape(text)}</text>'


def draw_legend(entries: Sequence[tuple[str, str, bool]]) -> str:
    """Label, colour and dash of each entry, right-aligned above the plot."""
    parts, x = [], float(WIDTH - RIGHT)
    for label, color, dashed in reversed(entries):
        x -= 6.8 * len(label)
        parts.append(draw_text(x, 13, label))
        x -= 6
        dash = ";stroke-dasharray:5 4" if dashed else ""
        style = f"stroke:var(--{color});stroke-width:3{dash}"
        parts.append(f'<line x1="{x - 18:.1f}" y1="9" x2="{x:.1f}" y2="9" style="{style}"/>')
        x -= 34
    return "".join(parts)


def draw_key(entries: Sequence[tuple[str, str, str, bool]], *, top: float) -> tuple[str, int]:
    """Label, value, colour and dash of each entry, in two columns below the plot; returns its height as well."""
    column = (WIDTH - RIGHT) // 2 - 18
    rows = -(-len(entries) // 2)
    parts = []
    for number, (label, value, color, dashed) in enumerate(entries):
        x, y = (number // rows) * (column + 36), top + 18 * (number % rows) + 10
        dash = ";stroke-dasharray:5 3" if dashed else ""
        style = f"stroke:var(--{color});stroke-width:3{dash}"
        parts.append(f'<line x1="{x}" y1="{y - 4:g}" x2="{x + 20}" y2="{y - 4:g}" style="{style}"/>')
        parts.append(draw_text(x + 27, y, shorten(label, 15), tip=label))
        parts.append(draw_text(x + column, y, value, anchor="end"))
    return "".join(parts), 18 * rows + 4


def compute_ticks(low: float, high: float, target: int = 5) -> list[float]:
    """Returns about `target` round numbers (1, 2 or 5 times a power of ten) whose ends enclose [low, high]."""
    span = high - low or abs(high) or 1.0
    power = 10.0 ** math.floor(math.log10(span / target))
    step = next(power * m for m in (1, 2, 5, 10) if power * m * target >= span * 0.999)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [round(i * step, 12) for i in range(first, max(last, first + 1) + 1)]


def shorten(text: str, width: int) -> str:
    """Cuts `text` to about `width` narrow characters; wide ones, such as emoji, count twice.

    The cut is in the middle, because the names of sister classes often differ only at the end.
    """
    if sum(map(count_columns, text)) <= width:
        return text
    tail = _fit(text[::-1], width // 2 - 1)[::-1]
    return f"{_fit(text, width - width // 2).rstrip()}…{tail.lstrip()}"


def _fit(text: str, width: int) -> str:
    used = 0
    for position, character in enumerate(text):
        used += count_columns(character)
        if used > width:
            return text[:position]
    return text


def count_columns(character: str) -> int:
    """How many narrow characters wide a character is."""
    if unicodedata.combining(character) or unicodedata.category(character) == "Cf":
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def format_percent(value: float) -> str:
    """A share as per cent."""
    return f"{100 * value:.4g} %"


def format_number(value: float) -> str:
    """A number for an axis."""
    return f"{value:.4g}"


def format_count(value: float) -> str:
    """A count in at most four characters."""
    for size, unit in ((1e9, "G"), (1e6, "M"), (1e4, "k")):
        if value >= size:
            scaled = value / (1e3 if unit == "k" else size)
            return f"{scaled:.0f}{unit}" if scaled >= 10 else f"{scaled:.1f}{unit}"
    return f"{value:g}"
