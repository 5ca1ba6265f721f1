"""What workers tell the leader about their partitions: absolute values, so that nothing adds up twice."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt

from consumer.header_fields import HeaderFields
from consumer.held import Held
from consumer.layout import MISSING_TIME
from consumer.learning import Learner
from consumer.row_forecasts import Totals
from consumer.row_store import Rows, RowStore
from consumer.trial import TrialSums, added, trial_sums
from contracts.documents import NO_SEGMENT
from contracts.times import DAY
from online_model.model import SegmentModel
from online_model.settings import ModelSettings
from online_model.sums import Sums

_USUAL: Final = ModelSettings()
"""What counts as lapsed and as new before a model says it."""


class Lifecycle(NamedTuple):
    """How many customers of a segment are ..."""

    active: int
    """... with an order within `lapse_days`."""
    new: int
    """... with their first one within `new_days`."""
    one_order: int


class PartitionFigures(msgspec.Struct, frozen=True):
    """One partition as its owner sees it."""

    model_version: int
    """Of the sums; 0 before there are any."""
    token: str
    clock: int
    purchases: int
    heard: int
    """Log time of the newest record that was read, microseconds; 0: none."""
    oldest: int
    """First purchase of all, microseconds; MISSING_TIME where nothing was bought."""
    held_back: int
    """Customers whose nearest segment is not the published one: margin, dwell or an outage holds them."""
    buyers: int
    """Customers who bought; where attributes alone are compared, those who have any."""
    sizes: dict[int, int]
    """Customers by segment id."""
    net_spend: dict[int, int]
    """Spend less refunds, in millionths, by segment id."""
    lifecycles: dict[int, tuple[int, int, int]] = {}
    """Customers with an order within `lapse_days`, first seen within `new_days`, with one order; by segment id."""
    ahead: dict[int, tuple[float, ...]] | None = None
    """Forecasts added up by segment id, as consumer.row_forecasts.SUMS; None: not all have been looked at yet."""
    waiting: int | None = 0
    """Records that are not worked on yet; None while that is unknown."""
    erasures: int = 0
    """Changes with every customer who is erased."""
    trial: TrialSums | None = None
    """What the two groups of the experiment with a hold-out bought; None where nobody is held out."""
    guests: tuple[int, int] = (0, 0)
    """Orders of guests, and their spend less refunds in millionths."""
    sums: bytes = b""
    """`Sums.to_bytes`, empty before there is a model."""

    def cells(self) -> Sums | None:
        """The sums over the partition's votes."""
        return Sums.from_bytes(self.sums) if self.sums else None


@dataclass(frozen=True, slots=True)
class ShopFigures:
    """All partitions together."""

    partitions: int
    """How many of them are known."""
    purchases: int
    buyers: int
    clock: int
    heard: int
    oldest: int | None
    """When the history begins; None before anything is bought."""
    held_back: int
    sizes: dict[int, int]
    net_spend: dict[int, int]
    lifecycles: dict[int, Lifecycle]
    model_version: int | None
    """The version that all sums are of; None while they are of several, or some are missing."""
    sums: Sums | None
    ahead: dict[int, tuple[float, ...]] = field(default_factory=dict)
    """Forecasts added up by segment id, as consumer.row_forecasts.SUMS; empty while any partition's are missing."""
    guests: tuple[int, int] = (0, 0)
    """Orders of guests, and their spend less refunds in millionths; they are in no other figure but `oldest`."""
    trial: TrialSums | None = None
    """None as well while the workers disagree about the experiment."""
    waiting: int | None = 0
    """Records that are not worked on yet; None while that is unknown of any partition."""
    erasures: int = 0
    """Changes with every customer who is erased."""


def figures_of(
    store: RowStore,
    learner: Learner,
    held: Held,
    now: int | None = None,
    ahead: Totals | None = None,
    *,
    waiting: int | None = 0,
) -> bytes:
    """One partition's figures, encoded; who is active and new as of now (microseconds UTC), where that is given.

    `ahead`: forecasts of its customers, added up by segment. `waiting`: records of it that are not worked on yet.
    """
    partition = held.number
    everybody = np.fromiter(store.partitions[partition].index.values(), np.int64)
    rows, guests = store.customers_of(everybody), everybody[store.guest[everybody]]
    header = HeaderFields(store.header, rows)
    ids, places = np.unique(header["segment"], return_inverse=True)
    sizes = np.bincount(places, minlength=len(ids))
    net = np.zeros(len(ids), np.int64)
    np.add.at(net, places, header["spend"] - header["refunds"])
    found = learner.sums(partition)
    return msgspec.msgpack.encode(
        PartitionFigures(
            model_version=found[0] if found else 0,
            token=held.token,
            clock=held.clock,
            purchases=held.purchases,
            heard=held.heard,
            oldest=_oldest(store.header["first_at"][everybody]),
            held_back=learner.held_back(rows),
            buyers=_candidates(store, rows, needs_purchases=learner.needs_purchases),
            sizes={int(one): int(size) for one, size in zip(ids, sizes, strict=True) if one != NO_SEGMENT},
            net_spend={int(one): int(amount) for one, amount in zip(ids, net, strict=True) if one != NO_SEGMENT},
            lifecycles=_lifecycles(header, places, ids, learner.model, now) if now is not None else {},
            ahead=ahead,
            waiting=waiting,
            erasures=store.partitions[partition].erasures,
            guests=_bought_by(store, guests),
            trial=trial_sums(header, store.held_out[rows], store.holdout) if store.holdout is not None else None,
            sums=found[1].to_bytes() if found else b"",
        )
    )


