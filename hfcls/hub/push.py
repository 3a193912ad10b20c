"""One commit with all files of a bundle, or none; the same pushed twice is one commit."""

import hashlib
import logging
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from huggingface_hub import CommitOperationAdd, CommitOperationDelete, HfApi
from huggingface_hub.errors import HfHubHTTPError
from huggingface_hub.hf_api import RepoFile
from huggingface_hub.utils import are_progress_bars_disabled, disable_progress_bars, enable_progress_bars

from hfcls.errors import UserError
from hfcls.hub.attempts import Attempts, Refusals, Trouble, hub_requests, trouble_of
from hfcls.hub.bundle import Bundle
from hfcls.hub.rights import check_hub

_KINDS = {"model": "model", "space": "Space"}
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
    message: str = "Pushed by hfcls",
    attempts: Attempts | None = None,
) -> Pushed:
    """Brings a repository to hold what the bundle holds, in one commit.

    Files that earlier pushes brought and this one does not (`Bundle.owned`) go in the same commit; others stay.

    Args:
        bundle: what is pushed.
        repo_id: ``user/name``; made where it is missing.
        say: tells the user how it goes.
        repo_type: ``model`` or ``space``.
        private: make it private; an error where it exists and is public.
        create_pr: propose the commit as a pull request, which the repository must exist for.
        message: of the commit.
        attempts: how often what fails is tried again.

    Raises:
        UserError: it was refused or failed too often; the repository then is as it was.
    """
    check_hub(repo_id)
    push = _Push(bundle, repo_id, repo_type, private, create_pr, message, say, attempts or Attempts(say))
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
        message: str,
        say: Callable[[str], None],
        attempts: Attempts,
    ):
        self.bundle, self.repo_id, self.repo_type, self.private = bundle, repo_id, repo_type, private
        self.create_pr, self.message, self.say, self.attempts = create_pr, message, say, attempts
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
        entries = self.api.list_repo_tree(self.repo_id, repo_type=self.repo_type, recursive=True, revision=revision)
        stored = {
            e.path: _Stored(e.blob_id, e.lfs.sha256 if e.lfs else None) for e in entries if isinstance(e, RepoFile)
        }
        add = [
            CommitOperationAdd(path, content)
            for path, content in self.bundle.files.items()
            if path not in stored or not _same(content, stored[path])
        ]
        gone = [p for p in stored if p not in self.bundle.files and self.bundle.owns(p)]
        return [*add, *(CommitOperationDelete(path, is_folder=False) for path in gone)]

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
        gone = len(changes) - len(adds)
        kind = f"{'new ' if self.made else ''}{self.refusals.what}"
        removed = f", {gone} to remove" if gone else ""
        self.say(
            f"push      {kind} {self.repo_id}: {len(adds)} of {len(self.bundle.files)} files to send, "
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


def _same(content: bytes | Path, stored: _Stored) -> bool:
    if stored.sha256 is not None:
        return _digest(content, hashlib.sha256()) == stored.sha256
    size = len(content) if isinstance(content, bytes) else content.stat().st_size
    return _digest(content, hashlib.sha1(b"blob %d\0" % size, usedforsecurity=False)) == stored.blob_id


def _digest(content: bytes | Path, digest: Any) -> str:
    if isinstance(content, bytes):
        digest.update(content)
    else:
        with content.open("rb") as stream:
            while block := stream.read(1 << 20):
                digest.update(block)
    return digest.hexdigest()
