"""Places of the machine that a run was made on: what they look like, and what stands for them in what is published."""

import os
import re
from collections.abc import Iterable
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

# Flags whose values are places.
PLACE_FLAGS = (
    *("train_dir", "validation_dir", "test_dir", "image_dir", "dataset_name", "model_name_or_path", "weights"),
    *("class_mapping", "samples", "exclude", "relabel", "class_weight", "output_dir"),
)
_SAYING_NOTHING = frozenset(("train", "training", "validation", "valid", "val", "test", "data", "images"))
# A folder in one of these is called after a person.
_HOMES = ("home", "Users", "users", "~")
_STOP = r"\s\"'`<>|:,;()\[\]{}*?"
_ROOT = r"(?:file:/+|[A-Za-z][\w+.-]*:/{3,}|~[\w.-]*/|(?:\.\.[\\/])+|/+|[A-Za-z]:[\\/]+|\\{2,})"
_PLACE = re.compile(rf"{_ROOT}|~$")
_URL = r"(?<!\w)(?!file:)[A-Za-z][\w+.-]*://[^\s\"'`<>/][^\s\"'`<>]*"
_LEFT, _RIGHT = r"(?<![\w.~<!/\\-])", r"(?![\w.~-]*[\w~-])"
# A text in quotes that is a path from end to end may hold blanks.
_QUOTED = rf"(?<=(?P<quote>[\"'`])){_ROOT}(?:(?!(?P=quote))[^\n])*(?=(?P=quote))"
# Two parts or more: "/" and "/x" are no secret, and many a text holds them.
_ABSOLUTE = rf"{_LEFT}{_ROOT}(?:[^{_STOP}\\/]+[\\/]+)+[^{_STOP}\\/]*|{_LEFT}(?:~|\.\.)[\\/][^{_STOP}\\/]+"
_NOBODY = r"(?:user|username|you|yourname|your-name|name|me|runner|Shared|Public)"
_OF_A_HOME = re.compile(
    rf"(?<![\w.-])(?:/home/|/Users/|[A-Za-z]:[\\/]+Users[\\/]+)(?!{_NOBODY}(?![\w.-]))[^{_STOP}\\/]+[^{_STOP}]*"
)


def is_place(text: str) -> bool:
    """Whether it is a path that leads out of the folder it is written in: absolute, of a home, or upwards."""
    return _PLACE.match(text) is not None


def last_part(place: str) -> str:
    """The last part of a path of any system, with the folder above it where the part alone says nothing."""
    place = re.sub(r"^file:(?://(?=/))?", "", place)
    path = PureWindowsPath(place) if "\\" in place or place.startswith("//") else PurePosixPath(place)
    above = path.parent
    if path.stem.lower() in _SAYING_NOTHING and above.name not in {"", ".."} and above.parent.name not in {"", *_HOMES}:
        return f"{above.name}/{path.name}"
    return path.name if path.name not in {"", "~", ".."} else "data"


def find_home(text: str) -> str | None:
    """The first path in someone's home directory, or None."""
    found = _OF_A_HOME.search(text)
    return found[0] if found else None


def places_of(settings: dict[str, Any]) -> list[str]:
    """The paths among the settings of a run, longest first."""
    found = {str(settings[flag]) for flag in PLACE_FLAGS if settings.get(flag) and is_place(str(settings[flag]))}
    return sorted(found, key=lambda place: (-len(place), place))


def hide_places(text: str, settings: dict[str, Any]) -> str:
    """The text with the last part of each path in its place."""
    return Places(places_of(settings)).hide(text)


def hide_places_in(value: Any, settings: dict[str, Any]) -> Any:
    """The same for every text within a setting."""
    if isinstance(value, str):
        return last_part(value) if is_place(value) else hide_places(value, settings)
    if isinstance(value, list):
        return [hide_places_in(item, settings) for item in value]
    if isinstance(value, dict):
        return {key: hide_places_in(item, settings) for key, item in value.items()}
    return value


class Places:
    """Paths that a run is known to have used; what lies below them keeps its way from there."""

    def __init__(self, places: Iterable[str | Path]):
        """Collects them; those that lead nowhere outside are none."""
        known = {str(place).rstrip("/\\") for place in places if is_place(str(place))}
        known |= {os.path.abspath(os.path.expanduser(place)) for place in known if place[:1] in {"/", "~", "."}}
        known -= {"", "/", ".", "..", "~", str(Path.home())}
        self._known = sorted(known, key=lambda place: (-len(place), place))
        names = "|".join(re.escape(place) for place in self._known)
        parts = [f"(?P<url>{_URL})", *([f"(?P<known>{_LEFT}(?:{names}){_RIGHT})"] if names else [])]
        self._in_text = re.compile("|".join([*parts, _QUOTED, _ABSOLUTE]))

    def shorten(self, place: str) -> str:
        """What stands for a text that is a path from end to end; any other is returned as it is."""
        for known in self._known:
            if place == known or (place.startswith(known) and place[len(known)] in "/\\"):
                return last_part(known) + place[len(known) :]
        return last_part(place) if is_place(place) else place

    def starts(self, text: str) -> bool:
        """Whether it is a known place, or lies below one."""
        return any(text == known or (text.startswith(known) and text[len(known)] in "/\\") for known in self._known)

    def hide(self, text: str) -> str:
        """Words with the last part of each path in its place; addresses on the net stay."""
        return ", ".join(map(self._hide, text.split(", ")))

    def _hide(self, text: str) -> str:
        # From end to end a path: its folders may hold blanks and brackets.
        if is_place(text) and not self._starts_words(text) and not re.search(rf"\s{_ROOT}", text):
            return self.shorten(text)
        return self._in_text.sub(lambda found: found[0] if found["url"] else self.shorten(found[0]), text)

    def _starts_words(self, text: str) -> bool:
        return any(text.startswith(f"{known} ") for known in self._known)
