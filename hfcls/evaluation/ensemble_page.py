"""Writes `index.html` of an ensemble: its members, what it gains, and what it costs, as one page that opens offline."""

from pathlib import Path
from typing import Any

from hfcls.evaluation.formats import format_interval, format_value
from hfcls.evaluation.measured_run import choose_split
from hfcls.evaluation.members import FIGURES
from hfcls.files import write_text
from hfcls.pages.render import render_page

TITLES = {"accuracy": "Accuracy", "log_loss": "Log loss", "ece": "ECE"}
# Of members, so many that a table of all pairs can be read.
_MOST_PAIRS = 12
_NO_SOUP = (
    "The soup is worse than its members: the mean of the weights is good for members that were fine-tuned from one "
    "start; for others choose average."
)


def save_ensemble_page(directory: Path, content: dict[str, Any]) -> Path:
    """Writes the page.

    Args:
        directory: of the ensemble.
        content: what ``ensemble.json`` holds.
    """
    split = choose_split(content["splits"])
    found = content["splits"][split]
    of_answers = content["of"] == "answers"
    names = [member["name"] for member in content["members"]]
    context = {
        "name": directory.resolve().name,
        "content": content,
        "what": "Ensemble" if of_answers else "Soup",
        "split": split,
        "n": found["n"],
        "names": names,
        "cards": _cards(content, found),
        "rows": _rows(content, split),
        "others": [other for other in content["splits"] if other != split],
        "gain": _gain(found, names[content["best_member"]]),
        "cost": _cost(content["cost"], len(names)),
        "steps": _steps(content, names),
        "pairs": _pairs(found, names),
        "warning": _NO_SOUP if not of_answers and found["gain"]["mean_member"]["accuracy"]["high"] < 0 else "",
        "mean_disagreement": format_value(found["disagreement"]["mean"]),
    }
    context["sections"] = [
        ("members", "Members", True),
        ("gain", "Gain and cost", True),
        ("steps", "The choice", bool(context["steps"])),
        ("disagreement", "Disagreement", True),
    ]
    write_text(directory / "index.html", render_page(Path(__file__).with_name("ensemble.html.j2"), context))
    return directory / "index.html"


def summary_lines(content: dict[str, Any]) -> list[str]:
    """For the screen: each split's figures, the gain over the mean member, the members, the cost."""
    lines = []
    for split, found in content["splits"].items():
        ensemble, mean, gain = found["ensemble"], found["mean_member"], found["gain"]["mean_member"]
        lines.append(
            f"{split:<10}  accuracy {ensemble['accuracy']['value']:.4f}, mean member {mean['accuracy']:.4f} "
            f"({_signed(gain['accuracy'], 100)} points); log loss {ensemble['log_loss']['value']:.4f}, mean member "
            f"{mean['log_loss']:.4f} ({_signed(gain['log_loss'])}); {found['n']:,} images"
        )
    last = list(content["splits"].values())[-1]["gain"]["mean_member"]["accuracy"]
    if content["of"] == "weights" and last["high"] < 0:
        lines.append(f"note        {_NO_SOUP}")
    weights = ", ".join(f"{member['name']} {member['weight']:.3g}" for member in content["members"] if member["weight"])
    left = sum(member["weight"] == 0 for member in content["members"])
    cost = content["cost"]
    # Of one network the times differ by chance alone.
    ratio = f": {cost['latency_ratio']:.1f} times a member's" if cost["passes"] > 1 else ", as a member has it"
    lines.append(f"weights     {weights}{f'; {left} left out' if left else ''}")
    lines.append(
        f"cost        {cost['passes']} forward pass{'' if cost['passes'] == 1 else 'es'}, {cost['parameters']:,} "
        f"parameters, {cost['macs'] / 1e6:,.1f} million MACs, {cost['latency_ms']:.1f} ms an image"
        f"{ratio}"
    )
    return lines


def _signed(gain: dict[str, float], scale: float = 1) -> str:
    """A difference with its interval."""
    digits = 2 if scale == 100 else 4
    value, low, high = (f"{scale * gain[key]:+.{digits}f}" for key in ("value", "low", "high"))
    return f"{value} [{low}, {high}]"


def _cell(figure: dict[str, Any], key: str, *, best: bool = False) -> dict[str, Any]:
    return {
        "raw": figure["value"],
        "text": format_value(figure["value"], key, digits=2),
        "interval": format_interval(figure.get("low"), figure.get("high"), key, digits=2),
        "best": best,
    }


def _difference(gain: dict[str, float], key: str) -> dict[str, str]:
    scale, digits, unit = (100, 2, " points") if key == "accuracy" else (1, 4, "")
    text, low, high = (f"{scale * gain[one]:+.{digits}f}".replace("-", "−") for one in ("value", "low", "high"))
    better = gain["low"] > 0 if key == "accuracy" else gain["high"] < 0
    worse = gain["high"] < 0 if key == "accuracy" else gain["low"] > 0
    verdict = "better" if better else "worse" if worse else "may be luck"
    return {"text": f"{text}{unit}", "interval": f"{low} – {high}", "verdict": verdict}


