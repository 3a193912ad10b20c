"""What is published of one run: its model repository and, where they are asked for, a Space and a collection."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from hfcls.command_arguments import CardArguments, PushArguments
from hfcls.errors import UserError
from hfcls.hub.bundle import PARTS, Bundle, build_bundle, check_secrets
from hfcls.hub.card import build_card, check_card, is_ours
from hfcls.hub.card.check import read_metadata
from hfcls.hub.card.declared import read_declared, write_declared
from hfcls.hub.push import Pushed, push_bundle, size_text
from hfcls.hub.rights import check_hub, check_pair, check_repo_id

Say = Callable[[str], None]


@dataclass(frozen=True)
class Publication:
    """What is about to be pushed.

    Attributes:
        model: the files of the run.
        space: those of its Space, if one is wanted.
        problems: of the card; one sentence each.
        gaps: what a good card has that only the user can add; one sentence each.
    """

    model: Bundle
    space: Bundle | None
    problems: tuple[str, ...]
    gaps: tuple[str, ...]


def check_push(arguments: PushArguments) -> None:
    """What can be said before the run is read.

    Raises:
        UserError: flags are missing, unknown or contradict each other.
    """
    if not arguments.repo_id:
        raise UserError("No --repo_id: say where the run goes, such as --repo_id user/name.")
    check_repo_id(arguments.repo_id)
    for part in arguments.no or ():
        if part not in PARTS:
            raise UserError(f"--no is {part!r}: expected one of {', '.join(PARTS)}.")
    if arguments.collection is not None and not arguments.collection.strip():
        raise UserError("--collection is empty: expected the title of a collection, or its slug.")
    if arguments.create_pr and arguments.private:
        raise UserError("--private would have no effect with --create_pr, which needs a repository that is there.")
    if arguments.create_pr and arguments.space:
        raise UserError("--space would show a model that is only proposed (--create_pr): give one of them.")
    if arguments.create_pr and arguments.collection:
        raise UserError("--collection would list a model that is only proposed (--create_pr): give one of them.")


def prepare(run_dir: Path, arguments: PushArguments, *, token: str | None) -> Publication:
    """Collects everything, sends nothing.

    A README.md of the run that someone wrote or edited goes as it is; one of ours is written anew for `repo_id`.

    Raises:
        UserError: the run is not finished, or a file holds a secret.
    """
    repo_id = str(arguments.repo_id)
    left_out = set(arguments.no or ())
    card: Any = build_card(run_dir, CardArguments(space=repo_id if arguments.space else None), repo_id=repo_id)
    notices: tuple[str, ...] = ()
    edited = run_dir / "README.md"
    if edited.is_file() and not is_ours(text := edited.read_text(encoding="utf-8", errors="replace")):
        card = replace(card, text=text)
        notices = (f"{edited} was edited by hand and goes as it is.",)
    model = build_bundle(
        run_dir,
        card=card,
        predictions="predictions" not in left_out,
        exports="exports" not in left_out,
        token=token,
    )
    model = replace(model, notices=notices + model.notices)
    space = _space(repo_id, token=token) if arguments.space else None
    return Publication(model, space, tuple(check_card(card.text)), _gaps(card.text, run_dir))


def publish(run_dir: Path, arguments: PushArguments, *, say: Say) -> Pushed | None:
    """Pushes a finished run.

    Args:
        run_dir: its directory, of which nothing is changed, but that its ``card.yaml`` then names its Space.
        arguments: what goes where; with ``dry_run`` it is listed, and nothing is sent.
        say: tells the user how it goes.

    Returns:
        Where the model is; None after a dry run.

    Raises:
        UserError: something stands in the way; what is on the Hub then is whole, as it was before.
    """
    arguments = replace(arguments, repo_id=arguments.repo_id or read_declared(run_dir, CardArguments()).repo_id)
    check_push(arguments)
    repo_id = str(arguments.repo_id)
    token = _token() if arguments.dry_run else check_hub(repo_id)
    publication = prepare(run_dir, arguments, token=token)
    for notice in (*publication.model.notices, *publication.gaps):
        say(f"note: {notice}")
    if arguments.dry_run:
        say(_listing(publication, arguments))
        return None
    if publication.problems:
        raise UserError(f"The card cannot be published: {' '.join(publication.problems)}")
    settings: dict[str, Any] = {"say": say, "private": arguments.private, "overwrite": arguments.overwrite}
    hidden = publication.space is not None and check_pair(repo_id, private=arguments.private, say=say)
    pushed = push_bundle(publication.model, repo_id, create_pr=arguments.create_pr, **settings)
    say(_told("model", pushed))
    if publication.space is not None:
        settings |= {"private": hidden, "repo_type": "space"}
        say(_told("space", push_bundle(publication.space, repo_id, **settings)))
        if hidden:
            say("note: The Space may read its private model once its settings hold a secret HF_TOKEN that may.")
        write_declared(run_dir, read_declared(run_dir, CardArguments(space=repo_id)))
    if arguments.collection:
        from hfcls.hub.collections import add_to_collection

        items = {"model": repo_id, **({"space": repo_id} if publication.space is not None else {})}
        say(f"listed    {add_to_collection(arguments.collection, items, private=arguments.private, say=say)}")
    return pushed


def _gaps(card: str, run_dir: Path) -> tuple[str, ...]:
    metadata, _, _ = read_metadata(card)
    if metadata is None or metadata.get("license"):
        return ()
    return (f"The card names no license, so nobody may use the model: hfcls card {run_dir} --license apache-2.0, say.",)


def _space(repo_id: str, *, token: str | None) -> Bundle:
    from hfcls.hub.space import build_space

    files = dict(build_space(repo_id, title=repo_id.partition("/")[2], space_id=repo_id))
    check_secrets(files, token=token)
    return Bundle(files)


def _token() -> str | None:
    from huggingface_hub import get_token

    return get_token()


def _told(kind: str, pushed: Pushed) -> str:
    """Where it is now."""
    how = "pushed" if pushed.new else "unchanged: all of it was there"
    return f"{kind:<10}{pushed.url} ({how}; commit {pushed.revision[:8]})"


def _folded(sizes: Mapping[str, int]) -> list[tuple[str, int]]:
    """Paths and sizes, with the many files of the package as one."""
    package = {path: size for path, size in sizes.items() if path.startswith("hfcls/")}
    rows = [(path, size) for path, size in sizes.items() if path not in package]
    return rows + ([(f"hfcls/ ({len(package)} files)", sum(package.values()))] if package else [])


def _listing(publication: Publication, arguments: PushArguments) -> str:
    lines = []
    for kind, bundle in (("model", publication.model), ("space", publication.space)):
        if bundle is not None:
            lines += [f"{kind:<10}{arguments.repo_id}: {len(bundle.sizes)} files, {size_text(bundle.size)}"]
            lines += [f"          {size_text(size):>12}  {path}" for path, size in _folded(bundle.sizes)]
    lines += [f"problem   {problem}" for problem in publication.problems]
    return "\n".join([*lines, "nothing was sent, and the Hub was not asked what is there already (--dry_run)"])
