"""A box on the map entered in numbers: for whoever draws none, or knows where it is to be."""

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from anyio import to_thread
from dash import Input, Output, Patch, State, dcc, html, no_update
from dash.development.base_component import Component

from dashboard.customer_sample import CustomerSample
from dashboard.figures.measures import from_units
from dashboard.figures.points import Direction, directions
from dashboard.lasso import Lasso
from dashboard.pages.page import Callbacks
from dashboard.pages.parts import PageParts
from dashboard.pages.widgets import shown

NONE: Final = "none"
"""The third axis of a flat map."""


def register(callbacks: Callbacks, parts: PageParts) -> None:
    """What the fields answer to."""

    @callbacks.on(
        Output("map-edges", "children"),
        Input("map-x", "value"),
        Input("map-y", "value"),
        Input("map-z", "value"),
    )
    async def fields(x: str, y: str, z: str) -> Any:
        sample = await to_thread.run_sync(parts.analysis.sample)
        return edges(directions(sample, [x, y])) if z == NONE else None

    @callbacks.on(
        Output("map-figure", "figure", allow_duplicate=True),
        Output("map-shapes", "data", allow_duplicate=True),
        Output("map-wrong", "children"),
        Input("map-enter", "n_clicks"),
        State("map-drawn", "data"),
        *(State({"type": "map-edge", "place": place}, "value") for place in range(4)),
        prevent_initial_call=True,
    )
    async def enter(clicks: int | None, picture: str | None, *bounds: Any) -> Any:
        if not clicks or picture is None:
            return no_update, no_update, ""
        sample = await to_thread.run_sync(parts.analysis.sample)
        box = entered(bounds, Lasso.read(picture), sample)
        if isinstance(box, str):
            return no_update, no_update, box
        patch = Patch()
        patch["layout"]["selections"] = [box]
        return patch, {"selections": [box]}, ""


def entered(bounds: Sequence[Any], picture: Lasso, sample: CustomerSample) -> dict[str, Any] | str:
    """A box as plotly says it, from its edges in the units of the axes: left, right, low, high; or what is wrong."""
    try:
        numbers = [float(str(one).replace(",", "")) for one in bounds]
    except ValueError:
        numbers = []
    if len(numbers) != len(bounds) or not np.isfinite(numbers).all():
        return "Enter four numbers: from and to, for both directions."
    columns, order_value = sample.model.feature_set.columns, sample.model.order_value
    if sample.model.version != picture.version:
        return "The features are others now: load the page again."
    left, right, low, high = numbers
    if left >= right or low >= high:
        return "What is behind “from” has to be less than what is behind “to”."
    places = [
        value if axis.feature < 0 else from_units(columns[axis.feature], value, order_value)
        for axis, value in ((picture.x, left), (picture.x, right), (picture.y, low), (picture.y, high))
    ]
    return {"type": "rect", "xref": "x", "yref": "y", **dict(zip(("x0", "x1", "y0", "y1"), places, strict=True))}


def edges(axes: Sequence[Direction]) -> Component:
    """Where a box is entered in numbers."""
    fields = []
    for number, axis in enumerate(axes):
        title = shown(axis.title.partition(":")[0])
        for place, word in enumerate(("from", "to")):
            at = {"type": "map-edge", "place": 2 * number + place}
            label = f"{title[:1].upper()}{title[1:]}, {word}"
            fields.append(
                html.Div(
                    html.Label([label, dcc.Input(id=at, type="text", autoComplete="off")]),
                    className="field",
                )
            )
    return html.Div(
        [
            html.Div([*fields, html.Button("Choose", id="map-enter", className="button")], className="row"),
            html.P(id="map-wrong", className="wrong", role="alert"),
        ]
    )
