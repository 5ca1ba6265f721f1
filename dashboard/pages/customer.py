"""Customer: one by id; why here, what is special, what would change it, and what to recommend."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final
from urllib.parse import quote

import plotly.graph_objects as go
from anyio import to_thread
from dash import Input, Output, State, ctx, dcc, html, no_update
from dash.development.base_component import Component

from contracts.errors import LivesegmentsError
from dashboard.pages.page import ADDRESS, MODE, PULSE, Callbacks, Page, Visit
from dashboard.pages.parts import CustomerSheet, FeatureValue, Moved, PageParts
from dashboard.pages.theme import Mode, figure_template, ink, segment_color
from dashboard.pages.widgets import (
    card,
    day,
    figure,
    figure_text,
    money,
    named,
    nothing,
    said_cause,
    said_reason,
    shown,
    table,
)
from dashboard.pages.words import HALVED, figure_name, is_halved
from recommender.answers import Recommendations

SHELF: Final = 6
_SHELVES: Final = (
    ("recommendations", "Recommended", "the best of both, in order"),
    ("discover", "New to this customer", "never bought before"),
    ("buy_again", "To buy again", "bought before, and due"),
)
BECAUSE: Final = "because:"


async def layout(parts: PageParts, visit: Visit) -> Component:
    """The page, with the customer whom the address names."""
    asked = visit.query.get("id", "")
    return html.Div(
        [
            html.Div(
                [
                    html.Div(
                        [
                            html.Label("Customer id, as in the events", htmlFor="customer-id"),
                            dcc.Input(id="customer-id", type="search", value=asked, debounce=True, autoComplete="off"),
                        ],
                        className="field",
                    ),
                    html.Button("Look", id="customer-look", className="button primary"),
                ],
                className="row search",
                role="search",
            ),
            dcc.Store(id="customer-asked", data=asked),
            dcc.Store(id="customer-as-of", data=None),
            html.Div(await _found(parts, asked, visit.mode), id="customer-found"),
        ]
    )


def register(callbacks: Callbacks, parts: PageParts) -> None:
    """What the page answers to."""

    @callbacks.on(
        Output(ADDRESS, "search", allow_duplicate=True),
        Output("customer-asked", "data"),
        Input("customer-look", "n_clicks"),
        Input("customer-id", "value"),
        State("customer-asked", "data"),
        prevent_initial_call=True,
    )
    async def look(_: Any, wanted: str | None, asked: str | None) -> Any:
        """The address names the customer, so that it can be kept and sent on."""
        text = (wanted or "").strip()
        if not text or text == asked:
            return no_update, no_update
        return f"?id={quote(text, safe='')}", text

    @callbacks.on(
        Output("customer-found", "children"),
        Output("customer-as-of", "data"),
        Input("customer-asked", "data"),
        Input(PULSE, "data"),
        Input(MODE, "data"),
        State("customer-as-of", "data"),
        prevent_initial_call=True,
    )
    async def follow(asked: str | None, _: Any, mode: Mode | None, drawn: list[str] | None) -> Any:
        """Drawn anew only where something else is known of the customer: that is one question to Redis."""
        as_of = await _as_of(parts, asked or "")
        if as_of is not None and as_of == drawn and ctx.triggered_id == PULSE:
            return no_update, no_update
        try:
            return await _drawn(parts, asked or "", mode or "light"), as_of
        except (LivesegmentsError, ValueError) as error:
            return _not_shown(error), None


async def _as_of(parts: PageParts, customer_id: str) -> list[str] | None:
    """Whose answer is how new; None where that is not known."""
    try:
        answer = await parts.web.reader.get(customer_id, n=1)
    except (LivesegmentsError, ValueError):
        return None
    return [customer_id, answer.as_of.isoformat()] if answer.known and answer.as_of is not None else None


async def _found(parts: PageParts, customer_id: str, mode: Mode) -> Component:
    try:
        return await _drawn(parts, customer_id, mode)
    except (LivesegmentsError, ValueError) as error:
        return _not_shown(error)


def _not_shown(error: Exception) -> Component:
    return card("This customer can not be shown", html.P(shown(str(error))))


async def _drawn(parts: PageParts, customer_id: str, mode: Mode) -> Component:
    """Raises LivesegmentsError, ValueError."""
    if not customer_id:
        return nothing("Type an id and press Enter, or choose a customer from the changes on the first page.")
    sheet = await to_thread.run_sync(parts.sheet, customer_id)
    answer = await parts.web.reader.get(customer_id)
    if answer.joined_to is not None:
        sheet = await to_thread.run_sync(parts.sheet, answer.joined_to)
    shelves = {name: await parts.web.reader.get(customer_id, n=SHELF, shelf=name) for name, _, _ in _SHELVES}  # type: ignore[arg-type]
    if sheet is None and not answer.known:
        return card(
            "Nothing is known of this customer",
            html.P("No event with this id has come. Ids are compared as they are, also their case."),
            html.H3("What somebody unknown gets"),
            await _shelf(parts, shelves["recommendations"]),
        )
    segment = answer.segment
    color = segment_color(segment.id, mode) if segment else ink("muted", mode)
    head = html.Div(
        [
            html.H2(shown(answer.joined_to or customer_id), id="customer-name"),
            html.P(f"{shown(customer_id)} is another id of this customer.", className="note")
            if answer.joined_to is not None
            else None,
            html.P(named(shown(segment.name), color), id="customer-segment")
            if segment
            else html.P("In no segment yet"),
            html.P(f"since {day(segment.since)}, because of {said_cause(segment.cause)}", className="note")
            if segment
            else None,
            html.Ul([html.Li(shown(one)) for one in sheet.sentences], className="sentences") if sheet else None,
            _badges(sheet),
        ]
    )
    return html.Div(
        [
            html.Div(
                [
                    html.Div(
                        [
                            card(None, head),
                            _expected(sheet),
                            _features(sheet, segment.name if segment else "", mode),
                        ],
                        className="column",
                    ),
                    html.Div(
                        [card("What was counted", _totals(sheet, parts.currency)), _moves(sheet, mode)],
                        className="column",
                    ),
                ],
                className="grid wide",
            ),
            html.Div(
                [card(title, await _shelf(parts, shelves[name]), note=note) for name, title, note in _SHELVES],
                className="grid three",
            ),
        ]
    )


def _expected(sheet: CustomerSheet | None) -> Component | None:
    if sheet is None or not sheet.expected:
        return None
    told = html.Ul([html.Li(shown(one)) for one in sheet.expected], className="sentences", id="customer-expected")
    return card("What to expect", told, note="several orders on one day count once")


def _badges(sheet: CustomerSheet | None) -> Component | None:
    if sheet is None:
        return None
    told = [html.Span(f"audience: {shown(one)}", className="badge") for one in sheet.audiences]
    told += [html.Span(f"unusual: {figure_name(one).rstrip('*').lower()}", className="badge") for one in sheet.outliers]
    return html.Div(told, className="facts") if told else None


def _totals(sheet: CustomerSheet | None, currency: str) -> Component:
    if sheet is None:
        return nothing("The row of this customer is not written yet.")
    counts = sheet.totals
    rows: list[list[Any]] = [
        ["Orders", f"{counts['orders']:,}"],
        ["Spend", money(counts["spend"], currency)],
        ["Units", f"{counts['units']:,}"],
        ["Returns", f"{counts['returns']:,}"],
        ["Refunds", money(counts["refunds"], currency)],
        ["First purchase", _date(counts["first_purchase_at"])],
        ["Last purchase", _date(counts["last_purchase_at"])],
    ]
    if sheet.usual_gap_days is not None:
        rows.append(["Usually buys every", f"{sheet.usual_gap_days:,.0f} days"])
    if sheet.next_expected_at is not None:
        rows.append(["Next order expected", day(sheet.next_expected_at)])
    rows += [[shown(name.replace("_", " ")), shown(_told(value))] for name, value in sheet.attributes.items()]
    return table(("", ""), rows, right=(1,), name="totals", caption="What was counted of this customer")


def _told(value: Any) -> str:
    """What is known of a customer, as one says it."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    try:
        return day(datetime.strptime(value, "%Y-%m-%d"))  # noqa: DTZ007 - a day is no moment
    except (TypeError, ValueError):
        return f"{value:,}" if isinstance(value, int) else str(value)


