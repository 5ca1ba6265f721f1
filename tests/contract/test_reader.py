"""What an application gets from CustomerReader: from memory and from a real Redis."""

import contextlib
import json
import time

import pytest
import redis
import redis.asyncio
import redis.cluster

from contracts.documents import (
    CatalogueEntry,
    ColdStart,
    CustomerView,
    Membership,
    PopularItems,
    SegmentCard,
    SegmentList,
    SegmentSize,
    SimilarItems,
    Withdrawn,
)
from contracts.keys import Keys
from contracts.times import DAY, from_micros
from recommender.answers import BrokenDocumentError, NewerDocumentError
from recommender.reader import CustomerReader, ReaderUrlError
from recommender.reader_async import AsyncCustomerReader
from recommender.redis_open import open_redis
from recommender.redis_url import RedisUrl
from recommender.store import MemoryViews, RedisViews, ViewsUnavailableError
from tests.blocking import Blocking

NOW = 15_000 * DAY
ITEMS = ["red", "green", "blue", "black"]


def cluster_client(url):
    """An application's own."""
    return redis.cluster.RedisCluster.from_url(RedisUrl.read(url).first)


READERS = {
    "memory": lambda store, url, prefix: CustomerReader(store, prefix),
    "client": lambda store, url, prefix: CustomerReader(redis.Redis.from_url(url), prefix),
    "url": lambda store, url, prefix: CustomerReader(url, prefix),
    "near": lambda store, url, prefix: CustomerReader(url, prefix, near_cache=True),
    "async memory": lambda store, url, prefix: Blocking(lambda: AsyncCustomerReader(store, prefix)),
    "async client": lambda store, url, prefix: Blocking(
        lambda: AsyncCustomerReader(redis.asyncio.Redis.from_url(url), prefix)
    ),
    "async url": lambda store, url, prefix: Blocking(lambda: AsyncCustomerReader(url, prefix)),
    "cluster": lambda store, url, prefix: CustomerReader(url, prefix),
    "cluster client": lambda store, url, prefix: CustomerReader(cluster_client(url), prefix),
    "async cluster": lambda store, url, prefix: Blocking(lambda: AsyncCustomerReader(url, prefix)),
    "async near": lambda store, url, prefix: Blocking(lambda: AsyncCustomerReader(url, prefix, near_cache=True)),
}


@pytest.fixture(params=READERS)
def kind(request) -> str:
    return request.param


@pytest.fixture
def store(request, kind):
    """What the workers write to."""
    opened = MemoryViews(lambda: 0) if "memory" in kind else RedisViews(open_redis(server_url(request, kind)))
    yield opened
    opened.close()


def server_url(request, kind) -> str:
    return request.getfixturevalue("cluster_url" if "cluster" in kind else "one_redis_url")


@pytest.fixture
def keys(unique):
    return Keys(unique)


@pytest.fixture
def reader(request, kind, store, keys):
    url = "" if "memory" in kind else server_url(request, kind)
    with READERS[kind](store, url, keys.prefix) as opened:
        yield opened


@pytest.fixture
def catalogue(request, kind, store, keys):
    """Writes the public documents of the catalogue, as the leader does: in one step, raising the version."""
    version = 0

    def publish(categories=None, withdrawn=()) -> None:
        nonlocal version
        version += 1
        entries = {
            item_id: CatalogueEntry(category=category).model_dump_json().encode()
            for item_id, category in (categories or {}).items()
        }
        document = Withdrawn(version=version, items=tuple(withdrawn)).encode()
        if isinstance(store, MemoryViews):
            store.set_fields(keys.catalogue(), entries)
            store.set_many({keys.withdrawn(): document, keys.catalogue_version(): str(version).encode()})
            return
        with open_redis(server_url(request, kind)) as client, client.pipeline() as step:
            if entries:
                step.hset(keys.catalogue(), mapping=entries)
            step.set(keys.withdrawn(), document)
            step.set(keys.catalogue_version(), version)
            step.execute()

    return publish


@pytest.fixture
def anna(store, keys) -> bytes:
    """A customer who bought red and blue before; everybody buys black."""
    view = CustomerView(
        customer_id="anna",
        segment=Membership(id=2, name="Loyal", since=from_micros(NOW), previous=1, cause="purchase"),
        items=(
            ("red", 0.5, "again"),
            ("green", 0.25, "popular"),
            ("blue", 0.125, "again"),
            ("black", 0.0625, "because:red"),
        ),
        as_of=from_micros(NOW),
        model_version=5,
        written_by=(1, "t"),
    ).encode()
    cold = ColdStart(
        items=(("black", 0.75, "popular"), ("red", 0.25, "popular")), as_of=from_micros(NOW), model_version=5
    )
    store.set_many({keys.customer("anna"): view, keys.cold_start(): cold.encode()})
    return view


