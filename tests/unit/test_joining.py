"""Ids that belong together: rows are those of one batch join, whatever arrives when, where, and how often."""

import random
from datetime import timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from consumer.applying import Applier
from consumer.aside import told
from consumer.currency import Rates
from consumer.decoding import Decoder
from consumer.held import checkpoint_of, claim, load, noted, quiet_rows
from consumer.layout import Limits
from consumer.memory_state import MemoryState
from consumer.row_store import RowStore
from contracts.events import Alias, Erase, Line, Profile, Purchase, Return, encode_event
from contracts.keys import LogNames
from contracts.partitioning import partition_of
from contracts.times import DAY, EPOCH, HOUR
from logs.base import Batch, LogInfo
from tests.batch_join import customers, members_of, newest_aliases, wrong_customers
from tests.deployment import plain_rows
from tests.oracle import Oracle

START = 19_000 * DAY
IDS = ("ann", "ann-phone", "cookie-7", "bob", "bob@work", "eve")
PARTITIONS = 3
FAR = 1_700_000_000_000 << 64
"""Where a log in Redis begins: its positions do not fit into 64 bits."""
LIMITS = Limits(lateness=62 * DAY)


def moment(hours):
    return EPOCH + timedelta(microseconds=START + hours * HOUR)


class Shop:
    """Workers of some partitions on logs that are lists. They stop and die where they are told to."""

    def __init__(self, chance: random.Random):
        self.chance = chance
        self.logs = [[] for _ in range(PARTITIONS)]
        self.state = MemoryState()
        self.info = LogInfo("customer-events", "log-1", PARTITIONS)
        self.held = {}

    def publish(self, event):
        self.logs[partition_of(event.customer_id, PARTITIONS)].append(encode_event(event))

    def begin(self, partition):
        store = RowStore()
        held, _ = claim(self.state, partition, self.info, 0.0)
        load(self.state, store, held)
        self.held[partition] = held, store

    def step(self, partition):
        """One batch: what it tells others stands on their log before it is written; in between the worker may die."""
        if partition not in self.held:
            self.begin(partition)
        held, store = self.held[partition]
        start = held.position or 0
        values = self.logs[partition][start : start + self.chance.choice((1, 1, 2, 5, 50))]
        applier = Applier(store, LIMITS, PARTITIONS, "shop")
        n = len(values)
        positions = [FAR + place for place in range(start, start + n)]
        batch = Batch(partition, positions, values, [None] * n, [4 * 10**15] * n)
        decoded = Decoder(Rates("GBP")).decode(batch)
        assert not decoded.refused
        outcome = applier.apply(decoded.events)
        assert not outcome.refused
        assert not outcome.foreign
        applied = applier.settle()
        records = [told(LogNames(), one.customer_id, one.value, PARTITIONS) for one in applied.told]
        if self.chance.random() < 0.2:
            records = records[: self.chance.randrange(len(records) + 1)]
            dies = True
        else:
            dies = self.chance.random() < 0.1
        for one in records:
            self.logs[one.partition].append(one.value)
        if dies:
            del self.held[partition]
            return
        store.release([row for row, _ in applied.removed])
        rows = list(applied.causes)
        step = checkpoint_of(store, held, rows, start + n, {})
        self.state.checkpoint(partition, held.token, step)
        noted(held, step, rows, rows, 0.0, quiet=quiet_rows(held))
        store.release(applied.borrowed)
        if self.chance.random() < 0.05:
            del self.held[partition]

    @property
    def behind(self):
        """Partitions that have something to read."""
        positions = {number: held.position or 0 for number, (held, _) in self.held.items()}
        for number in range(PARTITIONS):
            meta = self.state.meta(number)
            positions.setdefault(number, (meta.position or 0) if meta else 0)
        return [number for number, log in enumerate(self.logs) if positions[number] < len(log)]

    def drain(self):
        for _ in range(20_000):
            waiting = self.behind
            if not waiting:
                return
            self.step(self.chance.choice(waiting))
        raise AssertionError("they never stop telling each other")

    def rows(self):
        return plain_rows(self.state, PARTITIONS)

    def everything_kept(self):
        """All bytes of the state that are about ids."""
        kept = [self.state.keep(number) for number in range(PARTITIONS)]
        return b"".join(
            part for one in kept for who, bond in one.bonds.items() for part in (who.encode(), b"\0", bond, b"\0")
        )


