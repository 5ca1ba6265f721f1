"""Each two columns as points of a plane."""

from collections.abc import Iterator, Mapping
from itertools import combinations
from typing import Any

import numpy as np

from livesegments.explore.columns import Floats
from livesegments.explore.drawing import Figure, label, log_axis, rounded, spec
from livesegments.explore.findings import Pairs

_ROOM = 0.04
"""Left free at each end of an axis, as a share of it."""


def pair_figures(found: Pairs) -> Iterator[Figure]:
    """A figure for each two columns."""
    cells = [np.array([np.nan if one is None else one for one in points]) for points in found.points]
    groups = _places(found)
    for x, y in combinations(range(len(cells)), 2):
        traces = [
            _points(group, _scaled(found, x, cells[x][rows]), _scaled(found, y, cells[y][rows]))
            for group, rows in groups.items()
        ]
        layout = {
            "xaxis": _axis(found, x),
            "yaxis": _axis(found, y),
            "height": 320,
        }
        note = f"{len(cells[x]):,} rows" + (f", coloured by {found.labelled_by}" if found.labelled_by else "")
        note += "; logarithmic scale" if found.log[x] or found.log[y] else ""
        yield Figure(
            f"{found.names[x]} and {found.names[y]}", f"{note}.", spec(traces, layout), legend=[*filter(None, groups)]
        )


def _places(found: Pairs) -> dict[str, Any]:
    """The rows of each group, the largest first."""
    if found.labels is None:
        return {"": slice(None)}
    labels = np.array(found.labels)
    groups, sizes = np.unique(labels, return_counts=True)
    return {str(group): labels == group for group in groups[np.argsort(-sizes, kind="stable")]}


def _points(group: str, x: Floats, y: Floats) -> dict[str, Any]:
    there = ~(np.isnan(x) | np.isnan(y))
    return {
        "type": "scatter",
        "mode": "markers",
        "name": label(group),
        "x": rounded(x[there]),
        "y": rounded(y[there]),
        "hoverinfo": "name" if group else "skip",
        "marker": {"size": 5, "opacity": 0.55},
    }


def _scaled(found: Pairs, column: int, cells: Floats) -> Floats:
    return np.log1p(cells) if found.log[column] else cells


def _axis(found: Pairs, column: int) -> Mapping[str, Any]:
    """From where to where nearly all values are: a few far ones would press all others into a corner."""
    low, high = _scaled(found, column, np.array(found.spans[column])).tolist()
    room = (high - low) * _ROOM
    ticks = log_axis(low, high) if found.log[column] else {}
    return {**ticks, "range": [low - room, high + room], "title": {"text": label(found.names[column])}}
