"""Rows equal the plain-Python oracle, in any order, with any repeats, however the log is cut into batches."""

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from consumer import applying
from consumer.applied import Ignored
from consumer.applying import Applier
from consumer.currency import Rates
from consumer.dead_letters import Reason
from consumer.decoding import Decoder
from consumer.event_columns import Kind
from consumer.layout import Limits
from consumer.row_store import PartitionRows, RowStore
from contracts.events import Erase, Interaction, Line, Profile, Purchase, Return, encode_event
from contracts.partitioning import partition_of
from contracts.times import DAY, HOUR
from logs.base import Batch
from tests.oracle import Oracle, event_hash
from tests.rows import LATENESS, START, as_plain, assert_equal, build, events_within, lines, moment, rows_of


@pytest.fixture(autouse=True, scope="module", params=[1, 10**9], ids=["together", "one by one"])
def _both_ways(request):
    """Whether what is plain is applied at once, as in large batches, or all one by one, as in small ones."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(applying, "_MANY", request.param)
        yield


quick = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
small = Limits(lateness=LATENESS, lines=7, ids=8192)


@quick
@given(st.data(), events_within(LATENESS))
def test_any_order_and_any_repeats_give_the_same_rows(data, events):
    oracle = Oracle(lateness=LATENESS, most_lines=7).replay(events)
    shuffled = data.draw(st.permutations(events))
    repeats = data.draw(st.lists(st.sampled_from(events), max_size=10)) if events else []
    stream = [*shuffled, *repeats, *shuffled]
    cuts = data.draw(st.lists(st.integers(0, len(stream)), max_size=4))
    store = rows_of(stream, small, cuts).store
    assert_equal(store, oracle)
    assert store.header["orders"].sum() == sum(isinstance(event, Purchase) for event in events)


@quick
@given(st.data(), events_within(8 * LATENESS), st.booleans())
def test_any_stream_equals_the_oracle_however_it_is_cut(data, events, packed):
    erases = data.draw(
        st.lists(
            st.tuples(
                st.integers(0, len(events)),
                st.sampled_from(["ann", "bob"]),
                st.integers(0, 100),
                st.integers(0, 3),
                st.booleans(),
            ),
            max_size=3,
        )
    )
    stream = list(events)
    for place, who, day, number, unless_newer in erases:
        erase = build(f"x{number}", Erase, who, moment(START + day * DAY), None)
        stream.insert(place, erase.model_copy(update={"unless_newer": unless_newer}))
    stream += data.draw(st.lists(st.sampled_from(stream), max_size=5)) if stream else []
    oracle = Oracle(lateness=LATENESS, most_lines=7, most_ids=4).replay(stream)
    cuts = data.draw(st.lists(st.integers(0, len(stream)), max_size=5))
    made = rows_of(stream, Limits(LATENESS, 7, 4), cuts, pack_between=packed)
    assert_equal(made.store, oracle)
    assert made.ignored.total() == oracle.ignored
    assert made.accepted.total() + made.ignored.total() == len(stream), "every event is counted, once"


@quick
@given(events_within(8 * LATENESS), events_within(8 * LATENESS), st.integers(0, 120))
def test_an_erased_customer_is_as_if_only_what_came_after_had_been(before, after, day):
    erase = build("gone", Erase, "ann", moment(START + day * DAY), None)
    after = [event.model_copy(update={"event_id": "later-" + event.event_id}) for event in after]
    limits = Limits(LATENESS, 7, 8192)
    store = rows_of([*before, erase, *after, erase], limits, [len(before)]).store
    floor = max([erase.occurred_at, *(e.occurred_at for e in before if e.customer_id == "ann")])
    counted = [event for event in after if event.customer_id == "bob" or event.occurred_at > floor]
    alone = rows_of([event for event in before if event.customer_id == "bob"] + counted, limits).store
    assert ("ann" in store.partitions[0].index) == ("ann" in alone.partitions[0].index)
    if "ann" in alone.partitions[0].index:
        was, only = as_plain(store, "ann"), as_plain(alone, "ann")
        assert was.pop("erase_floor") is not None
        assert only.pop("erase_floor") is None
        assert was == only


# ---- at their limits ----


def order(event_id, at, *, kind=Purchase, who="ann", price=1.0, quantity=1, items=("a",)):
    some = tuple(Line(item_id=item, quantity=quantity, unit_price=price) for item in items)
    return build(event_id, kind, who, moment(at), some)


@quick
@given(st.data(), st.integers(1, 6), st.integers(0, 3))
def test_with_the_id_cap_reached_nothing_counts_twice_and_every_refusal_is_counted(data, cap, again):
    """More orders within L than a row keeps ids of, ties among them, any order, all of it published again and again."""
    hours = st.integers(0, LATENESS // HOUR // 10)  # close together, so that times tie
    drawn = data.draw(st.lists(st.tuples(st.sampled_from([Purchase, Return]), hours), min_size=1, max_size=20))
    events = [order(f"e{n}", START + hour * HOUR, kind=kind, price=2.0**n) for n, (kind, hour) in enumerate(drawn)]
    stream = data.draw(st.permutations(events))
    for _ in range(again):
        stream = [*stream, *data.draw(st.permutations(events))]
    made = rows_of(stream, Limits(LATENESS, 7, cap), data.draw(st.lists(st.integers(0, len(stream)), max_size=4)))
    oracle = Oracle(lateness=LATENESS, most_lines=7, most_ids=cap).replay(stream)
    assert_equal(made.store, oracle)
    assert made.accepted.total() + made.ignored.total() == len(stream)
    row = as_plain(made.store, "ann")
    # Every price is another power of two: a sum with any event twice would not be a sum of different ones.
    counted = {n for n in range(len(events)) if (row["spend"] + row["refunds"]) // 10**6 >> n & 1}
    assert len(counted) == row["orders"] + row["returns"] == made.accepted[Kind.PURCHASE] + made.accepted[Kind.RETURN]
    assert sum(2**n for n in counted if drawn[n][0] is Purchase) * 10**6 == row["spend"]
    if len(events) > cap:
        assert made.evicted
        assert made.ignored[Ignored.CLOSED] + made.ignored[Ignored.REPEATED] == len(stream) - len(counted)


@quick
@given(st.data(), st.integers(0, 40), st.sampled_from([-1, 0, 1]))
def test_late_begins_one_microsecond_after_l(data, age, off):
    """At the very edge: what is exactly L older counts, one microsecond more is late; its id is kept as long."""
    newest = START + LATENESS + age * HOUR
    edge = order("edge", newest - LATENESS + off)
    stream = [order("newest", newest), edge, edge]
    made = rows_of(stream, Limits(LATENESS), data.draw(st.lists(st.integers(0, 3), max_size=2)))
    assert_equal(made.store, Oracle(lateness=LATENESS).replay(stream))
    assert made.accepted.total() == (2 if off >= 0 else 1)
    assert made.ignored == ({Ignored.REPEATED: 1} if off >= 0 else {Ignored.LATE: 2})


@pytest.mark.parametrize("older", [0, 3, 20])
@pytest.mark.parametrize("off", [-1, 0, 1])
def test_a_repeat_at_the_edge_of_l_is_known(off, older):
    """The id is forgotten exactly when the event would be late anyhow, however many go with it."""
    edge = order("edge", START)
    before = [order(f"b{n}", START - older + n) for n in range(older)]
    after = [order(f"a{n}", START + n + 1) for n in range(12)]
    stream = [*before, edge, *after, order("newest", START + LATENESS + off), edge]
    made = rows_of(stream, Limits(LATENESS))
    assert made.accepted.total() == older + 14
    assert made.ignored == {Ignored.LATE if off > 0 else Ignored.REPEATED: 1}
    assert_equal(made.store, Oracle(lateness=LATENESS).replay(stream))


@quick
@given(st.data(), st.integers(0, 62))
def test_purchase_days_are_counted_once_whatever_the_order(data, lateness):
    """Days around midnight and around the ends of the 64-bit map."""
    times = data.draw(
        st.lists(
            st.tuples(
                st.integers(0, lateness),
                st.sampled_from([0, 1, DAY // 2, DAY - 1]),
                st.sampled_from([Purchase, Return]),
            ),
            min_size=1,
            max_size=12,
        )
    )
    latest = START + lateness * DAY
    events = [
        order(f"e{n}", min(START + day * DAY + of_day, latest), kind=kind)
        for n, (day, of_day, kind) in enumerate(times)
    ]
    events.append(order("later", latest + data.draw(st.sampled_from([0, 1, 2, 63, 64, 65])) * DAY))
    stream = [*data.draw(st.permutations(events[:-1])), events[-1]]
    made = rows_of(stream, Limits(lateness * DAY), data.draw(st.lists(st.integers(0, len(stream)), max_size=3)))
    assert_equal(made.store, Oracle(lateness=lateness * DAY).replay(stream))


@quick
@given(st.data())
def test_more_attributes_than_a_row_keeps_end_the_same_in_any_order(data):
    """Ties in time and in values; of 64 names and more those with the latest values stay."""
    drawn = data.draw(st.lists(st.tuples(st.integers(0, 3), st.sets(st.integers(0, 90), max_size=60)), max_size=5))
    events = [
        build(f"e{n}", Profile, "ann", moment(START + hour * HOUR), {f"n{name:02}": n for name in names})
        for n, (hour, names) in enumerate(drawn)
    ]
    stream = [*data.draw(st.permutations(events)), *data.draw(st.permutations(events))]
    made = rows_of(stream, Limits(LATENESS), data.draw(st.lists(st.integers(0, len(stream)), max_size=3)))
    assert_equal(made.store, Oracle(lateness=LATENESS).replay(events))
    assert made.accepted.total() + made.ignored.total() == len(stream)


@pytest.mark.parametrize("order_of", [(0, 1, 2), (2, 1, 0), (1, 0, 2), (1, 2, 0)])
def test_attributes_let_go_are_those_of_the_smallest_hash_then_of_the_first_name(order_of):
    """Three profiles of one moment with 30 names each: of 90 names 64 stay, the same in any order."""
    names = [[f"{name}{n:02}" for n in range(30)] for name in "xyz"]
    events = [build(f"e{n}", Profile, "ann", moment(START), dict.fromkeys(some, n)) for n, some in enumerate(names)]
    by_hash = sorted(range(3), key=lambda n: event_hash(f"e{n}"))
    kept = {*names[by_hash[2]], *names[by_hash[1]], *names[by_hash[0]][26:]}
    made = rows_of([events[n] for n in order_of], Limits(LATENESS))
    assert set(as_plain(made.store, "ann")["attributes"]) == kept


@quick
@given(st.data(), st.integers(1, 6))
def test_kept_lines_are_the_newest_whatever_the_order(data, cap):
    """Orders of several lines at one time: ties are broken by the id's hash, and a cut goes through an order."""
    drawn = data.draw(st.lists(st.tuples(st.integers(0, 2), lines, st.sampled_from([Purchase, Return])), max_size=8))
    events = [
        build(f"e{n}", kind, "ann", moment(START + hour * HOUR), some) for n, (hour, some, kind) in enumerate(drawn)
    ]
    stream = data.draw(st.permutations(events))
    made = rows_of(stream, Limits(LATENESS, cap), data.draw(st.lists(st.integers(0, len(stream)), max_size=3)))
    assert_equal(made.store, Oracle(lateness=LATENESS, most_lines=cap).replay(events))


