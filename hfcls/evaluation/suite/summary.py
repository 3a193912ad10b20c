"""What the suite found, in a few sentences."""

from collections.abc import Iterator
from typing import Any

from hfcls.evaluation.formats import format_value
from hfcls.uncertainty.strangers import DETECTORS


def sum_up(results: dict[str, dict[str, Any]]) -> str:
    """What can be believed, in plain sentences, a line each, from what was measured; empty where nothing was.

    Args:
        results: by step, what it found.
    """
    return "\n".join(_sentences(results))


def _sentences(results: dict[str, dict[str, Any]]) -> Iterator[str]:
    if one := results.get("calibration"):
        plain, scaled = one["rows"][:2]
        sure, after, right = (
            format_value(value) for value in (plain["mean_confidence"], scaled["mean_confidence"], _accuracy(plain))
        )
        yield f"It is right in {right} of the images, and {sure} sure on average ({after} after scaling)."
    if one := results.get("sets"):
        row = next(row for row in one["rows"] if row["method"] == "aps" and not row["by_class"])
        held, wanted = (format_value(value) for value in (row["coverage"], one["wanted"]))
        size = f"{row['mean_size']:.2f}"
        yield (
            f"Sets of {size} classes on average, drawn to be no larger than needed, hold the true one in {held} "
            f"({wanted} wanted); predict's are a little larger, and never empty."
        )
    if one := results.get("abstaining"):
        yield _abstaining(one)
    if one := results.get("strangers"):
        yield _strangers(one)


def _abstaining(found: dict[str, Any]) -> str:
    """The strictest share of wrong answers to which anything is answered; with counts, as that may be very little."""
    kept = next((kept for kept in found["kept"] if kept["count"]), None)
    if kept is not None:
        wanted, answered, risk, high = (format_value(kept[key]) for key in ("wanted", "answered", "risk", "high"))
        return (
            f"Held to {wanted} wrong answers, it answers {kept['count']:,} of {found['n']:,} images ({answered}), and "
            f"{kept['wrong']:,} of these wrongly ({risk}; as much as {high} cannot be ruled out)."
        )
    least = found["kept"][-1]
    if least["reachable"]:
        return f"Held to {format_value(least['wanted'])} wrong answers, it answers none of {found['n']:,} images."
    return f"Even its surest answers are wrong too often to be held to {format_value(least['wanted'])} wrong ones."


def _accuracy(row: dict[str, Any]) -> float | None:
    value: float | None = row["accuracy"]["value"]
    return value


def _strangers(found: dict[str, Any]) -> str:
    """The share of each kind that predict finds out; of made images where there are no others."""
    told = found["as_predict"]
    shares: dict[str, list[float]] = {}
    for one, figure in zip(found["sets"], told["found"], strict=True):
        shares.setdefault(one["kind"], []).append(figure["value"])
    kinds = [kind for kind in shares if kind != "made"] or ["made"]
    clauses = [f"{format_value(sum(shares[kind]) / len(shares[kind]))} of the {_KINDS[kind]}" for kind in kinds]
    alarms = format_value(told["false_alarms"]["value"])
    return (
        f"Of images of none of its classes, predict finds out {' and '.join(clauses)}, and takes {alarms} of the "
        f"measured ones for strange (by {DETECTORS[told['score']].title} of scaled logits)."
    )


_KINDS = {
    "near": "near ones",
    "far": "far ones",
    "": "given ones",
    "made": "made ones (noise, shuffled patches)",
}
