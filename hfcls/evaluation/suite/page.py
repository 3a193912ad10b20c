"""Writes `index.html`: what the suite found, as one page that opens offline."""

from pathlib import Path
from typing import Any

import numpy as np

from hfcls.evaluation.formats import format_interval, format_value
from hfcls.evaluation.plots.abstaining import plot_risk_coverage
from hfcls.evaluation.suite import STEPS
from hfcls.evaluation.suite.several import FIGURES as SEVERAL_FIGURES
from hfcls.evaluation.suite.subject import Subject
from hfcls.files import write_text
from hfcls.pages.render import render_page
from hfcls.uncertainty.doubt import DOUBTS
from hfcls.uncertainty.rejection import RiskCoverage
from hfcls.uncertainty.strangers import DETECTORS

SCALINGS = {"none": "as they are", "temperature": "one temperature", "vector": "two numbers a class"}
CALIBRATION = {
    **{"accuracy": "Accuracy", "ece": "ECE", "mce": "MCE", "ece_equal_mass": "ECE, equal mass"},
    **{"ece_classwise": "ECE, classwise", "brier": "Brier score", "log_loss": "Log loss"},
}
METHODS = {"thr": "THR", "aps": "APS", "raps": "RAPS"}
DOUBT_TITLES = {name: name.replace("_", " ") for name in DOUBTS}
# Steps that the page shows as one table.
STRANGERS, SEVERAL = ("strangers", "features"), ("single", "ensemble", "dropout", "views", "laplace")


def save_page(
    path: Path, found: dict[str, dict[str, Any]], *, suite: str, subject: Subject, source: str, told: str
) -> Path:
    """Writes the page.

    Args:
        found: by step, its ``result`` or the ``reason`` why there is none.
        suite: its name.
        source: of the images, in words.
        told: all of it in a few sentences, a line each.
    """
    results = {name: content["result"] for name, content in found.items() if content["result"] is not None}
    context = {
        "model": subject.name,
        "suite": suite,
        "told": told,
        "split": subject.split,
        "n": len(subject.predictions),
        "source": source,
        "learned": subject.learned,
        "fitted_on": subject.fitted_on,
        "cards": _cards(results),
        "calibration": _show_calibration(results.get("calibration")),
        "sets": _show_sets(results.get("sets")),
        "abstaining": _show_abstaining(results.get("abstaining")),
        "strangers": _show_strangers([results[name] for name in STRANGERS if name in results]),
        "several": _show_several([results[name] for name in SEVERAL if name in results]),
        "undone": [(STEPS[name].title, one["reason"]) for name, one in found.items() if one["reason"]],
        "costs": [(STEPS[name].title, one["passes"]) for name, one in results.items()],
        "papers": [(one.title, one.paper) for one in DETECTORS.values()],
    }
    context["sections"] = [
        ("calibration", "Calibration", bool(context["calibration"])),
        ("sets", "Sets of classes", bool(context["sets"])),
        ("abstaining", "Abstaining", bool(context["abstaining"])),
        ("strangers", "Strange images", bool(context["strangers"])),
        ("several", "Several answers", bool(context["several"])),
        ("undone", "Left out", bool(context["undone"])),
        ("cost", "Cost", True),
    ]
    write_text(path, render_page(Path(__file__).with_name("page.html.j2"), context))
    return path


def _cell(figure: dict[str, Any], key: str = "ece", *, digits: int = 2, best: bool = False) -> dict[str, Any]:
    """A figure with its interval, ready for the template."""
    return {
        "raw": figure["value"],
        "text": format_value(figure["value"], key, digits=digits),
        "interval": format_interval(figure.get("low"), figure.get("high"), key, digits=digits),
        "reason": figure.get("reason") or "",
        "best": best,
    }


def _share(value: float, low: float | None = None, high: float | None = None, *, best: bool = False) -> dict[str, Any]:
    return _cell({"value": value, "low": low, "high": high}, "accuracy", digits=1, best=best)


def _cards(results: dict[str, Any]) -> list[tuple[str, str, str, str]]:
    """Title, value, range and meaning of what to know first."""
    cards = []
    if one := results.get("calibration"):
        before, after = (_cell(row["ece"]) for row in one["rows"][:2])
        cards.append(("Calibration error", after["text"], after["interval"], f"scaled; {before['text']} before"))
    if one := results.get("sets"):
        row = next(row for row in one["rows"] if row["method"] == "aps" and not row["by_class"])
        cell = _share(row["coverage"], row["low"], row["high"])
        told = f"APS, {row['mean_size']:.2f} classes a set; {format_value(one['wanted'])} wanted"
        cards.append(("True class in the set", cell["text"], cell["interval"], told))
    if one := results.get("abstaining"):
        risk = {risk["share"]: risk for risk in one["rows"][0]["risks"]}
        cell, every = (_share(risk[share]["value"], risk[share]["low"], risk[share]["high"]) for share in (0.9, 1.0))
        cards.append(("Wrong, of the surest 90 %", cell["text"], cell["interval"], f"{every['text']} of all"))
    if one := results.get("strangers"):
        # Of the score that predict goes by: the best of several would owe something to these very images.
        score = one["as_predict"]["score"]
        row = next(row for row in one["rows"] if row["score"] == score)
        hardest = _cell(min(row["figures"], key=_auroc) | {"value": min(map(_auroc, row["figures"]))}, digits=1)
        told = f"AUROC by {DETECTORS[score].title}, of the hardest set"
        cards.append(("Strangers told", hardest["text"], hardest["interval"], told))
    return cards


