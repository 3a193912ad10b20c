"""What a report says about a run beside its figures: speed, data, settings."""

import json
import re
from collections import Counter
from collections.abc import Sequence
from typing import Any

SPEED = {
    "train_runtime": ("Training time", "s"),
    "train_samples_per_second": ("Training throughput", "images/s"),
    "test_samples_per_second": ("Test throughput", "images/s"),
    "latency_p50_ms": ("Latency, median", "ms"),
    "latency_p99_ms": ("Latency, 99th percentile", "ms"),
    "latency_images": ("Images timed for latency", ""),
    "peak_memory_mb": ("Peak memory", "MB"),
    "hardware": ("Hardware", ""),
}
MAX_DROPPED = 200
MAX_OPEN_CLASSES = 50
_SECRET = re.compile(r"(^|_)(token|password|secret|api_key)$", re.IGNORECASE)


def build_speed(speed: dict[str, Any]) -> list[tuple[str, str]]:
    """Title and formatted value of each speed figure that was measured."""
    rows = []
    for key, (title, unit) in SPEED.items():
        value = speed.get(key)
        if value is not None:
            rows.append((title, value if isinstance(value, str) else f"{_significant(value)} {unit}".rstrip()))
    return rows


def build_data(data: dict[str, Any]) -> dict[str, Any]:
    """Splits, and how many images each class has in each."""
    splits: dict[str, Any] = data.get("splits") or {}
    counted = {name: split["label_counts"] for name, split in splits.items() if split.get("label_counts")}
    names = list(dict.fromkeys([*(data.get("class_names") or []), *(key for one in counted.values() for key in one)]))
    rows = [(name, [counts.get(name, 0) for counts in counted.values()]) for name in names] if counted else []
    peaks = [max(counts.values()) for counts in counted.values()]
    return {
        "source": data.get("source"),
        "fingerprint": data.get("fingerprint"),
        "splits": [
            {
                "name": name,
                "n": split.get("n"),
                "from": split.get("from"),
                "balance": describe_balance(names, counted.get(name)),
            }
            for name, split in splits.items()
        ],
        "columns": list(counted),
        "rows": rows,
        "peaks": peaks,
        "folded": len(rows) > MAX_OPEN_CLASSES,
    }


def describe_balance(names: Sequence[str], counts: dict[str, int] | None) -> str:
    """How unequal the classes of a split are."""
    if not counts:
        return ""
    sizes = [counts.get(name, 0) for name in names]
    low, high = min(sizes), max(sizes)
    if low == high:
        return f"{low:,} a class"
    if low == 0:
        return f"up to {high:,} a class, {sizes.count(0):,} without an image"
    return f"{low:,} to {high:,} a class, {high / low:.3g} : 1"


def build_dropped(dropped: list[dict[str, Any]]) -> dict[str, Any] | None:
    """What was left out of the data: the reasons with their counts, and the first of the samples."""
    if not dropped:
        return None
    reasons = Counter(str(row.get("reason", "")) for row in dropped).most_common(20)
    return {"n": len(dropped), "reasons": reasons, "rows": dropped[:MAX_DROPPED]}


def build_settings(settings: dict[str, Any]) -> list[tuple[str, str]]:
    """Every argument as text; access tokens and passwords stay out of a page that people pass around."""
    rows = []
    for key, value in settings.items():
        hidden = _SECRET.search(str(key)) and isinstance(value, str) and value
        shown = value if isinstance(value, str) else json.dumps(value, default=str, ensure_ascii=False)
        rows.append((str(key), "(hidden)" if hidden else shown))
    return rows


def _significant(value: float) -> str:
    return f"{value:,.0f}" if value >= 1000 or value == int(value) else f"{value:.3g}"
