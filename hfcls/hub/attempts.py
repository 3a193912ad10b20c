"""Requests to the Hub whose failures are seen, told and tried again here, by one rule for all of them.

The Hub's client tries some requests again by itself, silently and for an hour where it is asked to, and others,
such as a commit, never. While `hub_requests` is open its requests fail at once, as `Trouble` where another attempt may
help.
"""

import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from traceback import walk_tb
from typing import Any, TypeVar

import httpx2
from huggingface_hub import get_token
from huggingface_hub.errors import HfHubHTTPError
from huggingface_hub.utils import _http as client_settings

from hfcls.errors import UserError
from hfcls.hub_errors import LONGEST_WAIT, answered, asked_to_wait, backoff, failed, passes

Result = TypeVar("Result")

# Connecting and each piece of an upload; an answer may take as long as the Hub checks large files.
_TIMEOUT = httpx2.Timeout(connect=15, read=300, write=120, pool=None)


class Trouble(Exception):
    """A request that failed in a way that may pass.

    Attributes:
        what: what happened, as the end of a sentence that begins with "the Hub".
        wait: seconds that the Hub asks to wait, or None.
    """

    def __init__(self, what: str, wait: float | None = None):
        super().__init__(what)
        self.what = what
        self.wait = wait


class _Client(httpx2.Client):
    """A client that raises what may pass as `Trouble`, which the Hub's client does not catch."""

    def send(self, request: httpx2.Request, **settings: Any) -> httpx2.Response:
        try:
            response = super().send(request, **settings)
        except httpx2.TransportError as error:
            raise Trouble(f"{failed(error)} at {_name(request)}") from None
        status = response.status_code
        # Addresses of the file store expire: an upload that it refuses gets a new one.
        expired = request.method == "PUT" and 400 <= status < 500 and status != 413
        if passes(status) or expired:
            response.close()
            raise Trouble(f"{answered(status)} at {_name(request)}", asked_to_wait(response))
        return response


@contextmanager
def hub_requests() -> Iterator[None]:
    """While open, all requests of huggingface_hub fail at once or succeed."""
    before = client_settings._GLOBAL_CLIENT_FACTORY
    client_settings.set_client_factory(_client)
    try:
        yield
    finally:
        client_settings.set_client_factory(before)


def _client() -> httpx2.Client:
    hooks = {"request": [client_settings.hf_request_event_hook]}
    return _Client(event_hooks=hooks, follow_redirects=True, timeout=_TIMEOUT)


def _name(request: httpx2.Request) -> str:
    """What was asked; without the query, which may sign it."""
    return f"{request.method} {request.url.path}"


@dataclass
class Attempts:
    """How often and after which waits a step is tried again; each step starts its own count.

    Attributes:
        say: tells the user.
        most: attempts at one step.
        first_wait: seconds before the second attempt; doubled before each one after.
    """

    say: Callable[[str], None]
    most: int = 5
    first_wait: float = 1.0

    def run(self, step: Callable[[], Result], refusals: "Refusals") -> Result:
        """Tries a step until it succeeds.

        Raises:
            UserError: it was refused, or failed too often.
        """
        for number in range(1, self.most + 1):
            try:
                return step()
            except Exception as error:
                trouble = trouble_of(error, refusals)
            if number < self.most:
                self.wait(trouble, number)
        raise self.given_up(trouble)

    def wait(self, trouble: Trouble, number: int) -> None:
        """Tells what happened at attempt `number` and waits.

        Raises:
            UserError: the Hub wants it to be longer than is bearable.
        """
        seconds = backoff(number, self.first_wait)
        if trouble.wait is not None:
            if trouble.wait > LONGEST_WAIT:
                raise UserError(
                    f"The Hub {trouble.what} and asks to wait {trouble.wait:.0f} seconds: push again after that."
                )
            seconds = max(trouble.wait, self.first_wait)
        self.say(f"note: the Hub {trouble.what}; attempt {number + 1} of {self.most} in {seconds:g} s")
        time.sleep(seconds)

    def given_up(self, trouble: Trouble) -> UserError:
        """What is said after the last attempt."""
        return UserError(
            f"The Hub {trouble.what}; {self.most} attempts failed. What is there is whole, with or without this push: "
            "push again later."
        )


