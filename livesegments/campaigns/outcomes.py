"""What members of a campaign bought and gave back in its days: read from the log, counted as rows count.

Which events count (repeats, lateness, currencies, dates in the future) is decided by the workers' own code, on rows of
their own that know nothing from before. That loses nothing: a campaign begins after everything that rows had counted
when it was started, and its positions are from before that moment, so whatever bears on its days is in what is read.
Partitions are taken for one, since a log may get more of them meanwhile.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Final

import msgspec
import numpy as np
import numpy.typing as npt
from pydantic import ValidationError

from consumer.applying import Applier
from consumer.currency import Rates
from consumer.decoding import Decoder
from consumer.layout import Limits
from consumer.row_store import PartitionRows, RowStore
from contracts.events import Erase, parse_event
from contracts.money import MILLIONTHS
from contracts.times import to_micros
from livesegments.campaigns.members import Members
from logs.base import Batch
from recommender.holdout import HoldOut

_COUNTED: Final = frozenset({"purchase", "return"})
_ANY_SHARE: Final = 0.5


class _Whose(msgspec.Struct, gc=False):
    """What decides whether a record is looked at closer; whoever writes it otherwise writes no event."""

    customer_id: str
    type: str


@dataclass(frozen=True, slots=True)
class Window:
    """A campaign's days: purchases and returns from `since` on and before `until` count, microseconds UTC."""

    since: int
    until: int


@dataclass(frozen=True, slots=True)
class Erased:
    """An erase event of a member, on the log."""

    customer_id: str
    at: int
    unless_newer: bool


@dataclass(frozen=True, slots=True)
class Outcomes:
    """What became of each member, all (members,) in the order of `Members.table`."""

    orders: npt.NDArray[np.int64]
    net: npt.NDArray[np.int64]
    """Spend less refunds in millionths."""
    erased: tuple[Erased, ...]

    @property
    def spend(self) -> npt.NDArray[np.float64]:
        """`net` in currency units."""
        return self.net / MILLIONTHS


def read_outcomes(batches: Iterable[Batch], members: Members, window: Window, rates: Rates, limits: Limits) -> Outcomes:
    """Count what the members did; `batches` are the log from the campaign's positions on, each partition in order."""
    store = RowStore(HoldOut(_ANY_SHARE, window.since, until=window.until))
    partition = store.partitions[0] = PartitionRows(0)
    applier = Applier(store, limits, 1)
    decoder = Decoder(rates)
    erased: list[Erased] = []
    for batch in batches:
        events = decoder.decode(_chosen(batch, members, erased)).events
        if len(events):
            applier.apply(events)
            applier.settle()
    orders, net = np.zeros(len(members), np.int64), np.zeros(len(members), np.int64)
    number = np.uint64(store.holdout.number if store.holdout else 0)
    for customer_id, row in partition.index.items():
        place = members.place(customer_id)
        if place is not None and store.header["trial"][row] == number:
            orders[place] = store.header["trial_orders"][row]
            net[place] = store.header["trial_spend"][row]
    return Outcomes(orders, net, tuple(erased))


def _chosen(batch: Batch, members: Members, erased: list[Erased]) -> Batch:
    """Purchases and returns of members; their erasures go to `erased`."""
    places = []
    for place, customer_id, kind in _whose(batch):
        if members.place(customer_id) is None:
            continue
        if kind in _COUNTED:
            places.append(place)
        elif kind == "erase" and (found := _erasure(batch.values[place])) is not None:
            erased.append(found)
    return replace(
        batch,
        partition=0,
        positions=[batch.positions[place] for place in places],
        values=[batch.values[place] for place in places],
        keys=[batch.keys[place] for place in places],
        log_times=[batch.log_times[place] for place in places],
        headers={},
    )


def _whose(batch: Batch) -> Iterator[tuple[int, str, str]]:
    decode = msgspec.json.Decoder(_Whose).decode
    for place, value in enumerate(batch.values):
        if value is None:
            continue
        try:
            one = decode(value)
        except (msgspec.MsgspecError, UnicodeError, RecursionError):
            continue  # a dead letter, if anything
        yield place, one.customer_id, one.type


def _erasure(value: bytes | None) -> Erased | None:
    try:
        event = parse_event(value or b"")
    except ValidationError:
        return None
    if not isinstance(event, Erase):
        return None
    return Erased(event.customer_id, to_micros(event.occurred_at), event.unless_newer)
