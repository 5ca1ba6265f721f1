"""From order lines to events: one purchase or return per order, customer and sign."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import tzinfo
from hashlib import blake2b
from typing import Any, Final

import numpy as np
import pandas as pd

from contracts.events import MAX_ID_LENGTH, MAX_LINES, MAX_MESSAGE_BYTES
from contracts.money import MAX_TOTAL_MILLIONTHS, MILLIONTHS
from contracts.times import rfc3339
from producer.cleaning import Ints, Mask
from producer.lines import Lines
from producer.message import PURCHASE, RETURN, LineJson, Message, OrderJson, encode
from producer.summary import Month, NotSent

_SURELY_SMALL: Final = 1_000
"""So many lines, with ids as long as they may be, stay below MAX_MESSAGE_BYTES."""
_CHUNK: Final = 4_096
"""Events whose lines are Python objects at a time."""


@dataclass(frozen=True, slots=True)
class Orders:
    """Events as columns of one length (events,), by time; of one moment, as they first stand in the file."""

    lines: Lines
    rows: Ints
    """(lines,): places in `lines`, event by event, in each as in the file."""
    starts: Ints
    """The event's lines are rows[starts:ends]."""
    ends: Ints
    occurred_at: Ints
    """Of the earliest line, microseconds UTC."""
    total: Ints
    """Millionths."""
    other_currency: Mask
    """The order has an event in another currency already."""

    def __len__(self) -> int:
        return len(self.starts)

    def select(self, chosen: Mask) -> "Orders":
        """Only some of the events."""
        return Orders(
            self.lines,
            self.rows,
            self.starts[chosen],
            self.ends[chosen],
            self.occurred_at[chosen],
            self.total[chosen],
            self.other_currency[chosen],
        )

    @property
    def first(self) -> Ints:
        """(events,): place in `lines` of each event's first line, which has its customer, order, sign and currency."""
        firsts: Ints = self.rows[self.starts]
        return firsts

    @property
    def returned(self) -> Mask:
        """(events,): whether the event is a return."""
        mask: Mask = self.lines.returned[self.first]
        return mask

    def event_id(self, event: int) -> str:
        """Made of order and sign alone, so that replaying a file again changes nothing."""
        first = self.rows[self.starts[event]]
        suffix = RETURN if self.lines.returned[first] else PURCHASE
        if self.other_currency[event]:
            suffix += ":" + self.lines.currencies[self.lines.currency[first]]
        return _shortened(self.lines.orders[self.lines.order[first]], f":{suffix}")

    def messages(self) -> Iterator[Message]:
        """Every event, encoded, by time."""
        for start in range(0, len(self), _CHUNK):
            yield from self._encoded(range(start, min(start + _CHUNK, len(self))))

    def _encoded(self, events: range) -> Iterator[Message]:
        lines = self.lines
        base = int(self.starts[events.start])
        rows = self.rows[base : self.ends[events.stop - 1]]
        made = list(
            map(
                LineJson,
                [lines.items[code] for code in lines.item[rows].tolist()],
                lines.quantity[rows].tolist(),
                (lines.price[rows] / MILLIONTHS).tolist(),
            )
        )
        for event in events:
            first = self.rows[self.starts[event]]
            customer = lines.customers[lines.customer[first]]
            occurred_at = int(self.occurred_at[event])
            event_id = self.event_id(event)
            body = OrderJson(
                event_id=event_id,
                customer_id=customer,
                occurred_at=rfc3339(occurred_at),
                order_id=_shortened(lines.orders[lines.order[first]]),
                lines=made[self.starts[event] - base : self.ends[event] - base],
                currency=lines.currencies[lines.currency[first]],
                type=RETURN if lines.returned[first] else PURCHASE,
            )
            yield Message(occurred_at, event_id, customer.encode(), encode(body))


