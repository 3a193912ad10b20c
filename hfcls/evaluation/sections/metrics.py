"""Every headline figure of every measured split."""

from typing import Any

from hfcls.evaluation.formats import METRICS, format_figure
from hfcls.evaluation.measured_run import MeasuredRun
from hfcls.evaluation.section import Part


def build(run: MeasuredRun) -> Part | None:
    """One row a metric, one cell a split, the report's own first; names that are not known here follow."""
    order = [run.split, *(name for name in run.splits if name != run.split)]
    headlines = [run.splits[name].get("headline") or {} for name in order]
    found = {key: None for headline in headlines for key in headline}
    rows: list[dict[str, Any]] = []
    for key in [*(key for key in METRICS if key in found), *(key for key in found if key not in METRICS)]:
        title, meaning = METRICS.get(key, (key, ""))
        cells = [format_figure(key, one[key], digits=2) if one.get(key) else None for one in headlines]
        rows.append({"title": title, "meaning": meaning, "cells": cells})
    return Part({"rows": rows, "splits": order}) if rows else None