def _cards(content: dict[str, Any], found: dict[str, Any]) -> list[tuple[str, str, str, str]]:
    """Title, value, range and meaning of what to know first."""
    accuracy, gain = found["ensemble"]["accuracy"], found["gain"]["mean_member"]
    whole = _cell(accuracy, "accuracy")
    points, loss = _difference(gain["accuracy"], "accuracy"), _difference(gain["log_loss"], "log_loss")
    cost = content["cost"]
    return [
        ("Accuracy", whole["text"], whole["interval"], f"mean member {format_value(found['mean_member']['accuracy'])}"),
        ("Gain in accuracy", points["text"], points["interval"], f"over the mean member: {points['verdict']}"),
        ("Gain in log loss", loss["text"], loss["interval"], f"lower is better: {loss['verdict']}"),
        (
            "Cost",
            f"{cost['latency_ratio']:.1f} ×",
            "",
            f"the time of a member; {cost['passes']} forward pass{'' if cost['passes'] == 1 else 'es'} an image",
        ),
    ]


def _rows(content: dict[str, Any], split: str) -> list[dict[str, Any]]:
    """The ensemble, the mean member, and the members, the heaviest first."""
    found = content["splits"][split]
    order = sorted(range(len(content["members"])), key=lambda index: -content["members"][index]["weight"])
    rows = [
        {
            "title": "all together" if content["of"] == "answers" else "the soup",
            "detail": content["title"],
            "weight": None,
            "cells": [_cell(found["ensemble"][key], key, best=True) for key in FIGURES],
            "macs": content["cost"]["macs"],
            "parameters": content["cost"]["parameters"],
        },
        {
            "title": "mean member",
            "detail": f"mean of the {len(order)} members' figures",
            "weight": None,
            "cells": [_cell({"value": found["mean_member"][key]}, key) for key in FIGURES],
            "macs": content["cost"]["mean_member"]["macs"],
            "parameters": content["cost"]["mean_member"]["parameters"],
        },
    ]
    for index in order:
        member = content["members"][index]
        best = ", the best on " + ("validation" if content["learned_on"] else split)
        rows.append(
            {
                "title": member["name"],
                "detail": member["architecture"] + (best if index == content["best_member"] else ""),
                "weight": member["weight"],
                "cells": [_cell(found["members"][index][key], key) for key in FIGURES],
                "macs": member["macs"],
                "parameters": member["parameters"],
            }
        )
    return rows


def _gain(found: dict[str, Any], best: str) -> list[dict[str, Any]]:
    titles = {"mean_member": "the mean member", "best_member": f"{best}, the best member"}
    return [
        {"title": titles[name], "figures": [_difference(gain[key], key) for key in ("accuracy", "log_loss")]}
        for name, gain in found["gain"].items()
    ]


def _cost(cost: dict[str, Any], members: int) -> list[tuple[str, str, str, str]]:
    """What, of the whole, of a member, and their ratio."""
    mean = cost["mean_member"]
    return [
        ("Forward passes", f"{cost['passes']}", "1", f"{cost['passes']:.1f}"),
        *(
            (title, f"{cost[key]:,}", f"{mean[key]:,.0f}", f"{cost[key] / mean[key]:.1f}" if mean[key] else "–")
            for key, title in (("parameters", "Parameters"), ("macs", "MACs of an image"))
        ),
        (
            "Milliseconds an image, alone",
            f"{cost['latency_ms']:.1f}",
            f"{mean['latency_ms']:.1f}",
            f"{cost['latency_ratio']:.1f}",
        ),
        ("Trainings", f"{members}", "1", f"{members:.1f}"),
    ]


def _steps(content: dict[str, Any], names: list[str]) -> list[dict[str, Any]]:
    """Of a greedy choice, each step in words."""
    key = content["metric"]
    steps = content["steps"]
    if not steps or "bag" in steps[0]:
        return []
    shown = []
    for number, step in enumerate(steps, start=1):
        shown.append(
            {
                "number": number,
                "name": names[step["added"]],
                "value": format_value(step[key], key, digits=2),
                "kept": step.get("kept", True),
            }
        )
    return shown


def _pairs(found: dict[str, Any], names: list[str]) -> list[tuple[str, list[str]]]:
    """How often each two members name different classes."""
    pairs = found["disagreement"]["pairs"]
    if len(names) > _MOST_PAIRS:
        return []
    return [
        (name, ["–" if row == column else format_value(share) for column, share in enumerate(pairs[row])])
        for row, name in enumerate(names)
    ]
