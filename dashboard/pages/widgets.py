"""The parts that pages are made of, each in one look: cards, figures, tables, numbers; and texts put into words."""

from collections.abc import Iterable, Sequence
from datetime import date, datetime, timedelta
from html import escape
from typing import Any, Final

import plotly.graph_objects as go
from dash import dcc, html
from dash.development.base_component import Component

from contracts.times import from_micros

Children = Any
_CAUSES: Final = {
    "purchase": "a purchase",
    "return": "a return",
    "profile": "what became known of the customer",
    "time": "time that passed",
    "model": "segments learnt anew",
    "alias": "an id that was joined or split off",
    "erased": "an erasure",
}
_BECAUSE: Final = "because:"
_SHORT: Final = timedelta(minutes=1)


def attributes(**named: str) -> dict[str, Any]:
    """Attributes whose names have hyphens.

    >>> attributes(aria_hidden="true")
    {'aria-hidden': 'true'}
    """
    return {name.replace("_", "-"): value for name, value in named.items()}


def card(title: Children, *children: Children, note: Children = None, name: str = "", **more: Any) -> Component:
    """A titled part of a page. `note` stands small beside the title; `name` is a CSS class of one's own."""
    head: list[Component] = []
    if title is not None:
        head.append(html.H2(title))
    if note is not None:
        head.append(html.Span(note, className="note"))
    return html.Section(
        [html.Div(head, className="card-head") if head else None, *children], className=f"card {name}".strip(), **more
    )


def number(label: str, value: Children, note: Children = None, *, tone: str = "", **more: Any) -> Component:
    """One figure with what it is; `tone` is good, bad or nothing."""
    return html.Div(
        [
            html.Span(label, className="number-label"),
            html.Span(value, className=f"number-value {tone}".strip()),
            html.Span(note, className="number-note") if note is not None else None,
        ],
        className="number",
        **more,
    )


def table(
    columns: Sequence[Children],
    rows: Sequence[Sequence[Children]],
    *,
    name: str = "",
    right: Sequence[int] = (),
    caption: str = "",
) -> Component:
    """A table; the places in `right` hold figures. The first cell of each row names it."""
    align = dict.fromkeys(right, "right")
    head = html.Tr(
        [html.Th(column, scope="col", className=align.get(place, "")) for place, column in enumerate(columns)]
    )
    body = [
        html.Tr(
            [
                html.Th(cell, scope="row") if place == 0 else html.Td(cell, className=align.get(place, ""))
                for place, cell in enumerate(row)
            ]
        )
        for row in rows
    ]
    told = [html.Caption(caption, className="unseen")] if caption else []
    return html.Div(
        html.Table([*told, html.Thead(head), html.Tbody(body)], className=f"table {name}".strip()),
        className="scroll",
    )


def figure(
    name: str | dict[str, Any], drawn: go.Figure | None = None, *, height: int = 320, said: str = "", **config: Any
) -> Component:
    """A figure under an id; `said` tells those what it shows who do not see it."""
    options: Any = {"displaylogo": False, "displayModeBar": False, "responsive": True, "doubleClick": "reset", **config}
    graph = dcc.Graph(
        id=name,
        figure=drawn if drawn is not None else empty_figure(),
        config=options,
        style={"height": f"{height}px"},
        responsive=True,
    )
    told: dict[str, Any] = {"role": "img", **attributes(aria_label=said)} if said else {}
    # Until plotly is there a graph has no height, and what stands below would jump.
    return html.Div(graph, style={"minHeight": f"{height}px"}, **told)


def empty_figure() -> go.Figure:
    """What stands where a figure will be."""
    drawn = go.Figure()
    drawn.update_layout(
        xaxis={"visible": False},
        yaxis={"visible": False},
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        margin={"l": 0, "r": 0, "t": 0, "b": 0},
    )
    return drawn


