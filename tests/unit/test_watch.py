"""Watching a deployment: what workers say of themselves, and what a watch makes of it."""

import json
import os
import signal
import subprocess
import sys

import pytest
from typer.testing import CliRunner

from consumer.memory_state import MemoryState
from consumer.state import StateUnavailableError
from contracts.documents import SegmentList, SegmentSize, WorkerStatus
from contracts.events import Purchase
from contracts.keys import Keys
from contracts.times import HOUR, MINUTE, SECOND, from_micros
from livesegments.cli import app
from livesegments.watching import Watch
from livesegments.worker_status import StatusPublisher, is_gone, read_status
from recommender.reader import CustomerReader
from recommender.redis_open import open_redis
from recommender.store import MemoryViews
from tests.in_process import START, InProcess, fixed_model, step_until


def event_of(number) -> Purchase:
    return Purchase(
        event_id=f"{number}:purchase",
        customer_id=f"c{number}",
        occurred_at=from_micros(START + number * MINUTE),
        order_id=str(number),
        lines=[{"item_id": "a", "quantity": 1 + number % 7, "unit_price": 1.5}],
        currency="GBP",
    )


def status(worker="a:1", at=START, **more) -> WorkerStatus:
    return WorkerStatus(
        **{
            "worker": worker,
            "started_at": from_micros(START - HOUR),
            "at": from_micros(at),
            "interval_s": 1.0,
            "records": 100,
            "events_per_s": 10.0,
            "lag": 5,
            "partitions": 2,
            "customers": 50,
            "model_version": 3,
            "oldest_dirty_view_s": 0.5,
            "moves": {},
            **more,
        }
    )


class Shop:
    """State and views in memory, as workers would have left them."""

    def __init__(self):
        self.state = MemoryState()
        self.views = MemoryViews(lambda: START)
        self.watch = Watch(self.state, CustomerReader(self.views))

    def say(self, **more):
        said = status(**more)
        self.state.put_worker(said.worker, said.encode())

    def sizes(self, **sizes):
        listed = SegmentList(
            segments=[
                SegmentSize(id=number, name=name, size=size) for number, (name, size) in enumerate(sizes.items())
            ],
            as_of=from_micros(START),
            model_version=3,
        )
        self.views.set_many({Keys().segments(): listed.encode()})

    def look(self, seconds=0.0):
        return self.watch.look(START + round(seconds * SECOND))


@pytest.fixture
def shop():
    return Shop()


def test_nothing_is_there_yet(shop):
    seen = shop.look()
    assert (seen.customers, seen.segments, seen.model_version) == (0, [], None)
    assert seen.events_per_s is seen.lag is seen.oldest_dirty_view_s is None


def test_workers_add_up(shop):
    shop.say(worker="a:1", events_per_s=10, lag=5, oldest_dirty_view_s=0.5)
    shop.say(worker="b:1", events_per_s=20, lag=7, oldest_dirty_view_s=2.5)
    seen = shop.look()
    assert (seen.events_per_s, seen.lag, seen.oldest_dirty_view_s) == (30, 12, 2.5)
    assert [one.worker for one in seen.workers] == ["a:1", "b:1"]


def test_a_lag_that_one_worker_does_not_know_is_unknown(shop):
    shop.say(worker="a:1", lag=5)
    shop.say(worker="b:1", lag=None)
    assert shop.look().lag is None


def test_a_worker_that_says_nothing_for_long_is_gone(shop):
    shop.say(worker="a:1", events_per_s=10)
    shop.say(worker="b:1", events_per_s=20, at=START + MINUTE)
    seen = shop.look(60)
    assert [(one.worker, one.gone) for one in seen.workers] == [("a:1", True), ("b:1", False)]
    assert seen.events_per_s == 20


@pytest.mark.parametrize(
    ("interval", "silent", "gone"), [(1.0, 4, False), (1.0, 6, True), (10.0, 29, False), (10.0, 31, True)]
)
def test_how_long_is_long_depends_on_how_often_it_speaks(interval, silent, gone):
    assert is_gone(status(interval_s=interval), START + silent * SECOND) is gone


def test_sizes_are_compared_with_the_start_and_with_a_minute_ago(shop):
    shop.sizes(none=0, loyal=60, lost=40)
    shop.look()
    shop.sizes(none=0, loyal=70, lost=40)
    shop.look(50)
    shop.sizes(none=0, loyal=70, lost=90)
    seen = shop.look(115)
    assert [(one.name, one.size, one.since_start, one.last_minute) for one in seen.segments] == [
        ("lost", 90, 50, 50),
        ("loyal", 70, 10, 0),
    ]
    assert seen.segments[0].share == pytest.approx(90 / 160)


