"""Now: how many customers there are and where, what has just changed, and whether all is well."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Final
from urllib.parse import quote

import plotly.graph_objects as go
from anyio import to_thread
from dash import Input, Output, dcc, html
from dash.development.base_component import Component

from contracts.documents import AudienceChange, HistoryDay, SegmentChange, SegmentSize
from contracts.times import MINUTE, SECOND, from_micros, to_micros
from dashboard.access import Caller
from dashboard.pages.live import REMEMBERED, Change, Snapshot
from dashboard.pages.page import MODE, PREFIX, PULSE, Callbacks, Page, Visit
from dashboard.pages.parts import PageParts
from dashboard.pages.theme import Mode, figure_template, segment_color
from dashboard.pages.visitor import visiting
from dashboard.pages.widgets import (
    attributes,
    card,
    clock,
    clock_of,
    figure,
    figure_text,
    named,
    nothing,
    number,
    said_cause,
    seconds,
    share,
    shown,
    signed,
    time_axis,
)

HISTORY_DAYS: Final = 90
FEED_SHOWN: Final = 40
AGAIN_SECONDS: Final = 15
"""The figure is drawn anew so often."""
WAITING_LONG: Final = 1_000
"""Events that wait are worth a word from so many on, where they become more."""
_BECAME: Final = {
    "born": "is a new segment",
    "split": "is a new segment, split off",
    "restored": "is there again",
    "merged": "was merged into others",
    "gone": "is gone",
}


async def layout(parts: PageParts, visit: Visit) -> Component:
    """The page as it stands."""
    seen = await parts.live.current()
    return html.Div(
        [
            html.Div(banner(seen), id="now-banner", role="status"),
            html.Div(numbers(seen), id="now-numbers", className="numbers"),
            html.Div(
                [
                    html.Div(
                        [
                            card(
                                "Segments",
                                html.Div(sizes(seen, visit.mode), id="now-sizes"),
                                note="customers, the change in up to 15 minutes (told at the top), the share",
                            ),
                            card(
                                "How sizes change",
                                figure(
                                    "now-history", height=280, said="A line for each segment: its customers over time"
                                ),
                                note=f"by day, up to {HISTORY_DAYS} days; on the first day as you look",
                            ),
                        ]
                    ),
                    card("What happens", html.Div(feed(seen, visit.caller, parts), id="now-feed"), name="happens"),
                ],
                className="grid wide",
            ),
            dcc.Interval(id="now-again", interval=AGAIN_SECONDS * 1000),
        ]
    )


def register(callbacks: Callbacks, parts: PageParts) -> None:
    """What the page answers to."""

    @callbacks.on(
        Output("now-banner", "children"),
        Output("now-numbers", "children"),
        Output("now-sizes", "children"),
        Output("now-feed", "children"),
        Input(PULSE, "data"),
        Input(MODE, "data"),
        prevent_initial_call=True,
    )
    async def follow(_: Any, mode: Mode | None) -> Any:
        seen = await parts.live.current()
        return banner(seen), numbers(seen), sizes(seen, mode or "light"), feed(seen, visiting(), parts)

    @callbacks.on(Output("now-history", "figure"), Input(MODE, "data"), Input("now-again", "n_intervals"))
    async def history(mode: Mode | None, _: Any) -> Any:
        days = await to_thread.run_sync(parts.web.history, HISTORY_DAYS)
        seen = await parts.live.current()
        lines = by_day(days) if len(days) > 1 else by_moment(seen)
        return history_figure(lines, mode or "light")


def banner(seen: Snapshot) -> list[Component]:
    """What is not as it should be, in words; what is held back on purpose."""
    told: list[Component] = [html.Div(html.P(one), className="banner") for one in troubles(seen)]
    if seen.segments is not None and seen.segments.held_back and not seen.problem:
        held = seen.segments.held_back
        told.append(
            html.Div(
                html.P(
                    f"{held:,} {'customer is' if held == 1 else 'customers are'} nearer to another segment and"
                    f" {'stays' if held == 1 else 'stay'} for now: the difference is small, or the last move recent."
                ),
                className="banner fine",
            )
        )
    return told


def troubles(seen: Snapshot) -> list[str]:
    """What is wrong, a sentence or two each."""
    if seen.problem:
        since = f" What you see is of {clock_of(seen.at)} UTC." if seen.at else ""
        return [f"The data can not be read now: {seen.problem}.{since} It goes on by itself."]
    told = []
    working = [one for one in seen.workers if not seen.gone(one)]
    for one in seen.workers:
        if seen.gone(one):
            silent = seconds((seen.looked_at - to_micros(one.at)) / SECOND)
            rest = "the others go on" if working else "nobody works now, and events wait on the log"
            told.append(f"The worker {shown(one.worker)} has said nothing for {silent}: {rest}.")
    if not seen.workers:
        told.append("No worker is at work: events wait on the log until one is (livesegments worker).")
    if seen.segments is not None and seen.segments.quiet_since is not None:
        told.append(
            f"No event has come since {clock(seen.segments.quiet_since)} UTC on {seen.segments.quiet_since:%d %B}:"
            " the feed seems broken. Until one comes, nobody moves because of time alone."
        )
    before = seen.before(MINUTE)
    if (
        seen.lag is not None
        and before is not None
        and before.lag is not None
        and seen.lag > max(WAITING_LONG, before.lag)
    ):
        told.append(
            f"Events come faster than they are worked off: {seen.lag:,} wait, {seen.lag - before.lag:,} more than"
            f" {seen.ago(before)} ago. What you see is that much behind."
        )
    return told


def numbers(seen: Snapshot) -> list[Component]:
    """The figures at the top."""
    if seen.segments is None and not seen.workers:
        return [number("Customers", "–", "there are none yet")]
    before = seen.before(REMEMBERED)
    more = seen.customers - sum(before.sizes.values()) if before else 0
    fresh = seen.freshness
    return [
        number(
            "Customers",
            f"{seen.customers:,}",
            f"{signed(more)} in {seen.ago(before)}" if before else None,
            id="now-customers",
        ),
        number("Events a second", "–" if seen.events_per_s is None else f"{seen.events_per_s:,.1f}".removesuffix(".0")),
        number(
            "From event to answer",
            "–" if fresh is None else seconds(fresh[0]),
            "no event in the last minute" if fresh is None else f"half of them; 99 of 100 within {seconds(fresh[1])}",
        ),
        number(
            "Events waiting", "–" if seen.lag is None else f"{seen.lag:,}", "nothing waits" if seen.lag == 0 else None
        ),
    ]


def sizes(seen: Snapshot, mode: Mode) -> Component:
    """Every segment with its size, and that all of them are everybody."""
    if seen.segments is None:
        return nothing("There are no segments yet: they need a worker, and customers who bought.")
    listed = counted(seen)
    most = max((one.size for one in listed), default=0) or 1
    before = seen.before(REMEMBERED)
    rows = []
    for one in sorted(listed, key=lambda one: (one.id <= 0 and one.id > -100, -one.size)):
        color = segment_color(one.id, mode)
        change = one.size - before.sizes.get(one.id, 0) if before else 0
        rows.append(
            html.Div(
                [
                    named(shown(one.name), color),
                    html.Div(
                        html.Span(style={"width": f"{100 * one.size / most:.1f}%", "background": color}),
                        className="bar",
                    ),
                    html.Span(f"{one.size:,}", className="figure", **attributes(data_segment=str(one.id))),
                    html.Span(signed(change) if before else "", className="trend"),
                    html.Span(share(one.size / max(1, seen.customers)), className="trend part"),
                ],
                className="size",
            )
        )
    return html.Div([html.Div(rows, className="sizes"), everybody(seen)])


def counted(seen: Snapshot) -> list[SegmentSize]:
    """The segments that are told: learnt ones, and others where somebody is in them."""
    return [one for one in seen.segments.segments if one.size or one.id > 0] if seen.segments else []


def everybody(seen: Snapshot) -> Component:
    """That sizes add up to everybody."""
    listed = counted(seen)
    special = [one for one in listed if -100 < one.id <= 0]
    inside = sum(one.size for one in listed) - sum(one.size for one in special)
    told: list[Any] = [f"{inside:,} in segments"]
    told += [f" + {one.size:,} {shown(one.name)}" for one in special]
    return html.P([*told, " = ", html.Strong(f"{seen.customers:,} customers")], className="sum")


def feed(seen: Snapshot, caller: Caller, parts: PageParts) -> Component:
    """The newest changes with their causes."""
    if not seen.changes:
        return nothing("Nobody has moved since you began to look.")
    names = {one.id: one.name for one in seen.segments.segments} if seen.segments else {}
    return html.Ul(
        [
            html.Li([html.Time(clock(one.at), dateTime=one.at.isoformat()), html.Span(told(one, names, caller, parts))])
            for one in seen.changes[:FEED_SHOWN]
        ],
        className="feed",
        tabIndex=0,
    )


def told(change: Change, names: dict[int, str], caller: Caller, parts: PageParts) -> list[Any]:
    """One change in words."""

    def name(segment_id: int | None) -> str:
        return "" if segment_id is None else shown(names.get(segment_id, f"segment {segment_id}"))

    if isinstance(change, SegmentChange):
        cause = html.Span(f" because of {said_cause(change.cause)}", className="why")
        if change.from_segment is None:
            return [
                customer(change.customer_id, caller, parts),
                " is new, in ",
                html.Strong(name(change.to_segment)),
                cause,
            ]
        moved = (" moved from ", name(change.from_segment), " to ", html.Strong(name(change.to_segment)))
        return [customer(change.customer_id, caller, parts), *moved, cause]
    if isinstance(change, AudienceChange):
        does = " is now in the audience " if change.kind == "entered" else " left the audience "
        cause = html.Span(f" because of {said_cause(change.cause)}", className="why")
        return [customer(change.customer_id, caller, parts), does, html.Strong(shown(change.audience)), cause]
    return [html.Strong(shown(change.name)), f" {_BECAME[change.kind]}"]


def customer(customer_id: str, caller: Caller, parts: PageParts) -> Any:
    """A customer's id, as this visitor may see it: a link, or a mask."""
    if "ids" not in caller.scopes:
        return parts.web.masks.mask(customer_id)
    return customer_link(customer_id) if "customers:read" in caller.scopes else shown(customer_id)


