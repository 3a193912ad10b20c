"""The trials as a table, in three forms: rows, ``trials.csv``, ``search.json``."""

import csv
import io
import json
from pathlib import Path
from typing import Any

from hfcls.escaping import spreadsheet_text
from hfcls.files import write_json, write_text
from hfcls.search.plan import Plan
from hfcls.search.proposals import DRAWN
from hfcls.search.study import SearchStudy

TABLE, RECORD = "trials.csv", "search.json"
STATES = {"COMPLETE": "complete", "PRUNED": "pruned", "FAIL": "failed", "RUNNING": "unfinished", "WAITING": "waiting"}


def rows_of(study: SearchStudy) -> list[dict[str, Any]]:
    """All trials by number; ``reached`` is the last value of one that did not come to its end."""
    rows = []
    for one in study.trials():
        kept, state = one.user_attrs, STATES[one.state.name]
        last = one.intermediate_values.get(one.last_step) if one.last_step is not None else None
        rows.append(
            {
                "number": one.number + 1,
                "state": state,
                "value": one.value if state == "complete" else None,
                "reached": last,
                "params": dict(one.params),
                "seconds": kept.get("seconds"),
                "epochs": kept.get("epochs"),
                "best_epoch": kept.get("best_epoch"),
                "reason": kept.get("reason") or "",
                "drawn": kept.get(DRAWN, ""),
            }
        )
    return rows


def write_table(study: SearchStudy, *, kept: dict[str, Any] | None = None) -> dict[str, Any]:
    """Writes both files; returns what ``search.json`` holds.

    Args:
        kept: what ``best/`` is, once it is there; see `hfcls.search.best.keep_best`.
    """
    plan, rows, best = study.plan, rows_of(study), study.best()
    names = [one.name for one in plan.space.dimensions]
    columns = ["number", "state", plan.metric, *names, "seconds", "epochs", "best_epoch", "reason"]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    for row in rows:
        cells = {**row, **row["params"], plan.metric: row["value"]}
        writer.writerow([_cell(cells.get(name)) for name in columns])
    record: dict[str, Any] = {
        "metric": plan.metric,
        "greater_is_better": plan.greater_is_better,
        "strategy": plan.strategy,
        "pruner": plan.pruner,
        "seed": plan.seed,
        "best": None if best is None else best.number + 1,
        "trials": rows,
    }
    with study.alone():
        kept = kept or read_record(plan.folder).get("kept")
        record |= {"kept": kept} if kept else {}
        write_text(plan.folder / TABLE, text.getvalue())
        write_json(plan.folder / RECORD, record)
    return record


def read_record(folder: Path) -> dict[str, Any]:
    """What ``search.json`` holds; empty before there is one."""
    file = folder / RECORD
    found: dict[str, Any] = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
    return found


def _cell(value: Any) -> Any:
    return spreadsheet_text(value) if isinstance(value, str) else value


def value_text(value: Any) -> str:
    """A setting for people."""
    if value is None:
        return "not set"
    if isinstance(value, bool):
        return "true" if value else "false"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def best_row(plan: Plan, rows: list[dict[str, Any]]) -> dict[str, Any] | None:
    """The best complete trial, the first of equals."""
    found: dict[str, Any] | None = None
    for row in rows:
        if row["state"] == "complete" and (found is None or plan.better(row["value"], found["value"])):
            found = row
    return found
