"""Map: customers as points, by segment; whoever is inside a lasso can be a table, or an audience."""

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec
import numpy as np
from anyio import to_thread
from dash import ClientsideFunction, Input, Output, State, ctx, dcc, html, no_update
from dash.development.base_component import Component

from dashboard.customer_sample import CustomerSample
from dashboard.figures.measures import MIXTURE, title_of
from dashboard.figures.points import View, deep, directions, flat, points
from dashboard.lasso import Lasso, thinned
from dashboard.pages import lasso_card, lasso_numbers
from dashboard.pages.lasso_card import card_of, how_to_choose
from dashboard.pages.lasso_numbers import NONE
from dashboard.pages.page import MODE, Callbacks, Page, Visit
from dashboard.pages.parts import PageParts
from dashboard.pages.theme import Mode
from dashboard.pages.visitor import may
from dashboard.pages.widgets import attributes, card, empty_figure, figure, shown

_ANY: Final = ((0.0, 0.0), (1.0, 0.0), (0.0, 1.0))
"""The corners of no shape yet."""
_CORNER: Final = re.compile(r"[ML]?(-?[\d.]+(?:e[+-]?\d+)?),(-?[\d.]+(?:e[+-]?\d+)?)")
_ORDINALS: Final = ("Main", "Second", "Third")


async def layout(parts: PageParts, _: Visit) -> Component:
    """The page as it stands."""
    sample = await to_thread.run_sync(parts.analysis.sample)
    options = axis_options(sample)
    plain = [*options, {"label": "none: flat", "value": NONE}]
    first = [one["value"] for one in options]
    segments = [
        {"label": shown(sample.names[one]), "value": one}
        for one in sorted(sample.names, key=lambda one: -int((sample.segments == one).sum()))
    ]
    return html.Div(
        [
            dcc.Store(id="map-drawn"),
            dcc.Store(id="map-points"),
            dcc.Store(id="map-shown"),
            dcc.Store(id="map-shapes"),
            card(
                None,
                html.Div(
                    [
                        _choice("map-x", "To the right", options, first[0]),
                        _choice("map-y", "Upwards", options, first[min(1, len(first) - 1)]),
                        _choice("map-z", "Into depth", plain, NONE),
                        html.Div(
                            [
                                html.Label("Segments; empty: all", htmlFor="map-segments"),
                                dcc.Dropdown(id="map-segments", options=segments, value=[], multi=True),
                            ],
                            className="field",
                        ),
                    ],
                    className="row",
                ),
                html.P(id="map-about", className="note"),
                # No picture to those who read the page aloud: its tools are buttons.
                html.Div(
                    dcc.Loading(
                        figure(
                            "map-figure",
                            height=600,
                            displayModeBar=True,
                            scrollZoom=True,
                            # Named one by one: among the others is one that sends the figure elsewhere.
                            modeBarButtons=[["lasso2d", "select2d", "pan2d", "resetScale2d"]],
                        ),
                        type="dot",
                        delay_show=300,
                    ),
                    role="group",
                    **attributes(aria_label="Customers as points, coloured by segment"),
                ),
                html.Details([html.Summary("Choose by numbers"), html.Div(id="map-edges")], className="by-numbers"),
            ),
            dcc.Loading(
                html.Div(how_to_choose(), id="map-inside", **attributes(aria_live="polite")), type="dot", delay_show=400
            ),
        ]
    )


