"""What holds for every page before it is drawn: who may come in, where requests may come from, what a browser may load.

Plain ASGI around the Dash app, and beside it what is no Dash: log-in, log-out, downloads, uploads.
"""

from collections.abc import Callable, MutableMapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import parse_qs, quote, urlsplit

import structlog
from anyio import to_thread
from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from dashboard.access import CALLER, ApiKeys
from dashboard.imports import ImportDesk
from dashboard.local_only import is_from_here
from dashboard.pages import login
from dashboard.pages.page import PREFIX
from dashboard.pages.sessions import COOKIE, LASTS, LoggedIn, OnThisMachine, Session, Sessions
from dashboard.pages.uploads import UPLOAD, upload
from dashboard.pages.visitor import Visitor, welcome

LOGIN: Final = f"{PREFIX}login"
LOGOUT: Final = f"{PREFIX}logout"
DOWNLOAD: Final = f"{PREFIX}download"
"""Before a path of the HTTP API: its tables, for whoever has logged in."""
_STATIC: Final = (f"{PREFIX}_dash-component-suites/", f"{PREFIX}assets/", f"{PREFIX}_favicon.ico")
_DASH: Final = f"{PREFIX}_"
_MAX_FORM: Final = 4096
_MAX_BODY: Final = 1024 * 1024
_OPEN: Final = "GET", "HEAD"

_log = structlog.get_logger("livesegments.web")