def _date(moment: datetime | None) -> str:
    return "never" if moment is None else day(moment)


def _features(sheet: CustomerSheet | None, segment: str, mode: Mode) -> Component:
    if sheet is None or not sheet.features:
        return card("Beside the others", nothing("There are no learnt segments to compare with yet."))
    rows = [
        [figure_name(one.name), one.value or "not known", one.segment or "–", one.everybody] for one in sheet.features
    ]
    halved = any(is_halved(one.name) for one in sheet.features)
    return card(
        "Beside the others",
        figure(
            "customer-features",
            features_figure(sheet.features, segment, mode),
            height=90 + 52 * len(sheet.features),
            said="How far this customer and the segment are from everybody's mean; the table has it in numbers",
        ),
        table(
            ("", "This customer", "The segment", "Everybody"),
            rows,
            right=(1, 2, 3),
            caption="Features of this customer",
        ),
        html.P(HALVED, className="note") if halved else None,
        note="0 is everybody's mean; 1 is what is usual to differ by",
    )


def features_figure(features: Sequence[FeatureValue], segment: str, mode: Mode) -> go.Figure:
    """How far the customer and the segment are from everybody's mean, feature by feature."""
    known = [one for one in features if one.z is not None][::-1]
    labels = [figure_text(figure_name(one.name)) for one in known]
    drawn = go.Figure()
    drawn.add_bar(
        x=[one.z for one in known],
        y=labels,
        orientation="h",
        name="This customer",
        marker={"color": ink("accent", mode)},
        width=0.5,
        customdata=[one.value for one in known],
        hovertemplate="%{customdata}<extra>This customer</extra>",
    )
    if any(one.segment_z is not None for one in known):
        drawn.add_scatter(
            x=[one.segment_z for one in known],
            y=labels,
            mode="markers",
            name=figure_text(segment) or "The segment",
            marker={
                "color": ink("ink", mode),
                "size": 13,
                "symbol": "diamond",
                "line": {"color": ink("surface", mode), "width": 2},
            },
            customdata=[one.segment for one in known],
            hovertemplate="%{customdata}<extra>%{fullData.name}</extra>",
        )
    drawn.update_layout(
        template=figure_template(mode), showlegend=True, bargap=0.4, xaxis={"zeroline": True, "zerolinewidth": 2}
    )
    return drawn


