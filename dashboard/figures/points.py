"""The map: customers as points in two or three dimensions, by segment, with centroids and outliers.

Flat, the points themselves are no traces: `Points` is what assets/points.js draws beneath the figure (ADR 28).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import plotly.graph_objects as go

from contracts.model import FeatureColumn
from dashboard.customer_sample import CustomerSample
from dashboard.figures.measures import MIXTURE, axis_ticks, title_of
from dashboard.lasso import Axis
from dashboard.pages.theme import Mode, figure_template, ink, segment_color
from dashboard.pages.widgets import figure_text, share, shown
from online_model.arrays import Floats, Integers
from online_model.telling import tell

_ROOM: Final = 0.04
"""Left free at each end of an axis, as a share of it."""
_NUMBER: Final = 1234.0
_SHARE: Final = "123400%"


@dataclass(frozen=True, eq=False, slots=True)
class Direction:
    """One axis of the map."""

    axis: Axis
    title: str
    column: FeatureColumn | None = None
    """The feature that it is; None: a mixture of all."""


@dataclass(frozen=True, eq=False, slots=True, kw_only=True)
class View:
    """How the map is looked at."""

    axes: Sequence[Direction]
    """Two or three."""
    mode: Mode
    currency: str
    shown_id: Callable[[str], str]
    """What is told of a customer's id."""
    segments: Sequence[int] = ()
    """Those to show; none: all."""


def directions(sample: CustomerSample, wanted: Sequence[str]) -> list[Direction]:
    """The axes by their names: `mix-1` is the direction in which customers differ most; a feature goes by its name.

    What there is not (any more) is left out.
    """
    model = sample.model
    mixtures = [name for name in wanted if name.startswith(MIXTURE)]
    most = max((int(name.removeprefix(MIXTURE)) for name in mixtures), default=0)
    projection = sample.projection(min(most, len(model.features))) if most and len(sample.X) > 1 else None
    found = []
    for name in wanted:
        if name in model.features:
            place = model.features.index(name)
            column = model.feature_set.columns[place]
            found.append(Direction(Axis(place), shown(title_of(column)), column))
        elif projection is not None and name.startswith(MIXTURE):
            place = int(name.removeprefix(MIXTURE)) - 1
            if place < len(projection.variances):
                told = _mixture([shown(_briefly(one)) for one in model.feature_set.columns], projection.loadings[place])
                title = f"{told}: {share(projection.explained[place])} of all differences"
                found.append(Direction(Axis.of_component(projection, place), title))
    return found


def on_map(sample: CustomerSample, view: View) -> Integers:
    """The places of the customers that are on the map: those of whom all axes are known."""
    places = np.array([one.axis.of(sample.X, sample.model) for one in view.axes])
    known = ~np.isnan(places).any(axis=0)
    if view.segments:
        known &= np.isin(sample.segments, view.segments)
    return np.flatnonzero(known)


def points(sample: CustomerSample, view: View) -> dict[str, Any]:
    """The customers of a flat map, for points.js: places, segments, and what is told of each."""
    rows = on_map(sample, view)
    x, y = (one.axis.of(sample.X[rows], sample.model) for one in view.axes)
    segments, group = np.unique(sample.segments[rows], return_inverse=True)
    told = sample.told[rows]
    return {
        "x": _rounded(x, 4),
        "y": _rounded(y, 4),
        "group": group.tolist(),
        "far": sample.outlying[rows].astype(int).tolist(),
        "ids": [shown(view.shown_id(sample.customer_ids[row])) for row in rows.tolist()],
        "names": [shown(_name(sample, one)) for one in segments.tolist()],
        "colors": [segment_color(one, view.mode) for one in segments.tolist()],
        "told": [
            {"values": _rounded(told[:, place], 2), **_around(column, view.currency)}
            for place, column in enumerate(sample.model.feature_set.columns)
        ],
    }


def flat(sample: CustomerSample, view: View) -> go.Figure:
    """What stands around the points of a flat map: axes, the middles of segments, names of colours."""
    rows, model = on_map(sample, view), sample.model
    drawn = go.Figure()
    for segment in _by_size(sample, rows):
        drawn.add_scatter(
            x=[None],
            y=[None],
            mode="markers",
            name=figure_text(_name(sample, segment)),
            marker={"color": segment_color(segment, view.mode), "size": 10},
        )
    drawn.add_scatter(**_middles(sample, view, 16), mode="markers", showlegend=False)
    ticks = []
    for one in view.axes:
        values = np.concatenate([one.axis.of(sample.X[rows], model), one.axis.of(model.centroids, model)])
        low, high = values.min(), values.max()
        room = (high - low or 1.0) * _ROOM
        # Lines of the figure would lie above the points.
        span = {
            "range": [float(low - room), float(high + room)],
            "zeroline": False,
            "showgrid": False,
            "showline": True,
        }
        ticks.append({"title": {"text": _in_lines(one)}, **span, **axis_ticks(one.column, values, model.order_value)})
    drawn.update_layout(
        template=figure_template(view.mode),
        legend={"itemclick": False, "itemdoubleclick": False},
        dragmode="lasso",
        xaxis=ticks[0],
        yaxis=ticks[1],
        newselection={"line": {"color": ink("ink", view.mode), "width": 2, "dash": "dot"}},
        activeselection={"fillcolor": ink("accent", view.mode), "opacity": 0.1},
    )
    return drawn


