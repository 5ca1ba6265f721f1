"""Who asks, and whether they may: a key in the Authorization header, a scope for each route."""

import base64
import binascii
from http import HTTPStatus

from fastapi import Request
from starlette.requests import HTTPConnection

from dashboard.access import ANYBODY, CALLER, ApiKeys, Caller, Scope
from dashboard.api.problems import Problem
from dashboard.local_only import is_from_here


class Needs:
    """A dependency of routes: the caller, if the key that was shown has the scope."""

    def __init__(self, scope: Scope) -> None:
        self.scope = scope

    async def __call__(self, request: Request) -> Caller:
        """Raises Problem: 401 without a key that is known, 403 where it lacks the scope."""
        keys: ApiKeys = request.app.state.api_keys
        caller = caller_of(keys, request)
        if self.scope not in caller.scopes:
            raise Problem(
                HTTPStatus.FORBIDDEN,
                "scope",
                f"the key {caller.name!r} lacks the scope {self.scope}: ask for a key that has it",
                needs=self.scope,
            )
        return caller


def caller_of(keys: ApiKeys, request: HTTPConnection) -> Caller:
    """Who asks. Raises Problem: 401 without a key that is known, 403 without keys from elsewhere."""
    # Nobody but the gate of the pages can put anything into the scope: a download by somebody who has logged in.
    logged_in: Caller | None = request.scope.get(CALLER)
    if logged_in is not None:
        return logged_in
    if not keys:
        return _local(request)
    key = _key(request.headers.get("authorization", ""))
    caller = keys.caller(key) if key else None
    if caller is None:
        raise Problem(
            HTTPStatus.UNAUTHORIZED,
            "key",
            "show a key: `Authorization: Bearer lsk_…`, or by Basic as the password; `livesegments web-key` makes one",
            {"WWW-Authenticate": 'Bearer realm="livesegments"'},
        )
    return caller


def _key(header: str) -> str:
    scheme, _, value = header.partition(" ")
    match scheme.lower():
        case "bearer":
            return value.strip()
        case "basic":
            # What Excel, Tableau and Power BI can ask their users for.
            try:
                return base64.b64decode(value, validate=True).decode().partition(":")[2]
            except (binascii.Error, UnicodeDecodeError):
                return ""
    return ""


def _local(request: HTTPConnection) -> Caller:
    """Anybody on this machine. A page from elsewhere that has its name point here shows another Host."""
    if not is_from_here(request.headers.get("host", ""), request.headers.get("origin")):
        raise Problem(
            HTTPStatus.FORBIDDEN,
            "host",
            "without keys this is for this machine alone: ask http://127.0.0.1, or set web_keys"
            " (`livesegments web-key` makes one)",
        )
    return ANYBODY
