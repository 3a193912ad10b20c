"""What a page offers: models by title, from a small YAML file and from the runs on this disk."""

import os
import socket
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from urllib.request import getproxies

import yaml

from hfcls.errors import UserError

_KEYS = {"title", "description", "models", "runs"}
# A page should not wait longer to find that there is no network.
_PATIENCE_SECONDS = 2.0


@dataclass(frozen=True)
class Offer:
    """One model of a menu.

    Attributes:
        title: what people choose it by.
        model: a directory or a Hub id.
        on_hub: whether it is a Hub id.
    """

    title: str
    model: str
    on_hub: bool

    @property
    def page(self) -> str | None:
        """The model's page on the Hub."""
        repo_id, _, revision = self.model.partition("@")
        return f"https://huggingface.co/{repo_id}" + (f"/tree/{revision}" if revision else "") if self.on_hub else None


@dataclass(frozen=True)
class Menu:
    """What a page is called and what it offers.

    Attributes:
        title, description: plain text.
        offers: by title, in the order in which they are shown.
        note: one sentence for the page where there is nothing to choose, or nothing on this disk and no Hub; else "".
    """

    title: str = "Image classifier"
    description: str = ""
    offers: Mapping[str, Offer] = field(default_factory=dict)
    note: str = ""

    def __getitem__(self, title: str) -> Offer:
        """The offer with that title.

        Raises:
            UserError: there is none.
        """
        if not isinstance(title, str) or title not in self.offers:
            raise UserError(f"Unknown model {title!r}: choose one of {', '.join(map(repr, self.offers))}.")
        return self.offers[title]


def read_menu(file: Path) -> Menu:
    """Reads a menu.

    The file holds a ``title``, a ``description``, ``models`` (each a Hub id, a directory relative to the file, or a
    mapping of ``title`` and ``model``), and ``runs``: a folder, relative to the current directory, each of whose run
    directories is offered as well. Where the Hub cannot be reached, what is on this disk comes first; where it is
    switched off (``HF_HUB_OFFLINE``), nothing else is offered.

    Raises:
        UserError: the file is missing or says something else.
    """
    from huggingface_hub import constants

    try:
        content = yaml.safe_load(file.read_text(encoding="utf-8")) or {}
    except OSError as error:
        raise UserError(f"{file} cannot be read: {error.strerror}.") from None
    except (UnicodeDecodeError, yaml.YAMLError) as error:
        raise UserError(f"{file} cannot be read as YAML ({_first_line(error)}).") from None
    unknown = sorted(map(str, content.keys() - _KEYS)) if isinstance(content, dict) else [type(content).__name__]
    if unknown:
        raise UserError(f"{file} holds {unknown[0]!r}: expected {', '.join(sorted(_KEYS))}.")
    models, runs = content.get("models") or [], content.get("runs")
    if not isinstance(models, list):
        raise UserError(f"{file}: models is not a list.")
    offers = [_offer(entry, file) for entry in models]
    here = [offer for offer in offers if not offer.on_hub or _is_cached(offer.model)]
    elsewhere = [offer for offer in offers if offer not in here]
    found = find_runs(Path(str(runs))) if runs else []
    note = ""
    if elsewhere and not _can_reach_hub():
        note = "" if here or found else _nothing_here(runs)
        offers = [*here, *found, *([] if constants.HF_HUB_OFFLINE else elsewhere)]
    else:
        offers = [*offers, *found]
        note = "" if offers else _nothing_here(runs)
    title, description = str(content.get("title") or Menu.title), str(content.get("description") or "")
    return Menu(title, description, _by_title(offers, file), note)


def build_menu(models: list[str], *, title: str | None = None, runs: Path = Path("runs")) -> Menu:
    """What a page offers that is started with models by name.

    Args:
        models: directories and Hub ids; the run directories in `runs` where there are none.
        title: of the page.

    Raises:
        UserError: one of them cannot be offered, or there is none.
    """
    offers = _with_short_titles([_named_offer(model) for model in models]) or find_runs(runs)
    if not offers:
        raise UserError(
            f"No model is named, and the folder {runs} holds no trained one: expected `hfcls demo MODEL`, or "
            f"`hfcls train --dataset_name digits --architecture simple_cnn --output_dir {runs}/digits` first."
        )
    return Menu(title or Menu.title, "", {offer.title: offer for offer in offers})


