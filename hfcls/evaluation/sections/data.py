"""The data of the run: splits, counts, what was dropped and what looked odd."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

from hfcls.evaluation.measured_run import MeasuredRun
from hfcls.evaluation.section import Part

MAX_DROPPED, MAX_OPEN_CLASSES = 200, 50


def build(run: MeasuredRun) -> Part | None:
    """What ``data.json`` says, and what the files of the run lack."""
    data = run.data
    notices = [*run.notices, *(data.get("notices") or [])]
    if not data and not notices:
        return None
    splits: dict[str, Any] = data.get("splits") or {}
    counted = {name: split["label_counts"] for name, split in splits.items() if split.get("label_counts")}
    names = list(dict.fromkeys([*(data.get("class_names") or []), *(key for one in counted.values() for key in one)]))
    rows = [(name, [counts.get(name, 0) for counts in counted.values()]) for name in names] if counted else []
    return Part(
        {
            "source": data.get("source"),
            "fingerprint": data.get("fingerprint"),
            "splits": [_show_split(name, split, names, counted.get(name)) for name, split in splits.items()],
            "counts": {
                "columns": list(counted),
                "rows": rows,
                "peaks": [max(counts.values()) for counts in counted.values()],
            },
            "folded": len(rows) > MAX_OPEN_CLASSES,
            "dropped": build_dropped(data.get("dropped") or []),
            "notices": notices,
        }
    )


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


def _show_split(name: str, split: dict[str, Any], names: list[str], counts: dict[str, int] | None) -> dict[str, Any]:
    return {"name": name, "n": split.get("n"), "from": split.get("from"), "balance": describe_balance(names, counts)}
