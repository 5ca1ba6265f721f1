"""Feedback and lift through the whole worker: in documents, exact when workers fail, at no cost to views."""

import itertools
import random
from collections import Counter
from datetime import date, timedelta

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from consumer.exposures import Cell, Outcomes
from consumer.feedback_book import KEPT_DAYS, MAX_CELLS, OTHER, FeedbackBook, read_tally
from consumer.layout import Limits
from contracts.documents import NO_SEGMENT, FeedbackDay, LiftDocument
from contracts.errors import LivesegmentsError
from contracts.events import Interaction, Purchase
from contracts.times import DAY, HOUR, from_micros
from recommender.holdout import HoldOut
from tests.in_process import START, InProcess, fixed_model


def shown(number, who, at, items=("a",), kind="shown", source="recommendations", reasons=()):
    return Interaction(
        event_id=f"i{number}",
        customer_id=who,
        occurred_at=from_micros(START + at),
        kind=kind,
        items=tuple(items),
        source=source,
        reasons=tuple(reasons),
    )


def bought(number, who, at, items=("a",), price=10.0):
    return Purchase(
        event_id=f"p{number}",
        customer_id=who,
        occurred_at=from_micros(START + at),
        order_id="o",
        lines=[{"item_id": item, "quantity": 1, "unit_price": price} for item in items],
        currency="GBP",
    )


def run(shop):
    """Until nothing is left to do, and once more: then what is there is shown."""
    worker = shop.worker(figures_interval=0.0)
    shop.run(worker)
    worker.step(0.0)
    worker.close()


