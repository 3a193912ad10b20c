"""The curves of deletion and insertion."""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from hfcls.pages.palette import HUES
from hfcls.pages.svg import HEIGHT, WIDTH, Frame, compute_ticks, draw_key, format_percent, wrap_svg


@dataclass(frozen=True)
class Line:
    """One curve.

    Attributes:
        label: for people.
        values: probabilities at even steps from 0 to 1.
        area: under them.
        number: of the method, which chooses the colour; None of a map that knows nothing.
    """

    label: str
    values: Sequence[float]
    area: float
    number: int | None


def plot_probabilities(name: str, title: str, lines: Sequence[Line], *, x_label: str) -> str:
    """Draws the mean probability against the share of the pixels.

    Args:
        name: identifier of the figure, unique in the page.
        lines: one a method.
    """
    top = max(max(line.values) for line in lines)
    ticks = [tick for tick in compute_ticks(0.0, max(top, 1e-6)) if tick >= 0]
    shares = [0.0, 0.25, 0.5, 0.75, 1.0]
    end = max(ticks[-1], top)
    frame = Frame((0, 1), (0, end), shares, ticks, x_label, "probability of the class", format_percent, format_percent)
    unknown = [line for line in lines if line.number is None]
    styles = {id(line): _style(line, unknown) for line in lines}
    body = [frame.axes()]
    # The first lie on top.
    for line in reversed(lines):
        color, dashed = styles[id(line)]
        points = [(frame.px(i / (len(line.values) - 1)), frame.py(y)) for i, y in enumerate(line.values)]
        path = "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in points)
        dash = ";stroke-dasharray:5 3" if dashed else ""
        body.append(
            f'<path d="{path}" style="fill:none;stroke:var(--{color});stroke-width:2;stroke-linejoin:round{dash}">'
            f"<title>{escape(line.label)}</title></path>"
        )
    key, height = draw_key([(one.label, f"{one.area:.3f}", *styles[id(one)]) for one in lines], top=HEIGHT + 12)
    said = "; ".join(f"{line.label}: area {line.area:.3f}" for line in lines)
    return wrap_svg(name, title, f"{said}.", "".join([*body, key]), size=(WIDTH, HEIGHT + 12 + height))


def _style(line: Line, unknown: Sequence[Line]) -> tuple[str, bool]:
    """Colour and dash."""
    if line.number is None:
        return ("muted" if unknown.index(line) == 0 else "ink"), True
    return f"c{line.number % HUES}", line.number >= HUES