def deep(sample: CustomerSample, view: View) -> go.Figure:
    """A map of three axes, to be turned."""
    rows, model = on_map(sample, view), sample.model
    coordinates = [one.axis.of(sample.X, model) for one in view.axes]
    drawn = go.Figure()
    for segment in _by_size(sample, rows):
        own = rows[sample.segments[rows] == segment]
        drawn.add_scatter3d(
            x=coordinates[0][own],
            y=coordinates[1][own],
            z=coordinates[2][own],
            mode="markers",
            name=figure_text(_name(sample, segment)),
            text=[figure_text(view.shown_id(sample.customer_ids[row])) for row in own.tolist()],
            hovertemplate="<b>%{text}</b><extra>%{fullData.name}</extra>",
            marker={
                "color": segment_color(segment, view.mode),
                "size": np.where(sample.outlying[own], 5, 3),
                "opacity": 0.75,
                "line": {"width": 0},
            },
        )
    middles = _middles(sample, view, 7)
    middles["marker"] |= {"symbol": "diamond", "line": {"width": 0}, "color": ink("ink", view.mode)}
    drawn.add_scatter3d(**middles, mode="markers", showlegend=False)
    ticks = [
        {
            "title": {"text": figure_text(one.title.partition(":")[0])},
            **axis_ticks(one.column, values[rows], model.order_value),
        }
        for one, values in zip(view.axes, coordinates, strict=True)
    ]
    drawn.update_layout(
        template=figure_template(view.mode),
        scene={
            "xaxis": ticks[0],
            "yaxis": ticks[1],
            "zaxis": ticks[2],
            "dragmode": "turntable",
            "aspectmode": "cube",
            "camera": {"eye": {"x": 1.6, "y": 1.6, "z": 0.9}},
        },
        legend={"itemclick": False, "itemdoubleclick": False, "itemsizing": "constant"},
        margin={"l": 0, "r": 0, "b": 0},
    )
    return drawn


def _in_lines(direction: Direction) -> str:
    """A title that fits a phone: of a mixture, its share of all differences stands below."""
    if direction.column is not None:
        return figure_text(direction.title)
    mixed, _, share = direction.title.rpartition(": ")
    return f"{figure_text(mixed)}<br>{figure_text(share)}"


def _middles(sample: CustomerSample, view: View, size: int) -> dict[str, Any]:
    """The adopted centroids as a trace."""
    model = sample.model
    places = [place for place, one in enumerate(model.segments) if not view.segments or one.id in view.segments]
    names = [_name(sample, model.segments[place].id, model.segments[place].name) for place in places]
    coordinates = [one.axis.of(model.centroids, model)[places] for one in view.axes]
    return {
        **dict(zip("xyz", coordinates, strict=False)),
        "name": "middles of segments",
        "text": [figure_text(name) for name in names],
        "hovertemplate": "the middle of %{text}<extra></extra>",
        "marker": {
            "color": [segment_color(model.segments[place].id, view.mode) for place in places],
            "size": size,
            "symbol": "x",
            "line": {"width": 2, "color": ink("surface", view.mode)},
        },
    }


def _by_size(sample: CustomerSample, rows: Integers) -> list[int]:
    segments, sizes = np.unique(sample.segments[rows], return_counts=True)
    return [int(one) for one in segments[np.argsort(-sizes, kind="stable")]]


def _name(sample: CustomerSample, segment: int, otherwise: str = "") -> str:
    return sample.names.get(segment) or otherwise or f"Segment {segment}"


def _around(column: FeatureColumn, currency: str) -> dict[str, Any]:
    """What stands before and after a feature's number, as it is told."""
    said = tell(column, _NUMBER, currency)
    percent = _SHARE in said
    before, number, after = said.partition(_SHARE if percent else "1,234")
    if not number:
        before, after = "", f" {title_of(column)}"
    return {"before": shown(before), "after": shown(after), "percent": percent}


def _briefly(column: FeatureColumn) -> str:
    return title_of(column).partition(" (")[0]


def _mixture(names: Sequence[str], loadings: Floats) -> str:
    """The two features that count most, each with which way."""
    first = np.argsort(-np.abs(loadings), kind="stable")[:2]
    return ", ".join(f"{'more' if loadings[place] > 0 else 'less'} {names[place]}" for place in first)


def _rounded(values: Floats, decimals: int) -> list[float | None]:
    """A picture needs no more digits, and the page loads faster."""
    rounded: list[float | None] = np.round(values, decimals).tolist()
    for place in np.flatnonzero(np.isnan(values)).tolist():
        rounded[place] = None
    return rounded
