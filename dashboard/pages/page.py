"""What a page is: where it stands, who may see it, how it is drawn, and what it answers to."""

import functools
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import structlog
from dash import Dash, no_update, set_props

from contracts.errors import LivesegmentsError
from dashboard.access import Caller, Scope
from dashboard.pages.theme import Mode
from dashboard.pages.visitor import NotAllowedError, require

if TYPE_CHECKING:
    from dash.development.base_component import Component

    from dashboard.pages.parts import PageParts

PREFIX: Final = "/app/"
"""Below which all pages stand; everything else is the HTTP API's."""

ADDRESS: Final = "address"
"""Id of the shell's `dcc.Location`."""
PULSE: Final = "pulse"
"""Id of the shell's store whose `data` changes whenever something on Redis did: `Input(PULSE, "data")` is live."""
MODE: Final = "mode"
"""Id of the shell's store whose `data` is "light" or "dark": `Input(MODE, "data")` for whatever draws figures."""
NOTICE: Final = "notice"
"""Id of the shell's line for what went wrong; `set_props(NOTICE, {"children": text})` speaks to the visitor."""

_log = structlog.get_logger("livesegments.web")


@dataclass(frozen=True, slots=True)
class Visit:
    """One look at a page."""

    caller: Caller
    """Who looks: `"ids" in visit.caller.scopes` and the like."""
    mode: Mode
    query: Mapping[str, str] = field(default_factory=dict)
    """What stands behind the `?` of the address."""


@dataclass(frozen=True, slots=True)
class Callbacks:
    """Where a page says what it answers to. Every answer is given only to who may see it.

    Answers are coroutines on the one event loop: what blocks belongs into `anyio.to_thread.run_sync`.
    """

    app: Dash
    needs: Scope
    """Of the page."""

    def on(
        self, *dependencies: Any, needs: Scope | None = None, **options: Any
    ) -> Callable[[Callable[..., Awaitable[Any]]], Callable[..., Awaitable[Any]]]:
        """As `app.callback`, for an async function, with the scope that it takes beside the page's own.

        Nothing happens where the visitor lacks a scope. What a LivesegmentsError says is told to the visitor.
        """

        def decorate(answer: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
            @functools.wraps(answer)
            async def guarded(*values: Any, **named: Any) -> Any:
                try:
                    require(self.needs)
                    if needs is not None:
                        require(needs)
                    return await answer(*values, **named)
                except NotAllowedError as error:
                    _log.warning("a page was asked for what its visitor may not do", error=str(error))
                    set_props(NOTICE, {"children": str(error)})
                except LivesegmentsError as error:
                    set_props(NOTICE, {"children": str(error)})
                return no_update

            self.app.callback(*dependencies, **options)(guarded)
            return guarded

        return decorate


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """One page."""

    path: str
    """Below PREFIX: "" is the first page, "segments" the next."""
    title: str
    icon: str
    """Name of a file in dashboard/assets/icons, without .svg."""
    needs: Scope
    layout: "Callable[[PageParts, Visit], Awaitable[Component]]"
    """What is drawn when somebody comes to the page; raises LivesegmentsError where it can not be."""
    register: "Callable[[Callbacks, PageParts], None]"
    """Says once, at the start, what the page answers to."""
    analysts: bool = False
    """One level down: below the line in the navigation."""

    @property
    def href(self) -> str:
        """Where it stands."""
        return PREFIX + self.path