@dataclass(frozen=True, slots=True)
class Gate:
    """Lets in whoever has logged in; without keys, whoever is on this machine."""

    pages: ASGIApp
    files: ASGIApp
    """Scripts, styles and pictures."""
    api: ASGIApp
    """For downloads."""
    keys: ApiKeys
    sessions: Sessions
    now: Callable[[], int]
    policy: str
    """Content-Security-Policy of every page."""
    imports: ImportDesk
    """Takes in files."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request or a connection below PREFIX."""
        headers = Headers(scope=scope)
        if scope["type"] == "websocket":
            visitor = self._visitor(scope) if _same_origin(headers) else None
            if visitor is None:
                await send({"type": "websocket.close", "code": 4003, "reason": "log in"})
                return
            welcome(visitor)
            await self.pages(scope, receive, send)
            return

        async def send_guarded(message: MutableMapping[str, Any]) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", ()), *self._headers(scope, message["headers"])]
            await send(message)

        await (await self._answer(scope, headers, receive))(scope, receive, send_guarded)

    async def _answer(self, scope: Scope, headers: Headers, receive: Receive) -> ASGIApp:  # noqa: PLR0911 - in this order
        path, method = scope["path"], scope["method"]
        if path.startswith(_STATIC) and method in _OPEN:
            return self.files
        if method not in _OPEN:
            # SameSite keeps the cookie from requests of other sites; this is the second lock.
            if not _same_origin(headers):
                return PlainTextResponse("this comes from another site", HTTPStatus.FORBIDDEN)
            if path != UPLOAD and int(headers.get("content-length") or _MAX_BODY + 1) > _MAX_BODY:
                return PlainTextResponse("too much", HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
        visitor = self._visitor(scope)
        if path == LOGIN:
            return await self._log_in(scope, receive, visitor)
        if path == LOGOUT:
            return await self._log_out(visitor) if method == "POST" else RedirectResponse(PREFIX, HTTPStatus.SEE_OTHER)
        if visitor is None:
            return self._turned_away(scope, headers)
        if path == UPLOAD:
            return await upload(self.imports, visitor.caller(), scope, receive) if method == "POST" else _not_allowed()
        if path.startswith(f"{DOWNLOAD}/"):
            return self._download(visitor) if method in _OPEN else _not_allowed()
        welcome(visitor)
        return self.pages if path.startswith(_DASH) else self._page

    async def _page(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Every page is the same document, which looks at its address; Dash knows it by one path only."""
        await self.pages({**scope, "path": PREFIX, "raw_path": PREFIX.encode()}, receive, send)

    def _visitor(self, scope: Scope) -> Visitor | None:
        headers = Headers(scope=scope)
        if not self.keys:
            return OnThisMachine() if is_from_here(headers.get("host", ""), headers.get("origin")) else None
        session = self._session(scope)
        return None if session is None else LoggedIn(self.sessions, session, self.now)

    def _session(self, scope: Scope) -> Session | None:
        cookie = Request(scope).cookies.get(COOKIE) if scope["type"] == "http" else _cookie(Headers(scope=scope))
        return self.sessions.read(cookie, self.now()) if cookie else None

    def _turned_away(self, scope: Scope, headers: Headers) -> Response:
        if not self.keys:
            return PlainTextResponse(
                "Without keys this is for this machine alone: open http://127.0.0.1, or set web_keys"
                " (livesegments web-key makes one).",
                HTTPStatus.FORBIDDEN,
            )
        if "text/html" not in headers.get("accept", ""):
            return PlainTextResponse("log in", HTTPStatus.UNAUTHORIZED)
        asked = scope["path"] + (f"?{scope['query_string'].decode('latin-1')}" if scope["query_string"] else "")
        return RedirectResponse(f"{LOGIN}?next={quote(asked, safe='')}", HTTPStatus.SEE_OTHER)

    async def _log_in(self, scope: Scope, receive: Receive, visitor: Visitor | None) -> Response:
        request = Request(scope, receive)
        wanted = _within(request.query_params.get("next", ""))
        if scope["method"] != "POST":
            if visitor is not None:
                return RedirectResponse(wanted, HTTPStatus.SEE_OTHER)
            return HTMLResponse(login.page(wanted))
        if int(request.headers["content-length"]) > _MAX_FORM:
            return HTMLResponse(login.page(wanted, "This is no key."), HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
        form = parse_qs((await request.body()).decode(errors="replace"))
        wanted = _within(form.get("next", [""])[0])
        begun = self.sessions.begin(form.get("key", [""])[0].strip(), self.now())
        if begun is None:
            _log.warning("somebody showed a key that is not known", at=(scope.get("client") or ("?",))[0])
            return HTMLResponse(login.page(wanted, "Nobody has this key. Paste it whole."), HTTPStatus.UNAUTHORIZED)
        cookie, caller = begun
        _log.info("logged in", who=caller.name)
        answer = RedirectResponse(wanted, HTTPStatus.SEE_OTHER)
        answer.set_cookie(
            COOKIE,
            cookie,
            max_age=LASTS // 1_000_000,
            path=PREFIX,
            httponly=True,
            samesite="strict",
            secure=_is_secure(request.headers, scope),
        )
        return answer

    async def _log_out(self, visitor: Visitor | None) -> Response:
        if isinstance(visitor, LoggedIn):
            await to_thread.run_sync(self.sessions.end, visitor.session)
        answer = RedirectResponse(LOGIN, HTTPStatus.SEE_OTHER)
        answer.delete_cookie(COOKIE, path=PREFIX, httponly=True, samesite="strict")
        return answer

    def _download(self, visitor: Visitor) -> ASGIApp:
        async def download(scope: Scope, receive: Receive, send: Send) -> None:
            path = scope["path"].removeprefix(DOWNLOAD)
            raw = scope.get("raw_path", scope["path"].encode()).removeprefix(DOWNLOAD.encode())
            await self.api({**scope, "path": path, "raw_path": raw, CALLER: visitor.caller()}, receive, send)

        return download

    def _headers(self, scope: Scope, there: Any) -> list[tuple[bytes, bytes]]:
        names = {name.lower() for name, _ in there}
        told = [
            (b"x-content-type-options", b"nosniff"),
            (b"content-security-policy", self.policy.encode()),
            (b"referrer-policy", b"same-origin"),
            (b"x-frame-options", b"DENY"),
            (b"cross-origin-opener-policy", b"same-origin"),
        ]
        if not scope["path"].startswith(_STATIC):
            told.append((b"cache-control", b"no-store"))
        return [(name, value) for name, value in told if name not in names]


def _not_allowed() -> Response:
    return PlainTextResponse("GET only", HTTPStatus.METHOD_NOT_ALLOWED)


def _same_origin(headers: Headers) -> bool:
    """Whether a request that changes something, or a connection, comes from our own pages."""
    origin = headers.get("origin")
    return origin is not None and urlsplit(origin).netloc == headers.get("host")


def _is_secure(headers: Headers, scope: Scope) -> bool:
    return scope["scheme"] == "https" or headers.get("origin", "").startswith("https://")


def _cookie(headers: Headers) -> str | None:
    for pair in headers.get("cookie", "").split(";"):
        name, _, value = pair.strip().partition("=")
        if name == COOKIE:
            return value
    return None


def _within(address: str) -> str:
    """Where to go after the log-in: a page of ours, and nowhere else."""
    parts = urlsplit(address)
    ours = not parts.scheme and not parts.netloc and parts.path.startswith(PREFIX) and "\\" not in address
    inside = ours and not address.startswith("//") and parts.path not in {LOGIN, LOGOUT}
    return address if inside and address.isprintable() else PREFIX
