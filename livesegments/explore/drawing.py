"""What all figures of a report are drawn with: bars, axes, labels, as plain specifications for plotly.js."""

import html
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

_LOG_TICKS: Final = [0, *(digit * 10**power for power in range(13) for digit in (1, 3))]
_LOG_TICKS_SHOWN: Final = 6
_LONGEST: Final = 28
"""Characters of a label on an axis."""
_BAR_PIXELS: Final = 26
_SHORT: Final = 8
"""Characters of a name that still fits below a bar."""


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure of the report."""

    title: str
    note: str
    """What to read from it, or how it was made."""
    spec: Mapping[str, Any]
    """`data` and `layout` for plotly.js. Colour scales are named `sequential` and `diverging`; the page knows them."""
    legend: Sequence[str] = ()
    """What the colours mean, in the order of `data`; none where there is one colour."""
    wide: bool = False
    """Takes the whole width of a large screen."""


def log_axis(low: float, high: float) -> dict[str, Any]:
    """Ticks at round values of what stands in log1p."""
    ticks = [tick for tick in _LOG_TICKS if low <= np.log1p(tick) <= high + 1e-9]
    ticks = ticks[:: -(-len(ticks) // _LOG_TICKS_SHOWN)] if ticks else []
    return {"tickvals": rounded(np.log1p(ticks)), "ticktext": [written(tick) for tick in ticks]}


def bars(names: Sequence[str], values: Sequence[float | None], hover: str) -> dict[str, Any]:
    """Horizontal bars; names that are alike once they are cut stay apart, since places are numbers."""
    return {
        "type": "bar",
        "orientation": "h",
        "y": list(range(len(names))),
        "x": list(values),
        "hovertemplate": f"{hover}<extra></extra>",
        "meta": [label(name) for name in names],
    }


def bar_layout(count: int, xaxis: Mapping[str, Any]) -> dict[str, Any]:
    """The layout of so many horizontal bars."""
    return {"height": 70 + _BAR_PIXELS * count, "xaxis": dict(xaxis), "bargap": 0.25}


def spec(traces: list[dict[str, Any]], layout: Mapping[str, Any]) -> dict[str, Any]:
    """A figure for plotly.js."""
    layout = {"showlegend": False, **layout}
    names = traces[0].pop("meta", None)
    for trace in traces[1:]:
        trace.pop("meta", None)
    if names is not None:
        layout["yaxis"] = {
            "tickvals": list(range(len(names))),
            "ticktext": names,
            "automargin": True,
            "showgrid": False,
        }
    return {"data": traces, "layout": layout}


def label(text: str) -> str:
    """A text as Plotly shows it literally: its own marks, which look like HTML, are undone; long ones are cut."""
    return html.escape(text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…", quote=False)


def columns(names: Sequence[str], series: Mapping[str, Sequence[float | None]], hover: str) -> dict[str, Any]:
    """Bars over names, several series on top of each other; lying ones where names are too long to stand below."""
    lying = any(len(name) > _SHORT for name in names)
    traces = []
    for values in series.values():
        if lying:
            trace = bars(list(reversed(names)), list(reversed(values)), hover.replace("%{y", "%{x"))
        else:
            trace = {"type": "bar", "x": [label(name) for name in names], "y": list(values)}
            trace["hovertemplate"] = f"{hover}<extra></extra>"
        traces.append(trace)
    layout = bar_layout(len(names), xaxis={}) if lying else {"xaxis": {"type": "category"}, "height": 260}
    return spec(traces, {**layout, "barmode": "relative"})


def rounded(values: Any) -> list[float]:
    """Numbers of six digits: a report need not weigh more."""
    return [float(f"{value:.6g}") for value in np.asarray(values, np.float64).tolist()]


def written(value: float) -> str:
    """A number as people write it."""
    size = abs(value)
    if size >= 1e6:
        return f"{value / 1e6:,.3g} M" if size < 1e9 else f"{value:.3g}"
    if size >= 100 or value == int(value):
        return f"{value:,.0f}"
    return f"{value:.3g}"