def until(condition, what: str, seconds: float = 60.0):
    """Wait for a condition; its first true value."""
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < deadline, f"not within {seconds} s: {what}"
        time.sleep(0.001)
    return value


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


@pytest.fixture
def commands(one_redis_url, keys):
    """The commands under our prefix that a server gets while something is done, without those of the near-cache."""

    def during(action) -> list[str]:
        with redis.Redis.from_url(one_redis_url) as client, client.monitor() as seen:
            action()
            client.execute_command("ECHO", keys.prefix)
            found = []
            while not (found and found[-1] == "ECHO"):
                command = seen.next_command()["command"]
                if keys.prefix in command and not command.startswith("CLIENT"):
                    found.append(command.split()[0])
            return found[:-1]

    return during


@pytest.mark.parametrize("kind", ["client", "url", "async url"], indirect=True)
def test_a_question_is_one_round_trip_whoever_is_asked_for(reader, commands, anna, catalogue):
    catalogue(withdrawn=["green"])
    reader.get("anna")
    assert commands(lambda: reader.get("anna", n=3, exclude=["red"], shelf="discover")) == ["MGET"]
    assert commands(lambda: reader.get_many([f"c{i}" for i in range(500)])) == ["MGET"]


@pytest.mark.parametrize("kind", ["near", "async near"], indirect=True)
def test_a_near_cached_answer_is_no_round_trip(reader, commands, anna, catalogue):
    catalogue(withdrawn=["green"])

    def questions() -> None:
        for question in ({}, {"n": 2}, {"shelf": "discover"}, {"exclude": ["red"]}):
            assert "green" not in ids(reader.get("anna", **question))
        assert len(reader.get_many(["anna", "nobody"])) == 2
        assert not reader.get("nobody").known
        assert ids(reader.popular()) == ids(reader.get("nobody"))
        assert ids(reader.similar_items("red")) == []

    def unheard() -> bool:
        return commands(questions) == []

    until(unheard, "answers without Redis")


@pytest.fixture
def lists(store, keys):
    """What is popular, in all and in two categories, and what goes with red."""
    as_of = from_micros(NOW)
    documents = {
        keys.popular(): PopularItems(items=(("blue", 0.5, "popular"), ("white", 0.25, "trending")), as_of=as_of),
        keys.popular("warm"): PopularItems(
            category="warm",
            items=(("orange", 0.5, "popular"), ("red", 0.25, "popular"), ("pink", 0.2, "popular")),
            as_of=as_of,
        ),
        keys.similar("red"): SimilarItems(item_id="red", items=(("pink", 0.9), ("green", 0.5)), as_of=as_of),
    }
    store.set_many({key: document.encode() for key, document in documents.items()})
    return as_of


def test_lists_say_what_goes_with_an_item_and_what_sells(reader, lists):
    similar = reader.similar_items("red")
    assert [(item.item_id, item.score, item.reason) for item in similar] == [
        ("pink", 0.9, "because:red"),
        ("green", 0.5, "because:red"),
    ]
    assert (similar.as_of, similar.stale, len(similar)) == (lists, False, 2)
    assert ids(reader.similar_items("red", 1)) == ["pink"]
    assert ids(reader.similar_items("red", exclude=["pink"])) == ["green"]
    assert [(item.item_id, item.reason) for item in reader.popular()] == [("blue", "popular"), ("white", "trending")]
    assert ids(reader.popular(2, "warm", exclude=["orange"])) == ["red", "pink"]


def test_what_nothing_is_known_of_is_an_empty_list(reader, lists):
    for answer in (reader.similar_items("never seen"), reader.popular(category="never seen")):
        assert (answer.items, answer.as_of, answer.stale) == ((), None, False)


def test_without_a_list_of_what_sells_the_cold_start_is_one(reader, anna):
    assert ids(reader.popular(1)) == ["black"]


