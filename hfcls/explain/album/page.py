"""Writes `index.html`: images, maps and what they are worth, as one page that opens offline."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image

from hfcls.explain import EXPLAINERS
from hfcls.explain.album.drawing import Line, plot_probabilities
from hfcls.explain.album.records import Album, ImageRecord, MapRecord
from hfcls.explain.faithfulness import MEASURES, UNEXPLAINED
from hfcls.explain.faithfulness.randomization import UNCHANGED
from hfcls.explain.faithfulness.summary import Mean, Summary, summarize
from hfcls.explain.faithfulness.verdict import verdict
from hfcls.files import write_text
from hfcls.pages.render import render_page
from hfcls.pages.thumbnails import Thumbnail, make_thumbnail

# Pixels of the longer side of a picture; shown at half of it or more.
_SIDE = 320
# Characters that all pictures may take together; the images beyond are in the files alone.
_PICTURE_BUDGET = 12_000_000
TITLES = {name: explainer.title for name, explainer in EXPLAINERS.items()} | {
    name: name.capitalize() for name in UNEXPLAINED
}


@dataclass(frozen=True)
class Worth:
    """What the maps are worth, over all images.

    Attributes:
        rows: means and differences.
        sentences: on what to believe.
    """

    rows: list[Summary]
    sentences: list[str]


def judge(album: Album) -> Worth:
    """Means and sentences from the figures of an album."""
    rows = summarize(album.values(), {name: measure.better for name, measure in MEASURES.items()})
    return Worth(rows, verdict(rows, TITLES))


def save_page(path: Path, album: Album, worth: Worth) -> None:
    """Writes the page.

    Args:
        path: in the directory of the album, whose pictures it takes up.
        worth: as `judge` says.
    """
    readable = [image for image in album.images if image.error is None and image.picture]
    made = [one for _, one in album.maps() if one.error is None]
    # What has no map at all is told of once, not beside each image.
    methods = [name for name in album.methods if any(one.method == name for one in made)]
    shown, left_out = _show_images(readable, path.parent, methods)
    context = {
        "model": Path(album.model).name if Path(album.model).is_dir() else album.model,
        "source": album.source,
        "notices": album.notices,
        "n": len(readable),
        "maps": len(made),
        "methods": [TITLES[name] for name in methods],
        "sentences": worth.sentences,
        "table": _show_table(worth.rows, made),
        "measures": MEASURES,
        "curves": _draw_curves(album, worth.rows),
        "papers": [(TITLES[name], EXPLAINERS[name].paper) for name in album.methods],
        "images": shown,
        "left_out": left_out,
        "unread": [(image.id, image.error) for image in album.images if image.error],
        "failed": _failures(album),
        "settings": album.settings,
    }
    context["sections"] = [
        ("believe", "What to believe", bool(context["table"])),
        ("images", "Images", bool(shown)),
        ("problems", "What could not be explained", bool(context["unread"] or context["failed"])),
        ("settings", "Methods and settings", True),
    ]
    write_text(path, render_page(Path(__file__).with_name("page.html.j2"), context))


def _show_images(images: Sequence[ImageRecord], directory: Path, methods: Sequence[str]) -> tuple[list[Any], int]:
    """The images with their pictures, as many as have room; how many have none."""
    shown: list[dict[str, Any]] = []
    room = _PICTURE_BUDGET
    for image in images:
        pictures = {name: _thumbnail(directory / name) for name in _names(image)}
        room -= sum(len(one.uri) for one in pictures.values() if one)
        if room < 0 and shown:
            break
        order = {name: place for place, name in enumerate(methods)}
        rows: dict[str, list[dict[str, Any]]] = {}
        for one in sorted((one for one in image.maps if one.method in order), key=lambda one: order[one.method]):
            rows.setdefault(one.target, []).append(_show_map(one, pictures))
        shown.append(
            {
                "id": image.id,
                "true": image.true,
                "predicted": image.predicted,
                "probability": image.probability,
                "wrong": image.true is not None and image.true != image.predicted,
                "thumbnail": pictures.get(image.picture or ""),
                "rows": [(target, maps[0]["probability"], maps) for target, maps in rows.items()],
            }
        )
    return shown, len(images) - len(shown)


def _names(image: ImageRecord) -> list[str]:
    return [name for name in (image.picture, *(one.picture for one in image.maps)) if name]


def _thumbnail(path: Path) -> Thumbnail | None:
    if not path.is_file():
        return None
    with PIL.Image.open(path) as image:
        return make_thumbnail(image.convert("RGB"), side=_SIDE)


def _show_map(one: MapRecord, pictures: dict[str, Thumbnail | None]) -> dict[str, Any]:
    figures = [(MEASURES[name].title, f"{one.scores[name]['value']:.2f}") for name in MEASURES if name in one.scores]
    return {
        "title": TITLES[one.method],
        "thumbnail": pictures.get(one.picture or ""),
        "probability": one.probability,
        "error": one.error,
        "complete": one.complete,
        "figures": figures[:2],
    }


def _show_table(rows: Sequence[Summary], made: Sequence[MapRecord]) -> list[dict[str, Any]]:
    """A row for each method, the furthest above the random map first; maps that know nothing last."""
    found: dict[str, dict[str, Any]] = {}
    for row in rows:
        entry = found.setdefault(
            row.method,
            {"title": TITLES[row.method], "unexplained": row.method in UNEXPLAINED, "cells": {}, "gain": 0.0, "n": 0},
        )
        entry["cells"][row.measure] = _cell(row)
        entry["n"] = max(entry["n"], row.mean.n)
        if row.measure in ("insertion", "deletion") and row.over_random:
            entry["gain"] += row.over_random.value
    for method, entry in found.items():
        mine = [one for one in made if one.method == method]
        entry["seconds"] = f"{np.mean([one.seconds for one in mine]):.2f}" if mine else ""
        entry["passes"] = f"{np.mean([one.passes for one in mine]):,.0f}" if mine else ""
    return sorted(found.values(), key=lambda entry: (entry["unexplained"], -entry["gain"]))


def _cell(row: Summary) -> dict[str, Any]:
    return {
        "value": f"{row.mean.value:.3f}".replace("-", "−"),
        "raw": row.mean.value,
        "interval": format_interval(row.mean),
        "n": row.mean.n,
        "beats": row.over_random is not None and row.over_random.low is not None and row.over_random.low > 0,
        "unchanged": row.measure == "randomization" and row.mean.value >= UNCHANGED,
    }


def format_interval(mean: Mean) -> str:
    """The ends of an interval; empty where there is none."""
    return "" if mean.low is None else f"{mean.low:.3f} – {mean.high:.3f}".replace("-", "−")


def _draw_curves(album: Album, rows: Sequence[Summary]) -> list[tuple[str, str]]:
    """Heading and drawing of deletion and insertion."""
    numbers = {name: number for number, name in enumerate(album.methods)}
    kinds = (("insertion", "Insertion: higher is better", "in"), ("deletion", "Deletion: lower is better", "gone"))
    drawn = []
    for measure, title, where in kinds:
        lines = []
        for row in rows:
            curves = _curves(album, row.method, measure)
            if row.measure == measure and curves:
                mean = np.mean(curves, axis=0).tolist()
                lines.append(Line(TITLES[row.method], mean, row.mean.value, numbers.get(row.method)))
        if lines:
            lines.sort(key=lambda line: line.area, reverse=measure == "insertion")
            label = f"share of the pixels that are {where}, the most important first"
            drawn.append((title, plot_probabilities(measure, title, lines, x_label=label)))
    return drawn


def _curves(album: Album, method: str, measure: str) -> list[list[float]]:
    known = [one.scores for _, one in album.maps() if one.method == method]
    known += [image.unexplained[method] for image in album.images if method in image.unexplained]
    return [scores[measure]["curve"] for scores in known if "curve" in scores.get(measure, {})]


def _failures(album: Album) -> list[tuple[str, str, list[str]]]:
    """Method and reason, and for which images."""
    grouped: dict[tuple[str, str], list[str]] = {}
    for image, one in album.maps():
        if one.error:
            grouped.setdefault((TITLES[one.method], one.error), []).append(image.id)
    return [(method, reason, ids) for (method, reason), ids in grouped.items()]
