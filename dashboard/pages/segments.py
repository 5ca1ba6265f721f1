"""Segments: a card each, two side by side, names and strategies of one's own."""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from textwrap import wrap
from typing import Any, Final

import plotly.graph_objects as go
from anyio import to_thread
from dash import ALL, MATCH, Input, Output, State, ctx, dcc, html, no_update
from dash.development.base_component import Component

from contracts.documents import SegmentCard
from contracts.segment_names import MAX_NAME, MAX_STRATEGY
from dashboard.access import Caller
from dashboard.pages.downloads import downloads
from dashboard.pages.live import Snapshot
from dashboard.pages.now import counted, everybody
from dashboard.pages.page import MODE, PULSE, Callbacks, Page, Visit
from dashboard.pages.parts import PageParts
from dashboard.pages.theme import Mode, figure_template, segment_color
from dashboard.pages.visitor import require
from dashboard.pages.widgets import (
    attributes,
    card,
    figure,
    figure_text,
    money,
    named,
    nothing,
    number,
    share,
    shown,
    table,
)
from dashboard.pages.words import HALVED, figure_name, figure_value, is_halved
from online_model.model import NO_PURCHASES

ITEMS_SHOWN: Final = 5
MORE: Final = 1.05
"""Lift from which on an item is bought more than by others, as figures are told."""


async def layout(parts: PageParts, visit: Visit) -> Component:
    """The page as it stands."""
    seen = await parts.live.current()
    cards = await read_cards(parts, seen)
    return html.Div(
        [
            dcc.Store(id="segments-known", data=[one.id for one in cards]),
            dcc.Store(id="segments-version", data=version_of(cards)),
            dcc.Store(id="segments-names", data=names_of(cards)),
            html.Div(await drawn_cards(parts, cards, visit.caller, visit.mode), id="segments-cards"),
            html.Div(everybody(seen), id="segments-sum"),
            card(
                "Two side by side",
                html.Div(
                    [_choice("segments-one", "One", cards, 0), _choice("segments-other", "The other", cards, 1)],
                    className="row",
                ),
                html.Div(
                    [
                        figure(
                            "segments-radar",
                            height=380,
                            said="Both segments' typical figures; the table has them in numbers",
                        ),
                        html.Div(id="segments-table"),
                    ],
                    className="grid two",
                ),
                name="compare",
            )
            if len(cards) > 1
            else None,
            card(
                "How sure the forecasts are",
                html.Ul(
                    [html.Li(shown(one)) for one in await to_thread.run_sync(parts.about_forecasts)],
                    className="sentences",
                ),
                name="forecasts",
            ),
        ]
    )


