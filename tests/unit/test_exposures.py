"""Impressions are counted by what happened when: whatever the order, the cuts, the repeats, and with the rows."""

import itertools
from collections import Counter, defaultdict

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from consumer.applied import Ignored
from consumer.applying import Applier
from consumer.currency import Rates
from consumer.decoding import Decoder
from consumer.exposures import add_to, decode_kept
from consumer.layout import Limits
from consumer.row_store import PartitionRows, RowStore
from contracts.documents import NO_SEGMENT
from contracts.events import Erase, Interaction, Line, Profile, Purchase, Return, encode_event
from contracts.times import DAY, HOUR, to_micros
from logs.base import Batch
from tests.rows import LATENESS, START, build, moment, reloaded

WINDOW = 3 * DAY
LIMITS = Limits(lateness=LATENESS, attribution_window=WINDOW)
quick = settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def interaction(event_id, who, at, kind, items, source="home", reasons=()):
    return Interaction(
        event_id=event_id,
        customer_id=who,
        occurred_at=moment(at),
        kind=kind,
        items=tuple(items),
        source=source,
        reasons=tuple(reasons),
    )


def order(event_id, who, at, items, kind=Purchase):
    return build(event_id, kind, who, moment(at), tuple(Line(item_id=i, quantity=1, unit_price=1.0) for i in items))


class Counted:
    """What applying a stream gives: the numbers of impressions, by day, shelf and reason."""

    def __init__(self, stream, limits=LIMITS, cuts=(), *, pack_between=False):
        self.ignored, self.accepted, self.unattributed = Counter(), Counter(), 0
        self.tally = {}
        self.store = RowStore()
        self.store.partitions[0] = PartitionRows(0)
        applier = Applier(self.store, limits, 1)
        edges = sorted({0, len(stream), *(cut for cut in cuts if cut <= len(stream))})
        for start, end in itertools.pairwise(edges):
            values = [encode_event(event) for event in stream[start:end]]
            n = len(values)
            batch = Batch(0, range(start, end), values, [None] * n, [4 * 10**15] * n)
            applier.apply(Decoder(Rates("GBP")).decode(batch).events)
            applied = applier.settle()
            self.ignored += applied.ignored
            self.accepted += applied.accepted
            self.unattributed += applied.unattributed
            add_to(self.tally, applied.feedback.get(0, {}))
            self.store.release([row for row, _ in applied.removed])
            if pack_between:
                self.store = applier.store = reloaded(self.store)

    @property
    def counts(self):
        return {
            (cell.day, cell.source, cell.reason): tuple(counts) for cell, counts in self.tally.items() if any(counts)
        }