def _with_short_titles(offers: list[Offer]) -> list[Offer]:
    """Directories by their last part, where that is enough to tell them apart: the rest is nobody's business."""
    last = [offer.title if offer.on_hub else Path(offer.title).resolve().name for offer in offers]
    return [
        offer if last.count(name) > 1 else replace(offer, title=name) for offer, name in zip(offers, last, strict=True)
    ]


def _named_offer(model: str) -> Offer:
    from huggingface_hub import constants

    path = Path(model).expanduser()
    if path.is_dir():
        if not (path / "config.json").is_file():
            raise UserError(f"{model} holds no config.json: expected a model or a run directory.")
        return Offer(path.as_posix(), str(path), on_hub=False)
    if path.exists() or not _may_be_on_hub(model):
        raise UserError(f"{model} is no directory and no Hub id: expected runs/NAME, or user/name.")
    if constants.HF_HUB_OFFLINE and not _is_cached(model):
        raise UserError(f"{model} is no directory and not in the cache, and the Hub is switched off (HF_HUB_OFFLINE).")
    return Offer(model, model, on_hub=True)


def find_runs(folder: Path) -> list[Offer]:
    """The run directories in a folder, those that changed last first."""
    configs = sorted(folder.glob("*/config.json"), key=lambda path: (-path.stat().st_mtime, path.parent.name))
    return [Offer(path.parent.as_posix(), str(path.parent), on_hub=False) for path in configs]


def _offer(entry: Any, file: Path) -> Offer:
    if isinstance(entry, str):
        entry = {"model": entry}
    if not isinstance(entry, dict) or not entry.keys() <= {"title", "model"} or not entry.get("model"):
        raise UserError(f"{file}: {entry!r} is neither a model nor a mapping of title and model.")
    model = str(entry["model"])
    path = file.parent / Path(model).expanduser()
    if path.is_dir():
        return Offer(str(entry.get("title") or model), str(path), on_hub=False)
    return Offer(str(entry.get("title") or model), model, on_hub=_may_be_on_hub(model))


def _may_be_on_hub(model: str) -> bool:
    return not model.startswith((".", "/", "~")) and model.count("/") - model.partition("@")[2].count("/") == 1


def _by_title(offers: Iterable[Offer], file: Path) -> dict[str, Offer]:
    found: dict[str, Offer] = {}
    for offer in offers:
        if found.setdefault(offer.title, offer).model != offer.model:
            raise UserError(f"{file}: {offer.title!r} is the title of two models.")
    return found


def _nothing_here(runs: Any) -> str:
    if not runs:
        return "There is no model here yet, and the Hub cannot be reached: start this page again where it can."
    return (
        f"There is no model here yet: the Hub cannot be reached, and the folder {runs} holds no trained model; "
        f"make one with “hfcls train --dataset_name digits --architecture simple_cnn --output_dir {runs}/digits”, "
        "and start this page again."
    )


def _can_reach_hub() -> bool:
    from huggingface_hub import constants

    if constants.HF_HUB_OFFLINE:
        return False
    address = urlsplit(constants.ENDPOINT)
    if getproxies().get(address.scheme):
        return True  # it cannot be told without asking for a page
    port = address.port or (443 if address.scheme == "https" else 80)
    try:
        socket.create_connection((address.hostname or "", port), timeout=_PATIENCE_SECONDS).close()
    except OSError:
        return False
    return True


def _is_cached(model: str) -> bool:
    from huggingface_hub import try_to_load_from_cache

    repo_id, _, revision = model.partition("@")
    try:
        found = try_to_load_from_cache(repo_id, "config.json", revision=revision or None)
    except ValueError:
        return False  # no name that a repository can have
    return isinstance(found, str | os.PathLike)


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0] if str(error) else type(error).__name__
