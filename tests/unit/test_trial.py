"""What counts in the experiment: orders since it began, exactly, in any order; both groups, and everybody in them."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from consumer.applying import Applier
from consumer.currency import Rates
from consumer.decoding import Decoder
from consumer.header_fields import HeaderFields
from consumer.layout import HEADER, LAYOUT, MISSING_TIME, Limits, in_layout
from consumer.lift_writer import lift_document
from consumer.row_store import PartitionRows, RowStore
from consumer.trial import GroupSums, TrialSums, added, trial_sums
from contracts.events import Erase, Purchase, Return, encode_event
from contracts.money import to_millionths
from contracts.times import DAY, HOUR, to_micros
from logs.base import Batch
from recommender.holdout import HoldOut
from tests.rows import LATENESS, START, build, events_within, moment

quick = settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
HOLDOUT = HoldOut(0.5, START + 5 * DAY, "s1")


def fresh(holdout=HOLDOUT):
    store = RowStore(holdout)
    store.partitions[0] = PartitionRows(0)
    return store


def applied_to(store, *batches):
    applier = Applier(store, Limits(lateness=LATENESS), 1)
    for events in batches:
        values = [encode_event(event) for event in events]
        batch = Batch(0, range(len(values)), values, [None] * len(values), [4 * 10**15] * len(values))
        applier.apply(Decoder(Rates("GBP")).decode(batch).events)
        store.release([row for row, _ in applier.settle().removed])
    return store


def sums_of(store):
    rows = np.fromiter(store.partitions[0].index.values(), np.int64)
    return trial_sums(HeaderFields(store.header, rows), store.held_out[rows], store.holdout)


def expected(events, holdout=HOLDOUT):
    customers = {event.customer_id: [0, 0] for event in events}
    for event in events:
        if isinstance(event, Purchase | Return) and to_micros(event.occurred_at) >= holdout.since:
            net = sum(line.quantity * to_millionths(line.unit_price) for line in event.lines)
            customers[event.customer_id][0] += isinstance(event, Purchase)
            customers[event.customer_id][1] += net if isinstance(event, Purchase) else -net
    groups = []
    for held in (False, True):
        some = [numbers for who, numbers in customers.items() if holdout.holds(who) is held]
        squares = float(sum(Fraction(net, 10**6) ** 2 for _, net in some))
        orders = [n for n, _ in some]
        groups.append(
            GroupSums(
                len(some),
                sum(n > 0 for n in orders),
                sum(orders),
                sum(n * n for n in orders),
                sum(net for _, net in some),
                pytest.approx(squares, rel=1e-12),
            )
        )
    return groups


@quick
@given(st.data(), events_within(LATENESS))
def test_any_order_and_repeats_give_the_sums_of_the_events(data, events):
    stream = data.draw(st.permutations(events))
    cut = data.draw(st.integers(0, len(stream)))
    found = sums_of(applied_to(fresh(), stream[:cut], stream[cut:], stream))
    assert [found.treated, found.held_out] == expected(events)


def order(event_id, who, at):
    return build(event_id, Purchase, who, moment(at), ({"item_id": "a", "quantity": 2, "unit_price": 1.5},))


def test_an_order_counts_from_the_very_moment_on():
    since = HOLDOUT.since
    store = applied_to(
        fresh(), [order("e1", "ann", since - 1), order("e2", "ann", since), order("e3", "ann", since + 1)]
    )
    assert store.header["trial_orders"].sum() == 2
    assert store.header["trial_spend"].sum() == 6 * 10**6


def test_another_experiment_begins_with_nothing_and_an_erased_customer_is_in_none():
    store = applied_to(fresh(), [order("e1", "ann", START + 6 * DAY), order("e2", "bob", START + 6 * DAY)])
    other = HoldOut(0.5, START + 7 * DAY, "s2")
    again = fresh(other)
    old = store.partitions[0]
    again.load(again.partitions[0], list(old.index), list(store.pack(np.array(list(old.index.values())), 1)))
    assert sums_of(again).treated + sums_of(again).held_out == GroupSums(2, 0, 0, 0, 0, 0.0)
    applied_to(again, [order("e3", "ann", START + 8 * DAY)])
    assert sums_of(again).treated + sums_of(again).held_out == GroupSums(2, 1, 1, 1, 3 * 10**6, 9.0)
    gone = build("x", Erase, "ann", moment(START + 9 * DAY), None)
    applied_to(again, [gone])
    assert sums_of(again).treated + sums_of(again).held_out == GroupSums(1, 0, 0, 0, 0, 0.0)


def test_loaded_rows_and_new_ones_are_in_the_group_that_their_id_says():
    who = [f"c{n}" for n in range(60)]
    store = applied_to(fresh(), [order(f"e{n}", one, START + n * HOUR) for n, one in enumerate(who)])
    again = fresh()
    rows = again.load(
        again.partitions[0], who, list(store.pack(np.array([store.partitions[0].index[w] for w in who]), 1))
    )
    drawn = [HOLDOUT.holds(one) for one in who]
    assert again.held_out[rows].tolist() == drawn
    assert store.held_out[[store.partitions[0].index[one] for one in who]].tolist() == drawn


def test_partitions_add_up_unless_they_disagree():
    one = TrialSums(1, GroupSums(2, 1, 3, 9, 5, 2.0), GroupSums(1, 0, 0, 0, 0, 0.0))
    assert added([one, one]) == TrialSums(1, GroupSums(4, 2, 6, 18, 10, 4.0), GroupSums(2, 0, 0, 0, 0, 0.0))
    assert added([]) is None
    assert added([one, None]) is None
    assert added([one, TrialSums(2, one.treated, one.held_out)]) is None


def test_no_lift_is_told_without_enough_data_and_none_without_its_interval():
    some = GroupSums(1000, 400, 600, 1600, 9_000 * 10**6, 900_000.0)
    few = GroupSums(100, 40, 60, 160, 900 * 10**6, 90_000.0)
    document = lift_document(HOLDOUT, TrialSums(HOLDOUT.number, some, few), START + 9 * DAY)
    assert (document.orders, document.net_spend) == (None, None)
    assert document.missing == ("100 more customers held out", "10 more customers with an order held out")
    document = lift_document(HOLDOUT, TrialSums(HOLDOUT.number, some, some), START + 9 * DAY)
    assert document.missing == ()
    for lift in (document.orders, document.net_spend):
        assert lift.low < lift.value == 0 < lift.high
    refunded = GroupSums(1000, 400, 600, 1600, 10**6, 900_000.0)
    document = lift_document(HOLDOUT, TrialSums(HOLDOUT.number, some, refunded), START + 9 * DAY)
    assert document.orders is not None
    assert document.net_spend is None
    assert document.missing == ("more orders of customers held out: their mean of net spend is not clearly above 0",)


# ---- rows of layout 2 ----


OLD = np.dtype([(name, HEADER[name]) for name in HEADER.names[:-4]])


@pytest.mark.parametrize("lengths", [(0, 0, 0, 0, 0), (18, 8, 16, 5, 13)])
def test_a_row_of_layout_2_is_read_as_one_that_knows_of_no_showing_and_no_experiment(lengths):
    assert LAYOUT == 3
    old = np.zeros(1, OLD)
    old["spend"], old["first_at"], old["segment"] = 5, MISSING_TIME, -3
    for name, length in zip(("heads", "lines", "ids", "attributes", "moves"), lengths, strict=True):
        old[name] = length
    rest = bytes(range(sum(lengths)))
    new = in_layout(old.tobytes() + rest)
    header = np.frombuffer(new[: HEADER.itemsize], HEADER)
    assert [header[name][0] for name in OLD.names] == [old[name][0] for name in OLD.names]
    assert [int(header[name][0]) for name in HEADER.names[-4:]] == [0, 0, 0, 0]
    assert new[HEADER.itemsize :] == rest
    assert in_layout(new) == new


@quick
@given(events_within(LATENESS))
def test_a_row_of_the_present_layout_is_never_taken_for_an_older_one(events):
    store = applied_to(fresh(), events)
    rows = np.fromiter(store.partitions[0].index.values(), np.int64)
    for blob in store.pack(rows, 1):
        assert in_layout(blob) is blob