def _auroc(figure: dict[str, Any]) -> float:
    value: float = figure["auroc"]
    return value


def _show_calibration(result: dict[str, Any] | None) -> dict[str, Any] | None:
    if result is None:
        return None
    titles = []
    for row in result["rows"]:
        divided = f" ({row['temperature']:.2f})" if row["scaling"] == "temperature" else ""
        titles.append(SCALINGS[row["scaling"]] + divided)
    rows = []
    for key, title in CALIBRATION.items():
        values = [row[key]["value"] for row in result["rows"]]
        best = max(values) if key == "accuracy" else min(values)
        cells = [_cell(row[key], _key(key), best=row[key]["value"] == best) for row in result["rows"]]
        rows.append((title, cells))
    return {"titles": titles, "rows": rows, "n": result["n"]}


def _key(name: str) -> str:
    """As what a figure is written: per cent of an accuracy, numbers of all else."""
    return "accuracy" if name == "accuracy" else "ece"


def _show_sets(result: dict[str, Any] | None) -> dict[str, Any] | None:
    if result is None:
        return None
    rows = [
        {
            "title": METHODS[row["method"]],
            "how": "a threshold for each class" if row["by_class"] else "one threshold",
            "coverage": _share(row["coverage"], row["low"], row["high"]),
            "worst": _share(row["worst_class_coverage"]),
            "size": {"raw": row["mean_size"], "text": f"{row['mean_size']:.2f}"},
            "single": _share(row["single"]),
            "empty": _share(row["empty"]),
            "unlimited": row["unlimited_classes"],
        }
        for row in result["rows"]
    ]
    return {"rows": rows, "wanted": format_value(result["wanted"]), "n": result["n"]}


def _show_abstaining(result: dict[str, Any] | None) -> dict[str, Any] | None:
    if result is None:
        return None
    rows = result["rows"]
    counts = [np.array(rows[0]["curve"][key]) for key in ("answered", "wrong")]
    shares = [format_value(risk["share"], digits=0) for risk in rows[0]["risks"]]
    return {
        "orders": [DOUBT_TITLES[row["doubt"]] for row in rows],
        "rows": [
            (
                share,
                [_share(row["risks"][at]["value"], row["risks"][at]["low"], row["risks"][at]["high"]) for row in rows],
            )
            for at, share in enumerate(shares)
        ],
        "areas": [_cell({"value": row["aurc"]}) for row in rows],
        "figure": plot_risk_coverage(RiskCoverage(np.zeros(len(counts[0])), *counts)),
    }


def _show_strangers(results: list[dict[str, Any]]) -> dict[str, Any] | None:
    if not results:
        return None
    rows = [row for result in results for row in result["rows"]]
    kinds = list(rows[0]["means"])
    columns = [[*row["figures"], *row["means"].values()] for row in rows]
    best = [max(figure["auroc"] for figure in column) for column in zip(*columns, strict=True)]
    shown = []
    for row, figures in zip(rows, columns, strict=True):
        cells = []
        for figure, most in zip(figures, best, strict=True):
            cell = _cell({**figure, "value": figure["auroc"]}, digits=1, best=figure["auroc"] == most)
            cells.append(cell | {"fpr95": _share(figure["fpr95"])})
        needs = {"logits": "logits", "features": "features", "head": "features and head"}
        shown.append((DETECTORS[row["score"]].title, needs[DETECTORS[row["score"]].needs], cells))
    return {
        "sets": results[0]["sets"],
        "means": [(kind, sum(one["kind"] == kind for one in results[0]["sets"])) for kind in kinds],
        "n": results[0]["n"],
        "rows": shown,
        "predict": next((_show_predict(result) for result in results if "as_predict" in result), None),
        "known": next((result["known"] for result in results if "known" in result), None),
        "unable": [
            (DETECTORS[name].title, reason) for result in results for name, reason in result.get("unable", {}).items()
        ],
    }


def _show_predict(result: dict[str, Any]) -> dict[str, Any]:
    told = result["as_predict"]
    cells = [_share(one["value"], one["low"], one["high"]) for one in (*told["found"], told["false_alarms"])]
    names = [(one["name"], one["kind"], figure["n"]) for one, figure in zip(result["sets"], told["found"], strict=True)]
    return {
        "title": DETECTORS[told["score"]].title,
        "found": list(zip(names, cells, strict=False)),
        "alarms": cells[-1],
        "n": told["false_alarms"]["n"],
    }


def _show_several(results: list[dict[str, Any]]) -> dict[str, Any] | None:
    if not results:
        return None
    rows = [
        {
            "title": row["title"],
            "passes": row["passes_each"],
            "figures": [_cell(row[key], _key(key)) for key in SEVERAL_FIGURES],
            "doubts": [
                _cell(row["detection"][name], digits=1) if name in row["detection"] else None for name in DOUBTS
            ],
        }
        for result in results
        for row in result["rows"]
    ]
    return {"rows": rows, "n": results[0]["n"], "doubts": list(DOUBT_TITLES.values())}
