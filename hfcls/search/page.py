"""Writes ``index.html``: what a search has tried and found, as one page that opens offline."""

import json
from pathlib import Path
from shlex import quote
from typing import Any

from hfcls.extras import require
from hfcls.files import write_text
from hfcls.pages.render import render_page
from hfcls.search import STRATEGIES
from hfcls.search.figures import plot_dimension, plot_history, plot_importances, plot_parallel
from hfcls.search.plan import Plan
from hfcls.search.proposals import PROPOSED, RANDOM
from hfcls.search.study import SearchStudy
from hfcls.search.table import TABLE, best_row, read_record, rows_of, value_text
from hfcls.search.worker import duration_text

PAGE = "index.html"
# Fewer say nothing of what matters.
_FEWEST = 8


def write_page(study: SearchStudy) -> Path:
    """Writes the page from what is known by now."""
    plan, rows = study.plan, rows_of(study)
    best = best_row(plan, rows)
    kept = read_record(plan.folder).get("kept") or {}
    importances, reason = compute_importances(study)
    complete = [row for row in rows if row["state"] == "complete"]
    context = {
        "name": plan.folder.resolve().name,
        "metric": plan.metric,
        "better": "higher" if plan.greater_is_better else "lower",
        "strategy": STRATEGIES[plan.strategy],
        "strategy_name": plan.strategy,
        "pruner": plan.pruner,
        "seed": plan.seed,
        "counts": _counts(rows),
        "cards": _cards(plan, rows, best, kept),
        "best": best,
        "params": [] if best is None else [(name, value_text(value)) for name, value in best["params"].items()],
        "command": None if best is None else training_command(plan, best["params"]),
        "verdict": compare_with_random(plan, rows) if STRATEGIES[plan.strategy].learns else None,
        "refit": kept.get("refit"),
        "history": plot_history(plan, rows),
        "importances": plot_importances(importances) if importances else "",
        "reason": reason,
        "parallel": plot_parallel(plan, complete) if len(complete) > 1 and len(plan.space.dimensions) > 1 else "",
        "scatter": [plot_dimension(plan, one, rows) for one in plan.space.dimensions] if complete else [],
        "names": [one.name for one in plan.space.dimensions],
        "rows": _table(plan, rows),
        "table": TABLE,
    }
    context["sections"] = [
        ("found", "Best settings", best is not None),
        ("history", "History", bool(rows)),
        ("matters", "Settings", bool(complete)),
        ("trials", "Trials", bool(rows)),
    ]
    page = plan.folder / PAGE
    write_text(page, render_page(Path(__file__).with_name("page.html.j2"), context))
    return page


def compute_importances(study: SearchStudy) -> tuple[dict[str, float], str]:
    """Shares of the variance of the metric, by dimension, the largest first.

    Source: Hutter et al., An Efficient Approach for Assessing Hyperparameter Importance (fANOVA), ICML 2014.

    Returns:
        The shares, and why there are none.
    """
    importance = require("optuna", extra="search").importance
    values = [one.value for one in study.trials() if one.state.name == "COMPLETE"]
    if len(study.plan.space.dimensions) < 2:
        return {}, "There is one dimension: all of it is its."
    if len(values) < _FEWEST:
        return {}, f"{len(values)} trials came to their end; what matters can be said from {_FEWEST} on."
    if len(set(values)) < 2:
        return {}, "All trials have the same value."
    found = importance.get_param_importances(
        study.study, evaluator=importance.FanovaImportanceEvaluator(seed=study.plan.seed)
    )
    return {name: float(share) for name, share in found.items()}, ""


