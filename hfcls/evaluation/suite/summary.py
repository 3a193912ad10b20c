"""What the suite found, in a sentence."""

from collections.abc import Iterator
from typing import Any

from hfcls.evaluation.formats import format_value
from hfcls.uncertainty.strangers import DETECTORS
from hfcls.uncertainty.trust import STRANGENESS, STRANGENESS_OF_PROBABILITIES


def sum_up(results: dict[str, dict[str, Any]]) -> str:
    """What can be believed, in plain words, from what was measured; empty where nothing was.

    Args:
        results: by step, what it found.
    """
    told = "; ".join(_clauses(results))
    return f"{told[:1].upper()}{told[1:]}." if told else ""


def _clauses(results: dict[str, dict[str, Any]]) -> Iterator[str]:
    if one := results.get("calibration"):
        plain, scaled = one["rows"][:2]
        sure, after, right = (
            format_value(value) for value in (plain["mean_confidence"], scaled["mean_confidence"], _accuracy(plain))
        )
        yield f"on average it is {sure} sure and right in {right} of the images (scaled: {after} sure)"
    if one := results.get("sets"):
        row = next(row for row in one["rows"] if row["method"] == "aps" and not row["by_class"])
        held, wanted = (format_value(value) for value in (row["coverage"], one["wanted"]))
        yield f"sets of {row['mean_size']:.2f} classes hold the true one in {held} (wanted: {wanted})"
    if one := results.get("abstaining"):
        kept = next((kept for kept in one["kept"] if kept["risk"] is not None), None)
        if kept is None:
            least = format_value(one["kept"][-1]["wanted"])
            yield f"even its surest answers are wrong too often to be held to {least} wrong ones"
        else:
            wanted, answered, risk = (format_value(kept[key]) for key in ("wanted", "answered", "risk"))
            yield f"held to {wanted} wrong answers it answers {answered} of the images, {risk} of these wrongly"
    if one := results.get("strangers"):
        scores = {row["score"] for row in one["rows"]}
        score = STRANGENESS if STRANGENESS in scores else STRANGENESS_OF_PROBABILITIES
        yield f"{_strangers(one, score)}, at 5 % false alarms ({DETECTORS[score].title})"


def _accuracy(row: dict[str, Any]) -> float | None:
    value: float | None = row["accuracy"]["value"]
    return value


def _strangers(found: dict[str, Any], score: str) -> str:
    """The share of each kind that is found out; of made images where there are no others."""
    figures = next(row["figures"] for row in found["rows"] if row["score"] == score)
    shares: dict[str, list[float]] = {}
    for one, figure in zip(found["sets"], figures, strict=True):
        shares.setdefault(one["kind"], []).append(1 - figure["fpr95"])
    kinds = [kind for kind in shares if kind != "made"] or ["made"]
    told = [f"{format_value(sum(shares[kind]) / len(shares[kind]))} of the {_KINDS[kind]}" for kind in kinds]
    return f"it finds out {' and '.join(told)}"


_KINDS = {
    "near": "near strange images",
    "far": "far strange images",
    "": "strange images",
    "made": "made strange images (noise, shuffled patches)",
}
