"""Findings as Plotly figures: plain specifications, without colours and fonts of their own, which are the page's."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final

import numpy as np

from livesegments.explore.drawing import Figure, bar_layout, bars, columns, label, log_axis, rounded, spec, written
from livesegments.explore.findings import (
    CategoryColumn,
    Correlations,
    Exploration,
    Groups,
    Histogram,
    NumberColumn,
    Outliers,
    Table,
    TimeColumn,
)
from livesegments.explore.order_figures import order_figures
from livesegments.explore.pair_figures import pair_figures

_GROUP_FIGURES: Final = 6


@dataclass(frozen=True, slots=True)
class Section:
    """Figures that belong together."""

    title: str
    figures: Sequence[Figure]


def sections(found: Exploration) -> Iterator[Section]:
    """Every figure of the report, in the order in which it is read."""
    if found.orders is not None:
        yield Section("Orders", list(order_figures(found.orders)))
    for table in found.tables:
        yield Section(table.title, list(_table(table)))


def _table(table: Table) -> Iterator[Figure]:
    if any(column.missing for column in table.columns):
        yield _missing(table)
    for groups in table.groups:
        yield from _groups(groups)
    grouped = {groups.column for groups in table.groups if not groups.ranges}
    for column in table.columns:
        if isinstance(column, NumberColumn):
            yield _distribution(column, table.rows)
        elif isinstance(column, CategoryColumn) and column.name not in grouped:
            yield _levels(column, table.rows)
        elif isinstance(column, TimeColumn):
            yield _over_time(column)
    if table.correlations is not None:
        yield _correlations(table.correlations)
    if table.pairs is not None:
        yield from pair_figures(table.pairs)
    if table.outliers is not None and table.outliers.rows:
        yield _outliers(table.outliers)


def _missing(table: Table) -> Figure:
    gaps = sorted((column.missing / table.rows, column.name) for column in table.columns if column.missing)
    complete = len(table.columns) - len(gaps)
    trace = bars([name for _, name in gaps], [share for share, _ in gaps], "%{x:.1%} missing")
    layout = bar_layout(len(gaps), xaxis={"tickformat": "~%", "range": [0, max(share for share, _ in gaps) * 1.3]})
    trace |= {"texttemplate": "%{x:.1%}", "textposition": "outside", "cliponaxis": False}
    return Figure("Missing values", f"{complete} of {len(table.columns)} columns have none.", spec([trace], layout))


def _distribution(column: NumberColumn, rows: int) -> Figure:
    quantiles, drawn = column.quantiles, column.histogram
    low, median, high = (written(quantiles[name]) for name in ("p25", "median", "p75"))
    note = f"Half lie between {low} and {high}; the median is {median}."
    if drawn.below or drawn.above:
        far = f"{written(quantiles['min'])} to {written(quantiles['max'])}"
        note += f" Beyond the ends lie {drawn.below:,} and {drawn.above:,}: values go from {far}."
    if drawn.log:
        note += " Logarithmic scale."
    if column.missing:
        note += f" Missing: {column.missing / rows:.1%}."
    if column.unusable:
        note += f" No number: {column.unusable:,}."
    return Figure(column.name, note, _histogram(drawn, quantiles["median"]))


def _histogram(drawn: Histogram, median: float) -> dict[str, Any]:
    edges = np.asarray(drawn.edges)
    at = np.log1p(edges) if drawn.log else edges
    trace = {
        "type": "bar",
        "x": rounded((at[:-1] + at[1:]) / 2),
        "y": list(drawn.counts),
        "width": rounded(np.diff(at) * 0.94),
        "customdata": [f"{written(low)} to {written(high)}" for low, high in pairwise(edges)],
        "hovertemplate": "%{customdata}: %{y:,}<extra></extra>",
    }
    middle = float(np.log1p(median)) if drawn.log else median
    line = {"type": "line", "x0": middle, "x1": middle, "y0": 0, "y1": 1, "yref": "paper", "name": "median"}
    axis = log_axis(at[0], at[-1]) if drawn.log else {}
    return spec([trace], {"shapes": [line], "xaxis": axis, "height": 210})


def _levels(column: CategoryColumn, rows: int) -> Figure:
    shown = list(reversed(column.levels))
    trace = bars([level for level, _ in shown], [count for _, count in shown], "%{x:,}")
    trace |= {"text": [f"{count / rows:.1%}" for _, count in shown], "textposition": "outside", "cliponaxis": False}
    note = f"{column.distinct:,} different values."
    if column.others:
        note = f"The {len(shown)} most frequent of {column.distinct:,}; all others: {column.others / rows:.1%}."
    if column.missing:
        note += f" Missing: {column.missing / rows:.1%}."
    most = max(count for _, count in shown)
    layout = bar_layout(len(shown), xaxis={"range": [0, most * 1.3]})
    return Figure(column.name, note, spec([trace], layout))


def _over_time(column: TimeColumn) -> Figure:
    trace = {
        "type": "bar",
        "x": [start for start, _ in column.counts],
        "y": [count for _, count in column.counts],
        "hovertemplate": f"{column.step} of %{{x|%Y-%m-%d}}: %{{y:,}}<extra></extra>",
    }
    note = f"Rows a {column.step}, from {column.first[:10]} to {column.last[:10]}."
    if column.missing or column.unusable:
        note += f" Without a time: {column.missing + column.unusable:,}."
    layout = {"xaxis": {"type": "date"}, "height": 210}
    return Figure(column.name, note, spec([trace], layout))


def _correlations(found: Correlations) -> Figure:
    names = [label(name) for name in found.names]
    places = list(range(len(names)))  # not names: two may be alike once they are cut
    trace = {
        "type": "heatmap",
        "x": places,
        "y": places,
        "z": [list(line) for line in found.matrix],
        "customdata": [[f"{one} and {other}" for other in names] for one in names],
        "zmin": -1,
        "zmax": 1,
        "colorscale": "diverging",
        "xgap": 2,
        "ygap": 2,
        "texttemplate": "%{z:.2f}",
        "hovertemplate": "%{customdata}: %{z:.2f}<extra></extra>",
        "showscale": False,
    }
    axis = {"tickvals": places, "ticktext": names, "showgrid": False, "zeroline": False}
    layout = {
        "xaxis": {**axis, "tickangle": -35},
        "yaxis": {**axis, "autorange": "reversed"},
        "height": 150 + 34 * len(names),
    }
    note = (
        "Spearman's rank correlation. 1: both rise together; -1: one falls as the other rises; "
        "0: neither tells of the other."
    )
    return Figure("Correlations", note, spec([trace], layout), wide=len(names) > 5)


def _groups(found: Groups) -> Iterator[Figure]:
    names = [group.label for group in found.groups]
    total = sum(group.rows for group in found.groups)
    parts = sorted({part for group in found.groups for part in group.parts})
    series: dict[str, Sequence[float | None]] = {"": [group.rows for group in found.groups]}
    if parts:
        series = {part: [group.parts.get(part, 0) for group in found.groups] for part in parts}
    note = f"{total:,} rows in {len(names)} groups" + (f", by {found.by}." if found.by else ".")
    title = f"{found.column} groups" if found.ranges else f"Rows by {found.column}"
    yield Figure(title, note, columns(names, series, "%{y:,}"), legend=parts)
    for name in list(found.groups[0].medians)[:_GROUP_FIGURES] if found.groups else ():
        medians = [group.medians[name] for group in found.groups]
        figure = columns(names, {"": medians}, "%{y:,.4~g}")
        yield Figure(f"{name} by {found.column}", "The median of each group.", figure)


def _outliers(found: Outliers) -> Figure:
    names = [name for name in found.low if found.low[name] or found.high[name]]
    names.sort(key=lambda name: found.low[name] + found.high[name])
    traces = [
        bars(names, [-found.low[name] for name in names], "%{customdata:,} far below"),
        bars(names, [found.high[name] for name in names], "%{customdata:,} far above"),
    ]
    for trace, counts in zip(traces, (found.low, found.high), strict=True):
        trace["customdata"] = [counts[name] for name in names]
    layout = {**bar_layout(len(names), xaxis={"zeroline": True}), "barmode": "relative"}
    note = (
        f"{found.rows:,} rows lie more than {found.threshold} robust deviations from the median of some column;"
        " where values spread widely, on a logarithmic scale."
    )
    return Figure("Outliers", note, spec(traces, layout), legend=("far below", "far above"))
