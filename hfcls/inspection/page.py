"""Writes `index.html`: the inspection as one page that opens offline."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from hfcls.inspection.figures import plot_histogram
from hfcls.inspection.finding import Finding
from hfcls.inspection.image_checks import relative_sharpness
from hfcls.inspection.images import Images
from hfcls.inspection.scan import Facts
from hfcls.inspection.sheet import choose_sheet
from hfcls.inspection.summary import channel_statistics, named_counts, verdict
from hfcls.inspection.thumbnails import make_thumbnails
from hfcls.pages.render import render_page
from hfcls.pages.thumbnails import Thumbnail

if TYPE_CHECKING:  # it needs transformers, which takes seconds
    from hfcls.inspection.augmented import Augmented

# Of one finding: pictures in all, pictures before the fold, images of one group, lines.
MAX_PICTURES, OPEN_PICTURES, MAX_GROUP, MAX_ITEMS = 60, 18, 12, 200
# How long the pictures' sides are, in findings and on the contact sheet.
FINDING_SIDE, SHEET_SIDE = 112, 80
# Characters that all pictures may take together.
PICTURE_BUDGET = 6_000_000
OPEN_CLASSES = 50


def save_page(
    path: Path,
    images: Images,
    facts: Facts,
    findings: Sequence[Finding],
    *,
    name: str,
    source: str,
    max_pixels: int,
    augmented: "Augmented | None" = None,
    suspects: str = "",
    quiet: bool = False,
) -> None:
    """Writes the page.

    Args:
        name: of the data set, for the title.
        source: in words, where it came from.
        max_pixels: of an image that is read.
        augmented: images and their augmented selves, where they are to be shown.
        suspects: what stands on the page of suspects beside this one; empty where there is none.
        quiet: show no progress.
    """
    shown = [_chosen_groups(finding) for finding in findings]
    pictured = [row for groups in shown for rows in groups for row in rows]
    settings: dict[str, Any] = {"max_pixels": max_pixels, "quiet": quiet}
    budget = PICTURE_BUDGET - (augmented.characters if augmented else 0)
    thumbnails = make_thumbnails(images, pictured, side=FINDING_SIDE, budget=budget, **settings)
    room = budget - sum(len(picture.uri) for picture in thumbnails.values())
    sheet = choose_sheet(images, facts)
    sheet_rows = [row for rows in sheet.values() for row in rows]
    sheet_pictures = make_thumbnails(images, sheet_rows, side=SHEET_SIDE, budget=room, **settings)
    errors, warnings, notes = (sum(f.severity == s for f in findings) for s in ("error", "warning", "note"))
    context = {
        "name": name,
        "source": source,
        "suspects": suspects,
        "verdict": verdict(findings),
        "severity": "error" if errors else "warning" if warnings else "note",
        "cards": [
            ("Images", len(images), ""),
            ("Classes", int(np.count_nonzero(images.counts().sum(axis=0))), ""),
            ("Errors", errors, "would spoil a training"),
            ("Warnings", warnings, "worth a look"),
            ("Notes", notes, "good to know"),
        ],
        "findings": [
            _show_finding(number, finding, groups, images, thumbnails)
            for number, (finding, groups) in enumerate(zip(findings, shown, strict=True), start=1)
        ],
        "splits": _show_splits(images, facts),
        "classes": _show_classes(images),
        "size_figures": _plot_sizes(facts),
        "pixel_figures": _plot_pixels(facts),
        "kinds": _show_kinds(facts),
        "augmented": augmented and _show_augmented(augmented, images),
        "sheet": _show_sheet(images, sheet, sheet_pictures),
    }
    html = render_page(Path(__file__).with_name("page.html.j2"), context)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(html, encoding="utf-8")


def _chosen_groups(finding: Finding) -> list[tuple[int, ...]]:
    """The first groups of a finding, as many as have room on the page."""
    groups: list[tuple[int, ...]] = []
    room = MAX_PICTURES
    for rows in finding.groups:
        rows = rows[: min(MAX_GROUP, room)]
        if not rows:
            break
        groups.append(rows)
        room -= len(rows)
    return groups


def _show_finding(
    number: int,
    finding: Finding,
    groups: list[tuple[int, ...]],
    images: Images,
    thumbnails: dict[int, Thumbnail],
) -> dict[str, Any]:
    shown: list[dict[str, Any]] = []
    for index, rows in enumerate(groups):
        pictures = [_show_image(row, images, thumbnails) for row in rows]
        caption = finding.captions[index] if finding.captions else ""
        shown.append({"pictures": pictures, "caption": caption, "more": len(finding.groups[index]) - len(rows)})
    filled = np.cumsum([len(rows) for rows in groups])
    fold = max(int(np.searchsorted(filled, OPEN_PICTURES, side="right")), 1)
    return {
        "id": f"finding-{number}",
        "finding": finding,
        "pictured": any(picture["thumbnail"] for group in shown for picture in group["pictures"]),
        "open": shown[:fold],
        "folded": shown[fold:],
        "more": len(finding.groups) - len(groups),
        "items": finding.items[:MAX_ITEMS],
        "more_items": max(len(finding.items) - MAX_ITEMS, 0),
    }


def _show_image(row: int, images: Images, thumbnails: dict[int, Thumbnail]) -> dict[str, Any]:
    (sample_id,) = images.ids([row])
    return {
        "id": sample_id,
        "split": images.split(row),
        "label": images.label(row),
        "thumbnail": thumbnails.get(row),
    }


def _show_splits(images: Images, facts: Facts) -> list[dict[str, Any]]:
    rows = []
    for number, (split, own) in enumerate(zip(images.splits, images.counts(), strict=True)):
        here = images.split_of == number
        present = own[own > 0]
        rows.append(
            {
                "name": split,
                "n": int(here.sum()),
                "unreadable": int((here & ~facts.readable).sum()),
                "classes": len(present),
                "least": int(present.min()),
                "most": int(present.max()),
                "megabytes": facts.table["bytes"][here].sum() / 1e6,
                "channels": channel_statistics(facts.table[here & facts.readable]),
            }
        )
    return rows


def _show_classes(images: Images) -> dict[str, Any]:
    """Counts of the classes in their order; many are folded away, apart from the largest and the smallest."""
    counts = images.counts()
    table = {"columns": list(images.splits), "peaks": counts.max(axis=1).tolist()}
    rows = list(zip(images.class_names, counts.T.tolist(), strict=True))
    if len(rows) <= OPEN_CLASSES:
        return {"blocks": [("", table | {"rows": rows})], "all": None, "n": len(rows)}
    order = np.argsort(-counts[0], kind="stable")
    order = order[counts[0][order] > 0].tolist()
    half = OPEN_CLASSES // 5
    even = counts[0].min() == counts[0].max() or len(order) < 2 * half
    ends = [] if even else [(f"The {half} largest", order[:half]), (f"The {half} smallest", order[-half:])]
    blocks = [(title, table | {"rows": [rows[i] for i in chosen]}) for title, chosen in ends]
    return {"blocks": blocks, "all": table | {"rows": rows}, "n": len(rows)}


def _plot_sizes(facts: Facts) -> list[str]:
    table = facts.table[facts.readable]
    width, height = table["width"].astype(np.float64), table["height"].astype(np.float64)
    figures = [
        plot_histogram("width", width, x_label="width in pixels"),
        plot_histogram("height", height, x_label="height in pixels"),
        plot_histogram("shape", width / np.maximum(height, 1), x_label="width over height"),
        plot_histogram("size", table["bytes"] / 1000, x_label="stored kilobytes"),
    ]
    return [figure for figure in figures if figure]


def _plot_pixels(facts: Facts) -> list[str]:
    table = facts.table[facts.readable]
    figures = [
        plot_histogram("brightness", table["brightness"], x_label="brightness, mean grey level", limits=(0.0, 255.0)),
        plot_histogram(
            "contrast", table["contrast"], x_label="contrast, deviation of grey levels", limits=(0.0, 128.0)
        ),
        plot_histogram("sharpness", relative_sharpness(table), x_label="sharpness (Laplacian over contrast)"),
    ]
    return [figure for figure in figures if figure]


def _show_kinds(facts: Facts) -> list[tuple[str, list[tuple[str, int, float]]]]:
    """Title, and name, count and share of each format, of each mode, and of the commonest sizes."""
    table = facts.table[facts.readable]
    if not len(table):
        return []
    sizes, counts = np.unique(np.stack([table["width"], table["height"]], axis=1), axis=0, return_counts=True)
    order = np.argsort(-counts, kind="stable")
    named = {f"{sizes[i][0]} × {sizes[i][1]}": int(counts[i]) for i in order[:8].tolist()}
    if len(order) > 8:
        named[f"{len(order) - 8:,} other sizes"] = int(counts[order[8:]].sum())
    kinds = (
        ("Sizes, width × height", named),
        ("File formats", named_counts(facts.formats, facts.format_of)),
        ("Stored pixels", named_counts(facts.modes, facts.mode_of)),
    )
    return [(title, [(key, n, 100 * n / len(table)) for key, n in found.items()]) for title, found in kinds]


def _show_augmented(augmented: "Augmented", images: Images) -> dict[str, Any]:
    return {
        "dials": augmented.described,
        "side": augmented.side,
        "seed": augmented.seed,
        "mixes": augmented.mixes,
        "left_out": augmented.left_out,
        "rows": [
            {"id": images.ids([row])[0], "label": images.label(row), "pictures": pictures}
            for row, pictures in augmented.rows.items()
        ],
    }


def _show_sheet(images: Images, sheet: dict[int, list[int]], thumbnails: dict[int, Thumbnail]) -> dict[str, Any]:
    totals = images.counts().sum(axis=0)
    classes: list[dict[str, Any]] = [
        {
            "name": images.class_names[label],
            "n": int(totals[label]),
            "pictures": [_show_image(row, images, thumbnails) for row in rows if row in thumbnails],
        }
        for label, rows in sheet.items()
    ]
    classes = [entry for entry in classes if entry["pictures"]]
    return {
        "classes": classes,
        "folded": len(classes) > OPEN_CLASSES,
        "single": all(len(entry["pictures"]) == 1 for entry in classes),
        "more": int(np.count_nonzero(totals)) - len(classes),
    }
