"""What order lines tell, as figures."""

from collections.abc import Iterator
from typing import Final

import numpy as np

from livesegments.explore.drawing import Figure, bar_layout, bars, label, spec
from livesegments.explore.findings import Orders

_WEEKDAYS: Final = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")


def order_figures(found: Orders) -> Iterator[Figure]:
    """Months, hours, best sellers."""
    months = [month.month for month in found.months]
    spend = {"type": "bar", "x": months, "y": [month.spend for month in found.months]}
    refunds = {"type": "bar", "x": months, "y": [-month.refunds for month in found.months]}
    for trace in (spend, refunds):
        trace["hovertemplate"] = "%{x}: %{y:,.0f}<extra></extra>"
    layout = {"barmode": "relative", "xaxis": {"type": "category"}, "height": 280}
    yield Figure(
        f"Spend and refunds, {found.currency}",
        "By calendar month.",
        spec([spend, refunds], layout),
        legend=("spend", "refunds"),
    )
    counts = {
        "orders": [month.orders for month in found.months],
        "customers": [month.customers for month in found.months],
        "returns": [month.returns for month in found.months],
    }
    traces = [
        {"type": "scatter", "mode": "lines+markers", "name": name, "x": months, "y": values}
        for name, values in counts.items()
    ]
    layout = {**layout, "yaxis": {"rangemode": "tozero"}}
    note = "By calendar month; customers are those with an order in it."
    yield Figure("Orders, customers, returns", note, spec(traces, layout), legend=list(counts))
    hours = np.asarray(found.hours)
    used = np.flatnonzero(hours.sum(axis=0))
    first, last = (int(used[0]), int(used[-1]) + 1) if used.size else (0, 24)
    heat = {
        "type": "heatmap",
        "x": [f"{hour:02}" for hour in range(first, last)],
        "y": list(_WEEKDAYS),
        "z": hours[:, first:last].tolist(),
        "colorscale": "sequential",
        "xgap": 2,
        "ygap": 2,
        "showscale": False,
        "hovertemplate": "%{y}, %{x} h: %{z:,} orders<extra></extra>",
    }
    axes = {"xaxis": {"type": "category", "showgrid": False}, "yaxis": {"autorange": "reversed", "showgrid": False}}
    yield Figure("When orders come", "Orders by weekday and hour of the day.", spec([heat], {**axes, "height": 280}))
    best = list(reversed(found.items))
    trace = bars([one.name or one.item_id for one in best], [one.spend for one in best], "%{customdata}")
    trace["customdata"] = [f"{label(one.item_id)}: {one.spend:,.0f}, {one.buyers:,} buyers" for one in best]
    layout = bar_layout(len(best), xaxis={})
    yield Figure(
        f"What brings most, {found.currency}", "Items by spend, before refunds.", spec([trace], layout), wide=True
    )
