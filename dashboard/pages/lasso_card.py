"""Who is inside a lasso, and what can be done with them: a table, or a rule for an audience."""

import json
from collections.abc import Mapping
from typing import Any, Final

from anyio import to_thread
from dash import ClientsideFunction, Input, Output, State, dcc, html
from dash.development.base_component import Component

from dashboard.customer_sample import CustomerSample
from dashboard.lasso import Lasso
from dashboard.lasso_rule import LassoRule
from dashboard.pages.downloads import downloads
from dashboard.pages.page import Callbacks
from dashboard.pages.parts import PageParts
from dashboard.pages.theme import Mode, segment_color
from dashboard.pages.visitor import visiting
from dashboard.pages.widgets import card, named, nothing, share, shown, table

POOR: Final = 0.7
"""F1 of a rule below which it is said that it does not come close."""


def register(callbacks: Callbacks, parts: PageParts) -> None:
    """What the card answers to."""

    @callbacks.on(Output("map-rule", "children"), Input("map-lasso", "data"))
    async def rule(text: str) -> Any:
        return told_rule(await to_thread.run_sync(parts.analysis.rule, Lasso.read(text)))

    callbacks.app.clientside_callback(  # type: ignore[no-untyped-call]
        ClientsideFunction("livesegments_copy", "copy"),
        Output("map-copy", "children"),
        Input("map-copy", "n_clicks"),
        State("map-condition", "id"),
        prevent_initial_call=True,
    )


def card_of(counts: Mapping[int, int], lasso: Lasso, sample: CustomerSample, mode: Mode) -> Component:
    """Who is inside, of all customers, and what can be done with them."""
    total = sum(counts.values())
    rows = [
        [
            named(shown(sample.names.get(segment, f"Segment {segment}")), segment_color(segment, mode)),
            f"{count:,}",
            share(count / total),
        ]
        for segment, count in sorted(counts.items(), key=lambda one: -one[1])
    ]
    return card(
        html.Span([html.Span(f"{total:,}", id="map-count"), " customers inside"]),
        table(["Segment", "Customers", "Share"], rows, right=(1, 2), caption="Customers inside, by segment")
        if rows
        else nothing("Nobody is inside."),
        html.Div(
            downloads(visiting(), "export/lasso", "all customers inside", query=f"lasso={lasso}", name="map"),
            className="row",
        )
        if total
        else None,
        _as_audience(lasso) if total else None,
        note="of all customers, not only of the points that are drawn",
    )


def _as_audience(lasso: Lasso) -> Component:
    return html.Div(
        [
            dcc.Store(id="map-lasso", data=str(lasso)),
            html.H3("As an audience"),
            dcc.Loading(html.Div(id="map-rule"), type="dot", delay_show=400),
        ]
    )


def told_rule(rule: LassoRule | None) -> list[Component | None]:
    """The rule that comes closest, how close that is, and what to do with it."""
    if rule is None:
        return [nothing("No rule comes close to this shape. Draw a box between two features, or take out a table.")]
    inside = rule.both + rule.lasso_only
    told: list[Any] = [
        "An audience is a rule that workers follow: ranges of figures, no shape on a map. ",
        "This one holds " if rule.lasso_only or rule.rule_only else "This one holds exactly ",
        html.Strong(f"{rule.both:,} of the {inside:,}", id="map-both"),
        " inside",
        *([", and ", html.Strong(f"{rule.rule_only:,} others", id="map-others")] if rule.rule_only else []),
        ", as of this picture: from then on whoever comes to fulfil it enters, and others leave.",
    ]
    return [
        html.P(told),
        html.P("That is not close: draw a box between two features, or take out a table instead.", className="wrong")
        if rule.f1 < POOR
        else None,
        html.P("Add this line to the settings of the workers, under a name of your own, and start them again:"),
        html.Pre(audience_line(rule.condition), className="example", id="map-condition", tabIndex=0),
        html.Button("Copy", id="map-copy", className="button small"),
    ]


def audience_line(condition: str) -> str:
    """The line for livesegments.toml.

    >>> print(audience_line("orders >= 3"))
    audiences."From the map" = 'orders >= 3'
    """
    # A literal text of TOML knows no escapes, so no quotation mark of its kind either.
    text = json.dumps(condition) if "'" in condition else f"'{condition}'"
    return f'audiences."From the map" = {text}'


def how_to_choose(*, flat: bool = True) -> Component:
    """What stands there before anybody is chosen."""
    told = (
        "Draw a lasso around points, or a box with the tool above the map. Whoever is inside is counted among all"
        " customers, and can be taken out as a table, or as a rule for an audience. A double click ends it."
        if flat
        else "Lassos are for flat maps: take away the third axis."
    )
    return card("Choose customers", html.P(told))