@dataclass(frozen=True)
class Refusals:
    """What an answer that will stay the same means for the user.

    Attributes:
        repo_id: what is pushed to.
        what: "model" or "Space".
    """

    repo_id: str
    what: str = "model"

    def sentence(self, error: HfHubHTTPError) -> str:
        """One for each status."""
        status = error.response.status_code
        told = " ".join((error.response.headers.get("x-error-message") or error.server_message or "").split())
        said = f" ({told})" if told else ""
        name, owner = self.repo_id, self.repo_id.partition("/")[0]
        sentences = {
            401: "The Hub does not accept the token (401): log in with `hf auth login`, or set HF_TOKEN to a valid one "
            "with write access.",
            402: f"The Hub takes {name} only with a paid plan (402){said}: see what {owner}'s plan holds.",
            403: f"The token may not write to {name} (403){said}: use one with write access to what is {owner}'s, "
            "or propose the change with --create_pr.",
            404: f"The {self.what} {name} is not on the Hub, or the token may not see it (404){said}: check the name, "
            f"and whether the token may write for {owner}.",
            409: f"The Hub refuses the change to {name} as a conflict (409){said}: see whether someone else changes it "
            "now, then push again.",
            412: f"{name} keeps being changed by someone else (412): push again once that is over.",
            413: f"A file or the whole is larger than the Hub takes in one request (413){said}: push without it, such "
            "as by --no predictions or --no exports.",
        }
        return sentences.get(status, f"The Hub refuses the push to {name} ({status}){said or '.'}")


def trouble_of(error: Exception, refusals: Refusals) -> Trouble:
    """What may pass of an error, wherever in its chain it is.

    Raises:
        UserError: what was refused will stay so, or a file here cannot be read.
        Exception: `error` itself, where it is a mistake of the program.
    """
    link: BaseException | None = error
    while link is not None:
        if isinstance(link, Trouble):
            return link
        if isinstance(link, UserError):
            raise link
        if isinstance(link, HfHubHTTPError):
            raise UserError(refusals.sentence(link)) from None
        link = link.__cause__ or link.__context__
    text = " ".join(str(error).split())
    token = get_token()
    text = text.replace(token, "***") if token else text
    if text.startswith("Invalid metadata in README.md"):
        raise UserError(f"The Hub refuses the card: {text.partition('README.md')[2].strip(' .-')}.") from None
    if isinstance(error, OSError) and error.filename is not None:
        raise UserError(f"{error.filename} cannot be read ({error.strerror}): {_STAY}") from None
    if missing := re.match(r"Provided path: '(.+)' is not a file", text):
        raise UserError(f"{missing[1]} is not there any more: {_STAY}") from None
    if _of_the_client(error):
        if isinstance(error, ValueError | LookupError | TypeError | AttributeError):
            return Trouble(f"gave an answer that cannot be read ({text[:200]})")
        if isinstance(error, RuntimeError | OSError):  # hf_xet
            return Trouble(f"did not take an upload ({text[:200]})")
    raise error


_STAY = "leave the files as they are while they are pushed, and push again."


def _of_the_client(error: Exception) -> bool:
    """Whether the Hub's client stumbled over it at work, which takes answers to be as they should; not a call of ours.

    Its `_validators` pass calls on, and refuse wrong ones.
    """
    inside = False
    for frame, _ in walk_tb(error.__traceback__):
        name = str(frame.f_globals.get("__name__"))
        if name.startswith(("huggingface_hub.", "hfcls.")):
            inside = name.startswith("huggingface_hub.") and name != "huggingface_hub.utils._validators"
    return inside