def test_what_is_withdrawn_is_in_no_answer_and_comes_back(reader, anna, lists, catalogue):
    def answers():
        many = reader.get_many(["anna", "nobody"])
        return [ids(a) for a in (reader.get("anna"), many["anna"], many["nobody"], reader.popular())] + [
            ids(reader.similar_items("red"))
        ]

    assert answers() == [ITEMS, ITEMS, ["black", "red"], ["blue", "white"], ["pink", "green"]]
    catalogue(withdrawn=["blue", "black", "green"])
    expected = [["red"], ["red"], ["red"], ["white"], ["pink"]]
    until(lambda: answers() == expected, "items gone")
    catalogue(withdrawn=["pink"])
    until(lambda: answers() == [ITEMS, ITEMS, ["black", "red"], ["blue", "white"], ["green"]], "items back")


@pytest.mark.parametrize(
    "kind", ["memory", "client", "url", "async memory", "async client", "async url"], indirect=True
)
def test_without_a_near_cache_the_very_next_answer_is_without_what_is_withdrawn(reader, anna, catalogue):
    for withdrawn, expected in (
        (["red"], ["green", "blue", "black"]),
        (["blue"], ["red", "green", "black"]),
        ([], ITEMS),
    ):
        catalogue(withdrawn=withdrawn)
        assert ids(reader.get("anna")) == expected


def test_a_withdrawn_item_leaves_room_for_the_next_one(reader, anna, catalogue):
    catalogue(withdrawn=["red"])
    until(lambda: ids(reader.get("anna", n=2)) == ["green", "blue"], "the next one")
    assert ids(reader.get("anna", shelf="buy_again")) == ["blue"]


@pytest.mark.parametrize(
    ("question", "expected"),
    [
        ({"category": "warm"}, ["red", "orange", "pink"]),
        ({"category": "warm", "n": 2}, ["red", "orange"]),
        ({"category": "warm", "exclude": {"red", "orange"}}, ["pink"]),
        ({"category": "warm", "shelf": "discover"}, ["orange", "pink"]),
        ({"category": "warm", "shelf": "buy_again"}, ["red"]),
        ({"category": "cold"}, ["green", "blue"]),
        ({"category": "unheard of"}, []),
    ],
)
def test_a_category_is_the_customers_items_of_it_and_then_what_sells_in_it(
    reader, anna, lists, catalogue, question, expected
):
    catalogue({"red": "warm", "green": "cold", "blue": "cold", "orange": "warm", "black": None})
    assert ids(reader.get("anna", **question)) == expected
    assert ids(reader.get_many(["anna"], **question)["anna"]) == expected


def test_a_category_for_somebody_unknown_is_what_sells_in_it(reader, anna, lists, catalogue):
    catalogue({"red": "warm", "black": "cold"})
    answer = reader.get("nobody", category="warm")
    assert (answer.known, ids(answer)) == (False, ["red", "orange", "pink"])


def test_a_category_out_of_stock_and_an_empty_catalogue_are_answers(reader, anna, lists, catalogue):
    assert ids(reader.get("anna", category="warm")) == ["orange", "red", "pink"]
    catalogue({"red": "warm"}, withdrawn=["red", "orange", "pink"])
    until(lambda: ids(reader.get("anna", category="warm")) == [], "nothing left")


def test_three_customers_in_all_get_an_answer_each(reader, store, keys, anna):
    for name in ("bert", "carla"):
        store.set_many({keys.customer(name): anna.replace(b"anna", name.encode())})
    answers = reader.get_many(["anna", "bert", "carla", "dora"], n=1)
    assert [(name, ids(answer), answer.known) for name, answer in answers.items()] == [
        ("anna", ["red"], True),
        ("bert", ["red"], True),
        ("carla", ["red"], True),
        ("dora", ["black"], False),
    ]


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


def test_a_url_connects_at_the_first_question_only(one_redis_url, unique):
    CustomerReader("redis://127.0.0.1:1/0").close()
    with CustomerReader(one_redis_url, unique) as reader:
        assert not reader.get("anna").known


def test_a_client_that_decodes_is_fine(one_redis_url, keys):
    with redis.Redis.from_url(one_redis_url, decode_responses=True) as client:
        cold = ColdStart(items=(("grün", 0.75, "popular"),), as_of=from_micros(NOW), model_version=5)
        RedisViews(client).set_many({keys.cold_start(): cold.encode()})
        assert ids(CustomerReader(client, keys.prefix).get("anna")) == ["grün"]


@pytest.mark.parametrize("kind_of_reader", [CustomerReader, AsyncCustomerReader])
@pytest.mark.parametrize("url", ["http://localhost", "localhost:6379", ""])
def test_what_is_no_redis_url_is_said_at_once(kind_of_reader, url):
    with pytest.raises(ReaderUrlError, match="redis://"):
        kind_of_reader(url)


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