def _lifecycles(
    header: HeaderFields,
    places: npt.NDArray[np.int64],
    ids: npt.NDArray[np.int32],
    model: SegmentModel | None,
    now: int,
) -> dict[int, tuple[int, int, int]]:
    lapse_days, new_days = (
        (_USUAL.first_lapse_days, _USUAL.new_days) if model is None else (model.lapse_days, model.new_days)
    )
    # MISSING_TIME is far in the past: who never bought is neither.
    which = (
        header["last_at"] >= now - lapse_days * DAY,
        header["first_at"] >= now - new_days * DAY,
        header["orders"] == 1,
    )
    counts = [np.bincount(places[one], minlength=len(ids)).tolist() for one in which]
    return {
        one: (active, new, single)
        for one, active, new, single in zip(ids.tolist(), *counts, strict=True)
        if one != NO_SEGMENT
    }


def _bought_by(store: RowStore, guests: Rows) -> tuple[int, int]:
    spend, refunds, orders = (store.header[name][guests] for name in ("spend", "refunds", "orders"))
    return int(orders.sum()), sum((spend - refunds).tolist())


def _oldest(first_at: npt.NDArray[np.int64]) -> int:
    bought = first_at[first_at != MISSING_TIME]
    return int(bought.min()) if len(bought) else MISSING_TIME


def _candidates(store: RowStore, rows: Rows, *, needs_purchases: bool) -> int:
    if needs_purchases:
        return int(np.count_nonzero(store.header["orders"][rows]))
    return sum(1 for row in rows.tolist() if store.attributes[row])


_decode = msgspec.msgpack.Decoder(PartitionFigures).decode


def merged(encoded: Iterable[bytes], partitions: int) -> ShopFigures:
    """All partitions' figures as one."""
    parts = [_decode(one) for one in encoded]
    sizes: dict[int, int] = {}
    net_spend: dict[int, int] = {}
    for part in parts:
        for segment, size in part.sizes.items():
            sizes[segment] = sizes.get(segment, 0) + size
        for segment, amount in part.net_spend.items():
            net_spend[segment] = net_spend.get(segment, 0) + amount
    lifecycles: dict[int, Lifecycle] = {}
    for part in parts:
        for segment, counted in part.lifecycles.items():
            before = lifecycles.get(segment, (0, 0, 0))
            lifecycles[segment] = Lifecycle(*(a + b for a, b in zip(before, counted, strict=True)))
    versions = {part.model_version for part in parts}
    whole = len(parts) == partitions and len(versions) == 1 and versions != {0}
    sums: Sums | None = None
    if whole:
        for part in parts:
            cells = part.cells()
            assert cells is not None
            sums = cells if sums is None else sums + cells
    return ShopFigures(
        partitions=len(parts),
        purchases=sum(part.purchases for part in parts),
        buyers=sum(part.buyers for part in parts),
        clock=max((part.clock for part in parts), default=0),
        heard=max((part.heard for part in parts), default=0),
        oldest=min((part.oldest for part in parts if part.oldest != MISSING_TIME), default=None),
        held_back=sum(part.held_back for part in parts),
        guests=(sum(part.guests[0] for part in parts), sum(part.guests[1] for part in parts)),
        sizes=sizes,
        net_spend=net_spend,
        lifecycles=lifecycles,
        model_version=versions.pop() if whole else None,
        sums=sums,
        ahead=_ahead([part.ahead for part in parts]) if len(parts) == partitions else {},
        trial=added(part.trial for part in parts),
        waiting=_all_or_none([part.waiting for part in parts]),
        erasures=sum(part.erasures for part in parts),
    )


def _all_or_none(numbers: Sequence[int | None]) -> int | None:
    known = [one for one in numbers if one is not None]
    return sum(known) if len(known) == len(numbers) else None


def _ahead(parts: Sequence[Totals | None]) -> Totals:
    """All partitions' forecasts added up; nothing while some are missing, since half a sum says something wrong."""
    whole: Totals = {}
    for part in parts:
        if part is None:
            return {}
        for segment, totals in part.items():
            known = whole.get(segment, (0.0,) * len(totals))
            whole[segment] = tuple(a + b for a, b in zip(known, totals, strict=True))
    return whole
