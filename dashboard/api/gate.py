"""What holds for every request before any route sees it, and for every answer: plain ASGI, since it is always paid."""

import asyncio
from collections.abc import MutableMapping
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import unquote_to_bytes

from starlette.types import ASGIApp, Receive, Scope, Send

from dashboard.api import problems
from dashboard.api.problems import Problem

BODY_SECONDS: Final = 30.0
"""So long a client may take to send a body."""
FIRST_PRINTABLE: Final = 0x20
HEADERS: Final = ((b"x-content-type-options", b"nosniff"), (b"cache-control", b"no-store"))
"""Of every answer."""


class Gate:
    """Refuses paths that are no UTF-8, and bodies that are too large or do not come; forbids to keep answers.

    Parameters:
        app: what answers.
        max_body: bytes of a body, at most.
    """

    def __init__(self, app: ASGIApp, max_body: int) -> None:
        self._app = app
        self._max_body = max_body

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_with_headers(message: MutableMapping[str, Any]) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", ()), *HEADERS]
            await send(message)

        if b"%" in scope.get("raw_path", b"") and (wrong := _wrong_with(scope["raw_path"])):
            await problems.response(*wrong)(scope, receive, send_with_headers)
            return
        body = receive if scope["method"] in {"GET", "HEAD"} else _Body(receive, self._max_body)
        await self._app(scope, body, send_with_headers)


class _Body:
    """A request's body, which has to fit, and to come in time."""

    def __init__(self, receive: Receive, room: int) -> None:
        self._receive = receive
        self._limit = self._room = room
        self._until = asyncio.get_running_loop().time() + BODY_SECONDS
        self._complete = False

    async def __call__(self) -> MutableMapping[str, Any]:
        if self._complete:
            return await self._receive()
        try:
            async with asyncio.timeout_at(self._until):
                message = await self._receive()
        except TimeoutError:
            raise Problem(
                HTTPStatus.REQUEST_TIMEOUT,
                "slow",
                f"the body did not come within {BODY_SECONDS:.0f} s: send less at a time",
                {"Connection": "close"},
            ) from None
        self._room -= len(message.get("body", b""))
        if self._room < 0:
            detail = f"a body may have {self._limit:,} bytes (web_max_body): send less at a time"
            raise Problem(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "too-large", detail, {"Connection": "close"})
        self._complete = not message.get("more_body", False)
        return message


def _wrong_with(path: bytes) -> tuple[HTTPStatus, str, str] | None:
    """Status, kind and text of what is wrong with a path."""
    try:
        text = unquote_to_bytes(path).decode()
    except UnicodeDecodeError:
        # Decoded leniently, as servers do, it could be somebody else's id.
        return HTTPStatus.BAD_REQUEST, "malformed", "the path is not UTF-8, percent-encoded"
    if any(ord(sign) < FIRST_PRINTABLE for sign in text):
        # Routes do not see behind a line feed.
        return HTTPStatus.UNPROCESSABLE_ENTITY, "invalid", "control characters are not allowed in a path: no id has any"
    return None
