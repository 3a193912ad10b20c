"""Heatmaps as pictures: painted, over the image, side by side."""

from collections.abc import Sequence
from functools import cache

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from hfcls.explain.base import Heatmap
from hfcls.pages.svg import shorten

# Even to the eye, also in grey and to the colour-blind.
COLOURS = "inferno"
GAP = 12
INK, FAINT, PAPER = (17, 24, 39), (75, 85, 99), (255, 255, 255)


def paint(values: np.ndarray) -> Image.Image:
    """A map in colours, from black over red to pale yellow.

    Args:
        values: (H, W) in [0, 1].
    """
    return Image.fromarray(_colours()[np.rint(np.clip(values, 0, 1) * 255).astype(np.uint8)])


def overlay(image: Image.Image, heatmap: Heatmap, *, opacity: float = 0.5) -> Image.Image:
    """The image under the painted map, RGB of the image's size.

    Args:
        opacity: of the map, in [0, 1].
    """
    if not 0 <= opacity <= 1:
        raise ValueError(f"The opacity is {opacity}: expected 0 to 1.")
    painted = paint(heatmap.values)
    if painted.size != image.size:
        painted = painted.resize(image.size, Image.Resampling.BILINEAR)
    return Image.blend(image.convert("RGB"), painted, opacity)


def side_by_side(
    image: Image.Image,
    heatmaps: Sequence[Heatmap],
    *,
    titles: Sequence[str] | None = None,
    caption: str = "image",
    opacity: float = 0.5,
    width: int = 240,
    columns: int = 4,
) -> Image.Image:
    """The image and what each method sees in it, with their names below, in rows.

    Args:
        heatmaps: any number, of this image.
        titles: one for each; the methods' names where None. The class is written below them.
        caption: what is written below the image.
        opacity: of the maps.
        width: of each picture in pixels.
        columns: at most so many beside each other.
    """
    if titles is not None and len(titles) != len(heatmaps):
        raise ValueError(f"{len(heatmaps)} heatmaps, {len(titles)} titles.")
    names = list(titles) if titles is not None else [heatmap.method for heatmap in heatmaps]
    height = max(1, round(image.height * width / image.width))
    pictures = [image.convert("RGB"), *(overlay(image, heatmap, opacity=opacity) for heatmap in heatmaps)]
    texts = [(caption, ""), *((n, h.class_name) for n, h in zip(names, heatmaps, strict=True))]
    size = max(12, width // 17)
    large, small = ImageFont.load_default(size), ImageFont.load_default(size - 2)
    line = round(size * 1.4)
    columns = min(columns, len(pictures))
    rows = -(-len(pictures) // columns)
    below = GAP // 2 + 2 * line
    sheet = Image.new("RGB", (GAP + columns * (width + GAP), GAP + rows * (height + below + GAP)), PAPER)
    draw = ImageDraw.Draw(sheet)
    for number, (picture, (title, class_name)) in enumerate(zip(pictures, texts, strict=True)):
        x, y = GAP + number % columns * (width + GAP), GAP + number // columns * (height + below + GAP)
        sheet.paste(picture.resize((width, height), Image.Resampling.LANCZOS), (x, y))
        y += height + GAP // 2
        draw.text((x, y), _fitted(title, large, width), fill=INK, font=large)
        draw.text((x, y + line), _fitted(class_name, small, width), fill=FAINT, font=small)
    return sheet


def _fitted(text: str, font: ImageFont.FreeTypeFont | ImageFont.ImageFont, width: int) -> str:
    """As much of a line of text as fits."""
    text = " ".join(text.split())
    columns = len(text)
    while columns > 4 and font.getlength(shorten(text, columns)) > width:
        columns -= 1
    return shorten(text, columns) if columns < len(text) else text


@cache
def _colours() -> np.ndarray:
    """uint8 (256, 3)."""
    from matplotlib import colormaps

    return (colormaps[COLOURS](np.arange(256))[:, :3] * 255).round().astype(np.uint8)
