"""Audiences: the rules of the settings, how many customers each is true of, over time, and who they are."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Final
from urllib.parse import quote

import plotly.graph_objects as go
from anyio import to_thread
from dash import ALL, MATCH, Input, Output, State, ctx, dcc, html, no_update
from dash.development.base_component import Component

from contracts.documents import AudienceDay
from contracts.times import from_micros
from dashboard.access import Caller
from dashboard.audience_rows import AudienceRows
from dashboard.member_pages import Cursor, MemberPages
from dashboard.pages.downloads import downloads
from dashboard.pages.live import REMEMBERED, Snapshot
from dashboard.pages.now import customer_link
from dashboard.pages.page import MODE, PREFIX, PULSE, Callbacks, Page, Visit
from dashboard.pages.parts import PageParts
from dashboard.pages.theme import Mode, figure_template, series_color
from dashboard.pages.visitor import require
from dashboard.pages.widgets import (
    attributes,
    card,
    day,
    dot,
    figure,
    figure_text,
    money,
    nothing,
    share,
    shown,
    signed,
    table,
    time_axis,
)

DAYS: Final = 90
MEMBERS: Final = 20
AGAIN_SECONDS: Final = 15
"""The figure is drawn anew so often."""
_EXAMPLE: Final = '[audiences]\n"Big and late" = "net_spend > 1000 and overdue > 1.5"'


@dataclass(frozen=True, slots=True)
class Line:
    """One audience's size over time."""

    name: str
    at: Sequence[date | datetime]
    sizes: Sequence[int]


async def layout(parts: PageParts, visit: Visit) -> Component:
    """The page as it stands."""
    if not parts.conditions:
        return card(
            "There are no audiences yet",
            html.P(
                "An audience is a rule: whoever it is true of is in it, besides being in a segment. In the settings:"
            ),
            html.Pre(_EXAMPLE),
            html.P("Whoever runs livesegments writes it there; docs/conditions.md says what rules may ask."),
        )
    seen = await parts.live.current()
    cards = [
        _card(name, condition, place, seen, visit) for place, (name, condition) in enumerate(parts.conditions.items())
    ]
    return html.Div(
        [
            html.Div(missing(seen), id="audiences-missing", role="status"),
            html.Div(cards, className="grid many"),
            card(
                "How audiences change",
                figure("audiences-days", height=300, said="A line for each audience: its customers on each day"),
                note=f"by day, up to {DAYS} days; on the first day as you look",
            ),
            dcc.Interval(id="audiences-again", interval=AGAIN_SECONDS * 1000),
        ]
    )


def register(callbacks: Callbacks, parts: PageParts) -> None:
    """What the page answers to."""
    names = list(parts.conditions)

    @callbacks.on(
        Output({"type": "audiences-facts", "place": ALL}, "children"),
        Output("audiences-missing", "children"),
        Input(PULSE, "data"),
        State({"type": "audiences-facts", "place": ALL}, "id"),
        prevent_initial_call=True,
    )
    async def follow(_: Any, ids: list[dict[str, Any]]) -> Any:
        seen = await parts.live.current()
        return [facts(names[one["place"]], seen) for one in ids], missing(seen)

    @callbacks.on(Output("audiences-days", "figure"), Input(MODE, "data"), Input("audiences-again", "n_intervals"))
    async def history(mode: Mode | None, _: Any) -> Any:
        days = await to_thread.run_sync(parts.audience_days, DAYS)
        seen = await parts.live.current()
        lines = [by_day(days, one) if len(days) > 1 else by_moment(seen, one) for one in names]
        return sizes_figure(lines, mode or "light")

    @callbacks.on(
        Output({"type": "audiences-members", "place": MATCH}, "children"),
        Input({"type": "audiences-who", "place": MATCH}, "n_clicks"),
        prevent_initial_call=True,
        needs="members:read",
    )
    async def members(pressed: int | None) -> Any:
        if not pressed or not ctx.triggered_id:
            return no_update
        return await _members(parts, names[int(ctx.triggered_id["place"])], None)

    @callbacks.on(
        Output({"type": "audiences-members", "place": MATCH}, "children", allow_duplicate=True),
        Input({"type": "audiences-more", "place": MATCH}, "n_clicks"),
        State({"type": "audiences-cursor", "place": MATCH}, "data"),
        prevent_initial_call=True,
        needs="members:read",
    )
    async def more(pressed: int | None, cursor: str | None) -> Any:
        if not pressed or not cursor or not ctx.triggered_id:
            return no_update
        return await _members(parts, names[int(ctx.triggered_id["place"])], Cursor.read(cursor))


def _card(name: str, condition: str, place: int, seen: Snapshot, visit: Visit) -> Component:
    color = series_color(place, visit.mode)
    return html.Article(
        [
            html.H2([dot(color), " ", shown(name)]),
            html.Div(facts(name, seen), id={"type": "audiences-facts", "place": place}),
            html.Code(shown(condition), className="condition"),
            html.Div(_foot(name, place, visit.caller), className="foot"),
            html.Div(id={"type": "audiences-members", "place": place}),
        ],
        className="card segment",
        style={"--segment": color},
        **attributes(data_audience=name),
    )


