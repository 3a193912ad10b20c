"""Whether a push can go where it is to go, before anything is sent."""

import re
from collections.abc import Callable

from huggingface_hub import HfApi, constants, get_token

from hfcls.errors import UserError
from hfcls.hub.attempts import Attempts, Refusals, hub_requests

_REPO_ID = re.compile(r"(?!.*(?:--|\.\.))[A-Za-z0-9][\w.-]*/[A-Za-z0-9_][\w.-]*(?<![-.])")


def check_repo_id(repo_id: str) -> str:
    """Returns it.

    Raises:
        UserError: it is not of the form ``user/name``.
    """
    if not _REPO_ID.fullmatch(repo_id) or len(repo_id) > 96 or repo_id.endswith(".git"):
        raise UserError(
            f"{repo_id!r} names no repository: expected user/name with letters, digits, '-', '_' and '.', such as "
            "alice/flowers."
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


def check_rights(repo_id: str, *, say: Callable[[str], None], attempts: Attempts | None = None) -> None:
    """Asks the Hub whose token it is, before hours of work that end in a push.

    Raises:
        UserError: it is unknown, can only read, or belongs to someone else.
    """
    check_hub(repo_id)
    owner = repo_id.partition("/")[0]
    with hub_requests():
        who = (attempts or Attempts(say)).run(lambda: HfApi().whoami(), Refusals(repo_id))
    role = who.get("auth", {}).get("accessToken", {}).get("role")
    names = {who.get("name"), *(org.get("name") for org in who.get("orgs", []))}
    if role == "read":
        raise UserError(f"The Hub token can only read: set HF_TOKEN to one with write access to {repo_id}.")
    if owner not in names:
        raise UserError(
            f"The Hub token belongs to {who.get('name')}, which is not in {owner}: choose --hub_model_id or --repo_id "
            f"{who.get('name')}/{repo_id.partition('/')[2]}, or use another token."
        )
