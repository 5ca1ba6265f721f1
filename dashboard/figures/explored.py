"""What an exploration found, as figures of the pages."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import plotly.graph_objects as go

from dashboard.pages.theme import Mode, figure_template, ink, series_color

_SCALES: Final[Mapping[str, Mapping[Mode, tuple[str, str, str]]]] = {
    "sequential": {"light": ("#eef4fa", "#7fb3d9", "#0b4f86"), "dark": ("#1b2634", "#2f6ea3", "#a9d6f7")},
    "diverging": {"light": ("#f2a36b", "#f4f5f7", "#7fb3e6"), "dark": ("#8f4a1c", "#232c38", "#1f5f9e")},
}
"""Few to many, and against to with; numbers in ink can be read on each."""


def colors(legend: Sequence[str], count: int, known: Mapping[str, str], mode: Mode) -> list[str]:
    """The colours of so many traces: what is `known` has its own, whatever place it has in the legend."""
    names = [*legend, *[""] * (count - len(legend))]
    return [known.get(name) or series_color(place, mode) for place, name in enumerate(names)]


def explored(spec: Mapping[str, Any], mode: Mode, colored: Sequence[str] = ()) -> go.Figure:
    """A plain specification without colours and fonts of its own, in those of the pages."""
    data = []
    colored = colored or colors((), len(spec["data"]), {}, mode)
    for trace, color in zip(spec["data"], colored, strict=True):
        styled = dict(trace)
        if "colorscale" in trace:
            low, middle, high = _SCALES[trace["colorscale"]][mode]
            styled["colorscale"] = [[0, low], [0.5, middle], [1, high]]
        if "texttemplate" in trace or "text" in trace:
            styled["textfont"] = {"color": ink("ink", mode)}
        if trace["type"] in {"scatter", "bar"}:
            styled["marker"] = {**trace.get("marker", {}), "color": color}
        data.append(styled)
    layout = {name: value for name, value in spec["layout"].items() if name not in {"height", "shapes"}}
    line = {"color": ink("bad", mode), "width": 2, "dash": "dot"}
    shapes = [
        {**{key: one for key, one in shape.items() if key != "name"}, "line": line}
        for shape in spec["layout"].get("shapes", ())
    ]
    drawn = go.Figure(data=data, layout={**layout, "shapes": shapes})
    drawn.update_layout(template=figure_template(mode))
    return drawn
