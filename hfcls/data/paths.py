"""The paths in a list of files: normalised, below one root, nothing fetched."""

import os
import re
from pathlib import Path
from typing import Any

from hfcls.errors import UserError

# The root with its links resolved and as it was spelled, both absolute and with a slash at the end.
Roots = tuple[str, str]
# What stands before the path in a cell whose file is not to be read.
OUTSIDE = "outside://"
_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")


def is_url(text: str) -> bool:
    """Whether it begins with a scheme, such as ``https://``."""
    return "://" in text and _URL.match(text) is not None


def below_root(cell: Any, roots: Roots) -> str:
    """The normalised path below the root, by its name: a link there may lead elsewhere.

    Args:
        cell: of the table: a relative path, or an absolute one inside the root.

    Raises:
        ValueError: says what is wrong with it.
    """
    if cell is None or cell == "":
        raise ValueError("no path of an image")
    if not isinstance(cell, str):
        raise ValueError(f"{str(cell)[:100]!r} is not the path of an image")
    if is_url(cell):
        raise ValueError(f"{cell[:200]!r} is a URL, which is not fetched: download the images and list their files")
    path = os.path.normpath(cell)
    if path.startswith("/"):
        path = "/" + path.lstrip("/")
        path = next((path[len(root) :] for root in roots if path.startswith(root)), "..")
    if "\\" in cell:
        shown = repr(cell[:200]).replace("\\\\", "\\")
        raise ValueError(f"the path {shown} has backslashes, expected forward slashes: replace them in the table")
    if "\0" in cell or not is_valid_text(cell):
        raise ValueError(f"the path {cell[:200]!r} is not valid text")
    if path == ".." or path.startswith("../"):
        raise ValueError(
            f"the path {cell[:200]!r} lies outside {roots[0]}: where it is meant, --image_dir ROOT names a folder that "
            "holds them all, such as /"
        )
    return path


def is_valid_text(text: str) -> bool:
    """Whether it can be written as UTF-8."""
    if text.isascii():
        return True
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:  # half a surrogate pair, which JSON can spell, or a file name in another encoding
        return False
    return True


def roots_of(asked: Path | None, beside: Path) -> Roots:
    """The root of a list of files.

    Args:
        asked: what ``--image_dir`` says.
        beside: the folder of the list.

    Raises:
        UserError: it is not a directory.
    """
    if asked is not None and not asked.is_dir():
        raise UserError(f"--image_dir {asked} is not a directory: expected the one where the paths of images start.")
    root = asked if asked is not None else beside
    resolved, spelled = (f"{path.rstrip('/')}/" for path in (str(root.resolve()), os.path.abspath(root)))
    if not is_valid_text(resolved):
        raise UserError(f"The directory name {resolved!r} is not valid text: rename it.")
    return resolved, spelled
