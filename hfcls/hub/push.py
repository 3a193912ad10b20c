"""One commit with all files of a bundle, or none; the same pushed twice is one commit."""

import json
import logging
import re
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

from huggingface_hub import CommitOperationAdd, CommitOperationDelete, HfApi, get_session, hf_hub_url
from huggingface_hub.errors import HfHubHTTPError
from huggingface_hub.hf_api import RepoFile
from huggingface_hub.repocard import REGEX_YAML_BLOCK
from huggingface_hub.utils import (
    are_progress_bars_disabled,
    build_hf_headers,
    disable_progress_bars,
    enable_progress_bars,
    hf_raise_for_status,
)

from hfcls.errors import UserError
from hfcls.hub.attempts import Attempts, Refusals, Trouble, hub_requests, trouble_of
from hfcls.hub.bundle import MANIFEST, Bundle, Digests, digests_of
from hfcls.hub.card import is_ours
from hfcls.hub.rights import check_hub

_KINDS = {"model": "model", "space": "Space"}
# What people edit on the website; it is not overwritten unless they want it.
_EDITED = {"model": ("README.md",), "space": ("README.md", "app.py")}
# Open proposals are looked through, newest first, for one that says the same.
_PROPOSALS = 20
_CONFLICTS = frozenset((409, 412))


@dataclass(frozen=True)
class Pushed:
    """Where a bundle is now.

    Attributes:
        url: to look at it.
        revision: the commit that holds all of it.
        new: whether that commit was made by this push.
    """

    url: str
    revision: str
    new: bool


@dataclass(frozen=True)
class _Stored:
    """One file of a repository: what identifies its content."""

    blob_id: str
    sha256: str | None


def push_bundle(
    bundle: Bundle,
    repo_id: str,
    *,
    say: Callable[[str], None],
    repo_type: str = "model",
    private: bool = False,
    create_pr: bool = False,
    overwrite: bool = False,
    message: str = "Pushed by hfcls",
    attempts: Attempts | None = None,
) -> Pushed:
    """Brings a repository to hold what the bundle holds, in one commit.

    Files that the push before brought as they still are, and this one does not, go in the same commit; others stay.

    Args:
        bundle: what is pushed.
        repo_id: ``user/name``; made where it is missing.
        say: tells the user how it goes.
        repo_type: ``model`` or ``space``.
        private: make it private; an error where it exists and is public.
        create_pr: propose the commit as a pull request, which the repository must exist for.
        overwrite: replace a README.md or ``app.py`` that someone else wrote or edited there.
        message: of the commit.
        attempts: how often what fails is tried again.

    Raises:
        UserError: it was refused or failed too often, or would overwrite what someone else wrote; the repository then
            is as it was.
    """
    check_hub(repo_id)
    push = _Push(bundle, repo_id, repo_type, private, create_pr, overwrite, message, say, attempts or Attempts(say))
    with _quiet(), hub_requests():
        return push.run()


@contextmanager
def _quiet() -> Iterator[None]:
    """The client's warnings are for developers, and its progress bars for screens."""
    logger = logging.getLogger("huggingface_hub")
    level, hide = logger.level, not (sys.stderr.isatty() or are_progress_bars_disabled())
    logger.setLevel(logging.ERROR)
    if hide:
        disable_progress_bars()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
        if hide:
            enable_progress_bars()


