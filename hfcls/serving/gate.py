"""What no request may ask of a page's server: addresses to be fetched, bodies without end, a visit to be kept.

Gradio's links to a visit would leave its pictures on the disk for ever.
"""

import re
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any
from urllib.parse import unquote

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

# Gradio would fetch what follows and send it on.
_FETCHES = re.compile(r"/(?:file|proxy|stream)[=/].*:/", re.IGNORECASE | re.DOTALL)
_UPLOADS = re.compile(r"(?:/gradio_api)?/upload/?")


class Gate:
    """ASGI middleware in front of Gradio.

    Args:
        app: what comes next.
        max_bytes: of a request's body, which is kept in memory.
        max_upload_bytes: of one that uploads files, which goes to the disk piece by piece.
    """

    def __init__(
        self, app: Callable[[Scope, Receive, Send], Awaitable[None]], *, max_bytes: int, max_upload_bytes: int
    ):
        self._app = app
        self._max_bytes = max_bytes
        self._max_upload_bytes = max_upload_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Passes a request on, or answers it with 403 or 413."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
        elif _FETCHES.search(unquote(unquote(scope["path"]))):
            await _refuse(send, 403, b"No address is fetched.")
        elif "deep_link" in unquote(scope["path"]) or b"deep_link" in scope.get("query_string", b""):
            await _refuse(send, 403, b"Nothing of a visit is kept.")
        elif _length(scope) > (most := self._most(scope)):
            await _refuse(send, 413, b"The request is too large.")
        else:
            await self._app(scope, self._counted(receive, most), send)

    def _most(self, scope: Scope) -> int:
        return self._max_upload_bytes if _UPLOADS.fullmatch(scope["path"]) else self._max_bytes

    def _counted(self, receive: Receive, most: int) -> Receive:
        """The body; one that is longer than it may be ends as if its sender had gone."""
        received = 0

        async def counted() -> MutableMapping[str, Any]:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            return message if received <= most else {"type": "http.disconnect"}

        return counted


def names_address(value: Any) -> bool:
    """Whether a file is named by an address anywhere in what a request holds."""
    if isinstance(value, dict):
        path = value.get("path")
        return (isinstance(path, str) and ":/" in path) or any(map(names_address, value.values()))
    return isinstance(value, list | tuple) and any(map(names_address, value))


def _length(scope: Scope) -> int:
    stated = dict(scope["headers"]).get(b"content-length", b"0")
    return int(stated) if stated.isdigit() else 0


async def _refuse(send: Send, status: int, why: bytes) -> None:
    headers = [(b"content-type", b"text/plain"), (b"content-length", b"%d" % len(why))]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": why})
