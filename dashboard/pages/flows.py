"""Flows: who moved from where to where over a chosen period, and why."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

from anyio import to_thread
from dash import Input, Output, State, dcc, html
from dash.development.base_component import Component

from contracts.documents import HistoryDay
from dashboard.figures.flows import CAUSES, Flow, flows, moves_by_day, said, sankey, segment_names
from dashboard.pages.page import MODE, PREFIX, Callbacks, Page, Visit
from dashboard.pages.parts import PageParts
from dashboard.pages.theme import Mode, segment_color
from dashboard.pages.visitor import may
from dashboard.pages.widgets import attributes, card, day, figure, named, nothing, number, shown, table

MOST_DAYS: Final = 400
"""So long stream days are kept."""
_AT_FIRST: Final = 30
_MARKS: Final = 5
_WAYS: Final = 15


async def layout(parts: PageParts, _: Visit) -> Component:
    """The page as it stands."""
    days = await to_thread.run_sync(parts.web.history, MOST_DAYS)
    if not days:
        return card("Nothing has happened yet", nothing("There is no stream day yet: it needs a worker, and events."))
    last = len(days) - 1
    return html.Div(
        [
            dcc.Store(id="flows-days", data=[one.day.isoformat() for one in days]),
            card(
                "Period and causes",
                html.Div(
                    [
                        html.Label("Stream days, from and to", id="flows-period-label"),
                        dcc.RangeSlider(
                            id="flows-period",
                            min=0,
                            max=max(last, 1),
                            step=1,
                            value=[max(0, last - _AT_FIRST + 1), last],
                            marks=_marks(days),
                            allowCross=False,
                            # It would ask for places in the list of days.
                            allow_direct_input=False,
                        ),
                    ],
                    className="field",
                    role="group",
                    **attributes(aria_labelledby="flows-period-label"),
                ),
                html.Fieldset(
                    [
                        html.Legend("Because of"),
                        dcc.Checklist(
                            id="flows-causes",
                            options=[{"label": said(cause), "value": cause} for cause in CAUSES],
                            value=list(CAUSES),
                            inline=True,
                        ),
                    ],
                    className="choices",
                ),
            ),
            html.Div(id="flows-numbers", className="numbers"),
            card(
                "From where to where",
                html.Div(
                    figure(
                        "flows-sankey",
                        height=460,
                        said="Bands from segments before to segments after; the table has them",
                    ),
                    className="scroll",
                    tabIndex=0,
                ),
                note="left: before; right: after; colours are causes; ways of few are left to the table",
            ),
            card("By day", figure("flows-by-day", height=300, said="Customers who moved on each day, by cause")),
            card("The busiest ways", html.Div(id="flows-ways")),
        ]
    )


def register(callbacks: Callbacks, parts: PageParts) -> None:
    """What the page answers to."""

    @callbacks.on(
        Output("flows-sankey", "figure"),
        Output("flows-by-day", "figure"),
        Output("flows-numbers", "children"),
        Output("flows-ways", "children"),
        Input("flows-period", "value"),
        Input("flows-causes", "value"),
        Input(MODE, "data"),
        State("flows-days", "data"),
    )
    async def draw(span: list[int], causes: list[str], mode: Mode | None, known: list[str]) -> Any:
        mode = mode or "light"
        days = await to_thread.run_sync(parts.web.history, MOST_DAYS)
        first, last = (known[min(max(int(place), 0), len(known) - 1)] for place in span)
        chosen = [one for one in days if first <= one.day.isoformat() <= last]
        found = flows(chosen, frozenset(causes))
        names = segment_names(days)
        return (
            sankey(found, names, mode),
            moves_by_day(chosen, mode, frozenset(causes)),
            numbers(found, first, last),
            [ways(found, names, mode), _download(len(known) - known.index(first))],
        )


def numbers(found: Sequence[Flow], first: str, last: str) -> list[Component]:
    """How many moved, came and went."""
    came = sum(one.customers for one in found if one.origin is None)
    went = sum(one.customers for one in found if one.target is None)
    moved = sum(one.customers for one in found) - came - went
    told = [day(datetime.fromisoformat(one)) for one in (first, last)]
    note = " to ".join(dict.fromkeys(told))
    return [
        number("Moves between segments", f"{moved:,}", note),
        number("New customers", f"{came:,}"),
        number("Erased", f"{went:,}"),
    ]


def ways(found: Sequence[Flow], names: dict[int, str], mode: Mode) -> Component:
    """The most frequent moves as a table."""
    if not found:
        return nothing("Nobody moved in this period for these causes.")

    def end(segment: int | None, nobody: str) -> Any:
        if segment is None:
            return nobody
        return named(shown(names.get(segment, f"Segment {segment}")), segment_color(segment, mode))

    rows = [
        [end(one.origin, "first seen"), end(one.target, "erased"), said(one.cause), f"{one.customers:,}"]
        for one in found[:_WAYS]
    ]
    return table(["From", "To", "Because of", "Customers"], rows, right=(3,), caption="The busiest ways")


def _marks(days: Sequence[HistoryDay]) -> dict[int, str]:
    last = len(days) - 1
    places = sorted({round(last * step / (_MARKS - 1)) for step in range(_MARKS)})
    return {place: f"{days[place].day.day} {days[place].day:%b %Y}" for place in places}


def _download(days: int) -> Component | None:
    if not may("export"):
        return None
    address = f"{PREFIX}download/export/flows.csv?days={days}"
    return html.P(
        html.A("All days from the first on, all causes, as CSV", href=address, className="button small", download="")
    )


PAGE = Page(
    path="flows", title="Flows", icon="flows", needs="analysis:read", layout=layout, register=register, analysts=True
)
