"""What became of segments over versions: births, splits, merges, and how far they have drifted."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

import numpy as np
import plotly.graph_objects as go

from contracts.model import ModelDocument
from dashboard.pages.theme import Mode, figure_template, ink, segment_color
from dashboard.pages.widgets import figure_text
from online_model.metric import Metric

_SYMBOLS: Final = {
    "born": "star",
    "split": "triangle-right",
    "restored": "diamond",
    "merged": "triangle-left",
    "gone": "x",
}
_SAID: Final = {
    "born": "is new",
    "split": "split off",
    "restored": "was brought back",
    "merged": "was merged into another",
    "gone": "is gone",
}
_FEW_MARKS: Final = {"nticks": 4, "tickangle": 0}
"""Dates with times of day are wide."""


@dataclass(frozen=True, slots=True)
class Event:
    """What became of one segment with one version."""

    at: datetime
    version: int
    segment_id: int
    name: str
    kind: str
    others: tuple[tuple[int, str, float], ...]
    """Segments its members come from, or went to: id, name, share."""

    def told(self) -> str:
        """In a sentence."""
        shares = ", ".join(f"{share:.0%} {name}" for _, name, share in self.others)
        where = " now in " if self.kind in {"merged", "gone"} else " from "
        return f"{self.name} {_SAID.get(self.kind, self.kind)}" + (f":{where}{shares}" if shares else "")


def lineage(versions: Sequence[ModelDocument]) -> list[Event]:
    """Everything that became of segments, the oldest first, from versions in any order."""
    names: dict[int, str] = {}
    found: list[Event] = []
    for document in sorted(versions, key=lambda one: one.version):
        names |= {one.id: one.name for one in document.segments}
        for one in document.lineage:
            if one.kind != "continued":
                others = one.heirs if one.kind in {"merged", "gone"} else one.origins
                parts = tuple((other, names.get(other, f"Segment {other}"), share) for other, share in others)
                found.append(Event(document.adopted_at, document.version, one.segment_id, one.name, one.kind, parts))
    return found


def timeline(versions: Sequence[ModelDocument], mode: Mode) -> go.Figure:
    """A line for each segment from its first version to its last, and a mark for what became of it."""
    ordered = sorted(versions, key=lambda one: one.version)
    spans: dict[int, list[datetime]] = {}
    names: dict[int, str] = {}
    for document in ordered:
        for one in document.segments:
            spans.setdefault(one.id, []).append(document.adopted_at)
            names[one.id] = one.name
    rows = {segment: place for place, segment in enumerate(spans)}
    drawn = go.Figure()
    for segment, moments in spans.items():
        drawn.add_scatter(
            x=moments,
            y=[rows[segment]] * len(moments),
            mode="lines+markers",
            line={"color": segment_color(segment, mode), "width": 3},
            marker={"size": 5},
            customdata=[figure_text(names[segment])] * len(moments),
            hovertemplate="%{customdata}: in the version of %{x|%-d %b %Y %H:%M}<extra></extra>",
            showlegend=False,
        )
    for kind, symbol in _SYMBOLS.items():
        events = [one for one in lineage(ordered) if one.kind == kind and one.segment_id in rows]
        if events:
            drawn.add_scatter(
                x=[one.at for one in events],
                y=[rows[one.segment_id] for one in events],
                mode="markers",
                marker={"symbol": symbol, "size": 15, "color": ink("ink", mode), "line": {"width": 0}},
                customdata=[figure_text(one.told()) for one in events],
                hovertemplate="%{customdata}<extra></extra>",
                name=_SAID[kind],
            )
    drawn.update_layout(
        template=figure_template(mode),
        xaxis={"type": "date", "showgrid": False, **_FEW_MARKS, **_at_least_a_day(ordered)},
        yaxis={
            "tickvals": list(rows.values()),
            "ticktext": [figure_text(names[segment]) + " " for segment in rows],
            "showgrid": False,
            "zeroline": False,
            "range": [len(rows) - 0.5, -0.5],
        },
    )
    return drawn


def drifts(versions: Sequence[ModelDocument]) -> dict[int, list[tuple[datetime, float]]]:
    """How far each segment's centroid was from where it is now, by segment: in standard deviations of the features.

    Versions with other features can not be compared: only those after the last change of features are.
    """
    ordered = sorted(versions, key=lambda one: -one.version)
    if not ordered:
        return {}
    newest = ordered[0]
    metric = Metric(np.array(newest.means), np.array(newest.deviations))
    now = {one.id: np.array([one.centroid]) for one in newest.segments}
    found: dict[int, list[tuple[datetime, float]]] = {one.id: [] for one in newest.segments}
    for document in ordered:
        if (document.features, document.columns, document.order_value) != (
            newest.features,
            newest.columns,
            newest.order_value,
        ):
            break
        for one in document.segments:
            if one.id in now:
                squared = metric.squared_distances(np.array([one.centroid]), now[one.id])
                found[one.id].insert(0, (document.adopted_at, float(np.sqrt(squared[0, 0]))))
    return found


def drift(versions: Sequence[ModelDocument], mode: Mode) -> go.Figure:
    """How far each segment has come: 0 is where it is now."""
    ordered = sorted(versions, key=lambda one: one.version)
    names = {one.id: one.name for document in ordered for one in document.segments}
    drawn = go.Figure()
    for segment, path in drifts(versions).items():
        drawn.add_scatter(
            x=[at for at, _ in path],
            y=[distance for _, distance in path],
            mode="lines+markers",
            line={"color": segment_color(segment, mode), "width": 2, "shape": "hv"},
            marker={"size": 5},
            name=figure_text(names[segment]),
            hovertemplate="%{y:.2f} standard deviations from where it is now<extra></extra>",
        )
    drawn.update_layout(
        template=figure_template(mode),
        xaxis={"type": "date", "showgrid": False, **_FEW_MARKS, **_at_least_a_day(ordered)},
        yaxis={"title": {"text": "distance from now"}, "rangemode": "tozero"},
    )
    if len(ordered) < 2:
        drawn.add_annotation(
            text="There is one version so far: nothing to compare it with.",
            showarrow=False,
            xref="paper",
            yref="paper",
            x=0.5,
            y=0.5,
            font={"color": ink("muted", mode)},
        )
        drawn.update_yaxes(visible=False)
    return drawn


def _at_least_a_day(versions: Sequence[ModelDocument]) -> dict[str, Any]:
    """The range of an axis of time around versions, the oldest first; nothing where it is best left to plotly."""
    if not versions or versions[-1].adopted_at - versions[0].adopted_at > timedelta(hours=12):
        return {}
    return {"range": [versions[0].adopted_at - timedelta(hours=12), versions[-1].adopted_at + timedelta(hours=12)]}