def test_one_hash_inside_another_is_not_taken_for_it():
    """Ids are looked for as bytes: a hash that occurs across two ids, or in a time, is not a known id."""
    ids = b"".join((START + n).to_bytes(8, "little") + event_hash(f"e{n}").to_bytes(8, "little") for n in range(3))
    stream = [order(f"e{n}", START + n) for n in range(3)]
    made = rows_of(stream, Limits(LATENESS))
    row = made.store.partitions[0].index["ann"]
    assert made.store.known[row] == ids
    from consumer import ragged  # noqa: PLC0415 - only here

    for place in range(len(ids) - 7):
        assert ragged.knows(ids, ids[place : place + 8]) == (place % 16 == 8)


def test_a_total_that_would_not_fit_is_a_dead_letter_and_the_rest_goes_on():
    """9e12 is the most; one more would come near where 64 bits wrap."""
    large = {"price": 10_000_000.0, "quantity": 100_000}  # 1e12 a line
    full = order("full", START, items="abcdefghi", **large)
    stream = [full, order("more", START + 1, price=0.000001), order("back", START + 2, kind=Return), full]
    made = rows_of(stream, Limits(LATENESS))
    (refused,) = made.refused
    assert (refused.place, refused.reason) == (1, Reason.AMOUNT)
    assert "spend would pass 9e12" in refused.message
    assert made.accepted == {Kind.PURCHASE: 1, Kind.RETURN: 1}
    assert made.ignored == {Ignored.REPEATED: 1}
    row = as_plain(made.store, "ann")
    assert (row["spend"], row["orders"], row["refunds"]) == (9 * 10**18, 1, 10**6)
    assert made.store.header["net_decayed"].sum() == pytest.approx(9e12, rel=1e-9)


