"""A table of order lines, or of profiles, as the events that it tells of."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, tzinfo
from pathlib import Path
from typing import Protocol

import numpy as np
import pandas as pd

from contracts.catalog import CatalogItem
from producer.lines import read_lines
from producer.mapping import ColumnMapping, MappingRequest, resolve
from producer.message import Message
from producer.order_items import order_items
from producer.orders import group, months, refused
from producer.profiles import read_profiles
from producer.summary import Place, ReplaySummary
from producer.table import open_table


class Events(Protocol):
    """Events sorted by time."""

    def __len__(self) -> int: ...

    def messages(self) -> Iterator[Message]:
        """Every event, encoded, by time."""


@dataclass(frozen=True, slots=True)
class Replay:
    """What a table tells: its events, encoded as they are asked for, and their totals."""

    events: Events
    summary: ReplaySummary
    mapping: ColumnMapping
    items: Sequence[CatalogItem] = ()
    """What the table says of the items that its events name."""

    def __len__(self) -> int:
        return len(self.events)

    def __iter__(self) -> Iterator[Message]:
        return self.events.messages()


def read_events(
    path: Path,
    request: MappingRequest | None = None,
    *,
    now: int,
    zone: tzinfo = UTC,
    since: int | None = None,
) -> Replay:
    """Read a table whole and make events of it.

    Args:
        path: CSV, TSV (also compressed), Parquet or XLSX.
        request: What the columns are, where the table is not a known one.
        now: Microseconds UTC: events after it are left out; profiles without a time happen at it.
        zone: Of times that name none.
        since: Microseconds UTC: events before it are left out.

    Raises TableError, MappingError, ColumnError.
    """
    request = request or MappingRequest()
    table = open_table(path, request.sheet, header=request.header)
    mapping = resolve(table.columns, request)
    frame = table.read(set(mapping.columns.values()))
    read = _read_orders if mapping.kind == "orders" else _read_profiles
    return read(frame, mapping, zone, now, since, file=path.name)


def _read_orders(
    frame: pd.DataFrame, mapping: ColumnMapping, zone: tzinfo, now: int, since: int | None, *, file: str
) -> Replay:
    reading = read_lines(frame, mapping, zone, now)
    orders = group(reading.lines)
    refusals, not_sent = refused(orders)
    old = orders.occurred_at < since if since is not None else np.zeros(len(orders), dtype=bool)
    orders = orders.select(~refusals & ~old)
    returned = orders.returned
    summary = ReplaySummary(
        rows=len(frame),
        lines=reading.used,
        skipped=reading.skipped,
        first_skipped=_places(file, reading.first_skipped),
        orders=int((~returned).sum()),
        returns=int(returned.sum()),
        customers=len(np.unique(reading.lines.customer[orders.first])),
        guests=reading.guests,
        months=months(orders, zone),
        first_at=int(orders.occurred_at[0]) if len(orders) else None,
        last_at=int(orders.occurred_at[-1]) if len(orders) else None,
        not_sent=tuple(not_sent),
        refused=len(not_sent),
        before_since=int(old.sum()),
        preset=mapping.preset,
    )
    return Replay(orders, summary, mapping, order_items(frame, mapping, reading))


def _read_profiles(
    frame: pd.DataFrame, mapping: ColumnMapping, zone: tzinfo, now: int, since: int | None, *, file: str
) -> Replay:
    profiles, skipped, first = read_profiles(frame, mapping, zone, now, since)
    summary = ReplaySummary(
        rows=len(frame),
        skipped=skipped,
        first_skipped=_places(file, first),
        profiles=len(profiles),
        customers=len(set(profiles.customers)),
        first_at=int(profiles.occurred_at[0]) if len(profiles) else None,
        last_at=int(profiles.occurred_at[-1]) if len(profiles) else None,
    )
    return Replay(profiles, summary, mapping)


def _places(file: str, rows: Mapping[str, int]) -> dict[str, Place]:
    return {reason: Place(file, row + 1) for reason, row in rows.items()}
