"""Explore: distributions, pairs, correlations, what is missing and who is far out, in a segment or in all."""

from collections.abc import Mapping
from typing import Any, Final

from anyio import to_thread
from dash import Input, Output, dcc, html
from dash.development.base_component import Component

from dashboard.analysis import Explored, ExploredFigure
from dashboard.figures.explored import colors, explored
from dashboard.pages.now import counted
from dashboard.pages.page import MODE, Callbacks, Page, Visit
from dashboard.pages.parts import PageParts
from dashboard.pages.theme import Mode, segment_color
from dashboard.pages.widgets import card, figure, named, nothing, number, shown

_ALL = "all"
_PARTS: Final = [
    {"label": "What is known of them", "value": 0},
    {"label": "What segments are learnt from", "value": 1},
]
_HEIGHT = 280


async def layout(parts: PageParts, visit: Visit) -> Component:
    """The page as it stands."""
    seen = await parts.live.current()
    options = [{"label": "All customers", "value": _ALL}]
    options += [
        {"label": f"{shown(one.name)} ({one.size:,})", "value": str(one.id)} for one in counted(seen) if one.size
    ]
    asked = visit.query.get("segment", _ALL)
    known = {one["value"] for one in options}
    return html.Div(
        [
            html.Div(
                [
                    html.Label("Whose figures", htmlFor="explore-segment"),
                    dcc.Dropdown(
                        id="explore-segment",
                        options=options,
                        value=asked if asked in known else _ALL,
                        clearable=False,
                    ),
                ],
                className="field search",
            ),
            html.Fieldset(
                [
                    html.Legend("What of them"),
                    dcc.RadioItems(id="explore-part", options=_PARTS, value=0, inline=True),
                ],
                className="choices",
            ),
            dcc.Loading(
                html.Div(id="explore-found", style={"minHeight": "120px"}),
                custom_spinner=nothing("Looking at a fair sample of customers…"),
                delay_show=300,
            ),
        ]
    )


def register(callbacks: Callbacks, parts: PageParts) -> None:
    """What the page answers to."""

    @callbacks.on(
        Output("explore-found", "children"),
        Input("explore-segment", "value"),
        Input("explore-part", "value"),
        Input(MODE, "data"),
    )
    async def look(segment: str, part: int, mode: Mode | None) -> Any:
        found = await to_thread.run_sync(parts.analysis.explore, None if segment == _ALL else int(segment))
        listed = (await parts.live.current()).segments
        known = {one.name: segment_color(one.id, mode or "light") for one in listed.segments} if listed else {}
        # Plotly looks at every figure closely: some tenths of a second for all of them.
        return await to_thread.run_sync(drawn, found, part, known, mode or "light")


def drawn(found: Explored, part: int, known: Mapping[str, str], mode: Mode) -> Component:
    """What was found in one part of the figures."""
    body: list[Any] = [
        html.Div([number(name, shown(value)) for name, value in found.facts], className="numbers"),
        *(html.P(shown(note), className="note") for note in found.notes),
    ]
    sections = found.sections[part : part + 1]
    if not sections:
        body.append(nothing("Nothing is known of these customers that could be compared."))
    for section in sections:
        cards = [_card(one, f"explore-{part}-{place}", known, mode) for place, one in enumerate(section.figures)]
        body += [html.H2(shown(section.title), className="section"), html.Div(cards, className="grid many")]
    return html.Div(body)


def _card(one: ExploredFigure, name: str, known: Mapping[str, str], mode: Mode) -> Component:
    """A figure with what to read from it; names of colours stand as text, not only as colours."""
    colored = colors(one.legend, len(one.spec["data"]), known, mode)
    legend = [named(shown(label), color) for label, color in zip(one.legend, colored, strict=False) if label]
    height = one.spec["layout"].get("height", _HEIGHT)
    return card(
        shown(one.title[:1].upper() + one.title[1:].replace("_", " ")),
        html.P(shown(one.note), className="note"),
        html.Div(legend, className="facts") if legend else None,
        figure(
            name,
            explored(one.spec, mode, colored),
            height=max(_HEIGHT - 80, min(int(height), 600)),
            said=shown(one.note),
        ),
        name="broad" if one.wide else "",
    )


PAGE = Page(
    path="explore",
    title="Explore",
    icon="explore",
    needs="analysis:read",
    layout=layout,
    register=register,
    analysts=True,
)