def customer_link(customer_id: str) -> Component:
    """Leads to the customer's page."""
    return dcc.Link(shown(customer_id), href=f"{PREFIX}customer?id={quote(customer_id, safe='')}")


@dataclass(frozen=True, slots=True)
class Line:
    """One segment's size over time."""

    segment_id: int
    name: str
    at: Sequence[date | datetime]
    sizes: Sequence[int]


def by_day(days: Sequence[HistoryDay]) -> list[Line]:
    """Of stream days, the oldest first."""
    newest = {one.id: one.name for day in days for one in day.segments}
    found = []
    for segment_id, name in newest.items():
        told = [(day.day, one.size) for day in days for one in day.segments if one.id == segment_id]
        found.append(Line(segment_id, name, [at for at, _ in told], [size for _, size in told]))
    return found


def by_moment(seen: Snapshot) -> list[Line]:
    """Of the last minutes."""
    names = {one.id: one.name for one in counted(seen)}
    at = [from_micros(one.at) for one in seen.moments]
    return [Line(place, name, at, [one.sizes.get(place, 0) for one in seen.moments]) for place, name in names.items()]


def history_figure(lines: Sequence[Line], mode: Mode) -> go.Figure:
    """A line for each segment, the largest first."""
    drawn = go.Figure()
    for one in sorted((one for one in lines if any(one.sizes)), key=lambda one: -one.sizes[-1]):
        drawn.add_scatter(
            x=list(one.at),
            y=list(one.sizes),
            name=figure_text(one.name),
            mode="lines",
            line={"color": segment_color(one.segment_id, mode), "width": 2.5},
            hovertemplate="<b>%{y:,}</b>",
        )
    drawn.update_layout(
        template=figure_template(mode),
        showlegend=True,
        yaxis={"rangemode": "tozero"},
        xaxis=time_axis(at for one in lines for at in one.at),
        hovermode="x unified",
    )
    return drawn


PAGE = Page(path="", title="Now", icon="now", needs="segments:read", layout=layout, register=register)