def register(callbacks: Callbacks, parts: PageParts) -> None:
    """What the page answers to."""

    @callbacks.on(
        Output("segments-cards", "children"),
        Output("segments-known", "data"),
        Input(PULSE, "data"),
        Input(MODE, "data"),
        State("segments-known", "data"),
        prevent_initial_call=True,
    )
    async def redraw(_: Any, mode: Mode | None, known: list[int]) -> Any:
        """Cards are drawn anew only where there are others: who is writing a name goes on writing."""
        seen = await parts.live.current()
        present = [one.id for one in counted(seen)]
        if sorted(present) == sorted(known) and ctx.triggered_id != MODE:
            return no_update, no_update
        cards = await read_cards(parts, seen)
        return await drawn_cards(parts, cards, require("segments:read"), mode or "light"), [one.id for one in cards]

    @callbacks.on(
        Output({"type": "segments-name", "segment": ALL}, "children"),
        Output({"type": "segments-strategy", "segment": ALL}, "children"),
        Output({"type": "segments-facts", "segment": ALL}, "children"),
        Output({"type": "segments-typical", "segment": ALL}, "children"),
        Output("segments-sum", "children"),
        Output("segments-version", "data"),
        Output("segments-names", "data"),
        Input(PULSE, "data"),
        State({"type": "segments-name", "segment": ALL}, "id"),
        State("segments-version", "data"),
        State("segments-names", "data"),
        prevent_initial_call=True,
    )
    async def follow(_: Any, ids: list[dict[str, Any]], known: int | None, called: list[Any]) -> Any:
        seen = await parts.live.current()
        found = {one.id: one for one in await read_cards(parts, seen)}
        cards = [found.get(one["segment"]) for one in ids]
        version, names = version_of(found.values()), names_of(found.values())
        # What a version says of its segments is the same until the next one.
        typical: list[Any] = [no_update] * len(cards)
        if version != known:
            items = await bought_names(parts, found.values())
            typical = [no_update if one is None else typically(one, items, parts.currency) for one in cards]
        return (
            [no_update if one is None else shown(one.name) for one in cards],
            [no_update if one is None else shown(one.strategy) for one in cards],
            [no_update if one is None else facts(one, parts.currency) for one in cards],
            typical,
            everybody(seen),
            version,
            names if sorted(names) != sorted(called or []) else no_update,
        )

    @callbacks.on(
        Output({"type": "segments-told", "segment": MATCH}, "children"),
        Output({"type": "segments-filled-in", "segment": MATCH}, "data"),
        Input({"type": "segments-save", "segment": MATCH}, "n_clicks"),
        Input({"type": "segments-reset", "segment": MATCH}, "n_clicks"),
        State({"type": "segments-new-name", "segment": MATCH}, "value"),
        State({"type": "segments-new-strategy", "segment": MATCH}, "value"),
        State({"type": "segments-filled-in", "segment": MATCH}, "data"),
        prevent_initial_call=True,
        needs="segments:rename",
    )
    async def save(_saved: Any, _reset: Any, name: str | None, strategy: str | None, filled_in: Sequence[str]) -> Any:
        pressed = ctx.triggered_id
        if not pressed or not ctx.triggered[0]["value"]:
            return no_update, no_update
        segment_id = int(pressed["segment"])
        caller = require("segments:rename")
        await parts.web.audit.noted(parts.web.now(), caller.name, "rename", f"segment {segment_id}")
        now_written = [(name or "").strip(), (strategy or "").strip()]
        if pressed["type"] == "segments-reset":
            await to_thread.run_sync(parts.naming.reset, segment_id)
            return "It is called what was worked out again, within seconds.", ["", now_written[1]]
        was_name, was_strategy = filled_in
        own = await to_thread.run_sync(
            parts.naming.rename, segment_id, changed(name, was_name), changed(strategy, was_strategy)
        )
        if own.name is None:
            told = "It is called what is worked out; what you wrote is on its card within seconds."
        else:
            told = f"It is called “{shown(own.name)}” now; cards and customers follow within seconds."
        return told, now_written

    _comparing(callbacks, parts)


def _comparing(callbacks: Callbacks, parts: PageParts) -> None:
    @callbacks.on(
        Output("segments-radar", "figure"),
        Output("segments-table", "children"),
        Input("segments-one", "value"),
        Input("segments-other", "value"),
        Input(MODE, "data"),
        Input("segments-names", "data"),
        Input("segments-version", "data"),
    )
    async def compare(one: int | None, other: int | None, mode: Mode | None, *_: Any) -> Any:
        cards = await read_cards(parts, await parts.live.current())
        found = {card.id: card for card in cards}
        chosen = [found[place] for place in (one, other) if place in found]
        return radar(chosen, cards, mode or "light"), comparison(chosen, parts.currency, mode or "light")

    @callbacks.on(
        Output("segments-one", "options"),
        Output("segments-one", "value"),
        Output("segments-other", "options"),
        Output("segments-other", "value"),
        Input("segments-names", "data"),
        State("segments-one", "value"),
        State("segments-other", "value"),
        prevent_initial_call=True,
    )
    async def renamed(called: list[tuple[int, str]], one: int | None, other: int | None) -> Any:
        options = [{"label": shown(name), "value": segment} for segment, name in called]
        one, other = still_there((one, other), [segment for segment, _ in called])
        return options, one, options, other


