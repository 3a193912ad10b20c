"""Pictures to try the page with, drawn here: nobody's, and of nothing in particular."""

from collections.abc import Callable
from math import cos, pi, sin
from pathlib import Path

from PIL import Image, ImageDraw

_SIDE = 320


def draw_flower() -> Image.Image:
    """A daisy on a meadow."""
    image = Image.new("RGB", (_SIDE, _SIDE), "#7ba05b")
    draw = ImageDraw.Draw(image)
    for number in range(14):
        angle = 2 * pi * number / 14
        x, y = 160 + 78 * cos(angle), 160 + 78 * sin(angle)
        draw.ellipse((x - 30, y - 30, x + 30, y + 30), fill="#fbfbf4", outline="#d9d9cc", width=2)
    draw.ellipse((104, 104, 216, 216), fill="#f2c230", outline="#c79a1c", width=3)
    return image


def draw_seven() -> Image.Image:
    """A seven, as written with a thick pen."""
    image = Image.new("RGB", (_SIDE, _SIDE), "black")
    draw = ImageDraw.Draw(image)
    draw.line(((84, 82), (236, 78), (140, 250)), fill="white", width=30, joint="curve")
    draw.line(((116, 160), (212, 156)), fill="white", width=22)
    return image


def draw_clock() -> Image.Image:
    """The face of a clock at ten past ten."""
    image = Image.new("RGB", (_SIDE, _SIDE), "#c8d3df")
    draw = ImageDraw.Draw(image)
    draw.ellipse((40, 40, 280, 280), fill="#ffffff", outline="#20242a", width=12)
    for hour in range(12):
        x, y = sin(pi * hour / 6), -cos(pi * hour / 6)
        draw.line(((160 + 92 * x, 160 + 92 * y), (160 + 106 * x, 160 + 106 * y)), fill="#20242a", width=6)
    for angle, length, width in ((pi * 10.17 / 6, 58, 12), (pi * 2 / 6, 86, 8)):
        draw.line(((160, 160), (160 + length * sin(angle), 160 - length * cos(angle))), fill="#20242a", width=width)
    draw.ellipse((150, 150, 170, 170), fill="#b3261e")
    return image


_DRAWN: dict[str, Callable[[], Image.Image]] = {
    "a flower": draw_flower,
    "a seven": draw_seven,
    "a clock": draw_clock,
}


def save_examples(folder: Path) -> dict[str, Path]:
    """Writes the pictures, and returns their places by what they show."""
    folder.mkdir(parents=True, exist_ok=True)
    places = {}
    for name, draw in _DRAWN.items():
        places[name] = folder / f"{name.replace(' ', '-')}.png"
        draw().save(places[name])
    return places
