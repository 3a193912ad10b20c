"""Writes `report/index.html`: what a run directory holds, as one page that opens offline.

Only `metrics.json` is required. What is missing is left out of the page; nothing is guessed or measured again, apart
from the two calibration figures, which are drawn from the saved predictions.
"""

import json
import math
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from hfcls.errors import UserError
from hfcls.evaluation import plots
from hfcls.evaluation.run_facts import MAX_OPEN_CLASSES, build_data, build_dropped, build_settings, build_speed
from hfcls.pages.render import render_page
from hfcls.structures import Predictions

# Name in metrics.json -> title, and what it says in a few words.
METRICS = {
    "accuracy": ("Accuracy", "share of right answers"),
    "balanced_accuracy": ("Balanced accuracy", "mean recall over the classes"),
    "top5_accuracy": ("Top-5 accuracy", "true class among the five best"),
    "precision_macro": ("Precision, macro", "mean over the classes"),
    "recall_macro": ("Recall, macro", "mean over the classes"),
    "f1_macro": ("F1, macro", "mean over the classes"),
    "precision_weighted": ("Precision, weighted", "mean weighted by support"),
    "recall_weighted": ("Recall, weighted", "mean weighted by support"),
    "f1_weighted": ("F1, weighted", "mean weighted by support"),
    "roc_auc": ("ROC AUC", "ranking, 50 % is chance"),
    "pr_auc": ("PR AUC", "average precision"),
    "roc_auc_macro": ("ROC AUC, macro", "one class against the rest"),
    "pr_auc_macro": ("PR AUC, macro", "one class against the rest"),
    "log_loss": ("Log loss", "nats, lower is better"),
    "brier": ("Brier score", "lower is better"),
    "ece": ("Calibration error", "ECE, lower is better"),
    "mcc": ("Matthews correlation", "from −1 to 1, 0 is chance"),
    "cohen_kappa": ("Cohen's kappa", "agreement beyond chance"),
}
CARDS = ("accuracy", "balanced_accuracy", "f1_macro", "roc_auc", "roc_auc_macro", "mcc", "log_loss", "ece")
NOT_PERCENT = {"log_loss", "brier", "ece", "mcc", "cohen_kappa"}
MAX_CELLS_CLASSES = 30


def save_report(run_dir: Path | str) -> Path:
    """Writes the report of a run.

    Args:
        run_dir: the run directory; `metrics.json` must be in it, and what else it holds is shown too.

    Returns:
        The page, `run_dir/report/index.html`.

    Raises:
        UserError: `metrics.json` is missing or empty, or a file of the run can't be read.
    """
    page = Path(run_dir) / "report" / "index.html"
    html = render_report(run_dir)
    page.parent.mkdir(parents=True, exist_ok=True)
    page.write_text(html, encoding="utf-8")
    return page


def render_report(run_dir: Path | str) -> str:
    """Returns the page of `save_report` as text."""
    run = Path(run_dir)
    metrics = _read(run / "metrics.json")
    splits: dict[str, Any] = metrics.get("splits") or {}
    if not splits:
        raise UserError(f"{run / 'metrics.json'} holds no measured split; run `hfcls evaluate` on the run first.")
    split = next((name for name in ("test", "validation") if name in splits), next(iter(splits)))
    measured = splits[split]
    names = measured.get("class_names") or []
    labels = label_classes(names)
    data = _read(run / "data.json", optional=True)
    context = {
        "name": run.resolve().name,
        "split": split,
        "n": measured["n"],
        "classes": len(names),
        "interval": describe_interval(measured.get("interval") or {}),
        "cards": [card for key in CARDS if (card := build_card(key, measured.get("headline", {}).get(key)))],
        "curves": plot_training(_read(run / "trainer_state.json", optional=True)),
        "confusion": build_confusion(measured.get("confusion_matrix"), labels),
        "per_class": build_per_class(measured.get("per_class") or [], labels),
        "calibration": plot_calibration(run / "predictions" / f"{split}.parquet"),
        "metrics": build_metrics(splits, split),
        "metric_splits": [split, *(name for name in splits if name != split)],
        "speed": build_speed(metrics.get("speed") or {}),
        "data": build_data(data) if data else None,
        "dropped": build_dropped(data.get("dropped") or []),
        "notices": data.get("notices") or [],
        "settings": build_settings(_read(run / "run.yaml", optional=True)),
        "ramps": {"light": plots.RAMP_LIGHT, "dark": plots.RAMP_DARK},
        "edges": [f"{100 * edge:g}" for edge in plots.SHARE_EDGES],
    }
    return render_page(Path(__file__).with_name("report.html.j2"), context)