def _moves(sheet: CustomerSheet | None, mode: Mode) -> Component:
    if sheet is None or not sheet.moves:
        return card("Moves", nothing("None yet."))
    return card(
        "Moves",
        html.Ol([html.Li(_move(one, mode)) for one in sheet.moves], className="moves"),
        note="the last ten, the newest first",
    )


def _move(one: Moved, mode: Mode) -> list[Any]:
    return [
        named(shown(one.to_segment), segment_color(one.to_id, mode)),
        html.Span(f"{day(one.at)}, because of {said_cause(one.cause)}", className="note"),
    ]


async def _shelf(parts: PageParts, answer: Recommendations) -> Component:
    if not answer.items:
        return nothing("Nothing to recommend here.")
    wanted = [one.item_id for one in answer.items]
    wanted += [one.reason.removeprefix(BECAUSE) for one in answer.items if one.reason.startswith(BECAUSE)]
    names: Mapping[str, str] = await to_thread.run_sync(parts.item_names, wanted)
    return html.Ol(
        [
            html.Li([shown(names.get(one.item_id, one.item_id)), html.Small(said_reason(one.reason, dict(names)))])
            for one in answer.items[:SHELF]
        ],
        className="shelf",
    )


PAGE = Page(
    path="customer", title="Customer", icon="customer", needs="customers:read", layout=layout, register=register
)
