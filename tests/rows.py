"""Rows made of events in memory, as plain values that compare with the oracle's; and events for hypothesis to draw."""

import itertools
from collections import Counter
from dataclasses import dataclass
from datetime import timedelta

import numpy as np
from hypothesis import strategies as st

from consumer import ragged
from consumer.applying import Applier
from consumer.currency import Rates
from consumer.dead_letters import Refused
from consumer.decoding import Decoder
from consumer.layout import HEAD, ID, LINE, MISSING_TIME, ORDERS_HALF_LIFE, RECENT_HALF_LIFE
from consumer.row_store import PartitionRows, RowStore
from contracts.events import Erase, Line, Profile, Purchase, Return, encode_event
from contracts.times import DAY, EPOCH, HOUR
from logs.base import Batch
from tests.oracle import OracleRow

START = 19_000 * DAY
LATENESS = 10 * DAY


def moment(micros):
    return EPOCH + timedelta(microseconds=micros)


@dataclass
class Made:
    """What became of a stream of events."""

    store: RowStore
    accepted: Counter
    ignored: Counter
    refused: list[Refused]
    evicted: int


def rows_of(events, limits, cuts=(), *, pack_between=False) -> Made:
    """The rows after these events, cut into batches at these places."""
    store = RowStore()
    store.partitions[0] = PartitionRows(0)
    applier = Applier(store, limits, 1)
    decoder = Decoder(Rates("GBP"))
    made = Made(store, Counter(), Counter(), [], 0)
    edges = sorted({0, len(events), *(cut for cut in cuts if cut <= len(events))})
    for start, end in itertools.pairwise(edges):
        values = [encode_event(event) for event in events[start:end]]
        n = len(values)
        decoded = decoder.decode(Batch(0, range(start, end), values, [None] * n, [4 * 10**15] * n))
        assert not decoded.refused
        outcome = applier.apply(decoded.events)
        assert not outcome.foreign
        applied = applier.settle()
        made.accepted += applied.accepted
        made.ignored += applied.ignored
        made.refused += outcome.refused
        made.evicted += applied.evicted
        made.store.release([row for row, _ in applied.removed])
        if pack_between:
            made.store = applier.store = reloaded(made.store)
    return made


def reloaded(store):
    """The rows after a round trip through their packed form."""
    old = store.partitions[0]
    fresh = RowStore()
    part = PartitionRows(0, items=old.items, markers=old.markers)
    fresh.partitions[0] = part
    numbers = np.array(list(old.index.values()), np.int64)
    fresh.load(part, list(old.index), list(store.pack(numbers, 7)))
    return fresh


def as_plain(store, customer_id):
    """One row in the oracle's terms."""
    part = store.partitions[0]
    row = part.index[customer_id]
    header = store.header[row]

    def time(name):
        return None if header[name] == MISSING_TIME else int(header[name])

    lines = np.frombuffer(store.lines[row], LINE)
    heads = np.frombuffer(store.heads[row], HEAD)
    return {
        **{name: time(name) for name in ("first_at", "last_at", "newest_at", "seen_at", "erase_floor", "closed_floor")},
        **{name: int(header[name]) for name in ("spend", "refunds", "units", "orders", "returns", "purchase_days")},
        "ids": [(int(a), int(h)) for a, h in np.frombuffer(store.known[row], ID)],
        "lines": [
            (int(head["at"]), int(head["event"]), part.items.names[line["item"]], int(line["quantity"]))
            for head, line in zip(np.repeat(heads, heads["lines"]), lines, strict=True)
        ],
        "attributes": ragged.attributes_of(store.attributes[row]),
        "day_map": int(header["day_map"]),
        "heads": heads.tolist(),
    }


def expected(row: OracleRow):
    names = ("first_at", "last_at", "newest_at", "seen_at", "erase_floor", "closed_floor")
    return {
        **{name: getattr(row, name) for name in names},
        **{name: getattr(row, name) for name in ("spend", "refunds", "units", "orders", "returns")},
        "purchase_days": len(row.days),
        "ids": row.ids,
        "lines": [(at, h, item, quantity) for at, h, _, item, quantity in row.lines],
        "attributes": {name: value for name, (_, _, value) in row.attributes.items()},
        "heads": [(at, h, sum(1 for _ in some)) for (at, h), some in itertools.groupby(row.lines, lambda one: one[:2])],
        "day_map": sum(1 << back for day in row.days if (back := row.newest_at // DAY - day) < 64),
    }


def assert_equal(store, oracle):
    assert set(store.partitions[0].index) == set(oracle.rows)
    for customer_id, row in oracle.rows.items():
        assert as_plain(store, customer_id) == expected(row)
        header = store.header[store.partitions[0].index[customer_id]]
        for name, half_life, kind in (
            ("orders_decayed", ORDERS_HALF_LIFE, {"money": False, "purchases_only": True}),
            ("net_decayed", ORDERS_HALF_LIFE, {"money": True}),
            ("recent_net", RECENT_HALF_LIFE, {"money": True}),
        ):
            value, magnitude = row.decayed(half_life, **kind) if row.counted else (0.0, 0.0)
            assert abs(float(header[name]) - value) <= 1e-9 * magnitude


line = st.builds(
    Line,
    item_id=st.sampled_from(["a", "b", "c", "d"]),
    quantity=st.integers(1, 5),
    unit_price=st.sampled_from([0.0, 0.85, 2.55, 0.000001, 9999999.99]),
)
lines = st.lists(line, min_size=1, max_size=4).map(tuple)


def events_within(span):
    """Events with distinct ids, all of one customer within `span` of each other."""
    when = st.integers(0, span // HOUR).map(lambda hours: moment(START + hours * HOUR))
    who = st.sampled_from(["ann", "bob"])
    orders = st.tuples(st.sampled_from([Purchase, Return]), who, when, lines)
    profiles = st.tuples(
        st.just(Profile), who, when, st.dictionaries(st.sampled_from(["age", "city"]), st.integers(0, 9))
    )
    return st.lists(st.one_of(orders, profiles), max_size=25).map(
        lambda drawn: [build(f"e{n}", *one) for n, one in enumerate(drawn)]
    )


def build(event_id, kind, who, when, rest):
    if kind is Profile:
        return Profile(event_id=event_id, customer_id=who, occurred_at=when, attributes=rest)
    if kind is Erase:
        return Erase(event_id=event_id, customer_id=who, occurred_at=when)
    return kind(event_id=event_id, customer_id=who, occurred_at=when, order_id="o", lines=rest, currency="GBP")
