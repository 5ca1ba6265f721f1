"""What an application gets from CustomerReader: from memory and from a real Redis, through the real writer."""

import contextlib
import json
import time

import numpy as np
import pytest
import redis

from contracts.documents import ColdStart, CustomerView, SegmentCard, SegmentList, SegmentSize
from contracts.keys import Keys
from contracts.times import DAY, from_micros
from recommender.answers import BrokenDocumentError, NewerDocumentError
from recommender.ranking import Ranked, Reason
from recommender.reader import CustomerReader, ReaderUrlError
from recommender.store import MemoryViews, RedisViews, ViewsUnavailableError
from recommender.views import ItemTexts, Members, Stamp, customer_views

NOW = 15_000 * DAY
ITEMS = ["red", "green", "blue", "black"]


@pytest.fixture(params=["memory", "redis"])
def store(request):
    if request.param == "memory":
        opened = MemoryViews(lambda: 0)
    else:
        opened = RedisViews(redis.Redis.from_url(request.getfixturevalue("redis_url")))
    yield opened
    opened.close()


@pytest.fixture
def keys(unique):
    return Keys(unique)


@pytest.fixture
def reader(store, keys):
    return CustomerReader(store, keys.prefix)


@pytest.fixture
def anna(store, keys) -> bytes:
    """A customer who bought red and blue before; everybody buys black."""
    one = np.zeros(1, np.int32)
    members = Members(["anna"], one + 2, one.astype(np.int64) + NOW, one + 1, one.astype(np.uint8))
    ranked = Ranked(
        np.array([[0, 1, 2, 3]], np.int32),
        np.array([[0.5, 0.25, 0.125, 0.0625]], np.float32),
        np.array([[Reason.AGAIN, Reason.POPULAR, Reason.AGAIN, Reason.POPULAR]], np.uint8),
    )
    (view,) = customer_views(members, ranked, ItemTexts(ITEMS), {2: "Loyal"}, Stamp(NOW, 5, 1, "t"))
    cold = ColdStart(
        items=(("black", 0.75, "popular"), ("red", 0.25, "popular")), as_of=from_micros(NOW), model_version=5
    )
    store.set_many({keys.customer("anna"): view, keys.cold_start(): cold.encode()})
    return view


def ids(answer) -> list[str]:
    return [item.item_id for item in answer.items]


def test_an_answer_has_everything_that_the_document_has(reader, anna):
    answer, document = reader.get("anna"), CustomerView.model_validate_json(anna)
    assert answer.known
    assert (answer.customer_id, answer.as_of, answer.model_version, answer.v) == (
        document.customer_id,
        document.as_of,
        document.model_version,
        document.v,
    )
    assert tuple((item.item_id, item.score, item.reason) for item in answer.items) == document.items
    segment = {name: getattr(answer.segment, name) for name in ("id", "name", "since", "previous", "cause")}
    assert segment == document.segment.model_dump() | {"since": document.segment.since}


@pytest.mark.parametrize(
    ("question", "expected"),
    [
        ({}, ["red", "green", "blue", "black"]),
        ({"n": 2}, ["red", "green"]),
        ({"n": 0}, []),
        ({"shelf": "discover"}, ["green", "black"]),
        ({"shelf": "buy_again"}, ["red", "blue"]),
        ({"exclude": ["red"], "n": 2}, ["green", "blue"]),
        ({"exclude": {"green"}, "shelf": "discover", "n": 1}, ["black"]),
    ],
)
def test_n_exclude_and_shelf_cut_the_list(reader, anna, question, expected):
    assert ids(reader.get("anna", **question)) == expected
    assert ids(reader.get_many(["anna"], **question)["anna"]) == expected


def test_somebody_unknown_gets_what_everybody_buys(reader, anna):
    answer = reader.get("nobody", n=1)
    assert (answer.known, answer.segment, ids(answer)) == (False, None, ["black"])
    assert ids(reader.get("nobody", shelf="discover")) == ["black", "red"]
    assert ids(reader.get("nobody", shelf="buy_again")) == []


def test_before_anything_is_written_there_is_an_answer_all_the_same(reader):
    answer = reader.get("anna")
    assert (answer.known, answer.items, answer.as_of, answer.segment) == (False, (), None, None)
    assert reader.get_many(["anna", "bert"])["bert"].items == ()
    assert (reader.segment(1), reader.segments(), reader.model()) == (None, None, None)