@quick
@given(st.lists(st.tuples(st.integers(0, 4), st.sampled_from(["erase", "profile", "order", "shown"])), max_size=12))
@example([(1, "order"), (2, "profile"), (1, "erase"), (2, "order"), (3, "order"), (3, "erase"), (3, "profile")])
@example([(3, "erase"), (2, "erase"), (3, "order"), (4, "order")])
def test_floors_are_inclusive_and_only_rise(drawn):
    """Everything on five instants, so that events stand at, before and after each floor; every event counted once."""
    kinds = {"erase": (Erase, None), "profile": (Profile, {"age": 1}), "order": (Purchase, ORDER_LINES)}
    stream = []
    for n, (at, kind) in enumerate(drawn):
        if kind == "shown":
            stream.append(
                Interaction(
                    event_id=f"e{n}", customer_id="ann", occurred_at=moment(START + at), kind="shown", items=("a",)
                )
            )
        else:
            stream.append(build(f"e{n}", kinds[kind][0], "ann", moment(START + at), kinds[kind][1]))
    stream += stream
    made = rows_of(stream, Limits(LATENESS))
    oracle = Oracle(lateness=LATENESS).replay(stream)
    assert_equal(made.store, oracle)
    assert made.accepted.total() + made.ignored.total() == len(stream)
    assert made.ignored.total() == oracle.ignored
    (marker,) = made.store.partitions[0].markers.values() or (None,)
    assert (marker is None) == (not oracle.markers)
    if marker is not None:
        assert (marker.at, marker.event, marker.floor) == oracle.markers["ann"]
        assert made.store.partitions[0].new_markers == made.store.partitions[0].markers