def missing(seen: Snapshot) -> list[Component]:
    """Whose customers are not counted now: those of workers that are gone, until others have taken them over."""
    told = []
    for worker, fate in seen.fates.items():
        if fate == "kept":
            told.append(f"Nothing is heard of {shown(worker)}: its customers are below as it counted them last.")
        elif fate == "missing":
            told.append(
                f"Nothing is heard of {shown(worker)}: its customers are missing below until other workers have them."
            )
    return [html.Div([html.P(one) for one in told], className="banner")] if told else []


def facts(name: str, seen: Snapshot) -> Component:
    """How many there are, and how many more than a while ago."""
    size = seen.audiences.get(name)
    if size is None:
        return nothing("Not counted yet.")
    told = [f"{share(size / max(1, seen.customers))} of all"]
    before = seen.before(REMEMBERED)
    # Without a worker that is gone its customers are missing until others have them: that nobody left.
    if before is not None and name in before.audiences and not {"kept", "missing"} & set(seen.fates.values()):
        told.append(f"{signed(size - before.audiences[name])} in {seen.ago(before)}")
    return html.Div(
        [
            html.Div([html.Span(f"{size:,}", className="number-value size-value"), " customers"]),
            html.Div([html.Span(one, className="badge") for one in told], className="facts"),
        ]
    )


def _foot(name: str, place: int, caller: Caller) -> list[Component]:
    found: list[Component] = []
    if "members:read" in caller.scopes:
        found.append(
            html.Button("Who is in it", id={"type": "audiences-who", "place": place}, className="button small")
        )
    table = f"audiences/{quote(name, safe='')}"
    links = downloads(caller, f"{table}/customers", f"all customers in {shown(name)}")
    if links:
        links.append(
            html.A(
                "Look-alikes",
                href=f"{PREFIX}download/{table}/look-alikes.csv",
                className="button small",
                download="",
                **attributes(aria_label=f"Look-alikes: a table of others like those in {shown(name)}"),
            )
        )
    return found + links


async def _members(parts: PageParts, name: str, cursor: Cursor | None) -> Component:
    """Some of the members, in no order that says anything."""
    caller = require("members:read")
    pages = MemberPages(AudienceRows(parts.web.rows, name), parts.web.masks)
    # No segment is asked for: AudienceRows reads those of all.
    page = await to_thread.run_sync(pages.page, None, MEMBERS, cursor)
    rows = page.table.to_pylist()
    place = list(parts.conditions).index(name)
    told = [
        [
            _who(row["customer_id"], caller, parts),
            shown(row["segment_name"] or "–"),
            f"{row['orders']:,}",
            money(row["spend"] - row["refunds"], parts.currency),
            _last(row["last_purchase_at"]),
        ]
        for row in rows
    ]
    return html.Div(
        [
            table(
                ("Customer", "Segment", "Orders", "Net spend", "Last order"),
                told,
                right=(2, 3),
                caption=f"Some customers in {shown(name)}",
            )
            if told
            else nothing("Nobody here."),
            dcc.Store(
                id={"type": "audiences-cursor", "place": place}, data=None if page.next is None else str(page.next)
            ),
            html.Button("Others", id={"type": "audiences-more", "place": place}, className="button small")
            if page.next is not None
            else None,
        ],
        className="members",
    )


def _who(customer_id: str, caller: Caller, parts: PageParts) -> Any:
    if "ids" not in caller.scopes:
        return parts.web.masks.mask(customer_id)
    return customer_link(customer_id)


def _last(moment: Any) -> str:
    return "never" if moment is None else day(moment)


def by_day(days: Sequence[AudienceDay], name: str) -> Line:
    """An audience's sizes on stream days, the oldest first."""
    told = [(one.day, each.size) for one in days for each in one.audiences if each.name == name]
    return Line(name, [at for at, _ in told], [size for _, size in told])


def by_moment(seen: Snapshot, name: str) -> Line:
    """Those of the last minutes."""
    told = [(from_micros(one.at), one.audiences[name]) for one in seen.moments if name in one.audiences]
    return Line(name, [at for at, _ in told], [size for _, size in told])


def sizes_figure(lines: Sequence[Line], mode: Mode) -> go.Figure:
    """A line for each audience, in the order of the settings."""
    drawn = go.Figure()
    for place, one in enumerate(lines):
        drawn.add_scatter(
            x=list(one.at),
            y=list(one.sizes),
            name=figure_text(one.name),
            mode="lines",
            line={"color": series_color(place, mode), "width": 2.5},
            hovertemplate="<b>%{y:,}</b>",
        )
    drawn.update_layout(
        template=figure_template(mode),
        showlegend=True,
        hovermode="x unified",
        yaxis={"rangemode": "tozero"},
        xaxis=time_axis(at for one in lines for at in one.at),
    )
    return drawn


PAGE = Page(
    path="audiences", title="Audiences", icon="audiences", needs="members:read", layout=layout, register=register
)
