"""What the files of a run hold, by key: told once, before a card is made of them."""

import math
import re
from pathlib import Path
from typing import Any

from hfcls.errors import UserError
from hfcls.escaping import terminal_text

# A mapping is its keys (`*` any one, which then is not null; `!` after one that must be there), a list its entries, a
# tuple alternatives.
_SPLIT = re.compile(r"[A-Za-z0-9]+(?:[._-][A-Za-z0-9]+)*")
_FIGURE = {"value": float, "low": float, "high": float, "reason": str}
_CLASS = {"index!": int, "support!": int, "recall": float, "precision": float, "f1": float}
_INTERVAL = {"method": str, "confidence": float, "resamples": int, "seed": int}
_MEASURED = {
    **{"n!": int, "class_names!": [str], "headline": {"*": _FIGURE}, "per_class": [_CLASS]},
    **{"confusion_matrix": [[int]], "interval": _INTERVAL},
}
_SIDES = (int, [int], {"*": (int,)})
_LOGGED = dict.fromkeys(("loss", "eval_loss", "learning_rate", "epoch", "step"), float)
_SPEED = ("train_runtime", "train_samples_per_second", "test_samples_per_second", "peak_memory_mb")
SHAPES: dict[str, Any] = {
    "metrics.json": {
        "splits": {"*": _MEASURED},
        "speed": {**dict.fromkeys(_SPEED, float), "hardware": str},
        "training": {
            **{"processes": int, "hardware": str, "precision": str, "finished": str},
            "versions": {"*": str},
        },
    },
    "data.json": {
        **{"source": str, "fingerprint": str, "class_names": [str], "hub": {"repo_id": str, "commit": str}},
        "splits": {"*": {"n": int, "from": str, "fingerprint": str, "label_counts": {"*": int}}},
        **{"overlap": {"*": int}, "dropped": [{"reason": str}], "notices": [str]},
    },
    "trainer_state.json": {"global_step": int, "epoch": float, "best_global_step": int, "log_history": [_LOGGED]},
    "config.json": {
        **{"architecture": str, "architectures": [str], "model_type": str, "label_names": [str]},
        **{"id2label": {"*": str}, "image_size": _SIDES, "pretrained_cfg": {"input_size": [int]}},
    },
    "preprocessor_config.json": {"size": _SIDES, "crop_size": _SIDES},
}
_WORDS = {int: "a whole number", float: "a number", str: "text"}


def check_shape(path: Path, content: Any) -> None:
    """Whether a file of a run holds what a card reads there.

    Raises:
        UserError: it does not; names the file and the key.
    """
    if found := _differs(content, SHAPES[path.name], ""):
        key, value, expected = found
        shown = terminal_text(repr(value))
        shown = shown if len(shown) <= 60 else f"{shown[:57]}..."
        raise UserError(f"{path}: {terminal_text(key)[:100] or 'all of it'} is {shown}: expected {expected}.")
    for split in (content.get("splits") or {}) if path.name in {"metrics.json", "data.json"} else ():
        if not _SPLIT.fullmatch(split) or len(split) > 40:
            raise UserError(f"{path}: splits has {terminal_text(split)[:60]!r}: expected a name such as test.")


def _differs(value: Any, shape: Any, at: str) -> tuple[str, Any, str] | None:
    """The first key that is not as it should be, its value, and what was expected."""
    if value is None:
        return None
    if isinstance(shape, tuple):
        found = [_differs(value, one, at) for one in shape]
        return found[0] if all(found) else None
    if isinstance(shape, dict):
        return _differs_within(value, shape, at)
    if isinstance(shape, list):
        if not isinstance(value, list):
            return at, value, "a list"
        entries = ((entry, f"{at}[{i}]") for i, entry in enumerate(value))
        return next((bad for entry, where in entries if (bad := _entry_differs(entry, shape[0], where))), None)
    if shape is float:
        # JSON as Python writes it knows NaN and Infinity; losses may be that, and are drawn as gaps.
        fine = isinstance(value, int | float) and not isinstance(value, bool)
        fine = fine and (math.isfinite(value) or at.startswith("log_history"))
    else:
        fine = isinstance(value, shape) and not isinstance(value, bool)
    return None if fine else (at, value, _WORDS[shape])


def _entry_differs(entry: Any, shape: Any, at: str) -> tuple[str, Any, str] | None:
    return (at, None, "a value") if entry is None else _differs(entry, shape, at)


def _differs_within(value: Any, shape: dict[str, Any], at: str) -> tuple[str, Any, str] | None:
    if not isinstance(value, dict):
        return at, value, "a mapping"
    for key, wanted in shape.items():
        if key.endswith("!") and value.get(key[:-1]) is None:
            return f"{at}.{key[:-1]}".lstrip("."), None, "a value"
        where = {name: one for name, one in value.items() if key == "*" or name == key.removesuffix("!")}
        for name, one in where.items():
            differs = _entry_differs if key == "*" and not isinstance(wanted, tuple) else _differs
            if bad := differs(one, wanted, f"{at}.{name}".lstrip(".")):
                return bad
    return None
