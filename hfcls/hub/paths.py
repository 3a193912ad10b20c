"""Places of the machine that a run was made on, kept out of what is published."""

import re
from pathlib import PurePosixPath, PureWindowsPath
from typing import Any

# Flags whose values are places.
PLACE_FLAGS = (
    *("train_dir", "validation_dir", "test_dir", "image_dir", "dataset_name", "model_name_or_path", "weights"),
    *("class_mapping", "samples", "class_weight", "output_dir"),
)
_SAYING_NOTHING = frozenset(("train", "training", "validation", "valid", "val", "test", "data", "images"))
# A folder in one of these is called after a person.
_HOMES = ("home", "Users", "users", "~")
_ABSOLUTE = re.compile(
    r"(?:file:/+|(?<![\w.~/\\:-])(?:~|\.{1,2})?/|(?<!\w)[A-Za-z]:[\\/]|(?<!\w)\\\\)[^\s,;:'\"`|<>)\]]+"
)


def is_place(text: str) -> bool:
    """Whether it is a path that leads out of the folder it is written in: absolute, of a home, or upwards."""
    return bool(re.match(r"(?:/|~|\.{1,2}[\\/]|[A-Za-z]:[\\/]|\\\\|file:)", text))


def last_part(place: str) -> str:
    """The last part of a path of either kind, with the folder above it where the part alone says nothing."""
    path = PureWindowsPath(place) if "\\" in place else PurePosixPath(place)
    above = path.parent
    if path.stem.lower() in _SAYING_NOTHING and above.name and above.parent.name not in {"", *_HOMES}:
        return f"{above.name}/{path.name}"
    return path.name or "data"


def places_of(settings: dict[str, Any]) -> list[str]:
    """The paths among the settings of a run, longest first."""
    found = {str(settings[flag]) for flag in PLACE_FLAGS if settings.get(flag) and is_place(str(settings[flag]))}
    return sorted(found, key=lambda place: (-len(place), place))


def hide_places(text: str, settings: dict[str, Any]) -> str:
    """The text with the last part of each path in its place."""
    for place in places_of(settings):
        text = text.replace(place, last_part(place))
    return _ABSOLUTE.sub(lambda match: last_part(match[0]), text)


def hide_places_in(value: Any, settings: dict[str, Any]) -> Any:
    """The same for every text within a setting."""
    if isinstance(value, str):
        return last_part(value) if is_place(value) else hide_places(value, settings)
    if isinstance(value, list):
        return [hide_places_in(item, settings) for item in value]
    if isinstance(value, dict):
        return {key: hide_places_in(item, settings) for key, item in value.items()}
    return value
