"""What stands around every page: navigation, who is logged in, light or dark, and what went wrong."""

from collections.abc import Sequence
from typing import Any, Final
from urllib.parse import parse_qsl

from dash import ClientsideFunction, Dash, Input, Output, State, ctx, dcc, html, no_update, set_props
from dash.development.base_component import Component
from dash.exceptions import PreventUpdate

from contracts.errors import LivesegmentsError
from dashboard.access import Caller
from dashboard.pages.page import ADDRESS, MODE, NOTICE, PREFIX, PULSE, Page, Visit
from dashboard.pages.parts import PageParts
from dashboard.pages.theme import Mode
from dashboard.pages.visitor import NotAllowedError, visiting
from dashboard.pages.widgets import attributes, card

FALLBACK_SECONDS: Final = 5
"""Where a browser has no WebSockets for us (some phones have no shared workers), it asks so often."""
_BODY: Final = "page"
_NAVIGATION: Final = "navigation"
_WHO: Final = "who"


def layout() -> Component:
    """The frame, without a page in it yet."""
    return html.Div(
        [
            html.A("Skip to the page", href="#page", className="skip"),
            dcc.Location(id=ADDRESS, refresh="callback-nav"),
            dcc.Store(id=PULSE),
            dcc.Store(id=MODE),
            dcc.Interval(id="fallback", interval=FALLBACK_SECONDS * 1000),
            dcc.Store(id="live-begin", data=0),
            html.Header(
                [
                    dcc.Link(
                        [html.Span(className="mark", **attributes(aria_hidden="true")), html.Span("livesegments")],
                        href=PREFIX,
                        className="brand",
                    ),
                    html.Nav(id=_NAVIGATION, **attributes(aria_label="Pages")),
                    html.Div(
                        [
                            html.Button(
                                html.Span("Dark or light", className="unseen"),
                                id="mode-switch",
                                className="icon-button mode-switch",
                                title="Dark or light",
                            ),
                            html.Div(id=_WHO),
                        ],
                        className="corner",
                    ),
                ],
                className="side",
            ),
            html.Main(
                [
                    html.Div(id=NOTICE, className="notice", role="status", **attributes(aria_live="polite")),
                    html.Div(id=_BODY, className="page", tabIndex=-1),
                ],
            ),
        ],
        className="frame",
    )


def register(app: Dash, pages: Sequence[Page], parts: PageParts) -> None:
    """What the frame answers to."""
    app.clientside_callback(  # type: ignore[no-untyped-call]
        ClientsideFunction("livesegments", "mode"), Output(MODE, "data"), Input("mode-switch", "n_clicks")
    )

    _navigate(app, pages, parts)
    _pulse(app, parts)


def _navigate(app: Dash, pages: Sequence[Page], parts: PageParts) -> None:
    by_path = {page.path: page for page in pages}

    @app.callback(
        Output(_BODY, "children"),
        Output(_NAVIGATION, "children"),
        Output(_WHO, "children"),
        Output(NOTICE, "children"),
        Input(ADDRESS, "pathname"),
        Input(ADDRESS, "search"),
        Input(MODE, "data"),
        State(_NAVIGATION, "children"),
    )
    async def go(pathname: str | None, search: str | None, mode: Mode | None, drawn: Any) -> Any:
        # The browser has not told everything yet; it does at once. Later a page draws itself in another mode.
        if pathname is None or mode is None or (drawn and ctx.triggered_id == MODE):
            raise PreventUpdate
        try:
            caller = visiting()
        except NotAllowedError:
            set_props(ADDRESS, {"href": f"{PREFIX}login"})
            return no_update
        page = by_path.get(_path(pathname))
        seen = [one for one in pages if one.needs in caller.scopes]
        around = navigation(seen, page), who(caller, has_keys=bool(parts.web.keys)), ""
        if page is None:
            return (card("There is no such page", html.P("Choose one of those on the left.")), *around)
        if page not in seen:
            return (card(page.title, html.P("Your key does not allow this page.")), *around)
        visit = Visit(caller, mode, dict(parse_qsl((search or "").lstrip("?"))))
        try:
            body = await page.layout(parts, visit)
        except LivesegmentsError as error:
            body = card("This can not be shown now", html.P(str(error)))
        return ([html.H1(page.title, className="unseen" if page.path == "" else ""), body], *around)


def _pulse(app: Dash, parts: PageParts) -> None:
    @app.callback(Input("live-begin", "data"), websocket=True, persistent=True)
    async def pulse(_: int) -> None:
        # Without a WebSocket there is nowhere to tell anything; then `fallback` asks.
        connection = ctx.websocket
        if connection is None:
            raise PreventUpdate
        async for number in parts.live.news():
            if connection.is_shutdown:
                return
            try:
                visiting()
            except NotAllowedError:
                set_props(ADDRESS, {"href": f"{PREFIX}login"})
                return
            set_props(PULSE, {"data": number})

    @app.callback(
        Output(PULSE, "data", allow_duplicate=True),
        Input("fallback", "n_intervals"),
        State(PULSE, "data"),
        prevent_initial_call=True,
    )
    async def ask(_: int, known: int | None) -> Any:
        visiting()
        await parts.live.current()
        return parts.live.number if parts.live.number != known else no_update


def navigation(pages: Sequence[Page], present: Page | None) -> list[Component]:
    """Links to the pages that a visitor may see, those for analysts below a line."""
    links: list[Component] = []
    for place, page in enumerate(pages):
        if page.analysts and (place == 0 or not pages[place - 1].analysts):
            links.append(html.Span("For analysts", className="nav-line"))
        here = present is page
        icon = {"maskImage": f"url({PREFIX}assets/icons/{page.icon}.svg)"}
        links.append(
            dcc.Link(
                [
                    html.Span(className="icon", style=icon, **attributes(aria_hidden="true")),
                    html.Span([page.title, html.Span(" (this page)", className="unseen") if here else None]),
                ],
                href=page.href,
                className="nav-link here" if here else "nav-link",
            )
        )
    return links


def who(caller: Caller, *, has_keys: bool) -> Component:
    """Who has logged in, and the way out."""
    if not has_keys:
        return html.Div(
            [html.Span("This machine only"), html.Small("No keys are set, so nobody has to log in.")], className="who"
        )
    return html.Form(
        [html.Span(caller.name), html.Button("Log out", type="submit", className="link")],
        action=f"{PREFIX}logout",
        method="POST",
        className="who",
    )


def _path(pathname: str) -> str:
    return pathname.removeprefix(PREFIX).strip("/")
