"""Who is visiting: set by the gate of the pages for each request and each connection, asked by whatever answers."""

from contextvars import ContextVar
from typing import Protocol

from contracts.errors import LivesegmentsError
from dashboard.access import Caller, Scope


class NotAllowedError(LivesegmentsError):
    """The visitor may not do that."""


class Visitor(Protocol):
    """Somebody who has come in."""

    def caller(self) -> Caller | None:
        """Who it is; None once the session is over."""


_visitor: ContextVar[Visitor | None] = ContextVar("livesegments_visitor", default=None)


def welcome(visitor: Visitor) -> None:
    """Whatever runs in this context from now on runs for this visitor."""
    _visitor.set(visitor)


def visiting() -> Caller:
    """Who visits. Raises NotAllowedError for nobody, and for whoever has logged out meanwhile."""
    visitor = _visitor.get()
    caller = visitor.caller() if visitor is not None else None
    if caller is None:
        raise NotAllowedError("you are not logged in any more: log in again")
    return caller


def may(scope: Scope) -> bool:
    """Whether the visitor may do that."""
    return scope in visiting().scopes


def require(scope: Scope) -> Caller:
    """Who visits. Raises NotAllowedError where the visitor's key lacks the scope."""
    caller = visiting()
    if scope not in caller.scopes:
        raise NotAllowedError(f"your key does not allow this: it lacks {scope}")
    return caller
