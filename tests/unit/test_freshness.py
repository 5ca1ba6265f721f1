"""What is measured of a worker's delays: log to view, and lag in seconds."""

from types import SimpleNamespace

from hypothesis import given
from hypothesis import strategies as st

from consumer.freshness import BOUNDS, Freshness
from consumer.lag import LagSeconds
from contracts.events import Purchase
from tests.in_process import LOG_TIME, START, InProcess, step_until

SECOND = 1_000_000


def held(*dirty: int):
    """A partition with rows that became dirty with these checkpoints, oldest first."""
    return SimpleNamespace(dirty={row: (seq, 0.0) for row, seq in enumerate(dirty)})


def counted(freshness: Freshness) -> int:
    return freshness.buckets[-1][1]


# ---- freshness ----


def test_a_batch_counts_once_none_of_its_rows_is_dirty_any_more():
    freshness = Freshness()
    freshness.note(0, 5, 10 * SECOND, 3)
    freshness.note(0, 6, 11 * SECOND, 2)
    freshness.observe({0: held(5, 6)}, 12 * SECOND)
    assert counted(freshness) == 0
    freshness.observe({0: held(6)}, 12 * SECOND)
    assert (counted(freshness), freshness.seconds) == (3, 6.0)
    freshness.observe({0: held()}, 13 * SECOND)
    assert (counted(freshness), freshness.seconds) == (5, 10.0)


def test_a_row_that_was_dirty_before_holds_back_what_came_after():
    freshness = Freshness()
    freshness.note(0, 8, 0, 1)
    freshness.observe({0: held(3)}, SECOND)
    assert counted(freshness) == 0


def test_ages_fall_into_their_buckets():
    freshness = Freshness()
    for seq, age in enumerate((0.05, 0.06, 4000.0, -5.0)):
        freshness.note(0, seq, -round(age * SECOND), 1)
    freshness.observe({0: held()}, 0)
    at_most = dict(freshness.buckets)
    assert (at_most[0.05], at_most[0.1], at_most[BOUNDS[-1]], at_most[float("inf")]) == (2, 3, 3, 4)


def test_a_partition_given_up_is_not_waited_for():
    freshness = Freshness()
    freshness.note(0, 1, 0, 1)
    freshness.drop(0)
    freshness.observe({}, SECOND)
    assert counted(freshness) == 0


@given(st.lists(st.tuples(st.integers(1, 50), st.integers(0, 10**9)), min_size=1, max_size=100))
def test_every_record_counts_with_the_age_of_its_batch(batches):
    freshness = Freshness()
    for seq, (records, oldest) in enumerate(batches):
        freshness.note(0, seq, oldest, records)
    freshness.observe({0: held()}, 2 * 10**9)
    assert counted(freshness) == sum(records for records, _ in batches)
    exact = sum(records * (2 * 10**9 - oldest) / 1e6 for records, oldest in batches)
    assert abs(freshness.seconds - exact) <= 1e-6 * exact


def test_however_long_views_wait_every_record_counts_and_none_as_younger_than_it_is():
    freshness = Freshness()
    for seq in range(2_500):
        freshness.note(0, seq, seq * SECOND, 2)
    freshness.observe({0: held()}, 3_000 * SECOND)
    assert counted(freshness) == 5_000
    assert freshness.seconds >= sum(2 * (3_000 - seq) for seq in range(2_500))


def purchase(number: int) -> Purchase:
    return Purchase.model_validate(
        {
            "event_id": f"e{number}",
            "customer_id": f"c{number % 7}",
            "occurred_at": "2022-01-08T00:00:00Z",
            "order_id": f"o{number}",
            "lines": [{"item_id": "tea", "quantity": 1, "unit_price": 2.5}],
            "currency": "GBP",
        }
    )


def test_a_worker_measures_every_record_it_took():
    shop = InProcess()
    worker = shop.worker(wall=lambda: LOG_TIME + 2 * SECOND)
    shop.publish(*(purchase(number) for number in range(40)), b'{"customer_id": "c1"}')
    shop.run(worker)
    assert counted(worker.figures.freshness) == worker.figures.records == 41
    assert worker.figures.freshness.seconds == 41 * 2.0
    assert worker.figures.batches >= 2
    worker.close()


def test_a_worker_knows_its_lag_by_partition():
    shop = InProcess()
    worker = shop.worker()
    step_until(worker, lambda: len(worker.memory.held) == 2)
    assert worker.holds_assigned
    assert worker.log_answers
    shop.publish(*(purchase(number) for number in range(9)))
    assert worker.lag == sum(worker.lags.values()) == 9
    shop.run(worker)
    assert worker.lags == {0: 0, 1: 0}
    worker.close()


def test_sweeps_and_reviews_are_timed():
    shop = InProcess()
    worker = shop.worker()
    shop.publish(*(purchase(number) for number in range(40)))
    shop.run(worker)
    assert worker.figures.sweeps.times >= 1
    assert worker.figures.sweeps.seconds > 0
    worker.close()


# ---- lag in seconds ----


def test_without_lag_it_is_zero():
    assert LagSeconds().observe({0: 0, 1: 0}, {0: 5}, 100 * SECOND) == 0


def test_after_a_pause_the_wait_counts_from_the_last_record_read():
    assert LagSeconds().observe({0: 7}, {0: 40 * SECOND}, 100 * SECOND) == 60


def test_what_comes_after_a_silence_has_not_waited_through_it():
    lag = LagSeconds()
    lag.observe({0: 0}, {0: 10 * SECOND}, 99 * SECOND)
    assert lag.observe({0: 1}, {0: 10 * SECOND}, 100 * SECOND) == 1


def test_where_nothing_was_ever_read_the_wait_counts_from_the_first_look():
    lag = LagSeconds()
    assert lag.observe({0: 7}, {0: 0}, 100 * SECOND) == 0
    assert lag.observe({0: 7}, {0: 0}, 130 * SECOND) == 30


def test_the_partition_that_is_furthest_behind_counts():
    assert LagSeconds().observe({0: 1, 1: 1}, {0: 90 * SECOND, 1: 70 * SECOND}, START) == (START - 70 * SECOND) / 1e6


def test_a_partition_that_went_away_and_came_back_is_not_at_rest():
    lag = LagSeconds()
    lag.observe({0: 0}, {0: 10 * SECOND}, 50 * SECOND)
    lag.observe({}, {}, 60 * SECOND)
    assert lag.observe({0: 3}, {0: 10 * SECOND}, 100 * SECOND) == 90
