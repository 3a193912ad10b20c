"""A figure of a page as a file of its own: SVG with everything inside, or PNG."""

import re
from collections.abc import Sequence
from html import escape

from hfcls.errors import UserError
from hfcls.extras import require
from hfcls.pages.palette import FIGURE_CSS, LIGHT
from hfcls.pages.render import clean_text

FORMATS = ("svg", "png")
# What the converter brings along comes first, so that a PNG looks the same on every machine.
_FONTS = "'Liberation Sans', Arial, Helvetica, sans-serif"
_MARGIN, _TITLE = 16, 28
_SCALE = 2.0


def check_formats(formats: Sequence[str] | None) -> tuple[str, ...]:
    """The formats that `--figures` asks for, checked before anything is measured.

    Raises:
        UserError: none is named, or the package that makes PNG is missing.
    """
    if formats is None:
        return ()
    if not formats:
        raise UserError(f"--figures is empty: expected {' or '.join(FORMATS)}, or both.")
    if "png" in formats:
        require("vl_convert", extra="figures")
    return tuple(formats)


def build_svg(figure: str, title: str) -> str:
    """Makes a figure of a page independent of the page.

    Args:
        figure: an ``<svg>`` as `hfcls.pages.svg.wrap_svg` returns it.
        title: what stands above it.

    Returns:
        An SVG document on light paper: no variable, no style sheet from elsewhere, its size in pixels.
    """
    found = re.search(r'viewBox="0 0 ([\d.]+) ([\d.]+)"', figure)
    if not found:
        raise ValueError("The figure has no viewBox that begins with 0 0.")
    width, height = (float(side) for side in found.groups())
    # Of pictures that come once per theme, the light one stays.
    body = re.sub(r'<image class="only-dark"[^>]*/>', "", figure)
    place = f'<svg x="{_MARGIN}" y="{_MARGIN + _TITLE}" width="{width:g}" height="{height:g}" '
    body = body.replace("<svg ", place, 1)
    full = (width + 2 * _MARGIN, height + 2 * _MARGIN + _TITLE)
    heading = f'<text x="{_MARGIN}" y="{_MARGIN + 14}" font-size="15" font-weight="600">{escape(title)}</text>'
    document = (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{full[0]:g}" height="{full[1]:g}" '
        f'viewBox="0 0 {full[0]:g} {full[1]:g}" font-family="{_FONTS}" font-size="12" fill="var(--ink)">'
        f'<style>{FIGURE_CSS}</style><rect width="100%" height="100%" fill="var(--paper)"/>{heading}{body}</svg>\n'
    )
    return clean_text(re.sub(r"var\(--([\w-]+)\)", lambda match: LIGHT[match[1]], document))


def build_png(document: str) -> bytes:
    """Draws what `build_svg` returned at twice its size.

    Raises:
        UserError: the package that makes PNG is missing.
    """
    return bytes(require("vl_convert", extra="figures").svg_to_png(document, scale=_SCALE))
