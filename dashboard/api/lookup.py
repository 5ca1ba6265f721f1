"""GET /customers/{id} by the short way: what is asked most passes nothing that it does not need."""

import re
from typing import Final

import msgspec
from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Receive, Scope, Send

from contracts.errors import LivesegmentsError
from contracts.events import MAX_ID_LENGTH
from dashboard.access import ApiKeys
from dashboard.access import Scope as Right
from dashboard.api.auth import caller_of
from dashboard.api.gate import HEADERS
from dashboard.api.openapi import PRINTABLE
from dashboard.api.problems import Problem
from recommender.reader_async import AsyncCustomerReader

PATH: Final = "/customers/"
RIGHT: Final[Right] = "customers:read"

_encode: Final = msgspec.json.Encoder().encode
_printable: Final = re.compile(PRINTABLE).fullmatch


def is_customer_id(text: str) -> bool:
    """Whether a customer can be called so."""
    return len(text) <= MAX_ID_LENGTH and _printable(text) is not None


class Lookup:
    """Plain ASGI: answers where there is a customer to tell of, and passes all else on, whatever is wrong with it.

    The app behind it has the same route, says what is wrong, and describes it to programs. FastAPI's way there takes
    as much time as all the rest.

    Parameters:
        app: the HTTP API.
        keys: who may ask.
        reader: used in the app's event loop.
    """

    def __init__(self, app: ASGIApp, keys: ApiKeys, reader: AsyncCustomerReader) -> None:
        self._app = app
        self._keys = keys
        self._reader = reader

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or pass it on."""
        body = None
        if scope["type"] == "http" and scope["method"] == "GET" and scope["path"].startswith(PATH):
            body = await self._found(scope)
        if body is None:
            await self._app(scope, receive, send)
            return
        headers = [(b"content-length", b"%d" % len(body)), (b"content-type", b"application/json"), *HEADERS]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    async def _found(self, scope: Scope) -> bytes | None:
        """The answer; None where the app has to say why there is none."""
        customer_id = scope["path"][len(PATH) :]
        # What is no UTF-8 was decoded leniently, and would be somebody else's id.
        if not is_customer_id(customer_id) or "\ufffd" in customer_id:
            return None
        try:
            if RIGHT not in caller_of(self._keys, HTTPConnection(scope)).scopes:
                return None
            answer = await self._reader.get(customer_id)
        except (Problem, LivesegmentsError):
            return None
        return _encode(answer) if answer.known else None