def group(lines: Lines) -> Orders:
    """Gather the lines of each order, customer and sign, wherever they stand in the file."""
    keys = np.stack([lines.order, lines.customer, lines.returned.astype(np.int64), lines.currency])
    rows = np.lexsort(keys[::-1])
    keys = keys[:, rows]
    changed = np.ones(len(rows), dtype=bool)
    changed[1:] = (keys[:, 1:] != keys[:, :-1]).any(axis=0)
    starts = np.flatnonzero(changed)
    other = np.zeros(len(starts), dtype=bool)
    other[1:] = (keys[:3, starts[1:]] == keys[:3, starts[:-1]]).all(axis=0)

    occurred_at = np.minimum.reduceat(lines.occurred_at[rows], starts) if len(starts) else lines.occurred_at
    # The sort is stable: the first of an event's rows is the first in the file.
    by_time = np.lexsort((rows[starts], occurred_at))
    lengths = np.diff(np.append(starts, len(rows)))[by_time]
    ends = np.cumsum(lengths)
    within = np.arange(len(rows)) - np.repeat(ends - lengths, lengths)
    rows = rows[np.repeat(starts[by_time], lengths) + within]
    return Orders(
        lines=lines,
        rows=rows,
        starts=ends - lengths,
        ends=ends,
        occurred_at=occurred_at[by_time],
        total=_totals(lines, rows, ends - lengths),
        other_currency=other[by_time],
    )


def _totals(lines: Lines, rows: Ints, starts: Ints) -> Ints:
    """Millionths per event; above the contract's limit, the limit plus one."""
    if not len(starts):
        return np.zeros(0, dtype=np.int64)
    amounts = (lines.quantity * lines.price)[rows]
    exact = np.add.reduceat(amounts, starts)
    rough = np.add.reduceat(amounts.astype(np.float64), starts)  # int64 wraps silently, floats do not
    return np.where(rough < 9.1e18, exact, MAX_TOTAL_MILLIONTHS + 1)


def refused(orders: Orders) -> tuple[Mask, list[NotSent]]:
    """Events that break a limit of the contract: as a mask (events,), and each with its reason."""
    lengths = orders.ends - orders.starts
    reasons = {
        event: f"{lengths[event]} lines; at most {MAX_LINES} may be" for event in np.flatnonzero(lengths > MAX_LINES)
    }
    for event in np.flatnonzero(orders.total > MAX_TOTAL_MILLIONTHS):
        reasons.setdefault(event, "worth more than 9e12")
    large = (lengths > _SURELY_SMALL) & (lengths <= MAX_LINES)
    for event, message in zip(np.flatnonzero(large), orders.select(large).messages(), strict=True):
        if len(message.value) > MAX_MESSAGE_BYTES:
            reasons.setdefault(event, f"{len(message.value)} bytes; at most {MAX_MESSAGE_BYTES} may be")
    mask = np.zeros(len(orders), dtype=bool)
    mask[list(reasons)] = True
    return mask, [NotSent(orders.event_id(int(event)), reason) for event, reason in sorted(reasons.items())]


def months(orders: Orders, zone: tzinfo) -> tuple[Month, ...]:
    """Orders, returns and money by calendar month of `zone` and currency."""
    local = pd.to_datetime(pd.Series(orders.occurred_at), unit="us", utc=True).dt.tz_convert(zone)
    frame = pd.DataFrame(
        {
            "month": local.dt.year * 100 + local.dt.month,
            "currency": orders.lines.currency[orders.first],
            "returned": orders.returned,
            # Added up apart: a month may be worth more than int64 holds in millionths.
            "units": orders.total // MILLIONTHS,
            "millionths": orders.total % MILLIONTHS,
        }
    )
    found = []
    groups: Any = frame.groupby(["month", "currency"])
    for (month, currency), part in groups:
        back = part["returned"]
        found.append(
            Month(
                month=f"{month // 100:04d}-{month % 100:02d}",
                currency=orders.lines.currencies[currency],
                orders=int((~back).sum()),
                returns=int(back.sum()),
                spend=_sum(part[~back]),
                refunds=_sum(part[back]),
            )
        )
    return tuple(found)


def _sum(part: pd.DataFrame) -> int:
    return int(part["units"].sum()) * MILLIONTHS + int(part["millionths"].sum())


def _shortened(order_id: str, suffix: str = "") -> str:
    """An id within the contract's length; what is too long becomes its hash."""
    if len(order_id) + len(suffix) <= MAX_ID_LENGTH:
        return order_id + suffix
    return blake2b(order_id.encode(), digest_size=16).hexdigest() + suffix
