"""Writes `index.html`: which of several classifiers is better, as one page that opens offline."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from hfcls.data.decode import decode_bytes
from hfcls.errors import BadImage
from hfcls.evaluation.formats import describe_interval, format_interval, format_value
from hfcls.evaluation.measured_run import SIDE, Pictures, label_classes
from hfcls.evaluation.plots.differences import plot_differences
from hfcls.files import write_text
from hfcls.pages.render import render_page
from hfcls.pages.thumbnails import Thumbnail, make_thumbnail

# Up to so many classes all are drawn; of more, the halves at both ends.
MAX_CLASSES = 24
# Of the images on which two differ most, those that are not folded away.
OPEN_IMAGES = 12
_FIGURES = ("accuracy", "log_loss", "ece")


@dataclass(frozen=True)
class Contender:
    """One of the classifiers.

    Attributes:
        name: as the user named it.
        measured: what ``metrics.json`` holds of the split.
        speed: what it holds of speed.
        report: its own page.
    """

    name: str
    measured: dict[str, Any]
    speed: dict[str, Any]
    report: Path


def save_comparison(
    directory: Path,
    comparisons: Sequence[dict[str, Any]],
    contenders: Sequence[Contender],
    *,
    split: str,
    pictures: Pictures | None = None,
) -> Path:
    """Writes the page.

    Args:
        directory: where it goes; the pages of the contenders lie below it.
        comparisons: as `hfcls.evaluation.comparing.compare_predictions` returns them, each with the first contender.
        contenders: all classifiers, the one that the others are compared with first.
        split: that was measured.
        pictures: from ids to images; without it the page has no pictures and says so.

    Returns:
        The page, `directory/index.html`.
    """
    titles = dict(zip((one.name for one in contenders), _titles(contenders), strict=True))
    shown = [_show(one, number, titles, pictures) for number, one in enumerate(comparisons, start=1)]
    first = contenders[0].measured
    context = {
        "title": " and ".join([", ".join([*titles.values()][:-1]), [*titles.values()][-1]]),
        "split": split,
        "n": comparisons[0]["n"],
        "classes": len(first.get("class_names") or []),
        "interval": describe_interval(first.get("interval") or {}),
        "models": [_row(one, titles[one.name], directory, split) for one in contenders],
        "comparisons": shown,
        "pictured": pictures is not None,
        "percent": format_value,
        "sections": [("models", "Models", True), *((one["id"], one["heading"], True) for one in shown)],
    }
    page = directory / "index.html"
    write_text(page, render_page(Path(__file__).with_name("comparison_page.html.j2"), context))
    return page


def _titles(contenders: Sequence[Contender]) -> list[str]:
    """The last part of each name, where these differ."""
    short = [Path(one.name).name or one.name for one in contenders]
    return short if len(set(short)) == len(short) else [one.name for one in contenders]


def _row(one: Contender, title: str, directory: Path, split: str) -> dict[str, Any]:
    """A line of the table of models."""
    prefix = "eval" if split == "validation" else split
    latency, rate = (one.speed.get(key) for key in ("latency_p50_ms", f"{prefix}_samples_per_second"))
    return {
        "title": title,
        "name": one.name,
        "link": quote(one.report.relative_to(directory).as_posix()),
        "figures": [_figure(one.measured.get("headline", {}).get(key) or {}, key) for key in _FIGURES],
        "latency": None if latency is None else {"raw": latency, "text": f"{latency:.1f} ms"},
        "rate": None if rate is None else {"raw": rate, "text": f"{rate:,.0f}"},
        "hardware": one.speed.get("hardware") or "",
    }


def _figure(figure: dict[str, Any], key: str) -> dict[str, Any]:
    digits = 2 if key != "accuracy" else 1
    return {
        "raw": figure.get("value"),
        "text": format_value(figure.get("value"), key, digits=digits),
        "interval": format_interval(figure.get("low"), figure.get("high"), key, digits=digits),
        "reason": figure.get("reason") or "",
    }


def _show(found: dict[str, Any], number: int, titles: dict[str, str], pictures: Pictures | None) -> dict[str, Any]:
    """What the page shows of one pair."""
    names = [row["class_name"] for row in found["per_class"]]
    rows = [row | {"label": label} for row, label in zip(found["per_class"], label_classes(names), strict=True)]
    rows.sort(key=lambda row: (row["difference"], row["low"]))
    half = MAX_CLASSES // 2
    drawn = rows if len(rows) <= MAX_CLASSES else [*rows[:half], *rows[-half:]]
    thumbnails = _thumbnails([one["id"] for one in found["differ"]], pictures)
    images = [one | {"thumbnail": thumbnails.get(one["id"])} for one in found["differ"]]
    first, second = titles[found["first"]], titles[found["second"]]
    mcnemar = found["mcnemar"]
    return {
        "id": f"pair-{number}",
        "heading": f"{first} and {second}",
        "first": first,
        "second": second,
        "sentence": found["sentence"],
        "n": found["n"],
        "differences": [_difference(found[key], key) for key in ("accuracy", "log_loss")],
        "counts": [
            [_count(mcnemar[key], found["n"]) for key in keys]
            for keys in (("both_right", "only_first"), ("only_second", "both_wrong"))
        ],
        "p_value": f"{mcnemar['p_value']:.2g}",
        "classes": len(rows),
        "left_out": len(rows) - len(drawn),
        "figure": plot_differences(drawn, name=f"differences-{number}"),
        "open": images[:OPEN_IMAGES],
        "folded": images[OPEN_IMAGES:],
    }


def _difference(pair: dict[str, Any], key: str) -> dict[str, Any]:
    """Difference and interval, accuracy in points."""
    scale, decimals = (100, 1) if key == "accuracy" else (1, 4)
    low, value, high = (
        f"{scale * pair[name]:+.{decimals}f}".replace("-", "−") for name in ("low", "difference", "high")
    )
    title = "Accuracy, points" if key == "accuracy" else "Log loss"
    return {"title": title, "raw": pair["difference"], "text": value, "interval": f"{low} to {high}"}


def _count(value: int, n: int) -> dict[str, Any]:
    return {"raw": value, "text": f"{value:,}", "share": format_value(value / n)}


def _thumbnails(ids: Sequence[str], pictures: Pictures | None) -> dict[str, Thumbnail]:
    """Small pictures, without those that cannot be had."""
    found = {}
    for sample_id, picture in zip(ids, pictures(ids) if pictures and ids else (), strict=False):
        try:
            image = decode_bytes(picture, sample_id, at_least=SIDE).image if isinstance(picture, bytes) else picture
        except BadImage:
            continue  # the page says that there is none
        if image is not None:
            found[sample_id] = make_thumbnail(image.convert("RGB"), side=SIDE)
    return found
