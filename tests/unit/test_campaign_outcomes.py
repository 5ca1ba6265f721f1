"""What is read from the log from a campaign's start on is what rows that know everything have counted."""

from datetime import timedelta

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from consumer.applying import Applier
from consumer.currency import Rates
from consumer.decoding import Decoder
from consumer.layout import Limits
from consumer.row_store import PartitionRows, RowStore
from contracts.events import encode_event
from contracts.times import DAY, HOUR
from livesegments.campaigns.members import Members
from livesegments.campaigns.outcomes import Window, read_outcomes
from logs.base import Batch
from recommender.holdout import HoldOut
from tests.rows import LATENESS, START, events_within

quick = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
WHO = ("ann", "bob", "cleo")


def batches_of(values, size):
    for start in range(0, len(values), size):
        some = values[start : start + size]
        yield Batch(0, range(start, start + len(some)), some, [None] * len(some), [4 * 10**15] * len(some))


def applied(store, values):
    applier = Applier(store, Limits(lateness=LATENESS), 1)
    for batch in batches_of(values, 7):
        applier.apply(Decoder(Rates("GBP")).decode(batch).events)
        applier.settle()


@quick
@given(st.data(), events_within(4 * LATENESS), st.integers(0, 40), st.integers(1, 30))
def test_late_repeated_and_unordered_events_count_as_in_rows(data, events, ahead, days):
    # Nearly in order, with some that come late, and some again.
    jitter = [data.draw(st.integers(-400, 400)) for _ in events]
    arriving = [one.occurred_at + timedelta(hours=more) for one, more in zip(events, jitter, strict=True)]
    stream = [events[place] for place in sorted(range(len(events)), key=lambda place: (arriving[place], place))]
    again = data.draw(st.lists(st.sampled_from(stream), max_size=8)) if stream else []
    values = [encode_event(one) for one in [*stream, *again]]
    cut = data.draw(st.integers(0, len(values)))

    begun = RowStore()
    begun.partitions[0] = PartitionRows(0)
    applied(begun, values[:cut])
    newest = max((int(begun.header["seen_at"][row]) for row in begun.partitions[0].index.values()), default=START)
    since = max(newest, START) + 1 + ahead * HOUR
    window = Window(since, since + days * DAY)

    full = RowStore(HoldOut(0.5, window.since, until=window.until))
    full.partitions[0] = PartitionRows(0)
    applied(full, values)
    members = Members.of("n", WHO, np.array([True, False, True]), np.zeros(3))
    found = read_outcomes(batches_of(values[cut:], 5), members, window, Rates("GBP"), Limits(lateness=LATENESS))
    for place, who in enumerate(WHO):
        row = full.partitions[0].index.get(who)
        counted = row is not None and full.header["trial"][row] == full.holdout.number
        assert found.orders[place] == (full.header["trial_orders"][row] if counted else 0)
        assert found.net[place] == (full.header["trial_spend"][row] if counted else 0)


def test_members_are_found_by_their_hash_alone():
    ids = [f"c{n}" for n in range(25_000)]
    members = Members.of("n1", ids, np.arange(25_000) % 2 == 0, np.arange(25_000.0))
    pieces = members.pieces()
    assert sorted(pieces) == [0, 1, 2]
    again = Members.read("n1", pieces)
    assert again.places(ids[::999]) == list(range(0, 25_000, 999))
    assert again.place("c25000") is None
    assert Members.read("n2", pieces).place("c1") is None
    fewer = again.without(range(6_000))
    assert len(fewer) == 19_000
    assert len(Members.read("n1", pieces | fewer.pieces())) == 19_000, "no piece outlives whom it held"
    assert again.without([0]).place("c0") is None