def format_value(value: float | None, key: str = "", *, digits: int = 1) -> str:
    """Formats a metric: shares in per cent with `digits` decimals, everything else with `digits` + 2 decimals.

    A share below 1 is never rounded up to 100 %, nor one above 0 down to 0 %.
    """
    if value is None or not math.isfinite(value):
        return "undefined"
    scale, unit, decimals = (1, "", digits + 2) if key in NOT_PERCENT else (100, " %", digits)
    while decimals < 6 and 0 < abs(value) < 1 and float(f"{value:.{decimals + (2 if unit else 0)}f}") in (0, 1, -1):
        decimals += 1
    return f"{scale * value:.{decimals}f}{unit}".replace("-", "−")


def label_classes(names: Sequence[str]) -> list[str]:
    """Returns names to show: a repeated or empty name gets its index, so that no two look the same."""
    counts = Counter(names)
    return [f"{name} #{i}".strip() if counts[name] > 1 or not name.strip() else name for i, name in enumerate(names)]


def describe_interval(interval: dict[str, Any]) -> str:
    """One sentence on how the intervals were made, from the parts that are known."""
    if not interval.get("confidence"):
        return ""
    parts = [str(interval["method"])] if interval.get("method") else []
    parts += [f"{interval['resamples']:,} resamples"] if interval.get("resamples") else []
    parts += [f"seed {interval['seed']}"] if interval.get("seed") is not None else []
    how = f" ({', '.join(parts)})" if parts else ""
    return f"Ranges are {100 * interval['confidence']:g} % confidence intervals{how}."


def build_card(key: str, figure: dict[str, Any] | None) -> dict[str, Any] | None:
    """A headline figure, or None where it was not measured or is undefined (the table of metrics says why)."""
    if not figure or figure.get("value") is None:
        return None
    title, meaning = METRICS[key]
    return {"title": title, "meaning": meaning, **_format_figure(key, figure, digits=1)}


def build_metrics(splits: dict[str, Any], first: str) -> list[dict[str, Any]]:
    """One row a metric, one cell a split (`first` leads), in the order of `METRICS`; unknown names follow."""
    order = [first, *(name for name in splits if name != first)]
    found = {key: None for name in order for key in splits[name].get("headline", {})}
    keys = [key for key in METRICS if key in found] + [key for key in found if key not in METRICS]
    rows = []
    for key in keys:
        title, meaning = METRICS.get(key, (key, ""))
        figures = [splits[name].get("headline", {}).get(key) for name in order]
        cells = [_format_figure(key, figure, digits=2) if figure else None for figure in figures]
        rows.append({"title": title, "meaning": meaning, "cells": cells})
    return rows


def build_per_class(per_class: list[dict[str, Any]], labels: Sequence[str]) -> dict[str, Any] | None:
    """The classes from the worst F1 to the best, undefined ones last, in the blocks that the page shows."""
    if not per_class:
        return None
    rows = [{**row, "label": labels[row["index"]] if labels else row["class_name"]} for row in per_class]
    rows.sort(key=lambda row: (row["f1"] is None, row["f1"] or 0.0, row["index"]))
    if len(rows) <= MAX_OPEN_CLASSES:
        return {"blocks": [("", rows)], "rest": []}
    half = MAX_OPEN_CLASSES // 2
    # Classes without a defined F1 are neither worst nor best.
    ends = sum(row["f1"] is not None for row in rows)
    if ends <= MAX_OPEN_CLASSES:
        return {"blocks": [("", rows[:ends])] if ends else [], "rest": rows[ends:]}
    blocks = [(f"The {half} worst", rows[:half]), (f"The {half} best", rows[ends - half : ends])]
    return {"blocks": blocks, "rest": rows[half : ends - half] + rows[ends:]}


