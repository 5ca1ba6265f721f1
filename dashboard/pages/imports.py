"""Import: a shop's own files are sent, looked at, confirmed and published; what is unclear is asked."""

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, Final

from anyio import to_thread
from dash import ALL, ClientsideFunction, Input, Output, State, ctx, dcc, html, no_update
from dash.development.base_component import Component

from dashboard.pages.corrections import answers_of, choices_of
from dashboard.pages.import_stages import body, progress
from dashboard.pages.page import Callbacks, Page, Visit
from dashboard.pages.parts import PageParts
from dashboard.pages.uploads import NEEDS
from dashboard.pages.visitor import require

Told = Callable[[], Awaitable[Any]]
TICK_SECONDS: Final = 0.7
_SAID: Final = {
    "choose": "",
    "looking": "The files are being looked at.",
    "asking": "Something is to be answered.",
    "shown": "The files were read: look whether it is right.",
    "publishing": "The events are being published.",
    "done": "All is published.",
    "failed": "The files could not be read.",
}

_NOTHING: Final = [no_update] * 4


async def layout(parts: PageParts, visit: Visit) -> Component:
    """The page as it stands."""
    state = await to_thread.run_sync(parts.web.imports.state, visit.caller.name)
    return html.Div(
        [
            dcc.Store(id="import-seen", data=state.turn),
            dcc.Store(id="import-uploaded"),
            dcc.Interval(id="import-tick", interval=TICK_SECONDS * 1000),
            html.P(_SAID[state.stage], id="import-said", className="unseen", role="status"),
            html.Div(body(state, parts.web.imports.room), id="import-now"),
            html.Div(progress(state.step), id="import-progress"),
        ]
    )


def register(callbacks: Callbacks, parts: PageParts) -> None:
    """What the page answers to."""
    desk = parts.web.imports
    shows = (
        Output("import-now", "children"),
        Output("import-progress", "children"),
        Output("import-said", "children"),
        Output("import-seen", "data"),
    )

    @callbacks.on(*shows, Input("import-tick", "n_intervals"), State("import-seen", "data"), prevent_initial_call=True)
    async def follow(_: Any, seen: int) -> Any:
        state = await to_thread.run_sync(desk.state, require(NEEDS).name)
        if state.turn == seen:
            return no_update, progress(state.step), no_update, no_update
        return body(state, desk.room), progress(state.step), _SAID[state.stage], state.turn

    async def now() -> Any:
        return await follow(None, -1)

    again = tuple(Output(one.component_id, one.component_property, allow_duplicate=True) for one in shows)
    _going_on(callbacks, parts, again, now)
    _answering(callbacks, parts, again, now)
    _correcting(callbacks, parts, again, now)
    callbacks.app.clientside_callback(  # type: ignore[no-untyped-call]
        ClientsideFunction("livesegments_copy", "copy"),
        Output("import-copy", "children"),
        Input("import-copy", "n_clicks"),
        State("import-entry", "id"),
        prevent_initial_call=True,
    )


def _going_on(callbacks: Callbacks, parts: PageParts, again: tuple[Output, ...], now: Told) -> None:
    desk = parts.web.imports

    @callbacks.on(*again, Input("import-uploaded", "data"), prevent_initial_call=True)
    async def look(sent: float | None) -> Any:
        if sent is None:
            return _NOTHING
        await to_thread.run_sync(desk.look, require(NEEDS).name)
        return await now()

    @callbacks.on(
        *again,
        Input({"type": "import-do", "act": ALL}, "n_clicks"),
        State("import-seen", "data"),
        prevent_initial_call=True,
    )
    async def do(pressed: list[int | None], seen: int) -> Any:
        if not any(pressed) or not ctx.triggered_id:
            return _NOTHING
        who = require(NEEDS).name
        if ctx.triggered_id["act"] == "publish":
            state = await to_thread.run_sync(desk.state, who)
            names = ", ".join(one.name for one in state.uploads)
            count = state.understood.events if state.understood is not None else 0
            await parts.web.audit.noted(parts.web.now(), who, "import", f"{count} events of {names}")
            await to_thread.run_sync(desk.publish, who, seen)
        else:
            await to_thread.run_sync(desk.drop, who)
        return await now()


def _answering(callbacks: Callbacks, parts: PageParts, again: tuple[Output, ...], now: Told) -> None:
    desk = parts.web.imports

    @callbacks.on(
        *again,
        Input({"type": "import-answer", "place": ALL}, "n_clicks"),
        Input({"type": "import-text", "turn": ALL}, "n_submit"),
        State({"type": "import-text", "turn": ALL}, "value"),
        State("import-seen", "data"),
        prevent_initial_call=True,
    )
    async def answer(pressed: list[int | None], entered: list[int | None], texts: list[str | None], seen: int) -> Any:
        if not any(pressed) and not any(entered):
            return _NOTHING
        who = require(NEEDS).name
        asked = (await to_thread.run_sync(desk.state, who)).asked
        place = (ctx.triggered_id or {}).get("place", -1)
        if asked is not None:
            said = asked.choices[place][1] if 0 <= place < len(asked.choices) else {}
            text = str((texts or [""])[0] or "").strip()
            if place < 0 and asked.key and text:
                said = {asked.key: text}
            if said:
                await to_thread.run_sync(desk.answer, who, seen, said)
        return await now()


def _correcting(callbacks: Callbacks, parts: PageParts, again: tuple[Output, ...], now: Told) -> None:
    desk = parts.web.imports

    @callbacks.on(
        Output({"type": "import-values", "turn": ALL}, "children"),
        Input({"type": "import-what", "turn": ALL}, "value"),
    )
    async def values(what: list[str | None]) -> Any:
        state = await to_thread.run_sync(desk.state, require(NEEDS).name)
        return [[html.Option(value=one) for one in choices_of(one or "", state.columns)] for one in what]

    @callbacks.on(
        *again,
        Input({"type": "import-correct", "turn": ALL}, "n_clicks"),
        State({"type": "import-what", "turn": ALL}, "value"),
        State({"type": "import-value", "turn": ALL}, "value"),
        prevent_initial_call=True,
    )
    async def correct(pressed: list[int | None], what: list[str | None], value: list[str | None]) -> Any:
        if not any(pressed):
            return _NOTHING
        said = answers_of((what or [""])[0] or "", str((value or [""])[0] or ""))
        await to_thread.run_sync(partial(desk.correct, require(NEEDS).name, said))
        return await now()


PAGE = Page(path="import", title="Import", icon="import", needs=NEEDS, layout=layout, register=register, analysts=True)