whos = st.sampled_from(IDS)
hours = st.integers(0, 24 * 40)
line = st.builds(
    Line,
    item_id=st.sampled_from("abcde"),
    quantity=st.integers(1, 5),
    unit_price=st.sampled_from([0.0, 0.85, 2.55, 10.0]),
)
lines = st.lists(line, min_size=1, max_size=3).map(tuple)
orders = st.tuples(st.sampled_from([Purchase, Purchase, Return]), whos, hours, lines)
profiles = st.tuples(
    st.just(Profile), whos, hours, st.dictionaries(st.sampled_from(["age", "city"]), st.integers(0, 9))
)
aliases = st.tuples(st.just(Alias), whos, hours, st.one_of(st.none(), whos))
seeds = st.integers(0, 2**32).map(random.Random)
drawn = st.lists(st.one_of(orders, profiles, aliases, aliases), min_size=2, max_size=30)


def build(number, one, prefix="e"):
    kind, who, hour, rest = one
    head = {"event_id": f"{prefix}{number}", "customer_id": who, "occurred_at": moment(hour)}
    if kind is Alias:
        return Alias(**head, alias_of=rest)
    if kind is Profile:
        return Profile(**head, attributes=rest)
    return kind(**head, order_id="o", lines=rest, currency="GBP")


def interleaved(shop, events):
    """Publish events while workers are at work."""
    for event in events:
        shop.publish(event)
        while shop.behind and shop.chance.random() < 0.5:
            shop.step(shop.chance.choice(shop.behind))


@settings(max_examples=80, deadline=None)
@given(drawn, seeds)
def test_rows_are_those_of_a_batch_join(some, chance):
    events = [build(n, one) for n, one in enumerate(some)]
    published = events + chance.sample(events, len(events) // 3)
    chance.shuffle(published)
    shop = Shop(chance)
    interleaved(shop, published)
    shop.drain()
    expected = customers(Oracle(lateness=62 * DAY).replay(published_own(published)), newest_aliases(events))
    assert wrong_customers(shop.rows(), expected) == []


def published_own(events):
    return [event for event in events if not isinstance(event, Alias)]


@settings(max_examples=60, deadline=None)
@given(drawn, st.lists(whos, min_size=1, max_size=3), drawn, seeds)
def test_an_erasure_takes_everything_that_belongs_to_the_customer(before, erased, after, chance):
    """Also what arrives after it, of the time before; what is newer begins anew."""
    first = [build(n, one) for n, one in enumerate(before)]
    shop = Shop(chance)
    interleaved(shop, first)
    if chance.random() < 0.5:
        shop.drain()
    known = newest_aliases(first)
    at = 24 * 41
    erasures = [Erase(event_id=f"erase-{n}", customer_id=who, occurred_at=moment(at)) for n, who in enumerate(erased)]
    gone = set().union(*(members_of(who, known) for who in erased))
    interleaved(shop, [*erasures, *chance.sample(first, len(first) // 2)])
    shop.drain()
    left = [event for event in first if event.customer_id not in gone]
    edges = newest_aliases(left)
    expected = customers(Oracle(lateness=62 * DAY).replay(published_own(left)), edges)
    assert wrong_customers(shop.rows(), expected) == []
    kept = shop.everything_kept()
    for who in gone - set(edges) - {to for _, to in edges.values()}:
        assert who.encode() + b"\0" not in kept
        assert bytes([0xA0 | len(who)]) + who.encode() not in kept
    # Whoever comes back is as new.
    later = [build(n, (kind, who, hour + 24 * 42, rest), "l") for n, (kind, who, hour, rest) in enumerate(after)]
    interleaved(shop, later)
    shop.drain()
    both = [*left, *later]
    expected = customers(Oracle(lateness=62 * DAY).replay(published_own(both)), newest_aliases(both))
    assert wrong_customers(shop.rows(), expected) == []
