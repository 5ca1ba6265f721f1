"""Who did what: the audit log, chosen by person, act, customer and day, the newest first."""

from collections.abc import Sequence
from datetime import date, timedelta
from typing import Any, Final

from anyio import to_thread
from dash import Input, Output, State, ctx, dcc, html
from dash.development.base_component import Component

from dashboard.audit_reading import Act, Wanted, hash_of
from dashboard.pages.page import Callbacks, Page, Visit
from dashboard.pages.parts import PageParts
from dashboard.pages.visitor import may
from dashboard.pages.widgets import card, nothing, shown, table

NEEDS: Final = "audit:read"
ROWS: Final = 50
"""On a page."""
REFRESH_SECONDS: Final = 5
_HERE: Final = "(this machine)"
_SAID: Final = {
    "export": "took data out",
    "erase": "had a customer forgotten",
    "rename": "named a segment",
    "model": "changed the model",
    "webhook": "dealt with dead letters",
    "campaign": "worked on a campaign",
    "import": "imported files",
}
_HASH: Final = 12
"""Digits of a customer's hash that are shown."""


async def layout(parts: PageParts, visit: Visit) -> Component:
    """The page as it stands."""
    found = await to_thread.run_sync(parts.web.acts)
    first, last = ends(0, len(found))
    return html.Div(
        [
            dcc.Interval(id="acts-tick", interval=REFRESH_SECONDS * 1000),
            dcc.Store(id="acts-page", data=0),
            card("Choose", html.Div(_fields(found, ids="ids" in visit.caller.scopes), className="row acts-fields")),
            html.Div(told(found, 0), id="acts-found"),
            html.Div(
                [
                    html.Button("Newer", id="acts-newer", className="button", disabled=first),
                    html.Button("Older", id="acts-older", className="button", disabled=last),
                ],
                id="acts-turn",
                className="row acts-turn",
                hidden=first and last,
            ),
        ]
    )


def register(callbacks: Callbacks, parts: PageParts) -> None:
    """What the page answers to."""

    @callbacks.on(
        Output("acts-found", "children"),
        Output("acts-page", "data"),
        Output("acts-newer", "disabled"),
        Output("acts-older", "disabled"),
        Output("acts-turn", "hidden"),
        Input("acts-tick", "n_intervals"),
        Input("acts-by", "value"),
        Input("acts-act", "value"),
        Input("acts-customer", "value"),
        Input("acts-from", "value"),
        Input("acts-to", "value"),
        Input("acts-newer", "n_clicks"),
        Input("acts-older", "n_clicks"),
        State("acts-page", "data"),
        prevent_initial_call=True,
    )
    async def follow(_tick: Any, *said: Any) -> Any:
        by, act, customer, first, last, _newer, _older, place = said
        wanted = wanted_of(by, act, customer if may("ids") else None, first, last)
        found = [one for one in await to_thread.run_sync(parts.web.acts) if wanted.takes(one)]
        moves = {"acts-newer": place - 1, "acts-older": place + 1, "acts-tick": place}
        turned = turn(moves.get(ctx.triggered_id or "", 0), len(found))
        first, last = ends(turned, len(found))
        return told(found, turned), turned, first, last, first and last


def wanted_of(by: str | None, act: str | None, customer: str | None, first: str | None, last: str | None) -> Wanted:
    """What the fields say; an empty one says nothing, and neither does a day that is none."""
    until = _day(last)
    return Wanted(
        by=None if not by else "" if by == _HERE else by,
        act=act or None,
        customer=hash_of(customer.strip()) if customer and customer.strip() else None,
        since=None if (since := _day(first)) is None else since.isoformat(),
        until=None if until is None or until == date.max else (until + timedelta(days=1)).isoformat(),
    )


def _day(text: str | None) -> date | None:
    try:
        return date.fromisoformat(text or "")
    except ValueError:
        return None


def turn(place: int, count: int) -> int:
    """The page that there is: the first where there are none.

    >>> turn(-1, 60), turn(1, 60), turn(2, 60), turn(5, 0)
    (0, 1, 1, 0)
    """
    return max(0, min(place, (count - 1) // ROWS))


def ends(place: int, count: int) -> tuple[bool, bool]:
    """Whether nothing is newer than a page, and nothing older.

    >>> ends(0, 0), ends(0, ROWS), ends(0, ROWS + 1), ends(1, ROWS + 1)
    ((True, True), (True, True), (True, False), (False, True))
    """
    return place == 0, (place + 1) * ROWS >= count


def told(found: Sequence[Act], place: int) -> Component:
    """One page of them."""
    if not found:
        return card(None, nothing("Nothing of that is written down."))
    first = place * ROWS
    here = found[first : first + ROWS]
    rows = [
        [
            str(one["at"])[:19].replace("T", " "),
            shown(one["by"]) or _HERE,
            _SAID.get(one["act"], shown(one["act"])),
            shown(one["what"]),
            html.Code(shown(str(one["customer"]))[:_HASH]) if one.get("customer") else "",
        ]
        for one in here
    ]
    return card(
        "1 act" if len(found) == 1 else f"{len(found):,} acts",
        table(("When, UTC", "Who", "Did what", "Which", "Customer"), rows, name="acts", caption="Who did what"),
        html.P("Of a customer a hash of the id is kept: enter the id above to find it.", className="note"),
        note=f"{first + 1:,} to {first + len(here):,}, the newest first",
    )


def _fields(found: Sequence[Act], *, ids: bool) -> list[Component]:
    people = [{"label": shown(one), "value": one} for one in sorted({one["by"] or _HERE for one in found})]
    acts = [*_SAID, *sorted({one["act"] for one in found} - _SAID.keys())]
    customer = _field("Customer's id", dcc.Input(id="acts-customer", type="text", autoComplete="off", debounce=0.5))
    return [
        _field("Who", dcc.Dropdown(id="acts-by", options=people), "acts-by"),
        _field(
            "Did what",
            dcc.Dropdown(id="acts-act", options=[{"label": _SAID.get(one, shown(one)), "value": one} for one in acts]),
            "acts-act",
        ),
        # Whoever may not know ids is not to find out which there are.
        customer if ids else html.Div(dcc.Input(id="acts-customer", type="hidden")),
        _field("From", dcc.Input(id="acts-from", type="text", placeholder="2026-11-01", debounce=0.5)),
        _field("To", dcc.Input(id="acts-to", type="text", placeholder="2026-11-30", debounce=0.5)),
    ]


def _field(label: str, entry: Any, name: str = "") -> Component:
    return html.Div([html.Label(label, htmlFor=name or entry.id), entry], className="field")


PAGE = Page(
    path="acts", title="Who did what", icon="acts", needs=NEEDS, layout=layout, register=register, analysts=True
)
