"""What the trainings of a cross-validation say together."""

from typing import Any

from hfcls.evaluation.formats import METRICS, NOT_PERCENT, format_interval, format_value
from hfcls.evaluation.measured_run import MeasuredRun
from hfcls.evaluation.plots.folds import plot_folds
from hfcls.evaluation.section import Figure, Part

DRAWN = ("accuracy", "balanced_accuracy", "f1_macro")
MAX_OPEN = 10


def build(run: MeasuredRun) -> Part | None:
    """Mean, spread and interval of each metric, and a row for each fold."""
    content = run.measured.get("crossval")
    if not content:
        return None
    metrics: dict[str, dict[str, Any]] = content["metrics"]
    drawn = [
        (
            METRICS[name][0],
            [row[name] for row in content["runs"] if row[name] is not None],
            one["mean"],
            one["low"],
            one["high"],
        )
        for name in DRAWN
        if (one := metrics[name])["mean"] is not None
    ]
    rows = [
        {
            "repeat": row["repeat"],
            "fold": row["fold"],
            "run": row["run"],
            "n": row["n"],
            "seconds": row["train_runtime"],
            "values": [{"raw": row[name], "text": format_value(row[name], name)} for name in (*DRAWN, "log_loss")],
        }
        for row in content["runs"]
    ]
    values = {
        "folds": content["folds"],
        "repeats": content["repeats"],
        "grouped": content["grouped"],
        "left_out": content["left_out"],
        "ensemble": content.get("ensemble"),
        "method": content["interval"]["method"],
        "metrics": [_show(name, one) for name, one in metrics.items() if one["mean"] is not None],
        "titles": [METRICS[name][0] for name in (*DRAWN, "log_loss")],
        "open": rows[:MAX_OPEN],
        "more": rows[MAX_OPEN:],
    }
    return Part(values, (Figure("folds", "Figures of all folds", plot_folds(drawn)),) if drawn else ())


def _show(name: str, one: dict[str, Any]) -> dict[str, Any]:
    points = 1 if name in NOT_PERCENT else 100
    std = one.get("std")
    return {
        "title": METRICS.get(name, (name, ""))[0],
        "raw": one["mean"],
        "mean": format_value(one["mean"], name, digits=2),
        "std": "" if std is None else f"{points * std:.{4 if points == 1 else 2}f}",
        "interval": format_interval(one.get("low"), one.get("high"), name, digits=2),
        "reason": one.get("reason") or "",
    }
