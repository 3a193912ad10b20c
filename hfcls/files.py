"""Small files that are whole or not there."""

import json
import os
from pathlib import Path
from typing import Any


def write_json(path: Path, content: Any) -> None:
    """Writes JSON for people and programs; an undefined figure is null, never NaN."""
    write_text(path, json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def write_text(path: Path, text: str) -> None:
    """Writes a file aside and then renames it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f".{path.name}.part")
    aside.write_text(text, encoding="utf-8")
    os.replace(aside, path)


def cache_directory() -> Path:
    """Where things that can be made again are kept: ``$HFCLS_CACHE``, or ``~/.cache/hfcls``."""
    return Path(os.environ.get("HFCLS_CACHE") or Path.home() / ".cache" / "hfcls").expanduser()
