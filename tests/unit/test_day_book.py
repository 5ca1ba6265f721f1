"""The day book counts what the rows say, however it is cut and carried on; history is its sum."""

import json
from collections import Counter
from datetime import date, timedelta
from types import SimpleNamespace

from hypothesis import given
from hypothesis import strategies as st

from consumer.clock import Clock
from consumer.day_book import ERASED, KEPT_DAYS, DayBook, read_page
from consumer.feed import Feed
from contracts.documents import NO_SEGMENT, HistoryDay
from contracts.events import Erase, Purchase
from contracts.times import DAY, from_micros
from tests.in_process import START, InProcess

segments = st.sampled_from([NO_SEGMENT, -1, 0, 1, 2])
moves = st.lists(st.tuples(segments, segments, st.sampled_from(["purchase", "time", ERASED])), max_size=5)
steps = st.lists(
    st.tuples(
        st.integers(0, 4),
        moves,
        st.dictionaries(segments, st.tuples(st.integers(-9, 9), st.integers(0, 3)), max_size=2),
    )
)


@given(steps, st.integers(0, 20))
def test_a_book_carried_on_by_another_worker_ends_like_one_that_was_never_put_down(steps, handed_over):
    whole, stored = DayBook(), {}
    parts, again = DayBook(), {}
    sizes = Counter()
    for place, (day, moved, sold) in enumerate(steps):
        for book, pages in ((whole, stored), (parts, again)):
            book.note(day, moved, sold)
            news, old = book.news()
            pages.update(news)
            assert not old
            book.noted()
        for before, after, _ in moved:
            sizes.update({after: 1})
            sizes.subtract({before: 1})
        if place == handed_over:
            parts = DayBook.load(again, sizes)
    assert {day: people(page) for day, page in stored.items()} == {day: people(page) for day, page in again.items()}


def people(page):
    """A page without the segments that nobody is in any more: whether they are named there says nothing."""
    found = read_page(page)
    found.sizes = {segment: size for segment, size in found.sizes.items() if size}
    return found


def test_what_no_checkpoint_has_written_is_said_again():
    book = DayBook()
    book.note(5, [(NO_SEGMENT, 1, "purchase")])
    first, _ = book.news()
    book.note(6, [(1, 2, "time")])
    pages, _ = book.news()
    assert first[5] == pages[5]
    assert read_page(pages[6]).sizes == {1: 0, 2: 1}


def test_a_page_goes_after_400_days():
    book = DayBook()
    book.note(5, [(NO_SEGMENT, 1, "purchase")])
    book.noted()
    book.note(5 + KEPT_DAYS, [(1, 2, "time")])
    pages, old = book.news()
    assert set(pages) == {5 + KEPT_DAYS}
    assert old == [5]


def purchase(who, day, number, price=10.0):
    return Purchase(
        event_id=f"{who}-{day}-{number}",
        customer_id=who,
        occurred_at=from_micros(START + day * DAY),
        order_id="o",
        lines=[{"item_id": "i", "quantity": 1, "unit_price": price}],
        currency="GBP",
    )


def days_of(shop):
    first = START // DAY
    keys = [shop.keys.history((date(1970, 1, 1) + timedelta(days=first + n)).isoformat()) for n in range(-1, 40)]
    return [HistoryDay.model_validate_json(found) for found in shop.views.get_many(keys) if found is not None]


def test_history_adds_up_to_the_rows_and_to_the_published_changes():
    shop = InProcess(partitions=3)
    for day in range(0, 30, 3):
        shop.publish(*(purchase(f"c{n}", day, 0, 5.0 + n) for n in range(0, 40, 1 + day % 4)))
        shop.run()
    shop.publish(Erase(event_id="forget", customer_id="c0", occurred_at=from_micros(START + 30 * DAY)))
    shop.run()
    history = days_of(shop)
    assert len(history) >= 10
    rows = shop.rows()
    sizes = Counter(row["segment"] for row in rows.values())
    assert {one.id: one.size for one in history[-1].segments if one.size} == dict(sizes)
    changes = Counter((one["from"], one["to"], one["cause"]) for one in shop.changes())
    told = Counter()
    for one in history:
        told.update({(move.from_segment, move.to_segment, move.cause): move.customers for move in one.moves})
    erased = [key for key in told if key[2] == ERASED]
    assert sum(told.pop(key) for key in erased) == 1
    assert told == changes
    revenue = sum(one.net_revenue for day in history for one in day.segments)
    bought = sum(
        line["unit_price"] * line["quantity"]
        for event in map(json.loads, shop.all_events())
        if event["type"] == "purchase"
        for line in event["lines"]
    )
    assert abs(revenue - bought) < 1e-6
    assert sum(one.orders for day in history for one in day.segments) == sum(
        json.loads(event)["type"] == "purchase" for event in shop.all_events()
    )


def test_a_backlog_of_many_days_leaves_a_document_of_each():
    shop = InProcess(partitions=2)
    for day in range(25):
        shop.publish(*(purchase(f"c{n}", day, 0, 5.0 + n) for n in range(day % 4, 60, 3)))
    shop.run()
    assert [one.day.day for one in days_of(shop)] == [
        (date(1970, 1, 1) + timedelta(days=START // DAY + n)).day for n in range(25)
    ]


def test_a_clock_that_jumps_ahead_takes_no_day_out_of_the_history():
    """By the wall clock: what happens meanwhile is booked on the day of the log, what happens later too."""
    shop = InProcess(partitions=1)
    now = START
    worker = shop.worker(clock="wall", wall=lambda: now)
    for day, off in ((0, 0), (1, 0), (2, 500), (3, 500), (4, 0)):
        shop.log_time, now = START + day * DAY, START + (day + off) * DAY
        shop.publish(*(purchase(f"c{n}", day, 0, 5.0 + n) for n in range(day % 2, 60, 3)))
        worker._deciding.due_at = 0.0
        shop.run(worker)
    worker.close()
    [pages] = shop.state.pages(1)
    assert sorted(pages) == [START // DAY + day for day in range(5)]
    assert [one.day for one in days_of(shop)] == [date(1970, 1, 1) + timedelta(days=day) for day in sorted(pages)]


def test_a_partition_to_which_nothing_comes_is_booked_by_the_clock_while_others_hear_of_something():
    learner = SimpleNamespace(quiet=False)
    feed = Feed(Clock("wall", lambda: START + 10 * DAY), learner, 3 * DAY)
    assert feed.day() == START // DAY + 10, "nobody has heard anything yet"
    assert feed.day(START) == START // DAY
    feed.listen([], START + 9 * DAY, at_rest=False)
    assert feed.day(START) == START // DAY + 10
