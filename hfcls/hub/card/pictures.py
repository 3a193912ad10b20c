"""The drawings of a card: figures of the report as files, with what they show in words."""

import re
from dataclasses import dataclass
from html import escape

from hfcls.escaping import terminal_text
from hfcls.evaluation.measured_run import MeasuredRun
from hfcls.evaluation.sections import SECTIONS
from hfcls.pages.standalone import build_svg

# Figures of the report that a card shows, by section.
_PICTURES = {"learning": ("loss",), "confusion": ("confusion", "confused"), "ranking": ("roc",)}
_PICTURES |= {"calibration": ("reliability", "reliability-scaled", "confidence")}


@dataclass(frozen=True)
class Picture:
    """A drawing of the card.

    Attributes:
        path: within the repository.
        title: what stands above it.
        alternative: what it shows, in words, escaped for HTML.
        svg: the document.
    """

    path: str
    title: str
    alternative: str
    svg: str


def draw_pictures(run: MeasuredRun) -> list[Picture]:
    """The report's figures that a card shows, as files."""
    found: list[Picture] = []
    for section, names in _PICTURES.items():
        part = SECTIONS[section].build(run) if run.split or section == "learning" else None
        for figure in part.figures if part else ():
            if figure.name in names and (figure.name != "confidence" or run.samples is not None):
                described = re.search(r"<desc[^>]*>(.*?)</desc>", figure.svg, re.DOTALL)
                said = f"{escape(figure.title)}. {described[1] if described else ''}".strip()
                # A line break would end the HTML, a dollar begin a formula.
                alternative = terminal_text(said).replace("$", "&#36;")
                path = f"figures/{figure.name}.svg"
                found.append(Picture(path, figure.title, alternative, build_svg(figure.svg, figure.title)))
    drawn = {picture.path for picture in found}
    # Of many classes the worst corner of the matrix says more than a few of their curves.
    unwanted = {"figures/roc.svg"} if "figures/confused.svg" in drawn else set()
    return [picture for picture in found if picture.path not in unwanted]
