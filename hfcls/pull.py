"""A model or data set of the Hub as a directory here: one commit, its files whole, and only those that are needed."""

import re
import shutil
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath
from typing import Any

import httpx2
from huggingface_hub import HfApi, constants, hf_hub_url
from huggingface_hub.utils import HFValidationError, build_hf_headers, validate_repo_id

from hfcls.download import RemoteFile, fetch_all, missing_bytes, note, persevere
from hfcls.errors import UserError
from hfcls.hub_cache import COMMIT, DIGEST, HubCache
from hfcls.hub_errors import HUB_ERRORS, Asked, Unreadable, cause_of, disk_refusal, is_unreachable, refusal

# Beside its weights and its code.
_MODEL_FILES = frozenset(
    (
        *("config.json", "preprocessor_config.json", "processor_config.json"),
        *("run.yaml", "data.json", "metrics.json", "calibration.json"),
    )
)
_PICKLES = (".bin", ".pt", ".pth", ".ckpt", ".pkl", ".pickle")


@dataclass(frozen=True)
class RepoId:
    """A repository of the Hub, as ``user/name`` or ``user/name@revision`` names it.

    Attributes:
        revision: branch, tag, commit or ``refs/pr/N``; None for the default branch.
    """

    repo_id: str
    revision: str | None = None


def is_repo_id(text: str) -> bool:
    """Whether a repository of the Hub can have that name, ``user/name``."""
    try:
        validate_repo_id(text)
    except HFValidationError:
        return False
    return text.count("/") == 1 and text.isascii()


def parse_repo_id(text: str) -> RepoId | None:
    """What names a repository of the Hub; None where it is a path here, or cannot be such a name.

    A path that exists goes before the Hub.

    Raises:
        UserError: a directory is given a revision.
    """
    if Path(text).expanduser().exists():
        return None
    repo_id, at, revision = text.partition("@")
    if not is_repo_id(repo_id) or (at and not revision) or re.search(r"\s|\.\.|\\", text):
        return None
    if at and Path(repo_id).exists():
        raise UserError(
            f"{text} could be the path {repo_id} here, which has no revisions, or a repository of the Hub: give the "
            "path alone, or start where there is no such path."
        )
    return RepoId(repo_id, revision or None)


def local_model(
    name_or_path: str, *, revision: str | None = None, allow_pickle: bool = False, quiet: bool = False
) -> Path:
    """The directory of a model: as it is given, or pulled from the Hub.

    Args:
        name_or_path: a directory, ``user/name`` or ``user/name@revision``.
        revision: the same as behind an @; a commit goes before that.
        allow_pickle: weights may be pickles, where there are no others.
        quiet: show no progress.

    Raises:
        UserError: it is not to be had; see `pull`.
    """
    path = Path(name_or_path).expanduser()
    if path.is_dir():
        if revision:
            raise UserError(f"--model_revision would have no effect: {name_or_path} is a directory here.")
        return path
    if path.exists():
        raise UserError(f"The model {name_or_path} is a file: expected a directory or a Hub id such as user/name.")
    return pull(name_or_path, revision=revision, allow_pickle=allow_pickle, quiet=quiet)


def commit_of(directory: Path) -> str | None:
    """The commit that a directory of the Hub's cache holds; None for any other directory."""
    name = directory.name
    return name if directory.parent.name == "snapshots" and COMMIT.fullmatch(name) else None


