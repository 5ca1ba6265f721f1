"""Files of an import on their way from a browser to the disk, in pieces: none of them is in memory whole."""

import asyncio
from collections.abc import AsyncIterator
from http import HTTPStatus
from typing import Final

from anyio import to_thread
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.types import Receive, Scope

from dashboard.access import Caller
from dashboard.imports import ImportDesk, ImportRefusedError, Receiving
from dashboard.pages.page import PREFIX

UPLOAD: Final = f"{PREFIX}upload"
NEEDS: Final = "imports:write"
WAIT_SECONDS: Final = 30.0
"""So long the next piece may take."""
_PIECE: Final = 1024 * 1024


async def upload(desk: ImportDesk, caller: Caller | None, scope: Scope, receive: Receive) -> Response:
    """Take in one file, named in the address; `first=1` says that it begins an import."""
    if caller is None or NEEDS not in caller.scopes:
        return PlainTextResponse(f"your key does not allow this: it lacks {NEEDS}", HTTPStatus.FORBIDDEN)
    asked = Request(scope)
    length = asked.headers.get("content-length", "")
    if not length.isdecimal():
        return PlainTextResponse("say how long the file is", HTTPStatus.LENGTH_REQUIRED)
    name, first = asked.query_params.get("name", ""), "first" in asked.query_params
    try:
        coming = await to_thread.run_sync(lambda: desk.receive(caller.name, name, int(length), first=first))
        await _take(coming, receive)
    except ImportRefusedError as error:
        return PlainTextResponse(str(error), HTTPStatus.UNPROCESSABLE_ENTITY, {"Connection": "close"})
    except TimeoutError:
        return PlainTextResponse(
            f"The file did not go on coming for {WAIT_SECONDS:.0f} s: choose it again.",
            HTTPStatus.REQUEST_TIMEOUT,
            {"Connection": "close"},
        )
    return Response(status_code=HTTPStatus.NO_CONTENT)


async def _take(coming: Receiving, receive: Receive) -> None:
    whole = False
    try:
        async for piece in _pieces(receive):
            await to_thread.run_sync(coming.write, piece)
        whole = True
    finally:
        await to_thread.run_sync(lambda: coming.close(whole=whole))


async def _pieces(receive: Receive) -> AsyncIterator[bytes]:
    """The body, in pieces large enough for a disk. Raises TimeoutError, ImportRefusedError where it breaks off."""
    held = bytearray()
    more = True
    while more:
        async with asyncio.timeout(WAIT_SECONDS):
            message = await receive()
        if message["type"] == "http.disconnect":
            raise ImportRefusedError("The file broke off on its way: choose it again.")
        held += message.get("body", b"")
        more = message.get("more_body", False)
        if held and (len(held) >= _PIECE or not more):
            yield bytes(held)
            held.clear()
