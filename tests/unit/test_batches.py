"""What one step takes of what was polled."""

from consumer.batches import Backlog
from consumer.state import MAX_BYTES, MAX_ROWS
from logs.base import Batch


def batch(keys, partition=0):
    n = len(keys)
    headers = {place: (("h", b"%d" % place),) for place in range(0, n, 3)}
    return Batch(partition, range(n), [b"%d" % place for place in range(n)], keys, [0] * n, headers)


def taken(backlog, event_bytes=None):
    """Sizes of the batches, step by step."""
    sizes = []
    while backlog:
        sizes.append([len(one) for one in backlog.take(event_bytes or {})])
    return sizes


def backlog_of(*batches, most=5_000):
    backlog = Backlog(most)
    for one in batches:
        backlog.add(one)
    return backlog


def test_each_partition_gives_one_batch_a_step_in_order():
    backlog = backlog_of(batch([b"a"] * 3), batch([b"b"] * 4, 1), batch([b"a"] * 5), most=7)
    assert [len(one) for one in backlog.take({})] == [3, 4]
    assert [len(one) for one in backlog.take({})] == [5]
    assert not backlog


def test_records_that_come_meanwhile_join_those_that_wait_for_the_step():
    first, rest = batch([b"a"] * 10), Batch(0, range(10, 14), [b"x"] * 4, [None] * 4, [1] * 4, {1: (("h", b"y"),)})
    (both,) = backlog_of(first, rest).take({})
    assert list(both.positions) == list(range(14))
    assert both.values == [*first.values, *rest.values]
    assert both.keys == [*first.keys, *rest.keys]
    assert both.log_times == [0] * 10 + [1] * 4
    assert both.headers == {**first.headers, 11: (("h", b"y"),)}


def test_a_cut_batch_loses_nothing():
    whole = batch([b"a"] * 10)
    backlog = backlog_of(whole, most=4)
    parts = [one for _ in range(3) for one in backlog.take({})]
    assert [value for part in parts for value in part.values] == whole.values
    assert [part.positions[0] for part in parts] == [0, 4, 8]
    kept = {part.positions[place]: headers for part in parts for place, headers in part.headers.items()}
    assert kept == whole.headers


def test_no_step_has_more_customers_than_one_checkpoint_has_rows():
    keys = [b"%d" % (place % (MAX_ROWS + 1)) for place in range(3 * MAX_ROWS)]
    assert taken(backlog_of(batch(keys), most=20_000)) == [[MAX_ROWS], [MAX_ROWS], [MAX_ROWS]]
    few = [b"%d" % (place % MAX_ROWS) for place in range(3 * MAX_ROWS)]
    assert taken(backlog_of(batch(few), most=20_000)) == [[3 * MAX_ROWS]]


def test_records_without_a_key_may_be_of_any_customer():
    assert taken(backlog_of(batch([None] * (MAX_ROWS + 1)), most=20_000)) == [[MAX_ROWS], [1]]


def test_records_that_make_large_rows_come_in_small_batches():
    assert taken(backlog_of(batch([b"a"] * 100)), {0: MAX_BYTES / 40}) == [[40], [40], [20]]
    assert taken(backlog_of(batch([b"a"] * 2)), {0: 2.0 * MAX_BYTES}) == [[1], [1]]