def pull(
    name: str,
    *,
    repo_type: str = "model",
    what: Collection[str] | None = None,
    revision: str | None = None,
    allow_pickle: bool = False,
    quiet: bool = False,
) -> Path:
    """Brings a repository here, or finds it in the cache, and compares every file with the digest that the Hub gives.

    A file that was compared before and has not changed since is not read again. What was interrupted goes on where it
    stopped. Without a network, what the cache holds is used, and said.

    Args:
        name: ``user/name`` or ``user/name@revision``.
        what: paths in the repository, or patterns with ``*`` that also match slashes; for a model all that a classifier
            needs if left out, otherwise everything.
        revision, allow_pickle, quiet: as `local_model` has them.

    Returns:
        A directory that holds files of one commit alone.

    Raises:
        UserError: no such repository, revision or file; gated, private, or no access; no network; weights that are
            pickles; files that keep arriving damaged; a full disk.
    """
    asked = _asked(name, repo_type, revision)
    cache = HubCache(asked.repo_id, repo_type)
    commit, files = _look_up(asked, cache)
    whose = str(asked)
    if not _to_be_had(files.values()) and cache.listed(commit) is None:
        whose = f"The part of {asked} that is in the Hub's cache, beyond which there is no network,"
    if what is not None:
        paths = _matching(files, what, whose)
    else:
        paths = _model_files(files, whose, allow_pickle) if repo_type == "model" else set(files)
    try:
        _obtain([files[path] for path in sorted(paths)], commit, cache, asked, quiet=quiet)
        cache.point(asked.revision, commit)
        if _to_be_had(files.values()):
            cache.keep(commit, files.values())
    except OSError as error:
        raise disk_refusal(error, cache.root) or error from None
    return cache.snapshot(commit)


def _asked(name: str, repo_type: str, revision: str | None) -> Asked:
    repo = parse_repo_id(name)
    if repo is None:
        kind = Asked(name, repo_type).kind
        raise UserError(f"The {kind} {name} does not exist: expected a path here or a Hub id such as user/name.")
    if revision and repo.revision not in {None, revision} and not COMMIT.fullmatch(revision):
        raise UserError(f"{name} and the revision {revision} contradict each other: give one of them.")
    return Asked(repo.repo_id, repo_type, revision or repo.revision)


def _model_files(paths: Collection[str], whose: str, allow_pickle: bool) -> set[str]:
    """What a classifier needs: configuration, code, what hfcls writes, and one set of weights.

    Args:
        whose: the repository in words.

    Raises:
        UserError: there is no configuration, there are no weights, or they are pickles.
    """
    top = {path for path in paths if "/" not in path}
    if "config.json" not in top:
        raise UserError(f"{whose} holds no config.json: expected a model that save_pretrained wrote.")
    chosen = (top & _MODEL_FILES) | {path for path in paths if path.endswith(".py")}
    kinds = [("model", "safetensors"), *([("pytorch_model", "bin")] if allow_pickle else [])]
    for stem, suffix in kinds:
        whole, index = f"{stem}.{suffix}", f"{stem}.{suffix}.index.json"
        if whole in top:
            return chosen | {whole}
        if index in top:
            return chosen | {index} | {path for path in top if fnmatchcase(path, f"{stem}-*-of-*.{suffix}")}
    pickles = sorted(path for path in top if path.endswith(_PICKLES))
    if pickles and not allow_pickle:
        raise UserError(
            f"{whose} has its weights in a pickle, {pickles[0]}, and reading one can run whatever its author put in: "
            "add --allow_pickle if you trust them, or take a model with model.safetensors."
        )
    raise UserError(f"{whose} holds no weights: expected model.safetensors.")


def _matching(paths: Collection[str], what: Collection[str], whose: str) -> set[str]:
    for pattern in what:
        if "*" not in pattern and pattern not in paths:
            raise UserError(
                f"{whose} holds no file {pattern}: expected one of {', '.join(sorted(paths)[:10]) or 'none'}."
            )
    names, patterns = set(what), [pattern for pattern in what if "*" in pattern]
    return {path for path in paths if path in names or any(fnmatchcase(path, pattern) for pattern in patterns)}


def _look_up(asked: Asked, cache: HubCache) -> tuple[str, Mapping[str, RemoteFile]]:
    """The commit that was asked for and its files; without a network, those that the cache has, with no address."""
    here = cache.commit_of(asked.revision)
    known = {} if here is None else cache.listed(here) or cache.found(here)
    if constants.is_offline_mode():
        if here is None or not known:
            raise UserError(
                f"{asked} is neither a path here nor in the Hub's cache, and HF_HUB_OFFLINE keeps it from being "
                "fetched: unset that, or give a path."
            )
        return here, known
    if here is not None and here == asked.revision and cache.listed(here):
        return here, {path: _at(asked, here, file) for path, file in known.items()}  # a commit does not change
    try:
        # With a copy at hand, waiting for a network that may not be there is no use.
        hopeless = (httpx2.ConnectError,) if known else ()
        return persevere(lambda: _ask(asked), f"looking up {asked}", hopeless=hopeless)
    except HUB_ERRORS as error:
        if here is None or not known or not is_unreachable(error):
            raise refusal(error, asked) from None
        note(f"{cause_of(error)}: {asked} is taken from the cache, as it was at commit {here}.")
        return here, known


