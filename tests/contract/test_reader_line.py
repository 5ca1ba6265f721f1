"""One connection for all questions of an event loop: answers find whoever asked, whatever becomes of the others."""

import asyncio
from urllib.parse import urlencode

import pytest
import redis

from recommender import reader_line
from recommender.reader_line import SharedLine
from recommender.reader_url import open_for_async_reader
from tests.conftest import missing
from tests.servers import NoServerError
from tests.servers.secured import ADMIN, Certificates, secured_redis


def lines(url: str, timeout: float = 5.0) -> SharedLine:
    line, _ = open_for_async_reader(url, timeout, 1)
    assert isinstance(line, SharedLine)
    return line


def run(url, asking, timeout=5.0):
    async def with_a_line():
        line = lines(url, timeout)
        try:
            return await asking(line)
        finally:
            await line.aclose()

    return asyncio.run(with_a_line())


@pytest.fixture
def many(local_redis):
    names = [f"reader-line-{n}" for n in range(200)]
    with redis.Redis.from_url(local_redis.url) as client:
        client.mset({name: name * (n % 50) for n, name in enumerate(names)})
        client.hset("reader-line-hash", "a", "1")
    return names


def test_everybody_gets_their_own_answer(many, local_redis):
    async def asking(line):
        connected = await line.mget(["reader-line-1"])
        assert connected == [b"reader-line-1"]
        connection = line._line
        found = await asyncio.gather(
            *(line.mget([name, "reader-line-none"]) for name in many), line.hmget("reader-line-hash", ["a", "b"])
        )
        assert line._line is connection
        return found

    *documents, fields = run(local_redis.url, asking)
    assert documents == [[(name * (n % 50)).encode(), None] for n, name in enumerate(many)]
    assert fields == [b"1", None]


def test_who_stops_waiting_takes_no_answer_from_others(many, local_redis):
    async def asking(line):
        await line.mget(many[:1])
        asked = [asyncio.create_task(line.mget([name])) for name in many]
        await asyncio.sleep(0)
        for task in asked[::2]:
            task.cancel()
        return await asyncio.gather(*asked[1::2])

    assert run(local_redis.url, asking) == [[(name * (n % 50)).encode()] for n, name in enumerate(many)][1::2]


def test_who_stops_waiting_for_the_connection_leaves_it_to_others(many, local_redis):
    async def asking(line):
        impatient = asyncio.create_task(line.mget(many[1:2]))
        patient = asyncio.create_task(line.mget(many[1:2]))
        await asyncio.sleep(0)
        impatient.cancel()
        return await patient

    assert run(local_redis.url, asking) == [b"reader-line-1"]


def test_an_error_is_of_who_asked_for_it(many, local_redis):
    async def asking(line):
        wrong, right = await asyncio.gather(line.hmget(many[1], ["a"]), line.mget(many[1:2]), return_exceptions=True)
        return wrong, right

    wrong, right = run(local_redis.url, asking)
    assert isinstance(wrong, redis.ResponseError)
    assert right == [b"reader-line-1"]


def test_a_server_that_was_restarted_is_asked_over_a_new_connection(local_redis):
    async def asking(line):
        before = await line.mget(["anna"])
        local_redis.restart()
        after = await asyncio.gather(*(line.mget(["anna"]) for _ in range(20)))
        return before, after

    assert run(local_redis.url, asking) == ([None], [[None]] * 20)


def test_a_server_that_says_nothing_is_given_up_by_all_who_wait(local_redis):
    async def asking(line):
        await line.mget(["anna"])
        local_redis.freeze()
        try:
            told = await asyncio.gather(*(line.mget(["anna"]) for _ in range(20)), return_exceptions=True)
        finally:
            local_redis.thaw()
        return told, await line.mget(["anna"])

    told, after = run(local_redis.url, asking, timeout=0.2)
    assert {type(one) for one in told} == {redis.TimeoutError}
    assert after == [None]


def test_without_a_server_everybody_is_told(local_redis):
    local_redis.kill()

    async def asking(line):
        return await asyncio.gather(*(line.mget(["anna"]) for _ in range(5)), return_exceptions=True)

    assert {type(one) for one in run(local_redis.url, asking)} == {redis.ConnectionError}


def test_a_connection_unused_for_long_is_not_used_again(many, local_redis, monkeypatch):
    monkeypatch.setattr(reader_line, "IDLE_SECONDS", 0.0)

    async def asking(line):
        await line.mget(many[:1])
        first = line._line
        return await line.mget(many[1:2]), line._line is first

    assert run(local_redis.url, asking) == ([b"reader-line-1"], False)


def test_over_tls_with_a_log_in(tmp_path):
    try:
        certificates = Certificates(tmp_path)
    except NoServerError as error:
        missing(str(error))
    with secured_redis(certificates, [], "right") as port:
        certificate, key = certificates.of("client")
        files = urlencode({"ssl_ca_certs": certificates.ca, "ssl_certfile": certificate, "ssl_keyfile": key})
        url = f"rediss://{ADMIN}:right@localhost:{port}/0?{files}"
        with redis.Redis.from_url(url) as client:
            client.set("long", "x" * 100_000)

        async def asking(line):
            return await asyncio.gather(*(line.mget(["long", "none"]) for _ in range(20)))

        assert run(url, asking) == [[b"x" * 100_000, None]] * 20
        with pytest.raises(redis.AuthenticationError):
            run(url.replace("right", "wrong"), asking)