def build_confusion(counts: list[list[int]] | None, labels: Sequence[str]) -> dict[str, Any] | None:
    """The figure of the confusion matrix and the most confused pairs."""
    if not counts:
        return None
    matrix = np.asarray(counts, dtype=np.int64)
    k = len(matrix)
    wrong = np.where(np.eye(k, dtype=bool), 0, matrix)
    support = matrix.sum(axis=1)
    order = np.argsort(-wrong, axis=None, kind="stable")[: 10 if k <= MAX_CELLS_CLASSES else 25].tolist()
    pairs = []
    for i, j in (divmod(flat, k) for flat in order):
        if count := int(wrong[i, j]):
            true, predicted = (plots.shorten(labels[at], 60) for at in (i, j))
            pairs.append({"true": true, "predicted": predicted, "count": count, "share": count / int(support[i])})
    small = k <= MAX_CELLS_CLASSES
    svg = plots.plot_confusion_matrix(matrix, labels) if small else plots.plot_confusion_image(matrix)
    return {"svg": svg, "small": small, "block": plots.image_block(k), "pairs": pairs, "k": k}


def plot_training(state: dict[str, Any]) -> dict[str, Any] | None:
    """The learning curves of a Trainer state, with the epoch of its best checkpoint."""
    log = [entry for entry in state.get("log_history") or [] if isinstance(entry.get("epoch"), int | float)]
    best_step = state.get("best_global_step")
    chosen = [row["epoch"] for row in log if best_step and row.get("step") == best_step and "loss" not in row]
    best = chosen[0] if chosen else None

    def points(key: str) -> list[tuple[float, float]]:
        # A later entry of the same step is the evaluation made once more after training.
        found = [row for row in log if row.get(key) is not None]
        return list({row.get("step"): (row["epoch"], float(row[key])) for row in found}.values())

    loss = [
        plots.Series("training", points("loss")),
        plots.Series("validation", points("eval_loss"), "warm", dashed=True),
    ]
    accuracy = [plots.Series("validation", points("eval_accuracy"), "warm", dashed=True)]
    figures = [
        ("Loss", plots.plot_curves("loss", loss, y_label="loss", best_epoch=best)),
        ("Accuracy", plots.plot_curves("accuracy", accuracy, y_label="accuracy", best_epoch=best, percent=True)),
    ]
    figures = [figure for figure in figures if figure[1]]
    return {"figures": figures, "best": None if best is None else f"{best:.3g}"} if figures else None


def plot_calibration(path: Path) -> list[tuple[str, str]]:
    """The reliability diagram and the histogram of confidence, where there are predictions to draw them from."""
    if not path.is_file():
        return []
    predictions = Predictions.load(path).known
    parts = []
    # In slices, because the softmax of all images of a large test set would need several times its memory.
    for start in range(0, len(predictions), 4096):
        logits = predictions.logits[start : start + 4096]
        parts.append(1.0 / np.exp((logits - logits.max(axis=1, keepdims=True)).astype(np.float64)).sum(axis=1))
    confidence = np.concatenate(parts) if parts else np.zeros(0)
    correct = predictions.logits.argmax(axis=1) == predictions.labels
    finite = np.isfinite(confidence)
    confidence, correct = confidence[finite], correct[finite]
    if not len(confidence):
        return []
    return [
        ("Reliability", plots.plot_reliability(confidence, correct)),
        ("Confidence", plots.plot_confidence(confidence, correct)),
    ]


def _format_figure(key: str, figure: dict[str, Any], *, digits: int) -> dict[str, Any]:
    value, low, high = figure.get("value"), figure.get("low"), figure.get("high")
    ends: Iterable[float | None] = (low, high)
    interval = "" if None in ends else " – ".join(format_value(end, key, digits=digits) for end in ends)
    if interval.count(" %") == 2:
        interval = interval.replace(" %", "", 1)
    return {
        "key": key, "raw": value, "value": format_value(value, key, digits=digits), "interval": interval,
        "reason": figure.get("reason") or "",
    }  # fmt: skip


def _read(path: Path, *, optional: bool = False) -> dict[str, Any]:
    """Reads a JSON or YAML mapping; a missing optional file is an empty one."""
    if optional and not path.is_file():
        return {}
    try:
        text = path.read_text(encoding="utf-8")
        content = yaml.safe_load(text) if path.suffix == ".yaml" else json.loads(text)
    except FileNotFoundError:
        raise UserError(f"{path} is missing; run `hfcls evaluate` on the run directory first.") from None
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise UserError(f"{path} can't be read ({error}).") from None
    if not isinstance(content, dict):
        raise UserError(f"{path} holds a {type(content).__name__}; expected a mapping, as hfcls writes it.")
    return content