def _to_be_had(files: Iterable[RemoteFile]) -> bool:
    """Whether the Hub was there to be asked."""
    return all(file.url for file in files)


def _ask(asked: Asked) -> tuple[str, dict[str, RemoteFile]]:
    """Commit and files, in one answer.

    Raises:
        Unreadable: it makes no sense.
        UserError: no disk can hold such files.
    """
    try:
        info: Any = HfApi().repo_info(
            asked.repo_id,
            repo_type=asked.repo_type,
            revision=asked.revision,
            timeout=constants.HF_HUB_ETAG_TIMEOUT,
            files_metadata=True,
        )
        commit, files = str(info.sha), {}
        for entry in info.siblings or ():
            etag = entry.lfs.sha256 if entry.lfs else entry.blob_id
            path, file = entry.rfilename, RemoteFile(entry.rfilename, int(entry.size), etag)
            parts = path.split("/")
            if not path.isprintable() or "\\" in path or {"", ".", ".."} & set(parts) or not DIGEST.fullmatch(etag):
                raise Unreadable
            files[path] = _at(asked, commit, file)
    except HUB_ERRORS:
        raise
    except (ValueError, TypeError, KeyError, AttributeError):
        raise Unreadable from None
    if not COMMIT.fullmatch(commit):
        raise Unreadable
    folders = {folder.as_posix() for path in files for folder in PurePosixPath(path).parents}
    if both := sorted(folders & files.keys()):
        raise UserError(f"{asked} cannot be fetched: {both[0]} is both a file and a folder there; see {asked.url}.")
    return commit, files


def _at(asked: Asked, commit: str, file: RemoteFile) -> RemoteFile:
    """The same with where it is to be had."""
    url = hf_hub_url(asked.repo_id, file.path, repo_type=asked.repo_type, revision=commit)
    return RemoteFile(file.path, file.size, file.etag, url)


def _obtain(files: list[RemoteFile], commit: str, cache: HubCache, asked: Asked, *, quiet: bool) -> None:
    """Sees to it that the snapshot holds the files, each of them whole."""
    wanted = _lacking(files, commit, cache)
    if not wanted:
        return
    if not _to_be_had(wanted):
        state = "is damaged" if cache.holds(commit, wanted[0]) else "is missing"
        raise UserError(
            f"{wanted[0].path} of {asked} {state} in the cache ({cache.snapshot(commit)}), and there is no network to "
            "fetch it from: try again where there is one."
        )
    with cache.lock():
        wanted = _lacking(files, commit, cache)
        for file in wanted:
            if cache.holds(commit, file):
                note(f"{file.path} of {asked} is damaged in the cache: it is fetched again.")
                cache.remove(commit, file)
        wanted = _lacking(files, commit, cache)
        places = {cache.place(file): file for file in wanted}
        absent = [(file, place) for place, file in places.items() if not cache.has_blob(file)]
        if absent:
            (cache.root / "blobs").mkdir(parents=True, exist_ok=True)
            missing, free = missing_bytes(absent), shutil.disk_usage(cache.root).free
            if missing > free:
                raise UserError(
                    f"{asked} takes {missing / 1e6:,.0f} MB, and {cache.root} has room for {free / 1e6:,.0f} MB: make "
                    "room, or let HF_HOME point to another disk."
                )
            fetch_all(absent, asked, headers=build_hf_headers(), quiet=quiet)
        for file in wanted:
            cache.link(commit, file)


def _lacking(files: list[RemoteFile], commit: str, cache: HubCache) -> list[RemoteFile]:
    return [file for file in files if not (cache.holds(commit, file) and cache.is_whole(commit, file))]