def day_name(day):
    return (date(1970, 1, 1) + timedelta(days=START // DAY + day)).isoformat()


def feedback(shop, days=60):
    found = shop.views.get_many([shop.keys.feedback(day_name(day)) for day in range(-1, days)])
    return [FeedbackDay.model_validate_json(one) for one in found if one is not None]


def totals(shop, *, segments=False):
    counts = Counter()
    for day in feedback(shop):
        for one in day.counts:
            key = (day.day.isoformat(), one.shelf, one.reason, *([one.segment] if segments else []))
            counts.update({(key, "shown"): one.shown, (key, "clicked"): one.clicked, (key, "bought"): one.bought})
    return +counts


def test_what_was_shown_stands_in_the_document_of_its_day_by_shelf_reason_and_segment():
    shop = InProcess(partitions=2)
    shop.adopt(fixed_model())
    shop.publish(bought(1, "ann", 0), bought(2, "bob", 0))
    run(shop)
    shop.publish(
        shown(1, "ann", DAY, ("a", "b"), reasons=("because:z", "popular")),
        shown(2, "ann", DAY + HOUR, ("a",), "clicked"),
        bought(3, "ann", 3 * DAY, ("a",)),
        shown(3, "new", 2 * DAY, ("b",), source="home"),
    )
    run(shop)
    first, second = feedback(shop)
    assert (first.day.isoformat(), second.day.isoformat()) == (day_name(1), day_name(2))
    by_reason = {one.reason: one for one in first.counts}
    assert {(one.shelf, one.segment, one.segment_name) for one in first.counts} == {("recommendations", 1, "Segment 1")}
    because, popular = by_reason["because"], by_reason["popular"]
    assert (because.shown, because.clicked, because.bought) == (1, 1, 1)
    assert (popular.shown, popular.clicked, popular.bought) == (1, 0, 0)
    (one,) = second.counts
    assert (one.shelf, one.reason, one.segment, one.shown) == ("home", "", None, 1)
    assert shop.rows()["new"]["orders"] == 0
    assert shop.reader().get("new").segment.name == "No purchases yet"


def test_a_showing_writes_no_view_and_moves_nobody():
    shop = InProcess(partitions=1)
    shop.publish(bought(1, "ann", 0), bought(2, "bob", HOUR))
    run(shop)
    before, changes = shop.views.get_many([shop.keys.customer("ann")]), len(shop.changes())
    worker = shop.worker()
    shop.run(worker)
    written = worker.memory.views.figures.written
    shop.publish(shown(1, "ann", 2 * HOUR), shown(2, "ann", 2 * HOUR, kind="clicked"))
    shop.run(worker)
    assert worker.memory.views.figures.written == written
    assert shop.views.get_many([shop.keys.customer("ann")]) == before
    assert len(shop.changes()) == changes
    shop.publish(shown(3, "ann", 3 * HOUR), bought(3, "ann", 4 * HOUR))
    shop.run(worker)
    assert worker.memory.views.figures.written > written, "a purchase in the same step does"
    worker.close()


def stream(seed, days=12):
    rng = random.Random(seed)
    events = []
    for n in range(120):
        who, at = f"c{rng.randrange(8)}", rng.randrange(days * 24) * HOUR
        some = rng.sample("abcd", rng.randint(1, 3))
        what = rng.choice(["shown", "shown", "clicked", "bought"])
        reasons = [rng.choice(["popular", "again"]) for _ in some] if what == "shown" else ()
        events.append(bought(n, who, at, some) if what == "bought" else shown(n, who, at, some, what, "home", reasons))
    return events


class BulletError(LivesegmentsError):
    """What kills a worker here."""


class Doomed:
    """A state that fails for good at the nth checkpoint: before it is written, or after."""

    def __init__(self, state, checkpoints, *, after):
        self._state, self._left, self._after = state, checkpoints, after

    def __getattr__(self, name):
        return getattr(self._state, name)

    def checkpoint(self, partition, token, step):
        self._left -= 1
        if self._left <= 0 and not self._after:
            raise BulletError
        written = self._state.checkpoint(partition, token, step)
        if self._left <= 0:
            raise BulletError
        return written


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 2**16), st.lists(st.tuples(st.integers(1, 6), st.booleans()), max_size=6))
@example(522, [(2, True)])  # one partition's step is written, the other's is not, and then the worker is closed
def test_workers_that_die_before_or_after_checkpoints_change_no_number(seed, deaths):
    events = stream(seed)
    calm = InProcess(partitions=2, limits=Limits(attribution_window=3 * DAY))
    calm.publish(*events)
    run(calm)
    shop = InProcess(partitions=2, limits=Limits(attribution_window=3 * DAY), batch_events=7)
    random.Random(seed).shuffle(events)
    shop.publish(*events)
    for checkpoints, after in deaths:
        worker = shop.worker(state=Doomed(shop.state, checkpoints, after=after))
        try:
            shop.run(worker)
        except BulletError:
            pass
        finally:
            worker.close()
    run(shop)
    assert totals(shop) == totals(calm)
    assert sum(number for (_, what), number in totals(shop).items() if what == "shown") > 50


def test_lift_stands_in_its_document_and_only_with_an_experiment():
    shop = InProcess(partitions=2, holdout=HoldOut(0.3, START + DAY))
    who = [f"c{n}" for n in range(1000)]
    rng = random.Random(5)
    shop.publish(*(bought(n, one, 0) for n, one in enumerate(who)))
    shop.publish(
        *(bought(1000 + n, one, 2 * DAY, price=float(rng.randint(5, 15))) for n, one in enumerate(who) if n % 3)
    )
    run(shop)
    document = LiftDocument.model_validate_json(shop.views.get_many([shop.keys.lift()])[0])
    held = [one for one in who if shop.settings.holdout.holds(one)]
    ordered = [one for n, one in enumerate(who) if n % 3]
    assert document.held_out.customers == len(held)
    assert document.treated.customers == 1000 - len(held)
    assert document.held_out.buyers == document.held_out.orders == len({*held} & {*ordered})
    assert document.treated.orders + document.held_out.orders == len(ordered)
    assert document.orders.low < document.orders.value < document.orders.high
    assert document.orders.low < 0 < document.orders.high, "nobody was treated differently by anybody"
    alone = InProcess(partitions=1)
    alone.publish(bought(1, "ann", 0))
    run(alone)
    assert alone.views.get_many([alone.keys.lift()]) == [None]


# ---- the book ----


def cell(day, segment=1, source="home"):
    return Cell(day, source, "popular", segment)


