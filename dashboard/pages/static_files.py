"""The files of pages, the same for everybody: gzipped when they are first asked for, and kept.

Answers that hold what one visitor alone may see are never compressed: their length would tell of it (BREACH).
"""

import gzip
from collections.abc import MutableMapping
from dataclasses import dataclass
from hashlib import blake2b
from http import HTTPStatus
from typing import Any, Final

from anyio import sleep_forever, to_thread
from dash.fingerprint import check_fingerprint
from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

_TEXTS: Final = ("text/", "application/javascript", "application/json", "image/svg")
_LEVEL: Final = 6
"""The largest file takes a third of a second so, once; level 9 takes twice as long for one hundredth less."""
_FOR_GOOD: Final = "public, max-age=31536000, immutable"
_ASK_AGAIN: Final = "no-cache"
MOST_KEPT: Final = 1_000
"""Files; there are far fewer."""


@dataclass(frozen=True, slots=True)
class _File:
    kind: str
    gzipped: bytes
    mark: str
    """Of what is in it: an ETag."""

    @classmethod
    def of(cls, kind: str, body: bytes) -> "_File":
        mark = blake2b(body, digest_size=12).hexdigest()
        # Weak: the same file goes out as it is, too.
        return cls(kind, gzip.compress(body, _LEVEL, mtime=0), f'W/"{mark}"')


class StaticFiles:
    """ASGI: what `app` has below an address, for whoever takes gzip; everything else is left to `app`.

    Only what `app` answers with 200 is kept, under its name without a fingerprint. A file has one name: paths with
    empty parts, `.` or `..` are none, so that nobody fills our memory with other spellings.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._kept: dict[str, _File] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        headers = Headers(scope=scope)
        if not scope["path"].isprintable() or not {"", ".", ".."}.isdisjoint(scope["path"].split("/")[1:]):
            await PlainTextResponse("there is no such file", HTTPStatus.NOT_FOUND)(scope, receive, send)
            return
        if scope["method"] != "GET" or "gzip" not in headers.get("accept-encoding", ""):
            await self._app(scope, receive, send)
            return
        name, has_fingerprint = check_fingerprint(scope["path"])  # type: ignore[no-untyped-call]
        file = self._kept.get(name)
        if file is None:
            # As somebody asks who has nothing yet: no part of it, and not whether it has changed.
            answer = await _answer(self._app, {**scope, "headers": [(b"host", headers.get("host", "").encode())]})
            kind = answer.headers["content-type"]
            full = len(self._kept) >= MOST_KEPT
            if answer.status_code != HTTPStatus.OK or not kind.startswith(_TEXTS) or full:
                await answer(scope, receive, send)
                return
            file = await to_thread.run_sync(_File.of, kind, bytes(answer.body))
            self._kept[name] = file
        told = {
            "cache-control": _FOR_GOOD if has_fingerprint else _ASK_AGAIN,
            "etag": file.mark,
            "vary": "accept-encoding",
        }
        if headers.get("if-none-match") == file.mark:
            await Response(None, HTTPStatus.NOT_MODIFIED, told)(scope, receive, send)
            return
        told |= {"content-type": file.kind, "content-encoding": "gzip"}
        await Response(file.gzipped, HTTPStatus.OK, told)(scope, receive, send)


async def _answer(app: ASGIApp, scope: Scope) -> Response:
    """What an app answers, whole."""
    status, kind, parts = HTTPStatus.OK, "", list[bytes]()

    async def receive() -> MutableMapping[str, Any]:
        # There is no body, and nobody goes away before the end.
        await sleep_forever()
        raise AssertionError

    async def send(message: MutableMapping[str, Any]) -> None:
        nonlocal status, kind
        if message["type"] == "http.response.start":
            status, kind = HTTPStatus(message["status"]), Headers(raw=message["headers"]).get("content-type", "")
        else:
            parts.append(message.get("body", b""))

    await app(scope, receive, send)
    return Response(b"".join(parts), status, {"content-type": kind})
