"""What pages are told of a deployment: how it stands, that something has changed, and that Redis is away."""

import asyncio
import json
from dataclasses import replace

import pytest

from contracts.documents import WorkerStatus
from contracts.times import SECOND, from_micros
from dashboard.pages.live import Live, Moment, quantile
from dashboard.pages.live import _freshness as freshness_of
from recommender.reader_async import AsyncCustomerReader
from recommender.store import ViewsUnavailableError
from tests.in_process import SECONDS, START
from tests.unit.test_web_api import purchase
from tests.web_shop import NOW, WebShop


def status(customers, **more):
    told = {
        "worker": "w1",
        "started_at": from_micros(NOW),
        "at": from_micros(NOW),
        "interval_s": 1.0,
        "records": 1,
        "events_per_s": 2.5,
        "lag": 3,
        "partitions": 2,
        "customers": customers,
        "model_version": None,
        "oldest_dirty_view_s": 0.0,
        "moves": {},
        "audiences": {"Big": 2},
    }
    return WorkerStatus(**{**told, **more})


def shop_of(*customers):
    shop = WebShop()
    for who in customers:
        shop.publish(json.dumps(purchase(who)).encode())
    shop.run()
    return shop


def test_how_it_stands_is_what_applications_read():
    shop = shop_of("a", "b", "c")
    live = Live(shop.parts(), lambda: [status(3), status(3, worker="gone", at=from_micros(START))])
    seen = asyncio.run(live.current())
    assert seen.segments == shop.reader().segments()
    assert seen.customers == 3
    assert (seen.events_per_s, seen.lag, seen.audiences, seen.problem) == (2.5, 3, {"Big": 2}, "")
    assert [seen.gone(one) for one in seen.workers] == [False, True]


def test_who_listens_is_told_what_comes():
    shop = shop_of("a")
    live = Live(shop.parts(), lambda: [status(1)])

    async def listen():
        async with asyncio.timeout(SECONDS):
            news = live.news()
            first = await anext(news)
            while live.snapshot.customers != 1:
                await anext(news)
            shop.publish(json.dumps(purchase("b")).encode())
            await asyncio.to_thread(shop.run)
            while live.snapshot.customers != 2:
                latest = await anext(news)
                assert latest > first
            await news.aclose()

    asyncio.run(listen())
    assert "b" in {one.customer_id for one in live.snapshot.changes}


class AwayNowAndThen(AsyncCustomerReader):
    away = False

    async def segments(self):
        if self.away:
            raise ViewsUnavailableError("Redis does not answer")
        return await super().segments()


def test_while_redis_is_away_the_last_is_shown_and_said_to_be():
    shop = shop_of("a", "b")
    reader = AwayNowAndThen(shop.views, shop.keys.prefix)
    live = Live(shop.parts(reader=reader), lambda: [status(2)])

    async def look():
        before = await live.current()
        reader.away = True
        away = await live.current()
        reader.away = False
        return before, away, await live.current()

    before, away, after = asyncio.run(look())
    assert away.problem == "Redis does not answer"
    assert (away.segments, away.at, away.lag) == (before.segments, before.at, None)
    assert after.problem == ""


def moment(at, *counts):
    buckets = tuple(zip((0.1, 1.0, float("inf")), counts, strict=True))
    return Moment(at * SECOND, {}, 0, {}, {("w1", 0): buckets})


def test_freshness_is_of_the_events_in_between():
    assert freshness_of([moment(0, 100, 100, 100)]) is None
    assert freshness_of([moment(0, 100, 100, 100), moment(9, 100, 100, 100)]) is None
    half, most = freshness_of([moment(0, 100, 100, 100), moment(9, 100, 110, 110)])
    assert half == pytest.approx(0.55)
    assert most == pytest.approx(0.991)


def test_a_worker_that_comes_counts_from_when_it_was_seen():
    def of_the_new_one(one):
        return replace(one, buckets={("w2", 0): one.buckets["w1", 0]})

    then, now = of_the_new_one(moment(5, 100, 100, 100)), of_the_new_one(moment(9, 110, 110, 110))
    half, _ = freshness_of([moment(1, 5, 5, 5), then, now])
    assert half == pytest.approx(0.05)


def test_a_worker_that_begins_anew_under_its_name_counts_from_its_start():
    before, then = moment(1, 5000, 9900, 10_000), moment(9, 0, 400, 400)
    half, most = freshness_of([before, replace(then, buckets={("w1", 5 * SECOND): then.buckets["w1", 0]})])
    assert half == pytest.approx(0.55)
    assert most == pytest.approx(0.991)


def test_what_lies_beyond_the_last_bound_is_told_as_that():
    assert quantile([(1.0, 0), (float("inf"), 4)], 0.5) == 1.0
