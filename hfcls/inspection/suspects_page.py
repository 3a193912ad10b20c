"""Writes `suspects.html`: the images to look at, the most suspicious first."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hfcls.inspection.finding import Finding
from hfcls.inspection.images import Images
from hfcls.inspection.suspects import CLASS_OUTLIER, LABEL, NEAR, NEAR_LABEL, OUTLIER, Suspect, describe_suspects
from hfcls.inspection.thumbnails import make_thumbnails
from hfcls.pages.render import render_page
from hfcls.pages.thumbnails import Thumbnail

# Pictures of one section, the side of each, and characters that all may take.
MOST, SIDE, BUDGET = 240, 128, 8_000_000
_SECTIONS = (
    ("labels", "Labels that look wrong", (LABEL,)),
    ("twins", "Near duplicates under two labels", (NEAR_LABEL,)),
    ("outliers", "Outliers", (CLASS_OUTLIER, OUTLIER)),
    ("duplicates", "Near duplicates", (NEAR,)),
)
# What the picture beside is.
_BESIDE = {
    LABEL: "suggested; a typical one",
    NEAR_LABEL: "filed under",
    CLASS_OUTLIER: "suggested; its nearest",
    NEAR: "nearly the same",
}


def save_suspects_page(
    path: Path,
    images: Images,
    suspects: Sequence[Suspect],
    findings: Sequence[Finding],
    *,
    name: str,
    max_pixels: int,
    quiet: bool = False,
) -> None:
    """Writes the page.

    Args:
        findings: what is said of them all.
        name: of the data set, for the title.
        max_pixels: of an image that is read.
        quiet: show no progress.
    """
    sections = []
    for anchor, title, reasons in _SECTIONS:
        own = [(rank, one) for rank, one in enumerate(suspects, start=1) if one.reasons[0] in reasons]
        if reasons == (NEAR_LABEL,):  # each pair once
            pairs = {frozenset((one.row, one.beside)): (rank, one) for rank, one in reversed(own)}
            own = sorted(pairs.values(), key=lambda entry: entry[0])
        if own:
            sections.append((anchor, title, own))
    shown = [one for _, _, own in sections for _, one in own[:MOST]]
    rows = [row for one in shown for row in (one.row, one.beside) if row is not None]
    thumbnails = make_thumbnails(images, rows, side=SIDE, budget=BUDGET, max_pixels=max_pixels, quiet=quiet)
    context = {
        "name": name,
        "summary": describe_suspects(suspects),
        "findings": findings,
        "groups": [
            {
                "id": anchor,
                "title": title,
                "n": len(own),
                "more": max(len(own) - MOST, 0),
                "entries": [_show(rank, one, images, thumbnails) for rank, one in own[:MOST]],
            }
            for anchor, title, own in sections
        ],
    }
    html = render_page(Path(__file__).with_name("suspects.html.j2"), context)
    path.write_text(html, encoding="utf-8")


def _show(rank: int, suspect: Suspect, images: Images, thumbnails: dict[int, Thumbnail]) -> dict[str, Any]:
    (sample_id,) = images.ids([suspect.row])
    beside = None
    if suspect.beside is not None and suspect.beside in thumbnails:
        beside = {
            "thumbnail": thumbnails[suspect.beside],
            "id": images.ids([suspect.beside])[0],
            "caption": images.label(suspect.beside),
            "what": _BESIDE[suspect.reasons[0]],
        }
    return {
        "rank": rank,
        "id": sample_id,
        "split": images.split(suspect.row),
        "label": images.label(suspect.row),
        "suggested": suspect.suggested if suspect.suggested != images.label(suspect.row) else "",
        "detail": suspect.detail,
        "reasons": suspect.reasons,
        "thumbnail": thumbnails.get(suspect.row),
        "beside": beside,
    }