def names_of(cards: Iterable[SegmentCard]) -> list[list[Any]]:
    """Ids and names, in the order of the cards, as a browser gives them back."""
    return [[one.id, one.name] for one in cards]


def still_there(chosen: tuple[int | None, int | None], there: Sequence[int]) -> tuple[int | None, int | None]:
    """Two segments to compare: those that were chosen, or, where one has gone, another one.

    >>> still_there((2, 5), [1, 2, 3]), still_there((7, 7), [1, 2]), still_there((1, 2), [])
    ((2, 1), (1, 2), (None, None))
    """
    one, other = (place if place in there else None for place in chosen)
    one = one if one is not None else next((place for place in there if place != other), None)
    other = other if other is not None else next((place for place in there if place != one), one)
    return one, other


def changed(written: str | None, filled_in: str) -> str | None:
    """What somebody wrote over what was filled in; None where they left it: then it goes on being worked out.

    >>> [changed(written, "Write") for written in ("Write ", "Phone", None)]
    [None, 'Phone', '']
    """
    text = (written or "").strip()
    return None if text == filled_in else text


async def read_cards(parts: PageParts, seen: Snapshot) -> list[SegmentCard]:
    """The cards of all segments that are told, the largest first, those in no learnt segment last."""
    found = await asyncio.gather(*(parts.web.reader.segment(one.id) for one in counted(seen)))
    cards = [one for one in found if one is not None]
    return sorted(cards, key=lambda one: (-100 < one.id <= 0, -one.size, one.id))


def version_of(cards: Iterable[SegmentCard]) -> int | None:
    """The newest version of the model that any of the cards is of."""
    return max((one.model_version for one in cards if one.model_version is not None), default=None)


async def bought_names(parts: PageParts, cards: Iterable[SegmentCard]) -> Mapping[str, str]:
    """What the catalogue calls what is bought more than by others."""
    wanted = [item for one in cards for item, _ in one.items[:ITEMS_SHOWN]]
    return dict(await to_thread.run_sync(parts.item_names, wanted))


async def drawn_cards(parts: PageParts, cards: Sequence[SegmentCard], caller: Caller, mode: Mode) -> Component:
    """All cards."""
    if not cards:
        return nothing("There are no segments yet: they need a worker, and customers who bought.")
    names = await bought_names(parts, cards)
    drawn = [segment_card(one, names, caller, parts.currency, mode) for one in cards]
    halved = any(is_halved(name) for one in cards for name in one.profile)
    return html.Div([html.Div(drawn, className="grid many"), html.P(HALVED, className="note") if halved else None])


def segment_card(one: SegmentCard, items: Mapping[str, str], caller: Caller, currency: str, mode: Mode) -> Component:
    """One segment's card."""
    return html.Article(
        [
            html.Div(
                [
                    html.H2(shown(one.name), id={"type": "segments-name", "segment": one.id}),
                    html.Span("by rule", className="badge", title="Given by rule: there is little data yet")
                    if one.by_rule
                    else None,
                ],
                className="card-head",
            ),
            html.P(shown(one.strategy), className="strategy", id={"type": "segments-strategy", "segment": one.id}),
            html.Div(facts(one, currency), id={"type": "segments-facts", "segment": one.id}),
            html.Div(typically(one, items, currency), id={"type": "segments-typical", "segment": one.id}),
            html.Div(_foot(one, caller), className="foot"),
        ],
        className="card segment",
        style={"--segment": segment_color(one.id, mode)},
        **attributes(data_segment=str(one.id)),
    )


