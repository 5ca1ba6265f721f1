"""What is answered when something is wrong: problem+json (RFC 9457), with a text that says what to do."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final

import msgspec
import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from pydantic import BaseModel
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.routing import Route

from contracts.errors import LivesegmentsError
from logs.base import LogUnavailableError
from recommender.store import ViewsUnavailableError

MEDIA_TYPE: Final = "application/problem+json"
RETRY_SECONDS: Final = "1"
_KINDS: Final[Mapping[int, str]] = {
    HTTPStatus.BAD_REQUEST: "malformed",
    HTTPStatus.NOT_FOUND: "not-found",
    HTTPStatus.METHOD_NOT_ALLOWED: "method-not-allowed",
}

_log = structlog.get_logger("livesegments.web")


class ProblemDocument(BaseModel):
    """What is wrong, and what to do about it."""

    type: str
    """urn:livesegments:<kind>"""
    title: str
    status: int
    detail: str


class Problem(HTTPException):
    """Ends a request. `kind` names it to programs, `detail` says to persons what to do."""

    def __init__(
        self, status: HTTPStatus, kind: str, detail: str, headers: Mapping[str, str] | None = None, **more: Any
    ) -> None:
        super().__init__(status, detail, headers)
        self.kind = kind
        self.more = more


def response(
    status: int, kind: str, detail: str, headers: Mapping[str, str] | None = None, more: Mapping[str, Any] | None = None
) -> Response:
    """A problem as an answer."""
    document = {
        "type": f"urn:livesegments:{kind}",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
        **(more or {}),
    }
    return Response(msgspec.json.encode(document), status, headers, MEDIA_TYPE)


def install(app: FastAPI, unavailable: tuple[type[LivesegmentsError], ...] = ()) -> None:
    """Let every error of the app become a problem; `unavailable` are errors that trying again later may cure."""

    async def of_http(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        if isinstance(error, Problem):
            return response(error.status_code, error.kind, str(error.detail), error.headers, error.more)
        kind = _KINDS.get(error.status_code, "refused")
        headers = error.headers
        if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
            headers = {"Allow": _allowed(request)}
        return response(error.status_code, kind, _advice(error.status_code, str(error.detail), headers), headers)

    async def of_validation(_: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)
        wrong = [
            {
                "where": ".".join(str(part) for part in one["loc"]),
                "what": one["msg"].removeprefix("Value error, "),
            }
            for one in error.errors()
        ]
        told = "; ".join(f"{one['where']}: {one['what']}" for one in wrong[:3])
        malformed = any(one["type"] == "json_invalid" for one in error.errors())
        status = HTTPStatus.BAD_REQUEST if malformed else HTTPStatus.UNPROCESSABLE_ENTITY
        kind = "malformed" if malformed else "invalid"
        return response(status, kind, f"the request can not be used: {told}", more={"errors": wrong})

    async def of_ours(_: Request, error: Exception) -> Response:
        if isinstance(error, (ViewsUnavailableError, LogUnavailableError, *unavailable)):
            retry = {"Retry-After": RETRY_SECONDS}
            return response(HTTPStatus.SERVICE_UNAVAILABLE, "unavailable", str(error), retry)
        _log.error("a request failed", error=str(error), kind=type(error).__name__)
        return response(HTTPStatus.INTERNAL_SERVER_ERROR, "failed", str(error))

    async def of_a_fault(_: Request, error: Exception) -> Response:
        _log.error("a request failed: a fault of ours", exc_info=error)
        detail = "a fault of livesegments: its log says more; please report it"
        return response(HTTPStatus.INTERNAL_SERVER_ERROR, "fault", detail)

    app.add_exception_handler(HTTPException, of_http)
    app.add_exception_handler(RequestValidationError, of_validation)
    app.add_exception_handler(LivesegmentsError, of_ours)
    app.add_exception_handler(Exception, of_a_fault)


def _allowed(request: Request) -> str:
    """The methods that any route of the path answers to; Starlette itself names those of the first."""
    methods: set[str] = set()
    for route in request.app.routes:
        if isinstance(route, Route | APIRoute) and route.path_regex.match(request.scope["path"]):
            methods |= route.methods or set()
    return ", ".join(sorted(methods))


def _advice(status: int, detail: str, headers: Mapping[str, str] | None) -> str:
    match status:
        case HTTPStatus.NOT_FOUND:
            return "there is nothing here: /openapi.json lists what there is"
        case HTTPStatus.METHOD_NOT_ALLOWED:
            return f"this path answers to {(headers or {}).get('Allow')}"
    return detail
