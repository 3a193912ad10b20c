"""Whether a push can go where it is to go, before anything is sent."""

from collections.abc import Callable
from typing import Any

from huggingface_hub import HfApi, constants, get_token
from huggingface_hub.errors import HfHubHTTPError

from hfcls.errors import UserError
from hfcls.hub.attempts import Attempts, Refusals, hub_requests
from hfcls.pull import is_repo_id


def check_repo_id(repo_id: str) -> str:
    """Returns it.

    Raises:
        UserError: it is not of the form ``user/name``.
    """
    if not is_repo_id(repo_id):
        raise UserError(
            f"{repo_id!r} names no repository: expected user/name with letters, digits, '-', '_' and '.', such as "
            "user/flowers."
        )
    return repo_id


def check_hub(repo_id: str) -> str:
    """Whether a push can begin; asks no one.

    Returns:
        The token in use.

    Raises:
        UserError: the name is impossible, the Hub is switched off, or there is no token.
    """
    check_repo_id(repo_id)
    if constants.is_offline_mode():
        raise UserError("Nothing can be pushed while HF_HUB_OFFLINE is set: unset it.")
    token = get_token()
    if not token:
        raise UserError(
            "No token for the Hub: log in with `hf auth login`, or set HF_TOKEN to a token with write access."
        )
    return token


def check_pair(repo_id: str, *, private: bool, say: Callable[[str], None], attempts: Attempts | None = None) -> bool:
    """Looks at a model and its Space, before either is sent.

    Args:
        private: both are to be private where they are made.
        say: tells the user of attempts that failed.
        attempts: how often what fails is tried again.

    Returns:
        Whether the Space is to be private: a Space shows its model, so that it is where that is.

    Raises:
        UserError: one of them is public and should not be, or the Hub refuses to tell.
    """
    attempts = attempts or Attempts(say)
    model, space = (_privacy(repo_id, kind, attempts) for kind in ("model", "space"))
    if private and model is False:
        raise UserError(
            f"The model {repo_id} is public already: --private is for one that the push makes. Change it in its "
            "settings on the Hub, then push without --private."
        )
    hidden = private or bool(model)
    if hidden and space is False:
        raise UserError(
            f"The Space {repo_id} is public already, and would show a private model: make it private in its settings "
            "on the Hub, or push without --space."
        )
    return hidden


def _privacy(repo_id: str, repo_type: str, attempts: Attempts) -> bool | None:
    """Whether a repository is private; None where there is none."""

    def look() -> bool | None:
        try:
            return HfApi().repo_info(repo_id, repo_type=repo_type).private
        except HfHubHTTPError as error:
            if error.response.status_code != 404:
                raise
            return None

    with hub_requests():
        return attempts.run(look, Refusals(repo_id, "Space" if repo_type == "space" else repo_type))


def _may_write(fine: Any, repo_id: str) -> bool:
    """Whether a token with rights of its own may write to a repository; True for one that has none of its own."""
    if not fine:
        return True
    owner = repo_id.partition("/")[0]
    reach = {("user", owner), ("org", owner), ("model", repo_id)}
    granted = set(fine.get("global") or ())
    for scope in fine.get("scoped") or ():
        entity = scope.get("entity") or {}
        kind = entity.get("type")
        # Which repositories a resource group holds is not told.
        if (kind, entity.get("name")) in reach or kind == "resource-group":
            granted |= set(scope.get("permissions") or ())
    return "repo.write" in granted


def check_rights(repo_id: str, *, say: Callable[[str], None], attempts: Attempts | None = None) -> None:
    """Asks the Hub whose token it is, before hours of work that end in a push.

    Raises:
        UserError: it is unknown, can only read, or belongs to someone else.
    """
    check_hub(repo_id)
    owner = repo_id.partition("/")[0]
    with hub_requests():
        who = (attempts or Attempts(say)).run(lambda: HfApi().whoami(), Refusals(repo_id))
    token = (who.get("auth") or {}).get("accessToken") or {}
    roles = {who.get("name"): "admin"} | {org.get("name"): org.get("roleInOrg") for org in who.get("orgs") or ()}
    if token.get("role") == "read":
        raise UserError(f"The Hub token can only read: set HF_TOKEN to one with write access to {repo_id}.")
    if owner not in roles:
        raise UserError(
            f"The Hub token belongs to {who.get('name')}, which is not in {owner}: choose --hub_model_id or --repo_id "
            f"{who.get('name')}/{repo_id.partition('/')[2]}, or use another token."
        )
    if roles[owner] == "read":
        raise UserError(
            f"The Hub token belongs to {who.get('name')}, which can only read in {owner}: ask for the right to write "
            "there, or use another token."
        )
    if not _may_write(token.get("fineGrained"), repo_id):
        raise UserError(
            f"The Hub token may not write to {repo_id}: give it write access to the repositories of {owner}, or set "
            "HF_TOKEN to one that has it."
        )