def typically(one: SegmentCard, items: Mapping[str, str], currency: str) -> list[Component]:
    """What a version of the model says of its customers: typical figures, what sets them apart, what they buy."""
    typical = [(name, value) for name, value in one.profile.items() if name != "net_spend_per_customer"][:3]
    typical = typical or list(one.profile.items())
    told: list[Component] = [
        html.Div(
            [number(figure_name(name), figure_value(name, value, currency)) for name, value in typical],
            className="numbers",
        )
    ]
    if one.sets_apart:
        told.append(html.Ul([html.Li(shown(said)) for said in one.sets_apart]))
    bought = [
        html.Li([shown(items.get(item, item)), html.Span(f" {lift:.1f} × as often", className="muted")])
        for item, lift in one.items[:ITEMS_SHOWN]
        if lift >= MORE
    ]
    if bought:
        told.append(html.Div([html.H3("Buys more than others"), html.Ul(bought)]))
    return told


def facts(one: SegmentCard, currency: str) -> Component:
    """What moves while one looks: size and shares, how lively its customers are, and what they will spend."""
    told = [f"{share(one.share_of_customers)} of customers", f"{share(one.share_of_revenue)} of revenue"]
    for value, what in ((one.active, "active"), (one.new, "new"), (one.one_order, "with one order")):
        # Who has bought nothing is neither.
        if value is not None and one.id != NO_PURCHASES:
            told.append(f"{share(value)} {what}")
    told += list(one.flags)
    ahead = one.forecast
    if ahead is not None:
        told.append(f"{money(ahead.revenue_90d, currency)} expected in 90 days")
        if ahead.at_risk_90d is not None:
            told.append(f"{money(ahead.at_risk_90d, currency)} at risk")
    return html.Div(
        [
            html.Div([html.Span(f"{one.size:,}", className="number-value size-value"), " customers"]),
            html.Div([html.Span(said, className="badge") for said in told], className="facts"),
        ]
    )


def _foot(one: SegmentCard, caller: Caller) -> list[Component]:
    parts = downloads(caller, f"segments/{one.id}/customers", f"all customers of {shown(one.name)}")
    if "segments:rename" in caller.scopes and (one.id > 0 or one.by_rule):
        parts.append(_editor(one))
    return parts


def _editor(one: SegmentCard) -> Component:
    def key(kind: str) -> dict[str, Any]:
        return {"type": f"segments-{kind}", "segment": one.id}

    label = f"new-name-{one.id}"
    return html.Details(
        [
            html.Summary("Rename", className="button small"),
            dcc.Store(id=key("filled-in"), data=[one.name, one.strategy]),
            html.Div(
                [
                    html.Label(
                        [
                            "Name",
                            dcc.Input(id=key("new-name"), type="text", value=one.name, maxLength=MAX_NAME, name=label),
                        ]
                    ),
                    html.Label(
                        [
                            "What to do about it",
                            dcc.Input(id=key("new-strategy"), type="text", value=one.strategy, maxLength=MAX_STRATEGY),
                        ]
                    ),
                    html.Div(
                        [
                            html.Button("Save", id=key("save"), className="button primary small"),
                            html.Button(
                                "Take back",
                                id=key("reset"),
                                className="button small",
                                title="Let it be called what was worked out",
                            ),
                        ],
                        className="row",
                    ),
                    html.P(id=key("told"), className="note", role="status"),
                ],
                className="editor",
            ),
        ],
        className="rename",
    )


def _choice(name: str, label: str, cards: Sequence[SegmentCard], place: int) -> Component:
    options = [{"label": shown(called), "value": segment} for segment, called in names_of(cards)]
    return html.Div(
        [
            html.Label(label, htmlFor=name),
            dcc.Dropdown(id=name, options=options, value=cards[min(place, len(cards) - 1)].id, clearable=False),
        ],
        className="field",
    )


