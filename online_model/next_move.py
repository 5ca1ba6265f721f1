"""What moves a customer next: how many days without an order, or how many more orders, and to which segment."""

from dataclasses import dataclass, replace
from typing import Final, NamedTuple

import numpy as np

from contracts.documents import RuleThresholds
from contracts.times import DAY
from online_model.arrays import Integers, Labels
from online_model.by_rule import by_rule
from online_model.features import MISSING_TIME, RowColumns, days_since
from online_model.model import SegmentModel
from online_model.names import Members
from online_model.rhythm import Rhythm
from online_model.seasons import lapsing_segments, spared
from online_model.what_if import Futures

MOST_DAYS: Final = 730
"""So far ahead silence is looked at."""
MOST_ORDERS: Final = 20
"""So many more orders are looked at."""


@dataclass(frozen=True, eq=False, slots=True, kw_only=True)
class Subject:
    """One customer as they are published."""

    customer_id: str
    row: RowColumns
    """Of this customer alone."""
    segment: int
    """What is published now."""
    since: int
    """Microseconds UTC."""
    purchases: Integers
    """When, (kept purchases,), microseconds UTC, rising."""
    audiences: tuple[str, ...] = ()
    rhythm: Rhythm
    """Of these purchases."""


class Move(NamedTuple):
    """The least that moves a customer, and to which segment."""

    amount: int
    """Days without an order, or orders of the usual value."""
    segment: int


def published(subject: Subject, by: SegmentModel | RuleThresholds, futures: Futures) -> Labels:
    """The segment in each future, (futures,), for a customer who is where they are now until then.

    By rule it is that of the thresholds as they stand: the others go on as they do.
    """
    ids = _ruled(by, futures) if isinstance(by, RuleThresholds) else _learned(subject, by, futures)
    # Another order is a new look at the rhythm, and nobody is silent who just bought.
    season_begins = np.where(futures.orders_more > 0, MISSING_TIME, subject.rhythm.season_begins)
    lapsing = lapsing_segments(by if isinstance(by, SegmentModel) else None)
    return spared(ids, lapsing, season_begins, futures.now + futures.silence)


def _learned(subject: Subject, by: SegmentModel, futures: Futures) -> Labels:
    X = by.features_of(futures, futures.now)
    current: Labels = np.full(len(X), subject.segment, np.int32)
    recency = days_since(futures.last_at, futures.now)
    return by.publish(X, by.assign(X), current, subject.since - futures.silence, futures.now, recency)


def _ruled(rules: RuleThresholds, futures: Futures) -> Labels:
    members = Members.of(futures, futures.now)
    if members.told_days is not None:  # what a profile tells is a date: silence makes it no earlier by itself
        members = replace(members, told_days=members.told_days + futures.silence / DAY)
    return by_rule(members, rules, futures.now + futures.silence)


def move_by_silence(subject: Subject, by: SegmentModel | RuleThresholds, now: int) -> Move | None:
    """After how many days without an order the customer moves, and where; None: never within two years.

    Every day is looked at: whether a customer has moved need not go on being true, so there is nothing to bisect.
    """
    days = range(1, MOST_DAYS + 1)
    return _first(days, published(subject, by, Futures.of_silence(subject.row, now, days)), subject.segment)


def move_by_orders(subject: Subject, by: SegmentModel | RuleThresholds, now: int) -> Move | None:
    """How many more orders of the customer's own mean value, placed when the dwell is over, move them, and where."""
    orders = range(1, MOST_ORDERS + 1)
    then = max(now, subject.since + by.dwell) if isinstance(by, SegmentModel) else now
    futures = Futures.of_orders(subject.row, then, orders)
    if futures.order_value <= 0:
        return None
    return _first(orders, published(subject, by, futures), subject.segment)


def _first(amounts: range, segments: Labels, current: int) -> Move | None:
    moved = np.flatnonzero(segments != current)
    return Move(amounts[int(moved[0])], int(segments[moved[0]])) if moved.size else None
