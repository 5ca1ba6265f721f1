"""Where an exploration looks: a table of order lines or of profiles, or the live customers in Redis."""

from collections.abc import Mapping, Sequence
from datetime import UTC, tzinfo
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd

from consumer.state import State
from contracts.keys import BUCKETS
from contracts.times import DAY, rfc3339, to_micros
from livesegments.categories import CategorySource, no_categories
from livesegments.explore.findings import Exploration
from livesegments.explore.looking import look
from livesegments.explore.orders import customers_of, orders_of
from livesegments.load import read_customers
from livesegments.records import count_partitions
from livesegments.settings import Settings
from producer.cleaning import clean_ids
from producer.lines import read_lines
from producer.mapping import ColumnMapping, MappingError, MappingRequest, resolve
from producer.table import TableError, TableFile, open_table

LIVE_CUSTOMERS: Final = 200_000
"""About so many customers are read at most; more are sampled."""
_KINDS: Final = {
    "customer_id": "text",
    "order_id": "text",
    "item_id": "text",
    "name": "text",
    "occurred_at": "time",
    "quantity": "number",
    "unit_price": "number",
    "amount": "number",
    "currency": "category",
    "category": "category",
}
"""What the fields of a table of order lines are."""
_SEGMENT: Final = "segment_name"
_FEATURE: Final = "feature_"


def explore_file(
    path: Path,
    request: MappingRequest,
    *,
    now: int,
    only: Sequence[str] = (),
    zone: tzinfo = UTC,
    seed: int = 0,
) -> Exploration:
    """Explore a table. Raises TableError, MappingError, ColumnError.

    Args:
        path: CSV, TSV (also compressed), Parquet or XLSX.
        request: What the columns are, where the table is not a known one.
        now: Microseconds UTC; stands in the report, and order lines after it are left out.
        only: The columns to look at besides those that order lines are made of; all by default.
        zone: Of times that name none.
        seed: Of samples.
    """
    table = open_table(path, request.sheet, header=request.header)
    unknown = [name for name in only if name not in table.columns]
    if unknown:
        raise TableError(f"{path}: there is no column {unknown[0]!r}; it has {', '.join(table.columns)}")
    names = [name for name in table.columns if not only or name in only]
    mapping = _mapping(table, request)
    if mapping is not None and mapping.kind == "orders":
        return _explore_orders(table, names, mapping, now=now, zone=zone, seed=seed)
    frame = table.read(names)
    kinds = {} if mapping is None else {mapping.columns["customer_id"]: "text"}
    if mapping is not None and "occurred_at" in mapping.columns:
        kinds[mapping.columns["occurred_at"]] = "time"
    ids = frame[next(iter(kinds))].tolist() if kinds and next(iter(kinds)) in frame else None
    found = look(
        "Profiles",
        "A row is a customer." if mapping is not None else "A row is a row of the file.",
        names,
        lambda name: frame[name],
        zone=zone,
        seed=seed,
        kinds=kinds,
        time_format=request.time_format,
        ids=ids,
    )
    facts = [("rows", f"{found.rows:,}"), ("columns", f"{len(names):,}")]
    return Exploration(path.name, rfc3339(now), facts, _sampled(found.rows, found.looked_at), [found])


