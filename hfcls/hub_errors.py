"""What the Hub's refusals mean to whoever asked for something, and which of them pass by themselves."""

import errno
import os
from dataclasses import dataclass
from typing import Any

import httpx2
from huggingface_hub import constants, get_token
from huggingface_hub.errors import (
    DisabledRepoError,
    EntryNotFoundError,
    GatedRepoError,
    HfHubHTTPError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from huggingface_hub.utils import parse_ratelimit_headers

from hfcls.errors import UserError

_KINDS = {"model": "model", "dataset": "data set", "space": "Space"}
_FOLDERS = {"model": "", "dataset": "datasets/", "space": "spaces/"}
# The Hub counts requests in windows of five minutes, and longer nobody wants to sit before a screen.
LONGEST_WAIT = 300.0


class Unreadable(Exception):
    """An answer of the Hub that makes no sense: it was damaged on its way."""


# What asking the Hub can end in, apart from what its client says before it asks.
HUB_ERRORS = (HfHubHTTPError, httpx2.RequestError, Unreadable)


@dataclass(frozen=True)
class Asked:
    """What was asked of the Hub.

    Attributes:
        repo_type: ``model``, ``dataset`` or ``space``.
        revision: None for the default branch.
    """

    repo_id: str
    repo_type: str = "model"
    revision: str | None = None

    def __str__(self) -> str:
        """As the user wrote it."""
        return self.repo_id if self.revision is None else f"{self.repo_id}@{self.revision}"

    @property
    def kind(self) -> str:
        """In words."""
        return _KINDS[self.repo_type]

    @property
    def url(self) -> str:
        """Its page."""
        return f"{constants.ENDPOINT}/{_FOLDERS[self.repo_type]}{self.repo_id}"


def waiting_time(error: Exception, failures: int) -> float | None:
    """Seconds after which it makes sense to try again; None where trying again is no use.

    Args:
        failures: how often it has failed by now, this one included.
    """
    if isinstance(error, HfHubHTTPError):
        if not passes(error.response.status_code):
            return None
        asked = asked_to_wait(error.response)
        if asked is not None:
            return asked if asked <= LONGEST_WAIT else None
    elif not isinstance(error, httpx2.RequestError | Unreadable) or _is_hopeless(error):
        return None
    return backoff(failures)


def backoff(failures: int, first: float = 1.0) -> float:
    """Seconds to wait where the Hub names none: `first` after one failure, and twice as long after each further one."""
    return first * 2.0 ** (failures - 1)


def passes(status: int) -> bool:
    """Whether an answer with that status can be another one a little later."""
    return status in {408, 425, 429} or (status >= 500 and status != 501)


def asked_to_wait(response: httpx2.Response) -> float | None:
    """The seconds that the answer itself names."""
    limit = parse_ratelimit_headers(response.headers)
    if response.status_code == 429 and limit is not None and limit.remaining == 0:
        return float(limit.reset_in_seconds) + 1
    seconds = response.headers.get("retry-after", "").strip()
    return float(seconds) if seconds.isdecimal() else None


def _is_hopeless(error: Exception) -> bool:
    return isinstance(error, httpx2.ProxyError | httpx2.UnsupportedProtocol) or "CERTIFICATE" in str(error)


def is_unreachable(error: Exception) -> bool:
    """Whether the Hub itself could not be asked: no network, an outage, no answer."""
    if isinstance(error, HfHubHTTPError):
        return passes(error.response.status_code)
    return isinstance(error, httpx2.RequestError | Unreadable)


def cause_of(error: Exception) -> str:
    """What happened, as the middle of a sentence, without the address that was asked."""
    if isinstance(error, HfHubHTTPError):
        return f"{_hub()} {answered(error.response.status_code)}"
    if isinstance(error, httpx2.TransportError):
        return f"{_hub()} {failed(error)}"
    return f"{_hub()} sent an answer that makes no sense"


def answered(status: int) -> str:
    """What the Hub did, as `cause_of` says it."""
    return f"answered {status}{_REASONS.get(status, '')}"


def failed(error: httpx2.TransportError) -> str:
    """What the Hub did where no answer came, as `cause_of` says it."""
    if isinstance(error, httpx2.TimeoutException):
        return "did not answer in time"
    if isinstance(error, httpx2.ConnectError | httpx2.ProxyError | httpx2.UnsupportedProtocol):
        return f"cannot be reached ({str(error).strip() or type(error).__name__})"
    return "cut the connection"


_REASONS = {429: " (too many requests)", 500: " (an error of its own)", 503: " (not available now)"}


def _hub() -> str:
    return "the Hub" if constants.ENDPOINT == "https://huggingface.co" else f"the Hub at {constants.ENDPOINT}"


def refusal(error: Exception, asked: Asked, *, file: str | None = None) -> UserError:
    """One sentence with the mend, out of what the Hub or its client said.

    Args:
        file: path in the repository, where one file was asked for.
    """
    status = error.response.status_code if isinstance(error, HfHubHTTPError) else None
    message = error.response.headers.get("x-error-message", "") if isinstance(error, HfHubHTTPError) else ""
    if isinstance(error, GatedRepoError):
        return UserError(
            f"The {asked.kind} {asked.repo_id} is gated: ask for access on {asked.url}, {_log_in()}, and try again."
        )
    if isinstance(error, DisabledRepoError):
        return UserError(f"The Hub has disabled the {asked.kind} {asked.repo_id}: see {asked.url}.")
    if isinstance(error, RevisionNotFoundError):
        return UserError(
            f"The {asked.kind} {asked.repo_id} has no revision {asked.revision or constants.DEFAULT_REVISION!r}: "
            f"expected a branch, a tag, a commit or refs/pr/N; {asked.url} lists them."
        )
    if isinstance(error, EntryNotFoundError):
        return UserError(f"{asked} holds no file {file}: see {asked.url}.")
    if status == 401 and "credentials" in message.lower():
        return UserError(
            f"{asked} cannot be fetched: {_hub()} does not know your token; log in anew with `hf auth login`, or set "
            "HF_TOKEN to a valid one."
        )
    if file is None and (isinstance(error, RepositoryNotFoundError) or status in {401, 404}):
        return UserError(
            f"{asked.repo_id} is neither a path here nor to be had from the Hub: no {asked.kind} has that name, or it "
            f"is private; check the name, or {_log_in()}."
        )
    if status in {401, 403}:
        return UserError(
            f"{asked} cannot be fetched: {_hub()} does not let you read it ({status}); ask its owner for access, or "
            "use a token (HF_TOKEN) that has the right to."
        )
    if status == 429 and waiting_time(error, 1) is None:
        seconds = int(asked_to_wait(error.response) or 0)  # type: ignore[attr-defined]
        return UserError(f"{asked} cannot be fetched: {_hub()} takes no more requests for {seconds:,} s (429).")
    again = "check the network, or give a path" if isinstance(error, httpx2.RequestError) else "try again later"
    cause = cause_of(error)
    what = str(asked) if file is None else f"{file} of {asked}"
    return UserError(
        f"{what} cannot be fetched: {cause}; {again}{'' if file is None else ' (what has arrived is kept)'}."
    )


def _log_in() -> str:
    if get_token():
        return "use a token (HF_TOKEN) of an account that may read it"
    return "log in with `hf auth login` (or set HF_TOKEN)"


def disk_refusal(error: OSError, place: Any) -> UserError | None:
    """The sentence for a cache that cannot be written; None where the error is another one."""
    if error.errno in {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}:
        reason = os.strerror(error.errno).lower()
        return UserError(
            f"{place} cannot be written ({reason}): make room, or let HF_HOME point to another disk; what has arrived "
            "is kept."
        )
    if error.errno in {errno.EACCES, errno.EPERM, errno.EROFS}:
        return UserError(
            f"{place} cannot be written ({os.strerror(error.errno).lower()}): let HF_HOME point to a place that can."
        )
    return None
