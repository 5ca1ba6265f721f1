"""Which requests are the pages', and which the HTTP API's."""

from collections.abc import Callable
from http import HTTPStatus
from typing import Final

from starlette.responses import RedirectResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from dashboard.pages.page import PREFIX

_BARE: Final = PREFIX.rstrip("/")


class Below:
    """ASGI: everything below PREFIX is for the pages, all else for the API; the bare address leads to the pages."""

    def __init__(self, app: ASGIApp, make: Callable[[ASGIApp], ASGIApp]) -> None:
        self._api = app
        self._pages = make(app)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on."""
        if scope["type"] == "lifespan":
            await self._api(scope, receive, send)
            return
        path = scope["path"]
        if path.startswith(PREFIX):
            await self._pages(scope, receive, send)
        elif path in {"/", _BARE} and scope["type"] == "http" and scope["method"] in {"GET", "HEAD"}:
            await RedirectResponse(PREFIX, HTTPStatus.SEE_OTHER)(scope, receive, send)
        else:
            await self._api(scope, receive, send)