def test_get_many_answers_for_each_id_in_order(reader, anna):
    answers = reader.get_many(["nobody", "anna", "no one"])
    assert list(answers) == ["nobody", "anna", "no one"]
    assert [answer.known for answer in answers.values()] == [False, True, False]
    assert answers["anna"] == reader.get("anna")
    assert reader.get_many([]) == {}


def test_get_many_is_one_round_trip(redis_url, unique):
    with redis.Redis.from_url(redis_url) as client, CustomerReader(client, unique) as reader, client.monitor() as seen:
        reader.get_many([f"c{i}" for i in range(500)])
        client.execute_command("ECHO", unique)
        commands = []
        while not (commands and commands[-1].startswith("ECHO")):
            command = seen.next_command()["command"]
            if unique in command:
                commands.append(command)
        assert [command.split()[0] for command in commands] == ["MGET", "ECHO"]


def test_segments_and_model_come_as_documents(reader, store, keys):
    stamp = {"as_of": from_micros(NOW), "model_version": 5}
    card = SegmentCard(
        id=2,
        name="Loyal",
        size=10,
        share_of_customers=0.1,
        share_of_revenue=0.5,
        profile={"recency": 3.0},
        items=(),
        **stamp,
    )
    sizes = SegmentList(segments=(SegmentSize(id=2, name="Loyal", size=10),), **stamp)
    store.set_many(
        {keys.segment(2): card.encode(), keys.segments(): sizes.encode(), keys.model(): b'{"v":1,"version":5}'}
    )
    assert (reader.segment(2), reader.segments(), reader.model()) == (card, sizes, {"v": 1, "version": 5})


def test_unknown_fields_are_ignored(reader, store, keys, anna):
    store.set_many({keys.customer("anna"): json.dumps(json.loads(anna) | {"new": {"field": [1]}}).encode()})
    assert ids(reader.get("anna")) == ITEMS


@pytest.mark.parametrize("document", [b"", b"{", b"[]", b'{"v":1}', b'{"v":"x"}', b"\xff", b'{"v":1,"customer_id":5}'])
def test_a_broken_document_is_a_clear_error(reader, store, keys, document):
    store.set_many(dict.fromkeys((keys.customer("a"), keys.cold_start(), keys.segment(1), keys.segments()), document))
    for question in (
        lambda: reader.get("a"),
        lambda: reader.get("unknown"),
        lambda: reader.get_many(["a"]),
        lambda: reader.segment(1),
        reader.segments,
    ):
        with pytest.raises(BrokenDocumentError, match=keys.prefix):
            question()


@pytest.mark.parametrize("change", [{"v": 2}, {"v": 2, "items": "elsewhere now"}])
def test_a_newer_document_asks_for_an_upgrade(reader, store, keys, anna, change):
    newer = json.dumps(json.loads(anna) | change).encode()
    store.set_many(dict.fromkeys((keys.customer("anna"), keys.cold_start(), keys.segments()), newer))
    for question in (lambda: reader.get("anna"), lambda: reader.get("unknown"), reader.segments):
        with pytest.raises(NewerDocumentError, match="upgrade"):
            question()


def test_a_url_connects_at_the_first_question_only(redis_url, unique):
    CustomerReader("redis://127.0.0.1:1/0").close()
    with CustomerReader(redis_url, unique) as reader:
        assert not reader.get("anna").known


def test_a_client_that_decodes_is_fine(redis_url, keys):
    with redis.Redis.from_url(redis_url, decode_responses=True) as client:
        cold = ColdStart(items=(("grün", 0.75, "popular"),), as_of=from_micros(NOW), model_version=5)
        RedisViews(client).set_many({keys.cold_start(): cold.encode()})
        assert ids(CustomerReader(client, keys.prefix).get("anna")) == ["grün"]


@pytest.mark.parametrize("url", ["http://localhost", "localhost:6379", ""])
def test_what_is_no_redis_url_is_said_at_once(url):
    with pytest.raises(ReaderUrlError, match="redis://"):
        CustomerReader(url)


def until(condition, what: str, seconds: float = 10.0):
    """Wait for a condition; its first true value."""
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < deadline, f"not within {seconds} s: {what}"
        time.sleep(0.001)
    return value


def test_redis_down_before_it_ever_answered_is_a_clear_error_and_back_again_is_an_answer(local_redis):
    with CustomerReader(local_redis.url) as reader:
        assert reader.get("anna").items == ()
        local_redis.kill()
        for _ in range(3):
            with pytest.raises(ViewsUnavailableError):
                reader.get("anna")
        local_redis.start()

        def back() -> bool:
            with contextlib.suppress(ViewsUnavailableError):
                return reader.get("anna").items == ()
            return False

        until(back, "an answer")
