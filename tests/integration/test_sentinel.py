"""State, views and both readers on a Redis that Sentinels watch over: they follow a fail-over."""

import time

from consumer.redis_state import RedisState
from consumer.state import StateUnavailableError, Written
from contracts.keys import Keys
from livesegments.app import open_redis
from livesegments.sources import load_settings
from recommender.reader import CustomerReader
from recommender.reader_async import AsyncCustomerReader
from recommender.store import RedisViews, ViewsUnavailableError
from tests.blocking import Blocking
from tests.contract.test_state import step

SECONDS = 120.0


def until_it_answers(call):
    """Its answer, once what it needs is there again."""
    deadline = time.monotonic() + SECONDS
    while True:
        try:
            return call()
        except (StateUnavailableError, ViewsUnavailableError):
            assert time.monotonic() < deadline, "nobody took over"
            time.sleep(0.05)


def test_everybody_follows_a_fail_over(local_sentinel, unique):
    settings = load_settings(flags={"redis_url": local_sentinel.url, "log_url": "redis://127.0.0.1:1/0"}).settings
    keys = Keys(unique)
    with (
        open_redis(settings) as client,
        CustomerReader(local_sentinel.url, unique) as reader,
        Blocking(lambda: AsyncCustomerReader(local_sentinel.url, unique)) as async_reader,
    ):
        state, views = RedisState(client, keys), RedisViews(client)
        state.claim(0, "a", 0)
        assert state.checkpoint(0, "a", step(1, rows=[("ann", b"1")])) == Written.NOW
        views.set_many({keys.model(): b'{"version":1}'})
        assert views.promotions == 0
        for one in (reader, async_reader):
            assert one.model() == {"version": 1}
        client.wait(1, 5000)

        local_sentinel.fail_over()
        assert until_it_answers(lambda: state.checkpoint(0, "a", step(2, rows=[("ann", b"2")]))) == Written.NOW
        assert state.row(0, "ann") == b"2"
        until_it_answers(lambda: views.set_many({keys.model(): b'{"version":2}'}))
        assert views.promotions == 1, "what was written to the other one may be lost"
        for one in (reader, async_reader):
            assert until_it_answers(one.model) == {"version": 2}
