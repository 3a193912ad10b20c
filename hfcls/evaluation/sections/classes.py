"""F1, precision and recall of each class, the worst first."""

from typing import Any

from hfcls.evaluation.formats import format_interval, join_reasons
from hfcls.evaluation.measured_run import MeasuredRun
from hfcls.evaluation.plots.classes import plot_classes
from hfcls.evaluation.section import Figure, Part
from hfcls.metrics.wilson import wilson_interval

MAX_OPEN_CLASSES = 40


def build(run: MeasuredRun) -> Part | None:
    """The classes from the worst F1 to the best, undefined ones last, in the blocks that the page shows."""
    per_class = run.measured.get("per_class") or []
    if not per_class:
        return None
    rows = [_show(row, run.labels) for row in per_class]
    rows.sort(key=lambda row: (row["f1"] is None, row["f1"] or 0.0, row["index"]))
    blocks, rest = _fold(rows)
    drawn = [row for _, block in blocks for row in block if row["support"]]
    files = (Figure("classes", _title(len(drawn), len(rows)), plot_classes(drawn)),) if drawn else ()
    return Part({"blocks": blocks, "rest": rest}, files=files)


def _show(row: dict[str, Any], labels: list[str]) -> dict[str, Any]:
    interval = ""
    if row["recall"] is not None:
        interval = format_interval(*wilson_interval(round(row["recall"] * row["support"]), row["support"]))
    label = labels[row["index"]] if labels else row["class_name"]
    return {**row, "label": label, "interval": interval, "notes": join_reasons(row.get("reasons") or {})}


def _fold(rows: list[dict[str, Any]]) -> tuple[list[tuple[str, list[dict[str, Any]]]], list[dict[str, Any]]]:
    """Of many classes both ends; those without a defined F1 are neither worst nor best."""
    if len(rows) <= MAX_OPEN_CLASSES:
        return [("", rows)], []
    half = MAX_OPEN_CLASSES // 2
    ends = sum(row["f1"] is not None for row in rows)
    if ends <= MAX_OPEN_CLASSES:
        return ([("", rows[:ends])] if ends else []), rows[ends:]
    blocks = [(f"The {half} worst", rows[:half]), (f"The {half} best", rows[ends - half : ends])]
    return blocks, rows[half : ends - half] + rows[ends:]


def _title(drawn: int, all_of_them: int) -> str:
    return "Classes by F1" if drawn == all_of_them else f"Classes by F1: {drawn} of {all_of_them:,}"