def time_axis(moments: Iterable[date]) -> dict[str, Any]:
    """An axis of time: of a minute at the least, or its marks would be of split seconds."""
    known = [one for one in moments if isinstance(one, datetime)]
    axis: dict[str, Any] = {"type": "date"}
    if known and max(known) - min(known) < _SHORT:
        axis |= {"range": [max(known) - _SHORT, max(known)], "tickformat": "%H:%M:%S", "nticks": 4}
    return axis


def dot(color: str) -> Component:
    """A mark in a colour, beside a name that says the same."""
    return html.Span(className="dot", style={"background": color}, **attributes(aria_hidden="true"))


def named(name: str, color: str) -> Component:
    """A segment's name with its mark."""
    return html.Span([dot(color), html.Span(name, className="segment-name")], className="named")


def nothing(*told: Children) -> Component:
    """What stands where there is nothing to show, in words that say what to do."""
    return html.P(told, className="nothing")


def figure_text(text: str) -> str:
    r"""A text that customers or shops wrote, for a figure: plotly takes tags for markup.

    >>> figure_text("<b>x</b>")
    '&lt;b&gt;x&lt;/b&gt;'
    """
    return escape(shown(text), quote=False)


def shown(text: str) -> str:
    r"""A text that customers or shops wrote, with what is not printable escaped (also directions of writing).

    >>> shown("a\u202eb")
    'a\\u202eb'
    """
    return "".join(one if one.isprintable() else one.encode("unicode_escape").decode() for one in text)


def said_cause(cause: str) -> str:
    """Why somebody moved, in words."""
    return _CAUSES.get(cause, cause)


def said_reason(reason: str, names: dict[str, str] | None = None) -> str:
    """Why an item is recommended, in words."""
    if reason.startswith(_BECAUSE):
        other = reason.removeprefix(_BECAUSE)
        return f"goes with {shown((names or {}).get(other, other))}"
    told = {
        "again": "bought before",
        "new": "new in the shop",
        "popular": "sells well",
        "trending": "sells better than usual",
        "because": "goes with what was bought",
    }
    return told.get(reason, shown(reason))


def money(amount: float, currency: str) -> str:
    """An amount with its currency; without pennies from 100 on.

    >>> money(-315.2, "GBP"), money(7.5, "GBP")
    ('−315 GBP', '7.50 GBP')
    """
    told = f"{amount:,.0f}" if abs(amount) >= 100 else f"{amount:,.2f}"
    return f"{told} {currency}".replace("-", "−")


def share(part: float) -> str:
    """A share in percent.

    >>> share(0.0042), share(0.25), share(-0.0001), share(-0.02)
    ('0.4 %', '25 %', '0 %', '−2.0 %')
    """
    told = f"{100 * part:.1f}" if 0 < abs(part) < 0.1 else f"{100 * part:.0f}"
    return "0 %" if told in {"0.0", "-0.0", "-0"} else f"{told} %".replace("-", "−")


def seconds(duration: float) -> str:
    """A duration in the unit that one would say.

    >>> seconds(0.031), seconds(2.5), seconds(150), seconds(7200)
    ('31 ms', '2.5 s', '2 min', '2 h')
    """
    if duration < 1:
        return f"{1000 * duration:.0f} ms"
    if duration < 120:
        return f"{duration:.1f} s" if duration < 10 else f"{duration:.0f} s"
    return f"{duration / 60:.0f} min" if duration < 7200 else f"{duration / 3600:.0f} h"


def day(moment: datetime) -> str:
    """A date as one reads it: 3 Nov 2026."""
    return f"{moment.day} {moment:%b %Y}"


def clock(moment: datetime) -> str:
    """A time of day, UTC."""
    return f"{moment:%H:%M:%S}"


def clock_of(micros: int) -> str:
    """The same of microseconds UTC."""
    return clock(from_micros(micros))


def signed(count: int) -> str:
    """A difference with its sign.

    >>> signed(3), signed(-2), signed(0)
    ('+3', '−2', '±0')
    """
    if not count:
        return "±0"
    return f"+{count:,}" if count > 0 else f"−{-count:,}"