def test_moves_are_those_since_the_watch_began_though_workers_restart(shop):
    shop.say(moves={"purchase": 100, "time": 5})
    assert shop.look().moves == {}
    shop.say(moves={"purchase": 103, "time": 5})
    assert shop.look(1).moves == {"purchase": 3}
    shop.say(moves={"return": 2}, started_at=from_micros(START))  # the same host and process number, started again
    assert shop.look(2).moves == {"purchase": 3, "return": 2}
    shop.say(worker="b:1", moves={"time": 4})
    assert shop.look(3).moves == {"time": 4, "purchase": 3, "return": 2}


def test_what_another_version_wrote_is_left_out(shop):
    shop.state.put_worker("x", b"{}")
    shop.say()
    assert [one.worker for one in shop.look().workers] == ["a:1"]


# ---- what a worker says ----


@pytest.fixture
def at_work():
    shop = InProcess()
    shop.adopt(fixed_model())
    worker = shop.worker()
    yield shop, worker
    worker.close()


def publisher(shop, clock, state=None):
    return StatusPublisher(state or shop.state, 1.0, wall=lambda: START, monotonic=lambda: clock[0])


def test_a_worker_says_how_it_is_doing(at_work):
    shop, worker = at_work
    shop.publish(*[event_of(n) for n in range(30)])
    shop.publish(*[event_of(n) for n in range(3)])
    shop.publish(b"no event", partition=0)
    step_until(worker, lambda: worker.idle)
    said = publisher(shop, [0.0])
    said(worker)
    found = read_status(shop.state.workers()[said.name])
    assert (found.records, found.customers, found.partitions) == (34, 30, 2)
    assert (found.events, found.ignored, found.dead_letters) == ({"purchase": 30}, {"repeated": 3}, {"not-json": 1})
    assert found.model_version == 1
    assert found.moves == dict(worker.figures.moves)
    said.close()
    assert not shop.state.workers()


def test_it_says_so_once_an_interval_with_the_speed_of_the_last_seconds(at_work):
    shop, worker = at_work
    clock = [0.0]
    said = publisher(shop, clock)
    speeds = []
    for clock[0], records in [(0.0, 0), (0.5, 50), (1.0, 100), (2.0, 200), (8.0, 200), (14.0, 200)]:
        worker.figures.events["purchase"] = records
        said(worker)
        speeds.append(read_status(shop.state.workers()[said.name]).events_per_s)
    assert speeds == [0.0, 0.0, 100.0, 100.0, 0.0, 0.0]


def test_who_has_been_gone_for_long_is_forgotten(at_work):
    shop, worker = at_work
    for name, at in (("old:1", START - 2 * HOUR), ("young:1", START - MINUTE)):
        shop.state.put_worker(name, status(name, at).encode())
    shop.state.put_worker("broken:1", b"?")
    said = publisher(shop, [0.0])
    said(worker)
    assert set(shop.state.workers()) == {"young:1", said.name}


def test_a_state_that_does_not_answer_stops_nobody(at_work):
    shop, worker = at_work

    class Away(MemoryState):
        tried = 0

        def put_worker(self, worker, status):
            self.tried += 1
            raise StateUnavailableError("away")

    away = Away()
    said = publisher(shop, [0.0], away)
    said(worker)
    said.close()
    assert away.tried == 2


# ---- the command ----


def test_one_look_as_json_and_as_a_table(redis_url, one_redis_url, unique, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LIVESEGMENTS_REDIS_URL", redis_url)
    monkeypatch.setenv("LIVESEGMENTS_LOG_URL", one_redis_url)
    monkeypatch.setenv("LIVESEGMENTS_KEY_PREFIX", unique)
    names = Keys(unique)
    client = open_redis(redis_url)
    listed = SegmentList(
        segments=[SegmentSize(id=1, name="[red]Loyal\x1b[2J", size=3)], as_of=from_micros(START), model_version=1
    )
    client.set(names.segments(), listed.encode())
    client.hset(names.workers(), "a:1", status().encode())
    shown = CliRunner().invoke(app, ["watch", "--once"]).output
    assert "[red]Loyal\\x1b[2J" in shown
    assert "no worker is at work" in shown
    assert "gone since" in shown
    seen = json.loads(CliRunner().invoke(app, ["watch", "--once", "--json"]).output)
    assert seen["segments"][0]["size"] == 3
    assert seen["workers"][0]["gone"] is True


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_watch_goes_on_until_it_is_told_to_stop(redis_url, one_redis_url, unique, tmp_path, number):
    environment = os.environ | {
        "LIVESEGMENTS_REDIS_URL": redis_url,
        "LIVESEGMENTS_LOG_URL": one_redis_url,
        "LIVESEGMENTS_KEY_PREFIX": unique,
    }
    command = [sys.executable, "-m", "livesegments", "watch", "--json", "--every", "10ms"]
    with subprocess.Popen(command, cwd=tmp_path, env=environment, stdout=subprocess.PIPE, text=True) as watching:
        looks = [json.loads(watching.stdout.readline()) for _ in range(3)]
        watching.send_signal(number)
        assert watching.wait(30) == 0
    assert looks[0]["seconds"] == 0 < looks[1]["seconds"] < looks[2]["seconds"]