@given(
    st.lists(st.tuples(st.integers(0, 5) | st.integers(0, 60), st.integers(0, 3), st.booleans()), max_size=40),
    st.lists(st.integers(0, 20), max_size=3),
)
def test_a_feedback_book_carried_on_by_another_worker_ends_like_one_that_was_never_put_down(steps, handed_over):
    whole, stored, parts, again = FeedbackBook(), {}, FeedbackBook(), {}
    for place, (day, segment, noted) in enumerate(steps):
        for book, pages in ((whole, stored), (parts, again)):
            book.add({cell(day, segment): Outcomes(2, 1, 0)})
            if noted:
                pages.update(book.news()[0])
                book.noted()
        if place in handed_over and noted:
            parts = FeedbackBook.load(again)
    stored.update(whole.news()[0])
    again.update(parts.news()[0])
    assert stored == again
    found = sum(counts.shown for day, page in stored.items() for counts in read_tally(day, page).values())
    assert found == 2 * len(steps)


def test_a_page_of_long_ago_goes_on_where_it_was():
    """Pages that nothing happens on are packed away."""
    book, stored = FeedbackBook(), {}
    for day in [*range(40), 3]:
        book.add({cell(day): Outcomes(1, 0, 0)})
        stored.update(book.news()[0])
        book.noted()
    assert read_tally(3, stored[3]) == {cell(3): (2, 0, 0)}
    assert {read_tally(day, stored[day])[cell(day)].shown for day in range(40) if day != 3} == {1}


def test_pages_go_after_400_days_and_nothing_is_counted_on_them():
    book = FeedbackBook()
    book.add({cell(5): Outcomes(1, 0, 0)})
    book.noted()
    book.add({cell(5 + KEPT_DAYS): Outcomes(1, 0, 0)})
    pages, old = book.news()
    assert (set(pages), old) == ({5 + KEPT_DAYS}, [5])
    book.noted()
    book.add({cell(5): Outcomes(1, 0, 0)})
    assert book.news() == ({}, [])


def test_more_kinds_than_a_page_holds_are_counted_together():
    book = FeedbackBook()
    for n in range(MAX_CELLS + 5):
        book.add({cell(5, source=f"s{n}"): Outcomes(1, 0, 0)})
    book.add({cell(5, source="s1"): Outcomes(0, 1, 0), cell(5, source=f"s{MAX_CELLS + 1}"): Outcomes(0, 1, 0)})
    tally = read_tally(5, book.news()[0][5])
    assert tally[cell(5, source="s1")] == (1, 1, 0)
    assert tally[Cell(5, OTHER, OTHER, NO_SEGMENT)] == (5, 1, 0)


def test_orders_of_any_partitioning_add_up_to_the_same():
    found = []
    for partitions, order in itertools.product((1, 3), (1, -1)):
        shop = InProcess(partitions=partitions, limits=Limits(attribution_window=2 * DAY))
        shop.publish(*stream(3)[::order])
        run(shop)
        found.append(totals(shop))
    assert all(one == found[0] for one in found)
    assert any(what == "clicked" for _, what in found[0])
    assert any(what == "bought" for _, what in found[0])


@pytest.mark.parametrize("known", [False, True])
def test_a_click_alone_counts_nowhere(known):
    shop = InProcess(partitions=1)
    if known:
        shop.publish(bought(1, "ann", 0))
    shop.publish(shown(1, "ann", HOUR, kind="clicked"))
    run(shop)
    assert feedback(shop) == []


def test_customers_held_out_are_shown_popular_items_only():
    shop = InProcess(partitions=2, holdout=HoldOut(0.5, START))
    who = [f"c{n}" for n in range(40)]
    shop.publish(*(bought(n, one, n * HOUR, ("a", "b") if n % 2 else ("c", "d")) for n, one in enumerate(who)))
    run(shop)
    reader = shop.reader()
    reasons = {False: Counter(), True: Counter()}
    for one in who:
        reasons[shop.settings.holdout.holds(one)].update(item.reason for item in reader.get(one).items)
    assert set(reasons[True]) == {"popular"}
    assert set(reasons[False]) > {"popular"}
