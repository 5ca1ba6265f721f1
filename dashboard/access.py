"""Who may do what over HTTP: keys with scopes, of which only hashes are known here."""

import hashlib
import hmac
import re
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal, get_args

from contracts.errors import LivesegmentsError

Scope = Literal[
    "events:write",
    "customers:read",
    "customers:erase",
    "recommendations:read",
    "segments:read",
    "members:read",
    "changes:read",
    "export",
    "ids",
    "segments:rename",
    "campaigns:write",
    "analysis:read",
    "model:write",
    "imports:write",
    "audit:read",
    "webhooks:read",
    "webhooks:write",
]
"""`ids`: sees customer ids as they are; without it they are masked. Renaming, making campaigns, analysis, model,
imports and the audit log are of the pages."""
SCOPES: Final[tuple[Scope, ...]] = get_args(Scope)

_VIEWER: Final[frozenset[Scope]] = frozenset({"segments:read", "members:read", "changes:read"})
_MARKETER: Final[frozenset[Scope]] = _VIEWER | {
    *("ids", "customers:read", "recommendations:read", "export", "segments:rename", "campaigns:write"),
}
_ANALYST: Final[frozenset[Scope]] = _MARKETER | {"analysis:read", "model:write", "imports:write"}
ROLES: Final[Mapping[str, frozenset[Scope]]] = {
    "viewer": _VIEWER,
    "marketer": _MARKETER,
    "analyst": _ANALYST,
    "admin": frozenset(SCOPES),
}
"""Names for several scopes."""

CALLER: Final = "livesegments.caller"
"""Key of an ASGI scope under which the pages tell the HTTP API who has logged in."""
_PREFIX: Final = "lsk_"
"""By which programs that look for lost secrets know ours."""
_HASH: Final = re.compile(r"[0-9a-f]{64}")
_NAME: Final = re.compile(r"[A-Za-z0-9._-]{1,64}")


class ApiKeyError(LivesegmentsError):
    """What the settings say of a key can not be used."""


@dataclass(frozen=True, slots=True)
class Caller:
    """Whoever asks: the name of a key, and what it may do."""

    name: str
    scopes: frozenset[Scope]


ANYBODY: Final = Caller("", frozenset(SCOPES))
"""Whoever reaches us, where no keys are set: then that is this machine only."""


@dataclass(frozen=True, slots=True)
class ApiKeys:
    """The keys of a deployment: SHA-256 in hexadecimal and the caller that it stands for.

    A key is 256 random bits, so a hash without salt or stretching gives nothing away.
    """

    callers: Mapping[str, Caller]

    @classmethod
    def read(cls, tables: Mapping[str, Mapping[str, Any]]) -> "ApiKeys":
        """Keys by their names, each {sha256, role} or {sha256, scopes}. Raises ApiKeyError."""
        callers: dict[str, Caller] = {}
        for name, table in tables.items():
            if not _NAME.fullmatch(name):
                raise ApiKeyError(f"web_keys: {name!r} is no name of a key: letters, digits, and . _ - may be in it")
            if unknown := set(table) - {"sha256", "role", "scopes"}:
                raise ApiKeyError(f"web_keys.{name}: {min(unknown)!r} is not known: sha256, role and scopes are")
            digest = table.get("sha256")
            if not isinstance(digest, str) or not _HASH.fullmatch(digest):
                raise ApiKeyError(f"web_keys.{name}.sha256: expected 64 hexadecimal digits; see `livesegments web-key`")
            if digest in callers:
                raise ApiKeyError(f"web_keys.{name}: another name has the same key: make one for each")
            callers[digest] = Caller(name, scopes_of(name, table.get("role"), table.get("scopes")))
        return cls(callers)

    def caller(self, key: str) -> Caller | None:
        """Who shows this key; None: nobody has it."""
        shown = hashed(key)
        found = None
        # Every one is compared, in constant time: how long it takes tells nothing of what a hash begins with.
        for digest, caller in self.callers.items():
            if hmac.compare_digest(digest, shown):
                found = caller
        return found

    def __bool__(self) -> bool:
        return bool(self.callers)

    @property
    def masks_nothing(self) -> bool:
        """Whether whoever may not know customers' ids can work out the secret that masks them: of one key alone."""
        return len(self.callers) == 1 and not any("ids" in one.scopes for one in self.callers.values())

    def secret(self) -> bytes:
        """What nobody who holds only some of the keys can work out; the same as long as the keys are. Empty: none."""
        return hashlib.sha256(".".join(sorted(self.callers)).encode()).digest() if self.callers else b""


def scopes_of(name: str, role: object, scopes: object) -> frozenset[Scope]:
    """The scopes of a role, or those that are listed. Raises ApiKeyError."""
    if (role is None) == (scopes is None):
        raise ApiKeyError(f"web_keys.{name}: give it either a role or scopes")
    if scopes is None:
        if not isinstance(role, str) or role not in ROLES:
            raise ApiKeyError(f"web_keys.{name}.role: expected one of {', '.join(ROLES)}")
        return ROLES[role]
    listed: Iterable[object] = scopes if isinstance(scopes, list | tuple) else [scopes]
    chosen: set[Scope] = set()
    for one in listed:
        known = [scope for scope in SCOPES if scope == one]
        if not known:
            raise ApiKeyError(f"web_keys.{name}.scopes: {one!r} is not one of {', '.join(SCOPES)}")
        chosen.update(known)
    return frozenset(chosen)


def new_key() -> str:
    """A key that nobody has yet."""
    return _PREFIX + secrets.token_urlsafe(32)


def hashed(key: str) -> str:
    """What is kept of a key."""
    return hashlib.sha256(key.encode(errors="replace")).hexdigest()
