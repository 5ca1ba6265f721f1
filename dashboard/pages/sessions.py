"""Who has logged in: a cookie that only we can have written, and that holds no key."""

import hmac
import re
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from hashlib import blake2b, sha256
from typing import Final, Protocol

from contracts.times import HOUR
from dashboard.access import ANYBODY, ApiKeys, Caller

COOKIE: Final = "livesegments_session"
LASTS: Final = 12 * HOUR
"""Microseconds from the log-in on."""
_FORM: Final = re.compile(r"1\.([A-Za-z0-9_.-]{1,64})~([0-9a-f]{32})~(\d{1,18})~([0-9a-f]{64})")


@dataclass(frozen=True, slots=True)
class Session:
    """Somebody who has logged in."""

    name: str
    nonce: str
    until: int
    """Microseconds UTC."""


class Ends(Protocol):
    """Which sessions were ended before their time."""

    def has(self, nonce: str) -> bool:
        """Whether this one was. Does not block."""

    def add(self, nonce: str, until: int) -> None:
        """This one was, to be remembered until it would have been over anyway, microseconds UTC. Blocks."""


@dataclass(frozen=True, slots=True)
class EndsHere:
    """Ends of sessions that are known to this process alone, as long as it lives."""

    _until: dict[str, int] = field(default_factory=dict)

    def has(self, nonce: str) -> bool:
        """See Ends."""
        return nonce in self._until

    def add(self, nonce: str, until: int) -> None:
        """See Ends."""
        self._until[nonce] = until


@dataclass(frozen=True, slots=True)
class Sessions:
    """Begins sessions, knows them again, ends them.

    A session lasts as long as its key stands in the settings, at most LASTS, and until it is ended. Any process of the
    deployment knows those of the others.
    """

    keys: ApiKeys
    ends: Ends

    def begin(self, key: str, now: int) -> tuple[str, Caller] | None:
        """The cookie's value for whoever shows a key that is known, and who it is."""
        caller = self.keys.caller(key)
        if caller is None:
            return None
        session = Session(caller.name, secrets.token_hex(16), now + LASTS)
        return f"1.{session.name}~{session.nonce}~{session.until}~{self._mac(session)}", caller

    def read(self, cookie: str, now: int) -> Session | None:
        """The session of a cookie; None where it is none of ours, or over."""
        found = _FORM.fullmatch(cookie)
        if found is None:
            return None
        session = Session(found[1], found[2], int(found[3]))
        if not hmac.compare_digest(self._mac(session), found[4]):
            return None
        return None if self.caller(session, now) is None else session

    def caller(self, session: Session, now: int) -> Caller | None:
        """Who it is; None once the session is over."""
        if now >= session.until or self.ends.has(session.nonce):
            return None
        return next((one for one in self.keys.callers.values() if one.name == session.name), None)

    def end(self, session: Session) -> None:
        """Log out. Blocks."""
        self.ends.add(session.nonce, session.until)

    def _mac(self, session: Session) -> str:
        """Under the key's own hash as well: a name that was given to another key is another session."""
        digest = next((digest for digest, one in self.keys.callers.items() if one.name == session.name), "")
        secret = sha256(self.keys.secret() + digest.encode()).digest()
        told = f"{session.name}~{session.nonce}~{session.until}".encode()
        return blake2b(told, key=secret, digest_size=32, person=b"lseg-session").hexdigest()


@dataclass(frozen=True, slots=True)
class LoggedIn:
    """See dashboard.pages.visitor.Visitor: a session, asked anew each time."""

    sessions: Sessions
    session: Session
    now: Callable[[], int]
    """Microseconds UTC."""

    def caller(self) -> Caller | None:
        """See Visitor."""
        return self.sessions.caller(self.session, self.now())


@dataclass(frozen=True, slots=True)
class OnThisMachine:
    """See dashboard.pages.visitor.Visitor: anybody here, where no keys are set."""

    def caller(self) -> Caller | None:
        """See Visitor."""
        return ANYBODY
