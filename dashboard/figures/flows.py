"""Who moved from where to where: stream days added up, as a Sankey diagram and by day."""

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Any, Final

import plotly.graph_objects as go

from contracts.documents import HistoryDay
from dashboard.pages.theme import Mode, cause_color, figure_template, ink, segment_color
from dashboard.pages.widgets import figure_text
from online_model.by_rule import RULE_SEGMENTS
from online_model.model import SPECIAL_SEGMENTS

CAUSES: Final = ("purchase", "return", "profile", "time", "model", "alias", "erased")
"""Of moves, in the order in which they are shown."""
NEW: Final = "First seen"
ERASED: Final = "Erased"
_FEW_DAYS: Final = 10
_BAR_OF_FEW: Final = 20 * 3_600_000
"""Milliseconds that a bar is wide where it would fill the figure otherwise."""
_LEAST: Final = 0.005
"""Of all moves: a way of fewer is no band."""
_THIN: Final = 0.55
"""Opacity of a band."""


@dataclass(frozen=True, slots=True)
class Flow:
    """So many customers who went one way, in all of a period."""

    origin: int | None
    """Segment id; None: new customers."""
    target: int | None
    """None: erased."""
    cause: str
    customers: int


def flows(days: Sequence[HistoryDay], causes: Collection[str] = CAUSES) -> list[Flow]:
    """All moves of some days for these causes, the largest first; `days` in any order."""
    added: Counter[tuple[int | None, int | None, str]] = Counter()
    for day in days:
        for move in day.moves:
            if move.cause in causes:
                added[move.from_segment, move.to_segment, move.cause] += move.customers
    return [Flow(*way, customers) for way, customers in added.most_common()]


def segment_names(days: Sequence[HistoryDay]) -> dict[int, str]:
    """What segments were called last, by id; those that are called alike are told apart by their ids."""
    names = {**SPECIAL_SEGMENTS, **{segment: _by_rule(one.name) for segment, one in RULE_SEGMENTS.items()}}
    for day in sorted(days, key=lambda one: one.day):
        names |= {one.id: _by_rule(one.name) if one.by_rule else one.name for one in day.segments}
    often = Counter(names.values())
    return {one: name if often[name] == 1 else f"{name} ({one})" for one, name in names.items()}


def _by_rule(name: str) -> str:
    return f"{name} (by rule)"


def period(days: Sequence[HistoryDay], first: date, last: date) -> list[HistoryDay]:
    """The days from one to another, both included."""
    return [day for day in days if first <= day.day <= last]


def sankey(found: Sequence[Flow], names: dict[int, str], mode: Mode) -> go.Figure:
    """Segments before at the left, after at the right, a band for each way and cause, in the colour of the cause.

    Without the ways of so few that their names would lie on each other.
    """
    least = _LEAST * sum(one.customers for one in found)
    found = [one for one in found if one.customers >= least]
    origins = _ends([(one.origin, one.customers) for one in found])
    targets = _ends([(one.target, one.customers) for one in found])
    left = {end: place for place, end in enumerate(origins)}
    right = {end: len(origins) + place for place, end in enumerate(targets)}
    labels = [names.get(end, f"Segment {end}") if end is not None else NEW for end in origins]
    labels += [names.get(end, f"Segment {end}") if end is not None else ERASED for end in targets]
    drawn = go.Figure(
        go.Sankey(
            arrangement="snap",
            textfont={"color": ink("ink", mode), "size": 13},
            node={
                "label": [figure_text(label) for label in labels],
                "color": [
                    ink("muted", mode) if end is None else segment_color(end, mode) for end in (*origins, *targets)
                ],
                "pad": 18,
                "thickness": 16,
                "line": {"width": 0},
                "hovertemplate": "%{label}: %{value:,} moves<extra></extra>",
            },
            link={
                "source": [left[one.origin] for one in found],
                "target": [right[one.target] for one in found],
                "value": [one.customers for one in found],
                "color": [faint(cause_color(one.cause, mode)) for one in found],
                "customdata": [said(one.cause) for one in found],
                "hovertemplate": "%{source.label} → %{target.label}: %{value:,} by %{customdata}<extra></extra>",
            },
        )
    )
    drawn.update_layout(template=figure_template(mode), margin={"l": 8, "r": 8, "t": 12, "b": 12})
    return drawn


def moves_by_day(days: Sequence[HistoryDay], mode: Mode, causes: Collection[str] = CAUSES) -> go.Figure:
    """How many customers moved on each stream day, by cause."""
    ordered = sorted(days, key=lambda one: one.day)
    drawn = go.Figure()
    for cause in CAUSES:
        counts = [sum(move.customers for move in day.moves if move.cause == cause) for day in ordered]
        if cause in causes and any(counts):
            drawn.add_bar(
                x=[day.day for day in ordered],
                y=counts,
                name=said(cause),
                marker={"color": cause_color(cause, mode), "line": {"width": 0}},
                width=_BAR_OF_FEW if len(ordered) <= _FEW_DAYS else None,
                hovertemplate="%{x|%-d %b %Y}: %{y:,} by " + said(cause) + "<extra></extra>",
            )
    drawn.update_layout(
        template=figure_template(mode),
        barmode="stack",
        bargap=0.15,
        showlegend=True,
        legend={"y": -0.18, "yanchor": "top"},
        xaxis={"type": "date", "showgrid": False, "tickformat": "%-d %b", **_ticks([day.day for day in ordered])},
        yaxis={"title": {"text": "customers who moved"}},
    )
    return drawn


def _ticks(days: Sequence[date]) -> dict[str, Any]:
    """Of few days a mark for each, between which plotly would put hours, and room, which their bars would fill."""
    if not days or len(days) > _FEW_DAYS:
        return {}
    room = timedelta(days=(_FEW_DAYS - (max(days) - min(days)).days) / 2)
    first, last = (datetime.combine(one, time()) for one in (min(days), max(days)))
    return {"tickvals": list(days), "range": [first - room, last + room] if room > timedelta() else None}


def said(cause: str) -> str:
    """A cause as a heading.

    >>> said("time"), said("model")
    ('time passing', 'segments learnt anew')
    """
    told = {
        "purchase": "purchase",
        "return": "return",
        "profile": "profile",
        "time": "time passing",
        "model": "segments learnt anew",
        "alias": "an id that was joined or split off",
        "erased": "erasure",
    }
    return told.get(cause, cause)


def faint(color: str, opacity: float = _THIN) -> str:
    """A colour as "#rrggbb" that lets through what lies below it.

    >>> faint("#ff8000", 0.5)
    'rgba(255,128,0,0.5)'
    """
    red, green, blue = (int(color[place : place + 2], 16) for place in (1, 3, 5))
    return f"rgba({red},{green},{blue},{opacity})"


def _ends(counted: Sequence[tuple[int | None, int]]) -> list[int | None]:
    """The ends of flows, the busiest first."""
    added: Counter[int | None] = Counter()
    for end, customers in counted:
        added[end] += customers
    return [end for end, _ in added.most_common()]
