"""Data sets of the Hub: one commit of them, their files compared with the Hub's digests before they are read."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from datasets import DatasetDict, load_dataset_builder
from huggingface_hub import constants

from hfcls.download import persevere
from hfcls.errors import UserError
from hfcls.hub_cache import HubCache
from hfcls.hub_errors import HUB_ERRORS, Asked, refusal
from hfcls.pull import commit_of, parse_repo_id, pull

T = TypeVar("T")


@dataclass(frozen=True)
class HubData:
    """A data set of the Hub at one commit.

    Attributes:
        name: as the user gave it.
        repo_id: without a revision.
        revision: what the user asked for; None for the default branch.
        commit: None where the Hub was not asked, and the cache does not know it.
    """

    name: str
    repo_id: str
    revision: str | None
    commit: str | None

    @property
    def words(self) -> str:
        """For ``data.json``."""
        return f"the Hub data set {self.name}{f' at commit {self.commit[:12]}' if self.commit else ''}"

    def ask(self, call: Callable[[], T]) -> T:
        """What `datasets` makes of it, tried again where the Hub is not well.

        Raises:
            UserError: the Hub refuses.
        """
        try:
            return persevere(call, f"reading {self.name}")
        except HUB_ERRORS as error:
            raise refusal(error, Asked(self.repo_id, "dataset", self.revision)) from None


def find_hub_data(name: str, revision: str | None) -> HubData:
    """Finds the commit of a data set, once for all that is read of it.

    Args:
        name: ``user/name`` or ``user/name@revision``, or a name without a user.
        revision: the same as behind the @.

    Raises:
        UserError: it is not to be had, or the revisions contradict each other.
    """
    repo = parse_repo_id(name)
    if repo is None:
        return HubData(name, name, revision, None)
    if constants.is_offline_mode():
        wanted = revision or repo.revision
        return HubData(name, repo.repo_id, wanted, HubCache(repo.repo_id, "dataset").commit_of(wanted))
    commit = commit_of(pull(name, repo_type="dataset", what=(), revision=revision))
    return HubData(name, repo.repo_id, revision or repo.revision, commit)


def load_hub_data(found: HubData, config_name: str | None) -> DatasetDict:
    """Downloads (or finds in the cache) all splits.

    Raises:
        UserError: the Hub refuses, or without a network the cache has another commit only.
        Exception: what `datasets` raises of data that it cannot read.
    """
    builder = found.ask(
        lambda: load_dataset_builder(found.repo_id, config_name, revision=found.commit or found.revision)
    )
    prepared = Path(builder.cache_dir).exists()
    if constants.is_offline_mode():
        if found.revision and builder.hash != found.commit:
            raise UserError(
                f"The cache holds {found.repo_id}, but not at {found.revision}, and HF_HUB_OFFLINE keeps that from "
                "being fetched: unset it, or give a path."
            )
    elif found.commit and not prepared:
        start = f"hf://datasets/{found.repo_id}@{found.commit}/"
        files = [str(file) for files in (builder.config.data_files or {}).values() for file in files]
        pull(
            found.repo_id,
            repo_type="dataset",
            what={file.removeprefix(start) for file in files if file.startswith(start)},
            revision=found.commit,
        )
    found.ask(builder.download_and_prepare)
    return builder.as_dataset()