ORDER_LINES = (Line(item_id="a", quantity=1, unit_price=1.0),)


def test_events_of_other_partitions_are_set_aside_and_rerouted_ones_refused():
    """Nothing of them enters the row, and one that a worker has already moved does not go round for ever."""
    store = RowStore()
    store.partitions[0] = PartitionRows(0)
    applier = Applier(store, Limits(), 4)
    who = [f"c{n}" for n in range(12)]
    values = [encode_event(order(f"e{n}", START + n, who=name)) for n, name in enumerate(who)]
    batch = Batch(0, range(12), values, [None] * 12, [4 * 10**15] * 12)
    outcome = applier.apply(Decoder(Rates("GBP")).decode(batch).events, rerouted=range(6))
    ours = [n for n, name in enumerate(who) if partition_of(name, 4) == 0]
    assert set(store.partitions[0].index) == {who[n] for n in ours}
    assert [place for place, _ in outcome.foreign] == [n for n in range(6, 12) if n not in ours]
    assert all(who[place] == name for place, name in outcome.foreign)
    assert [one.place for one in outcome.refused] == [n for n in range(6) if n not in ours]
    assert {one.reason for one in outcome.refused} == {Reason.PARTITION}
    assert all("partition counts" in one.message for one in outcome.refused)
    assert applier.settle().accepted == {Kind.PURCHASE: len(ours)}
    assert 0 < len(ours) < 6


def test_one_step_of_several_partitions():
    """Rows of all partitions are settled at once; purchases and newest times are told by partition."""
    store = RowStore()
    applier = Applier(store, Limits(), 4)
    names = [f"c{n}" for n in range(40)]
    newest = {}
    for partition in range(4):
        store.partitions[partition] = PartitionRows(partition)
        events = [
            order(f"e{name}-{k}", START + partition + k * DAY - n, who=name, price=float(n))
            for n, name in enumerate(names)
            if partition_of(name, 4) == partition
            for k in range(2)
        ]
        values = [encode_event(event) for event in events]
        batch = Batch(partition, range(len(values)), values, [None] * len(values), [4 * 10**15] * len(values))
        outcome = applier.apply(Decoder(Rates("GBP")).decode(batch).events)
        assert not outcome.foreign
        newest[partition] = max(int(micros) for micros in Decoder(Rates("GBP")).decode(batch).events.ats)
    applied = applier.settle()
    assert applied.newest == newest
    assert applied.purchases.total() == 80
    for n, name in enumerate(names):
        partition = partition_of(name, 4)
        row = store.partitions[partition].index[name]
        assert store.partition[row] == partition
        assert int(store.header["spend"][row]) == 2 * n * 10**6
        assert int(store.header["orders"][row]) == 2
