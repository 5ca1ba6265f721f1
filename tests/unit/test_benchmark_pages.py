"""What the benchmark of pages publishes: valid events in time order, of about as many customers as asked for."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from pydantic import TypeAdapter

from contracts.events import Purchase

pages = pytest.importorskip("benchmarks.pages", reason="playwright is not installed")
NOW = datetime(2026, 11, 1, tzinfo=UTC)


def test_a_history_is_purchases_of_all_customers_in_time_order():
    batches = [TypeAdapter(list[Purchase]).validate_json(one) for one in pages.history(3_000, NOW)]
    assert [len(one) for one in batches[:-1]] == [pages.BATCH] * (len(batches) - 1)
    events = [event for batch in batches for event in batch]
    assert len({event.customer_id for event in events}) == 3_000
    assert len({event.event_id for event in events}) == len(events)
    assert all(a.occurred_at <= b.occurred_at for a, b in pairwise(events))
    assert NOW - timedelta(days=pages.DAYS + 1) < events[0].occurred_at < events[-1].occurred_at < NOW


def test_only_whole_batches_are_published():
    assert pages.whole([b"1", b"2", b"3"]) == [b"1", b"2"]
    assert pages.whole([b"1"]) == [b"1"]
