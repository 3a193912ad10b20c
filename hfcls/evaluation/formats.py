"""How figures are written: titles, per cent, intervals, words for what is undefined."""

import math
from typing import Any

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
NOT_PERCENT = {"log_loss", "brier", "ece", "mcc", "cohen_kappa"}


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


def format_interval(low: float | None, high: float | None, key: str = "", *, digits: int = 1) -> str:
    """Formats the ends of an interval, empty where there is none."""
    if low is None or high is None:
        return ""
    ends = [format_value(end, key, digits=digits) for end in (low, high)]
    # With one unit the second end says it for both.
    return " – ".join([ends[0].removesuffix(" %"), ends[1]])


def format_figure(key: str, figure: dict[str, Any], *, digits: int) -> dict[str, Any]:
    """A headline figure of metrics.json, ready for a template."""
    value = figure.get("value")
    title, meaning = METRICS.get(key, (key, ""))
    return {
        "key": key,
        "title": title,
        "meaning": meaning,
        "raw": value,
        "value": format_value(value, key, digits=digits),
        "interval": format_interval(figure.get("low"), figure.get("high"), key, digits=digits),
        "reason": figure.get("reason") or "",
    }


def describe_interval(interval: dict[str, Any]) -> str:
    """One sentence on how the intervals were made, from the parts that are known."""
    if not interval.get("confidence"):
        return ""
    parts = [str(interval["method"])] if interval.get("method") else []
    parts += [f"{interval['resamples']:,} resamples"] if interval.get("resamples") else []
    parts += [f"seed {interval['seed']}"] if interval.get("seed") is not None else []
    how = f" ({', '.join(parts)})" if parts else ""
    return f"Ranges are {100 * interval['confidence']:g} % confidence intervals{how}."


def join_reasons(reasons: dict[str, str]) -> list[str]:
    """Sentences on undefined figures, one a reason: "precision, F1 undefined: the class is never predicted"."""
    names = {"precision": "precision", "recall": "recall", "f1": "F1", "roc_auc": "ROC AUC", "pr_auc": "PR AUC"}
    grouped: dict[str, list[str]] = {}
    for name, reason in reasons.items():
        grouped.setdefault(reason, []).append(names.get(name, name))
    return [f"{', '.join(keys)} undefined: {reason}" for reason, keys in grouped.items()]