def compare_with_random(plan: Plan, rows: list[dict[str, Any]]) -> dict[str, Any] | None:
    """Whether what the strategy proposed is better than what it drew at random to begin with.

    Returns:
        ``sentence`` and ``beaten``; None where either has no complete trial.
    """
    found = {
        how: [row["value"] for row in rows if row["state"] == "complete" and row["drawn"] == how]
        for how in (PROPOSED, RANDOM)
    }
    if not all(found.values()):
        return None
    proposed, random = ((max if plan.greater_is_better else min)(values) for values in (found[PROPOSED], found[RANDOM]))
    beaten = plan.better(proposed, random)
    counts = f"{len(found[PROPOSED])} proposed trials", f"{len(found[RANDOM])} random ones"
    if beaten:
        verb = "reached"
        tail = f", better than the {random:.4f} of the {counts[1]} before them; more random trials might have, too."
    else:
        verb = "reached only"
        same = " as well" if proposed == random else ""
        tail = f"{same}: no better than the {random:.4f} of the {counts[1]} before them. Chance did as well here."
    return {"beaten": beaten, "sentence": f"The {counts[0]} {verb} {proposed:.4f}{tail}"}


def training_command(plan: Plan, params: dict[str, Any]) -> str:
    """The command that trains with these settings again."""
    skipped = ("disable_tqdm", "cache_gb")
    words = [f"--{name} {_word(v)}" for name, v in plan.flags(params).items() if name not in skipped]
    return " \\\n  ".join(["hfcls train", *words, "--output_dir runs/again"])


def _word(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list):
        return " ".join(quote(str(item)) for item in value)
    if isinstance(value, float) and value.is_integer():
        return f"{value:.0f}"
    return quote(json.dumps(value) if isinstance(value, dict) else str(value))


def _counts(rows: list[dict[str, Any]]) -> list[tuple[str, int]]:
    """How many trials came to which end."""
    states = ("complete", "pruned", "failed", "unfinished")
    counted = [(state, sum(row["state"] == state for row in rows)) for state in states]
    return [(state, count) for state, count in counted if count]


def _cards(
    plan: Plan, rows: list[dict[str, Any]], best: dict[str, Any] | None, kept: dict[str, Any]
) -> list[tuple[str, str, str]]:
    """Title, value and meaning of what to know first."""
    cards = []
    if best is not None:
        cards.append((f"Best {plan.metric}", f"{best['value']:.4f}", f"of validation, trial {best['number']}"))
        figure = ((kept.get("test") or {}).get("headline") or {}).get(plan.metric)
        if figure and figure["value"] is not None and kept["trial"] == best["number"]:
            inside = f"[{figure['low']:.4f}, {figure['high']:.4f}], " if "low" in figure else ""
            cards.append(
                (f"Its {plan.metric} on test", f"{figure['value']:.4f}", f"{inside}measured once for each best run")
            )
    seconds = sum(row["seconds"] or 0 for row in rows)
    cards.append(("Trials", str(len(rows)), ", ".join(f"{count} {state}" for state, count in _counts(rows))))
    cards.append(("Training time", duration_text(seconds), "of all trials together"))
    return cards


def _table(plan: Plan, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The trials for the template, the best first, what did not come to its end behind."""
    sign = -1 if plan.greater_is_better else 1
    states = {"complete": 0, "pruned": 1, "unfinished": 2, "failed": 3}

    def place(row: dict[str, Any]) -> tuple[int, float, int]:
        value = row["value"] if row["value"] is not None else row["reached"]
        return states.get(row["state"], 4), sign * value if value is not None else 0.0, row["number"]

    shown = []
    for row in sorted(rows, key=place):
        value = row["value"] if row["value"] is not None else row["reached"]
        shown.append(
            {
                "number": row["number"],
                "state": row["state"],
                "value": "" if value is None else f"{value:.4f}",
                "params": [value_text(row["params"].get(one.name)) for one in plan.space.dimensions],
                "seconds": "" if row["seconds"] is None else f"{row['seconds']:.1f}",
                "epochs": "" if row["epochs"] is None else f"{row['epochs']:g}",
                "reason": row["reason"],
            }
        )
    return shown