def register(callbacks: Callbacks, parts: PageParts) -> None:
    """What the page answers to."""
    lasso_card.register(callbacks, parts)
    lasso_numbers.register(callbacks, parts)

    @callbacks.on(
        Output("map-figure", "figure"),
        Output("map-about", "children"),
        Output("map-drawn", "data"),
        Output("map-points", "data"),
        Input("map-x", "value"),
        Input("map-y", "value"),
        Input("map-z", "value"),
        Input("map-segments", "value"),
        Input(MODE, "data"),
    )
    async def draw(x: str, y: str, z: str, *chosen: Any) -> Any:
        segments = tuple(chosen[0] or ())
        mode: Mode = chosen[1] or "light"
        sample = await to_thread.run_sync(parts.analysis.sample)
        axes = directions(sample, [x, y] if z == NONE else [x, y, z])
        if len(axes) < 2:
            return empty_figure(), "The features are others now: load the page again.", None, None
        told = str if may("ids") else parts.web.masks.mask
        view = View(axes=axes, mode=mode, currency=parts.currency, shown_id=told, segments=segments)
        # Who draws a lasso draws it on this picture, whatever is sampled meanwhile.
        picture = Lasso(sample.model.version, sample.now, axes[0].axis, axes[1].axis, _ANY, segments)
        if z != NONE:
            drawn = await to_thread.run_sync(deep, sample, view)
            return drawn.update_layout(uirevision=f"{z} {picture}"), about(sample), None, None
        drawn = flat(sample, view).update_layout(uirevision=str(picture))
        return drawn, about(sample), str(picture), await to_thread.run_sync(points, sample, view)

    callbacks.app.clientside_callback(  # type: ignore[no-untyped-call]
        ClientsideFunction("livesegments_points", "show"),
        Output("map-shown", "data"),
        Input("map-points", "data"),
        Input("map-figure", "figure"),
        State("map-figure", "id"),
    )

    callbacks.app.clientside_callback(  # type: ignore[no-untyped-call]
        ClientsideFunction("livesegments_points", "shapes"),
        Output("map-shapes", "data"),
        Input("map-figure", "relayoutData"),
    )

    @callbacks.on(
        Output("map-inside", "children"),
        Input("map-shapes", "data"),
        Input("map-drawn", "data"),
        State(MODE, "data"),
        prevent_initial_call=True,
    )
    async def select(drawn: Mapping[str, Any] | None, picture: str | None, mode: Mode | None) -> Any:
        if picture is None or ctx.triggered_id == "map-drawn":
            return how_to_choose(flat=picture is not None)
        corners = corners_of(drawn)
        if corners is None:
            return no_update
        if len(corners) < 3:
            return how_to_choose()
        shape = tuple((float(x), float(y)) for x, y in thinned(corners).tolist())
        lasso = msgspec.structs.replace(Lasso.read(picture), corners=shape)
        counts = await to_thread.run_sync(parts.analysis.count, lasso)
        sample = await to_thread.run_sync(parts.analysis.sample)
        return card_of(counts, lasso, sample, mode or "light")


def axis_options(sample: CustomerSample) -> list[dict[str, str]]:
    """What the axes may be: directions in which customers differ most, and every feature."""
    width = len(sample.model.features)
    mixtures = [
        {"label": f"{_ORDINALS[place]} difference", "value": f"{MIXTURE}{place + 1}"} for place in range(min(3, width))
    ]
    columns = sample.model.feature_set.columns
    features = [{"label": shown(title_of(column)), "value": column.name} for column in columns]
    return (mixtures if width > 1 else []) + features


def about(sample: CustomerSample) -> str:
    """How many there are, and what the marks mean."""
    drawn, whole = len(sample.X), sample.all_customers
    part = f"{drawn:,} customers" if drawn >= whole else f"A fair sample: {drawn:,} of about {whole:,} customers"
    return (
        f"{part}. Large diamonds are far from the others in some figure; crosses (in depth dark diamonds) are the"
        " middles of segments. Who never bought is not on the map."
    )


def corners_of(drawn: Mapping[str, Any] | None) -> Any:
    """The corners (n, 2) of the newest shape that was drawn, as plotly says; none: it was taken away; None: neither."""
    if not drawn or "selections" not in drawn:
        moved = {name: value for name, value in (drawn or {}).items() if name.startswith("selections[")}
        return _corners_of_moved(moved) if moved else None
    shapes = drawn["selections"]
    if not shapes:
        return np.zeros((0, 2))
    last = shapes[-1]
    if last.get("type") == "rect":
        (x0, x1), (y0, y1) = sorted((last["x0"], last["x1"])), sorted((last["y0"], last["y1"]))
        return np.array([(x0, y0), (x1, y0), (x1, y1), (x0, y1)], np.float64)
    return _path(str(last.get("path", "")))


def _corners_of_moved(moved: Mapping[str, Any]) -> Any:
    """Of a shape that was dragged elsewhere: plotly then tells its new path, or its new edges, alone."""
    paths = [value for name, value in moved.items() if name.endswith(".path")]
    if paths:
        return _path(str(paths[-1]))
    edges = {name.rpartition(".")[2]: value for name, value in moved.items()}
    if {"x0", "x1", "y0", "y1"} <= edges.keys():
        return corners_of({"selections": [{"type": "rect", **edges}]})
    return None


def _path(path: str) -> Any:
    return np.array([(float(x), float(y)) for x, y in _CORNER.findall(path)], np.float64).reshape(-1, 2)


def _choice(name: str, label: str, options: Sequence[Mapping[str, str]], value: str) -> Component:
    return html.Div(
        [
            html.Label(label, htmlFor=name),
            dcc.Dropdown(id=name, options=list(options), value=value, clearable=False),
        ],
        className="field",
    )


PAGE = Page(path="map", title="Map", icon="map", needs="analysis:read", layout=layout, register=register, analysts=True)