def radar(chosen: Sequence[SegmentCard], cards: Sequence[SegmentCard], mode: Mode) -> go.Figure:
    """Typical figures of both, each as a share of the largest that any segment has."""
    drawn = go.Figure()
    names = list(dict.fromkeys(name for one in chosen for name in one.profile))
    most = {name: max((abs(one.profile.get(name, 0.0)) for one in cards), default=0.0) or 1.0 for name in names}
    shares = [
        ("share_of_customers", "Share of customers", max((one.share_of_customers for one in cards), default=1) or 1),
        ("share_of_revenue", "Share of revenue", max((one.share_of_revenue for one in cards), default=1) or 1),
    ]
    said = [figure_name(name) for name in names] + [label for _, label, _ in shares]
    # In lines, so that they fit beside the picture on a phone.
    around = ["<br>".join(figure_text(line) for line in wrap(one, 12)) for one in said]
    for one in chosen:
        values = [max(0.0, one.profile.get(name, 0.0)) / most[name] for name in names]
        values += [max(0.0, getattr(one, field)) / largest for field, _, largest in shares]
        color = segment_color(one.id, mode)
        drawn.add_scatterpolar(
            r=[*values, *values[:1]],
            theta=[*around, *around[:1]],
            name=figure_text(one.name),
            fill="toself",
            opacity=0.75,
            line={"color": color, "width": 2.5},
            hovertemplate="%{theta}: %{r:.0%} of the largest<extra>%{fullData.name}</extra>",
        )
    drawn.update_layout(
        template=figure_template(mode),
        showlegend=True,
        polar={
            "domain": {"y": [0, 0.86]},
            "angularaxis": {"rotation": 90},
            # Its marks would stand upside down, and what they are of is said below the pointer.
            "radialaxis": {"range": [0, 1], "tickvals": [0.5, 1], "showticklabels": False, "showline": False},
        },
        margin={"l": 80, "r": 80, "t": 10, "b": 40},
    )
    return drawn


def comparison(chosen: Sequence[SegmentCard], currency: str, mode: Mode) -> Component:
    """The same in numbers."""
    if not chosen:
        return nothing("Choose two segments.")
    rows: list[list[Any]] = [
        ["Customers", *(f"{one.size:,}" for one in chosen)],
        ["Share of customers", *(share(one.share_of_customers) for one in chosen)],
        ["Share of revenue", *(share(one.share_of_revenue) for one in chosen)],
    ]
    for name in dict.fromkeys(name for one in chosen for name in one.profile):
        cells = [figure_value(name, one.profile[name], currency) if name in one.profile else "–" for one in chosen]
        rows.append([figure_name(name), *cells])
    for label, field in (("Active", "active"), ("Lapsed", "lapsed"), ("New", "new"), ("With one order", "one_order")):
        values = [getattr(one, field) for one in chosen]
        if any(value is not None for value in values):
            rows.append([label, *("–" if value is None else share(value) for value in values)])
    for label, cells in _ahead(chosen, currency):
        rows.append([label, *cells])
    rows.append(["What to do", *(shown(one.strategy) or "–" for one in chosen)])
    heads = ["", *(named(shown(one.name), segment_color(one.id, mode)) for one in chosen)]
    return table(heads, rows, right=tuple(range(1, len(chosen) + 1)), caption="The two segments in numbers")


def _ahead(chosen: Sequence[SegmentCard], currency: str) -> list[tuple[str, list[str]]]:
    """Lines of forecasts; none where there is none of any of them."""
    ahead = [one.forecast for one in chosen]
    if not any(ahead):
        return []
    lines = [
        ("Revenue expected within 90 days", [None if one is None else one.revenue_90d for one in ahead]),
        ("Revenue expected within a year", [None if one is None else one.revenue_365d for one in ahead]),
        ("At risk within 90 days", [None if one is None else one.at_risk_90d for one in ahead]),
    ]
    return [
        (label, ["–" if value is None else money(value, currency) for value in values])
        for label, values in lines
        if any(value is not None for value in values)
    ]


PAGE = Page(path="segments", title="Segments", icon="segments", needs="segments:read", layout=layout, register=register)
