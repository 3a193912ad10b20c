"""Collections: lists of repositories on the Hub."""

import re
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from huggingface_hub import HfApi

from hfcls.hub.attempts import Attempts, Refusals, hub_requests

_SLUG = re.compile(r"([\w.-]+)/[\w.-]+-[0-9a-f]{24}")


def add_to_collection(
    title_or_slug: str,
    items: Mapping[str, str],
    *,
    private: bool,
    say: Callable[[str], None],
    attempts: Attempts | None = None,
) -> str:
    """Lists repositories in a collection; what is in it already stays as it is.

    Args:
        title_or_slug: ``user/title-24digits`` of one that is there, or a title, for which one of the same owner as the
            first repository is taken or made.
        items: kind of a repository (``model``, ``space``) to its id.
        private: make a new one private.
        say: tells the user of attempts that failed.
        attempts: how often what fails is tried again.

    Returns:
        The address of the collection.

    Raises:
        UserError: it does not exist, may not be changed, or the Hub failed too often.
    """
    attempts = attempts or Attempts(say)
    owner = next(iter(items.values())).partition("/")[0]
    refusals = Refusals(title_or_slug, "collection")
    api = HfApi()

    def find() -> tuple[str, str]:
        if _SLUG.fullmatch(title_or_slug):
            found = api.get_collection(title_or_slug)
            return found.slug, found.url
        for collection in api.list_collections(owner=owner):
            if collection.title == title_or_slug:
                return collection.slug, collection.url
        made = api.create_collection(title_or_slug, namespace=owner, private=private, exists_ok=True)
        return made.slug, made.url

    with hub_requests():
        slug, url = attempts.run(find, refusals)
        for kind, repo_id in items.items():
            add: Callable[[], Any] = partial(api.add_collection_item, slug, repo_id, kind, exists_ok=True)  # type: ignore[arg-type]
            attempts.run(add, refusals)
    return url