def explore_live(
    state: State,
    settings: Settings,
    *,
    now: int,
    seed: int = 0,
    categories: CategorySource = no_categories,
    segment_id: int | None = None,
    most: int = LIVE_CUSTOMERS,
) -> Exploration:
    """Explore the customers of a deployment as they stand in Redis; where there are more than `most`, a uniform sample.

    `now`, in microseconds UTC, is what the days since purchases are counted to with `clock = "wall"`. With a
    `segment_id` only its customers are looked at, among those of the sample. Raises TableError where there are none.
    """
    first = read_customers(state, settings, 1, categories)
    expected = max(len(first), 1) * BUCKETS
    buckets = max(1, min(BUCKETS, BUCKETS * most // expected))
    frame = read_customers(state, settings, buckets, categories)
    if segment_id is not None:
        frame = frame[(frame["segment_id"] == segment_id).fillna(value=False)].reset_index(drop=True)
    if frame.empty:
        raise TableError(
            "there are no customers yet: `livesegments worker` makes them from the log's events"
            if segment_id is None
            else f"none of the customers that were looked at is in segment {segment_id}"
        )
    purchases = frame["last_purchase_at"]
    as_of = now if settings.clock == "wall" or purchases.isna().all() else to_micros(purchases.max().to_pydatetime())
    recency = (pd.Timestamp(as_of, unit="us", tz="UTC") - purchases).dt.total_seconds() * 1e6 / DAY
    frame.insert(1, "recency_days", recency)
    features = [name for name in frame.columns if name.startswith(_FEATURE)]
    left_out = {*features, "customer_id", "segment_id", "cluster", "tags"}
    common: dict[str, Any] = {
        "zone": UTC,
        "seed": seed,
        "ids": frame["customer_id"].tolist(),
        "label": _SEGMENT,
        "kinds": {_SEGMENT: "category"},
    }
    tables = [
        look(
            "Customers",
            f"A row is a customer; money is in {settings.currency}.",
            [name for name in frame.columns if name not in left_out],
            lambda name: frame[name],
            **common,
        )
    ]
    if frame[features].notna().any(axis=None):
        tables.append(
            look(
                "What the model compares",
                "A row is a customer; columns are the features that segments are learnt from, as they are compared.",
                [*features, _SEGMENT],
                lambda name: frame[name].rename(name.removeprefix(_FEATURE)),
                **common,
            )
        )
    notes = _sampled(len(frame), tables[0].looked_at)
    if buckets < BUCKETS:
        notes.insert(0, f"A uniform sample: {buckets:,} of {BUCKETS:,} parts of all customers.")
    facts = [
        ("customers", f"{len(frame):,}"),
        ("orders", f"{int(frame['orders'].sum()):,}"),
        (f"spend {settings.currency}", f"{frame['spend'].sum():,.0f}"),
        ("segments", f"{frame[_SEGMENT].nunique():,}"),
        ("partitions", f"{count_partitions(state) or 0:,}"),
    ]
    return Exploration(f"live customers of {settings.key_prefix}", rfc3339(now), facts, notes, tables)


def _mapping(table: TableFile, request: MappingRequest) -> ColumnMapping | None:
    """What the columns are; None for a table that is neither orders nor profiles, and of which nothing is said."""
    try:
        return resolve(table.columns, request)
    except MappingError:
        if request.columns or request.constants:
            raise
        return None


def _explore_orders(
    table: TableFile, names: Sequence[str], mapping: ColumnMapping, *, now: int, zone: tzinfo, seed: int
) -> Exploration:
    frame = table.read({*names, *mapping.columns.values()})
    kinds = {column: _KINDS[name] for name, column in mapping.columns.items()}
    found = look(
        "Order lines",
        "A row is a line of an order or of a return, as it stands in the file.",
        names,
        lambda name: frame[name],
        zone=zone,
        seed=seed,
        kinds=kinds,
        time_format=mapping.time_format,
    )
    reading = read_lines(frame, mapping, zone, now)
    lines = reading.lines
    if not len(lines):
        reasons = ", ".join(f"{count:,} {reason}" for reason, count in reading.skipped.items())
        raise TableError(f"{table.path}: no row is an order line of a customer: {reasons}")
    orders = orders_of(reading, _item_names(frame, mapping), zone)
    customers = customers_of(lines)
    behind = look(
        "Customers",
        "A row is a customer, made from the order lines above, as of the last one of all.",
        [name for name in customers.columns if name != "customer_id"],
        lambda name: customers[name],
        zone=zone,
        seed=seed,
        kinds=dict.fromkeys(customers.columns, "number"),
        ids=customers["customer_id"].tolist(),
    )
    spend = sum(month.spend for month in orders.months)
    refunds = sum(month.refunds for month in orders.months)
    span = f"{rfc3339(int(lines.occurred_at.min()))[:10]} to {rfc3339(int(lines.occurred_at.max()))[:10]}"
    facts = [
        ("order lines", f"{found.rows:,}"),
        ("orders", f"{sum(month.orders for month in orders.months):,}"),
        ("customers", f"{behind.rows:,}"),
        (f"spend {orders.currency}", f"{spend:,.0f}"),
        ("came back", f"{refunds / spend:.1%}" if spend else "–"),
        ("period", span),
    ]
    notes = _sampled(found.rows, found.looked_at)
    if len(lines.currencies) > 1:
        notes.append("Amounts of several currencies are added up as they stand.")
    return Exploration(table.path.name, rfc3339(now), facts, notes, [found, behind], orders)


def _item_names(frame: pd.DataFrame, mapping: ColumnMapping) -> Mapping[str, str]:
    """The first name that the table has for each item."""
    if not {"item_id", "name"} <= mapping.columns.keys():
        return {}
    names = frame[mapping.columns["name"]]
    ids = clean_ids(frame[mapping.columns["item_id"]])
    there = np.flatnonzero(names.notna().to_numpy(dtype=bool) & (ids.codes >= 0))
    codes, first = np.unique(ids.codes[there], return_index=True)
    return {ids.texts[code]: str(name).strip() for code, name in zip(codes, names.iloc[there[first]], strict=True)}


def _sampled(rows: int, looked_at: int) -> list[str]:
    if looked_at >= rows:
        return []
    return [
        f"Correlations and points come from {looked_at:,} of {rows:,} rows, drawn at random; all else from all rows."
    ]