class Shelf:
    """The same in plain Python, of one life of one customer, from all that happened in it."""

    def __init__(self):
        self.shown, self.clicks, self.bought = {}, set(), []

    def counts(self):
        clicked = set()
        for source, item, at in self.clicks:
            before = [when for s, i, when in self.shown if (s, i) == (source, item) and when <= at]
            if before and at - max(before) <= WINDOW:
                clicked.add((source, item, max(before)))
        found = Counter()
        for key, reason in self.shown.items():
            source, item, at = key
            cell = (at // DAY, source, reason)
            found[cell, 0] += 1
            found[cell, 1] += key in clicked
            found[cell, 2] += any(i == item and at <= when <= at + WINDOW for i, when in self.bought)
        return found


def expected(stream):
    """What a stream in which nothing is late must give; erasures begin a new life."""
    lives, floors, seen, over = defaultdict(Shelf), {}, {}, []
    erased = {}
    for event in stream:
        who, at = event.customer_id, to_micros(event.occurred_at)
        if isinstance(event, Erase):
            if who in erased and at <= erased[who]:
                continue
            erased[who] = at
            floors[who] = max(at, floors.get(who, at), seen.pop(who, at))
            over.append(lives.pop(who, Shelf()))
            continue
        if at <= floors.get(who, at - 1):
            continue
        seen[who] = max(at, seen.get(who, at))
        life = lives[who]
        if isinstance(event, Purchase):
            life.bought += [(line.item_id, at) for line in event.lines]
        elif isinstance(event, Interaction) and event.kind == "clicked":
            life.clicks |= {(event.source, item, at) for item in event.items}
        elif isinstance(event, Interaction):
            for item, reason in zip(event.items, event.reasons or [""] * len(event.items), strict=True):
                key = (event.source, item, at)
                kind = reason.partition(":")[0]
                life.shown[key] = min(kind, life.shown.get(key, kind))
    found = Counter()
    for life in (*over, *lives.values()):
        found.update(life.counts())
    cells = {cell for cell, _ in found}
    return {cell: tuple(found[cell, n] for n in range(3)) for cell in cells}


items = st.lists(st.sampled_from(["a", "b", "c"]), min_size=1, max_size=3)
reasons = st.sampled_from(["popular", "because:a", "because:z", "again"])


@st.composite
def happenings(draw, span=LATENESS):
    """Events of two customers within `span`, close enough together for times to tie."""
    events = []
    for n in range(draw(st.integers(0, 25))):
        who = draw(st.sampled_from(["ann", "bob"]))
        at = START + draw(st.integers(0, span // (12 * HOUR))) * 12 * HOUR
        what = draw(st.sampled_from(["shown", "shown", "clicked", "order", "order", "return", "profile"]))
        if what in ("shown", "clicked"):
            some = draw(items)
            why = draw(st.lists(reasons, min_size=len(some), max_size=len(some)) | st.just([]))
            source = draw(st.sampled_from(["home", "cart"]))
            events.append(interaction(f"e{n}", who, at, what, some, source, why if what == "shown" else ()))
        elif what == "profile":
            events.append(build(f"e{n}", Profile, who, moment(at), {"age": n}))
        else:
            events.append(order(f"e{n}", who, at, draw(items), Purchase if what == "order" else Return))
    return events


@quick
@given(st.data(), happenings(), st.booleans())
def test_any_order_any_cuts_and_any_repeats_give_the_same_numbers(data, events, packed):
    shuffled = data.draw(st.permutations(events))
    repeats = data.draw(st.lists(st.sampled_from(events), max_size=8)) if events else []
    stream = [*shuffled, *repeats, *shuffled]
    counted = Counted(stream, cuts=data.draw(st.lists(st.integers(0, len(stream)), max_size=5)), pack_between=packed)
    assert counted.counts == expected(events)
    assert counted.accepted.total() + counted.ignored.total() == len(stream)
    in_order = Counted(sorted(events, key=lambda event: event.occurred_at))
    for who, row in counted.store.partitions[0].index.items():
        other = in_order.store.partitions[0].index[who]
        assert named(counted.store, row) == named(in_order.store, other)


def named(store, row):
    """A row's impressions with the names of the items, which two workers may number differently."""
    packed = store.exposures[row]
    if not packed:
        return None
    kept, names = decode_kept(packed), store.partitions[0].items.names
    shown = {(at, kept.texts[s], names[i], kept.texts[r], segment, f) for at, s, i, r, segment, f in kept.shown}
    return kept.floor, shown, {(at, kept.texts[s], names[i]) for at, s, i in kept.clicks}


@quick
@given(st.data(), happenings(40 * DAY), st.booleans())
def test_in_order_what_is_settled_stays_counted_however_it_is_cut(data, events, packed):
    """40 days are three times as long as the window and the lateness together: most impressions leave the row."""
    events.sort(key=lambda event: event.occurred_at)
    cuts = data.draw(st.lists(st.integers(0, len(events)), max_size=6))
    counted = Counted(events, cuts=cuts, pack_between=packed)
    assert counted.counts == expected(events)
    assert not counted.ignored[Ignored.LATE]


@quick
@given(st.data(), happenings())
def test_an_erased_customer_stays_counted_and_begins_anew(data, events):
    stream = list(events)
    for n in range(data.draw(st.integers(1, 3))):
        place = data.draw(st.integers(0, len(stream)))
        at = START + data.draw(st.integers(0, 20)) * 12 * HOUR
        stream.insert(place, build(f"x{n}", Erase, "ann", moment(at), None))
    cuts = data.draw(st.lists(st.integers(0, len(stream)), max_size=5))
    counted = Counted(stream, cuts=cuts)
    assert counted.counts == expected(stream)


@quick
@given(st.data(), happenings(40 * DAY), st.integers(1, 6), st.booleans())
def test_any_stream_gives_the_same_however_it_is_cut(data, events, most, packed):
    """Late ones too, and with more than a row keeps: from there on order matters, and cuts never do."""
    limits = Limits(lateness=2 * DAY, attribution_window=WINDOW, exposures=most)
    cuts = data.draw(st.lists(st.integers(0, len(events)), max_size=6))
    one = Counted(events, limits)
    other = Counted(events, limits, cuts, pack_between=packed)
    assert one.counts == other.counts
    assert (one.ignored, one.accepted, one.unattributed) == (other.ignored, other.accepted, other.unattributed)
    again = Counted([*events, *events], limits, cuts)
    assert all(again.counts.get(cell, (0,))[0] == counts[0] for cell, counts in one.counts.items()) or one.ignored
    for shown, clicked, bought in other.counts.values():
        assert 0 <= clicked <= shown
        assert 0 <= bought <= shown


# ---- the definitions, one by one ----


def counts_of(*events, limits=LIMITS):
    (counts,) = Counted(list(events), limits).counts.values()
    return counts


SHOWN = interaction("s", "ann", START, "shown", ["a"])


@pytest.mark.parametrize(("after", "counts"), [(0, 1), (WINDOW, 1), (WINDOW + 1, 0), (-1, 0)])
@pytest.mark.parametrize("late", [False, True])
def test_the_window_begins_with_the_showing_and_its_end_belongs_to_it(after, counts, late):
    for place, event in (
        (1, interaction("c", "ann", START + after, "clicked", ["a"])),
        (2, order("o", "ann", START + after, ["a"])),
    ):
        events = [event, SHOWN] if late else [SHOWN, event]
        found = counts_of(*events)
        assert found[0] == 1
        assert found[place] == counts
        assert found[3 - place] == 0


def test_one_click_is_for_the_newest_impression_on_its_shelf_and_a_purchase_for_all():
    again = interaction("s2", "ann", START + DAY, "shown", ["a"])
    elsewhere = interaction("s3", "ann", START + DAY, "shown", ["a"], "cart")
    click = interaction("c", "ann", START + DAY + HOUR, "clicked", ["a"])
    bought = order("o", "ann", START + 2 * DAY, ["a", "b"])
    for stream in itertools.permutations([SHOWN, again, elsewhere, click, bought]):
        assert Counted(stream).counts == {
            (START // DAY, "home", ""): (1, 0, 1),
            (START // DAY + 1, "home", ""): (1, 1, 1),
            (START // DAY + 1, "cart", ""): (1, 0, 1),
        }


def test_a_return_does_not_undo_and_what_nobody_was_shown_counts_nowhere():
    back = order("r", "ann", START + HOUR, ["a"], Return)
    assert counts_of(SHOWN, order("o", "ann", START, ["a"]), back) == (1, 0, 1)
    assert not Counted([interaction("c", "ann", START, "clicked", ["a"]), order("o", "ann", START, ["a"])]).counts


def test_somebody_who_only_saw_items_has_a_row_without_purchases():
    counted = Counted([SHOWN])
    row = counted.store.partitions[0].index["ann"]
    assert counted.store.header["orders"][row] == 0
    assert {cell.segment for cell in counted.tally} == {NO_SEGMENT}


def test_an_interaction_older_than_the_lateness_is_refused():
    new = order("o", "ann", START + LATENESS, ["b"])
    assert not Counted([new, SHOWN]).ignored
    late = Counted([order("o", "ann", START + LATENESS + 1, ["b"]), SHOWN])
    assert late.ignored == {Ignored.LATE: 1}
    assert not late.counts


def test_more_than_a_row_keeps_stay_counted_once_and_are_said():
    limits = Limits(lateness=LATENESS, attribution_window=WINDOW, exposures=3)
    shown = [interaction(f"s{n}", "ann", START + n * HOUR, "shown", ["a"]) for n in range(5)]
    buys = order("o", "ann", START + 6 * HOUR, ["a"])
    counted = Counted([*shown, buys, *shown], limits)
    assert list(counted.counts.values()) == [(5, 0, 3)]
    assert counted.unattributed == 2
    assert counted.ignored == {Ignored.CLOSED: 2, Ignored.REPEATED: 3}


def test_sources_of_impressions_that_are_gone_are_forgotten():
    shown = [interaction(f"s{n}", "ann", START + n * DAY, "shown", ["a"], f"campaign {n}") for n in range(60)]
    buys = order("o", "ann", START + 60 * DAY, ["a"])
    counted = Counted([*shown, buys], cuts=range(61))
    kept = decode_kept(counted.store.exposures[counted.store.partitions[0].index["ann"]])
    assert len(kept.texts) <= 21
    assert {kept.texts[one[1]] for one in kept.shown} == {f"campaign {n}" for n in range(47, 60)}
    found = {source: counts for (_, source, _), counts in counted.counts.items()}
    assert found == {f"campaign {n}": (1, 0, int(n >= 57)) for n in range(60)}