class _Push:
    """One push; every attempt begins with a look at what is there, which also resolves a lost reply."""

    def __init__(
        self,
        bundle: Bundle,
        repo_id: str,
        repo_type: str,
        private: bool,
        create_pr: bool,
        overwrite: bool,
        message: str,
        say: Callable[[str], None],
        attempts: Attempts,
    ):
        self.bundle, self.repo_id, self.repo_type, self.private = bundle, repo_id, repo_type, private
        self.create_pr, self.overwrite, self.message = create_pr, overwrite, message
        self.say, self.attempts = say, attempts
        self.api = HfApi()
        self.refusals = Refusals(repo_id, _KINDS[repo_type])
        self.made = False
        self.known: set[str] | None = None

    def run(self) -> Pushed:
        number, trouble = 0, None
        while True:
            head = self.attempts.run(self.open, self.refusals)
            changes = self.attempts.run(partial(self.changes, head), self.refusals)
            if not changes:
                return Pushed(self.url, head, new=number > 0)
            if self.create_pr and (there := self.attempts.run(self.proposal, self.refusals)):
                return there
            if not self.overwrite:
                self.attempts.run(partial(self.check_edited, head), self.refusals)
            if trouble is None:
                self.announce(changes)
            elif number >= self.attempts.most:
                raise self.attempts.given_up(trouble)
            number += 1
            try:
                return self.commit(changes, head)
            except Exception as error:
                trouble = self.trouble(error)
            if number < self.attempts.most:
                self.attempts.wait(trouble, number)

    def open(self) -> str:
        """The commit at the head of the repository, which is made where it is missing.

        Raises:
            UserError: it is public and was to be private, or missing and was to get a pull request.
        """
        for _ in range(2):
            try:
                info: Any = self.api.repo_info(self.repo_id, repo_type=self.repo_type)
            except HfHubHTTPError as error:
                if error.response.status_code != 404:
                    raise
            else:
                if self.private and not info.private:
                    raise UserError(
                        f"{self.repo_id} is public already: --private is for one that the push makes. Change it in "
                        "its settings on the Hub, then push without --private."
                    )
                return info.sha
            if self.create_pr:
                raise UserError(f"{self.repo_id} is not on the Hub: push without --create_pr to make it.")
            self.api.create_repo(
                self.repo_id,
                repo_type=self.repo_type,
                private=self.private or None,
                space_sdk="gradio" if self.repo_type == "space" else None,
                exist_ok=True,
            )
            self.made = True
        raise Trouble("says that the repository exists and that it does not")

    def changes(self, revision: str) -> list[Any]:
        """The operations that lead from a commit to the bundle; none where it holds all of it."""
        stored = self.stored(revision)
        add = [
            CommitOperationAdd(path, content)
            for path, content in self.bundle.sent.items()
            if not self.holds(stored, path)
        ]
        gone = [] if self.holds(stored, MANIFEST) else self.brought(stored, revision) - self.bundle.sent.keys()
        return [*add, *(CommitOperationDelete(path, is_folder=False) for path in sorted(gone))]

    def stored(self, revision: str) -> dict[str, _Stored]:
        """What a commit holds, by path."""
        entries = self.api.list_repo_tree(self.repo_id, repo_type=self.repo_type, recursive=True, revision=revision)
        return {e.path: _Stored(e.blob_id, e.lfs.sha256 if e.lfs else None) for e in entries if isinstance(e, RepoFile)}

    def holds(self, stored: dict[str, _Stored], path: str) -> bool:
        """Whether a file is there as it is in the bundle."""
        return path in stored and _same(self.bundle.digests[path], stored[path])

    def brought(self, stored: dict[str, _Stored], revision: str) -> set[str]:
        """The files that the push before brought and no one has changed since."""
        if MANIFEST not in stored:
            return set()
        try:
            listed = json.loads(self.read(MANIFEST, stored, revision))["files"]
            digests = {path: Digests(**entry) for path, entry in listed.items()}
        except (ValueError, TypeError, KeyError, AttributeError):  # not as a push writes it: nothing can be said
            return set()
        return {path for path, one in digests.items() if path in stored and _same(one, stored[path])}

    def check_edited(self, revision: str) -> None:
        """Looks whether the push would overwrite what someone wrote on the website.

        Raises:
            UserError: it would.
        """
        stored = self.stored(revision)
        paths = [p for p in _EDITED[self.repo_type] if p in stored and p in self.bundle.files]
        paths = [path for path in paths if not self.holds(stored, path)]
        for path in set(paths) - self.brought(stored, revision) if paths else ():
            content = self.read(path, stored, revision)
            if path == "README.md" and (_is_default(content) or is_ours(content.decode(errors="replace"))):
                continue
            raise UserError(
                f"{path} of the {self.refusals.what} {self.repo_id} was written or edited by someone else, and nothing "
                "was sent: keep a copy if you need it, then push with --overwrite to replace it."
            )

    def read(self, path: str, stored: dict[str, _Stored], revision: str) -> bytes:
        """A small file of a commit."""
        url = hf_hub_url(self.repo_id, path, repo_type=self.repo_type, revision=revision, endpoint=self.api.endpoint)
        response = get_session().get(url, headers=build_hf_headers())
        hf_raise_for_status(response)
        if not _same(digests_of(response.content), stored[path]):
            raise Trouble(f"sent {path} damaged")
        return response.content

    def proposal(self) -> Pushed | None:
        """The pull request that holds the bundle already; the first call remembers which ones there were before.

        Of those only the open ones count; one that is new since is of a commit of this push whose reply was lost.
        """
        refs = self.api.list_repo_refs(self.repo_id, repo_type=self.repo_type, include_pull_requests=True)
        requests = {ref.ref: ref.target_commit for ref in refs.pull_requests or []}
        if self.known is None:
            self.known = set(requests)
        current = (set(requests) - self.known) | self.open_requests()
        newest = sorted(current & set(requests), key=lambda ref: int(ref.rpartition("/")[2]), reverse=True)
        for ref in newest[:_PROPOSALS]:
            if not self.changes(requests[ref]):
                url = f"{self.url}/discussions/{ref.rpartition('/')[2]}"
                return Pushed(url, requests[ref], new=ref not in self.known)
        return None

    def open_requests(self) -> set[str]:
        """The pull requests that are neither closed nor merged; none where the Hub does not tell."""
        options: dict[str, Any] = {"discussion_type": "pull_request", "discussion_status": "open"}
        try:
            found = list(self.api.get_repo_discussions(self.repo_id, repo_type=self.repo_type, **options))
        except HfHubHTTPError as error:
            if error.response.status_code not in {403, 404}:
                raise
            return set()
        return {f"refs/pr/{request.num}" for request in found}

    def commit(self, changes: list[Any], head: str) -> Pushed:
        """Sends large files, then the commit, and looks whether it is as it should be."""
        made = self.api.create_commit(
            self.repo_id,
            changes,
            commit_message=self.message,
            repo_type=self.repo_type,
            parent_commit=head,
            create_pr=self.create_pr,
        )
        try:
            missing = [change.path_in_repo for change in self.changes(made.oid)]
        except HfHubHTTPError:
            raise Trouble("does not show the commit that it has just made") from None
        if missing:
            raise UserError(
                f"The Hub left {', '.join(missing)} out of the commit {made.oid[:8]}: see whether a .gitignore in "
                f"{self.repo_id} names it."
            )
        return Pushed(made.pr_url or self.url, made.oid, new=True)

    def trouble(self, error: Exception) -> Trouble:
        """As `trouble_of`; someone else's commit in between is one more reason to look again."""
        if isinstance(error, HfHubHTTPError) and error.response.status_code in _CONFLICTS:
            return Trouble(f"has a newer commit of someone else ({error.response.status_code})")
        return trouble_of(error, self.refusals)

    def announce(self, changes: list[Any]) -> None:
        adds = [change for change in changes if isinstance(change, CommitOperationAdd)]
        size = sum(change.upload_info.size for change in adds)
        gone = [change.path_in_repo for change in changes if isinstance(change, CommitOperationDelete)]
        kind = f"{'new ' if self.made else ''}{self.refusals.what}"
        removed = f", {len(gone)} to remove ({', '.join(gone)})" if gone else ""
        self.say(
            f"push      {kind} {self.repo_id}: {len(adds)} of {len(self.bundle.sent)} files to send, "
            f"{size_text(size)}{removed}"
        )

    @property
    def url(self) -> str:
        return f"{self.api.endpoint}/{'spaces/' if self.repo_type == 'space' else ''}{self.repo_id}"


def size_text(size: int) -> str:
    """Bytes for people."""
    for unit, factor in (("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if size >= factor:
            return f"{size / factor:.1f} {unit}"
    return f"{size} bytes"


def _same(digests: Digests, stored: _Stored) -> bool:
    return digests.git == stored.blob_id if stored.sha256 is None else digests.sha256 == stored.sha256


def _is_default(readme: bytes) -> bool:
    """Whether the Hub wrote it when the repository was made: metadata, and no more than one line of its own."""
    body = REGEX_YAML_BLOCK.sub("", readme.decode(errors="replace"), count=1).strip()
    return not body or re.fullmatch(r"Check out the configuration reference at \S+", body) is not None
