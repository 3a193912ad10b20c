"""Cards from files and from the Hub, and what the Hub itself says of them."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from huggingface_hub import constants
from huggingface_hub.utils import get_session

from hfcls.errors import UserError
from hfcls.escaping import terminal_text
from hfcls.pull import parse_repo_id, pull

_TIMEOUT = 10  # seconds


@dataclass(frozen=True)
class Asked:
    """What the Hub said.

    Attributes:
        problems, warnings: each a sentence.
        how: whether it was asked, in words.
    """

    problems: tuple[str, ...]
    warnings: tuple[str, ...]
    how: str


def read_card(place: str) -> str:
    """The text of a card: a file, the README.md of a directory, or that of a model on the Hub.

    Raises:
        UserError: it is not to be had, or is no text.
    """
    path = Path(place)
    if path.is_dir():
        path /= "README.md"
    if not path.exists() and not Path(place).exists():
        path = _download(place)
    try:
        return path.read_bytes().decode("utf-8")
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}.") from None
    except UnicodeDecodeError:
        raise UserError(f"{path} is not UTF-8 text: a card is a text file.") from None


def _download(place: str) -> Path:
    if parse_repo_id(place) is None:
        raise UserError(f"{place} does not exist: expected a README.md, a directory that holds one, or user/name.")
    return pull(place, what=("README.md",), quiet=True) / "README.md"


def ask_hub(text: str) -> Asked:
    """Has the Hub validate the metadata, where it can be reached; no token is sent."""
    if constants.HF_HUB_OFFLINE:
        return Asked((), (), "without the Hub, by the rules that hfcls knows")
    import httpx2  # the client of huggingface_hub

    body = {"repoType": "model", "content": text}
    try:
        response = get_session().post(f"{constants.ENDPOINT}/api/validate-yaml", json=body, timeout=_TIMEOUT)
        found = response.json() if response.status_code in {200, 400} else None
    except (httpx2.HTTPError, ValueError):
        found = None
    if not isinstance(found, dict):
        return Asked((), (), "by the rules that hfcls knows; the Hub gave no answer")
    return Asked(
        _messages(found, "errors"), _messages(found, "warnings"), "by the Hub and by the rules that hfcls knows"
    )


def _messages(found: dict[str, Any], key: str) -> tuple[str, ...]:
    entries = found.get(key) or []
    return tuple(
        f"The Hub: {terminal_text(str(entry['message']))}"
        for entry in (entries if isinstance(entries, list) else [])
        if isinstance(entry, dict) and entry.get("message")
    )
