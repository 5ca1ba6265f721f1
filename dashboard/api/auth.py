"""Who asks, and whether they may: a key in the Authorization header, a scope for each route."""

import base64
import binascii
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import urlsplit

from fastapi import Request

from dashboard.access import ANYBODY, ApiKeys, Caller, Scope
from dashboard.api.problems import Problem

LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1"})


class Needs:
    """A dependency of routes: the caller, if the key that was shown has the scope."""

    def __init__(self, scope: Scope) -> None:
        self.scope = scope

    async def __call__(self, request: Request) -> Caller:
        """Raises Problem: 401 without a key that is known, 403 where it lacks the scope."""
        keys: ApiKeys = request.app.state.api_keys
        caller = _caller(keys, request)
        if self.scope not in caller.scopes:
            raise Problem(
                HTTPStatus.FORBIDDEN,
                "scope",
                f"the key {caller.name!r} lacks the scope {self.scope}: ask for a key that has it",
                needs=self.scope,
            )
        return caller


def _caller(keys: ApiKeys, request: Request) -> Caller:
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


def _local(request: Request) -> Caller:
    """Anybody on this machine. A page from elsewhere that has its name point here shows another Host."""
    host = request.headers.get("host", "")
    try:
        name: Any = urlsplit(f"//{host}").hostname
    except ValueError:
        name = None
    origin = request.headers.get("origin")
    if name not in LOOPBACK or (origin is not None and origin.partition("://")[2] != host):
        raise Problem(
            HTTPStatus.FORBIDDEN,
            "host",
            "without keys this is for this machine alone: ask http://127.0.0.1, or set web_keys"
            " (`livesegments web-key` makes one)",
        )
    return ANYBODY
