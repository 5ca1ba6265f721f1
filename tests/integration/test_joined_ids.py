"""Whole workers where ids belong together: rows, sums, popularity, views, readers, changes."""

import json
import random
from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest
from msgspec import convert

from consumer import snapshot
from consumer.bonds import Since, unsaid
from consumer.hand_over import HandOver, hand_over
from consumer.redis_images import RedisImages
from consumer.redis_state import RedisState
from consumer.repartitioning import repartition
from contracts.documents import JoinedView
from contracts.events import Alias, Erase, Line, Profile, Purchase, Return
from contracts.keys import Keys
from contracts.partitioning import partition_of
from contracts.times import EPOCH, HOUR
from recommender.redis_open import open_redis
from recommender.store import RedisViews
from tests.in_process import (
    START,
    InProcess,
    assert_decayed_alike,
    batch_sums_of,
    comparable,
    fixed_model,
    popularity_of,
    sums_of,
)

EXACTLY = ("first_at", "last_at", "newest_at", "seen_at", "spend", "refunds", "units", "orders", "returns", "day_map")


def event(kind, event_id, who, hours, *, items=("a", "b")):
    head = {
        "event_id": event_id,
        "customer_id": who,
        "occurred_at": EPOCH + timedelta(microseconds=START + hours * HOUR),
    }
    if kind is Profile:
        return Profile(**head, attributes={"age": 40, "from": event_id})
    if kind is Erase:
        return Erase(**head)
    lines = tuple(Line(item_id=item, quantity=1 + n, unit_price=2.5) for n, item in enumerate(items))
    return kind(**head, order_id=event_id, lines=lines, currency="GBP")


def alias(event_id, who, to, hours):
    at = EPOCH + timedelta(microseconds=START + hours * HOUR)
    return Alias(event_id=event_id, customer_id=who, occurred_at=at, alias_of=to)


@pytest.fixture(params=["memory", "redis"])
def shop(request):
    """An empty deployment, on memory and on a real Redis."""
    if request.param == "memory":
        yield InProcess(3)
        return
    prefix = request.getfixturevalue("unique")
    with open_redis(request.getfixturevalue("redis_url")) as client:
        yield InProcess(3, state=RedisState(client, Keys(prefix)), views=RedisViews(client), prefix=prefix)


@pytest.mark.parametrize("seed", range(6))
def test_ids_that_belong_together_equal_one_id_that_had_all_events(seed):
    """Of two shops, alike but for who is said to have bought: rows, sums, popularity and what is recommended."""
    rng = random.Random(seed)
    drawn = [
        event(
            rng.choice([Purchase, Purchase, Return, Profile]),
            f"e{n}",
            rng.choice(["ann", "phone", "cookie", "bob"]),
            rng.randrange(20 * 24),
            items=rng.sample("abcde", rng.randint(1, 3)),
        )
        for n in range(25)
    ]
    aliases = [alias("1", "cookie", "phone", 3), alias("2", "phone", "ann", 5), alias("3", "bob", "ann", 7)]
    aliases.append(alias("4", "bob", None, 9))
    # Both runs end at one time, so that they evaluate everybody for the same moment.
    last = event(Purchase, "last", "zoe", 50 * 24)
    several = InProcess(3, batch_events=rng.randint(1, 30))
    several.adopt(fixed_model())
    published = [*drawn, *aliases]
    rng.shuffle(published)
    several.publish(*published[: len(published) // 2])
    if rng.random() < 0.5:
        several.run()
    several.publish(*published[len(published) // 2 :], last)
    worker = several.run()

    one = InProcess(3)
    one.adopt(fixed_model())
    together = {"phone": "ann", "cookie": "ann"}
    one.publish(
        *(each.model_copy(update={"customer_id": together.get(each.customer_id, each.customer_id)}) for each in drawn),
        last,
    )
    other = one.run()

    rows, others = several.rows(), one.rows()
    assert_decayed_alike(rows, others)
    assert comparable(rows, (*EXACTLY, "purchase_days", "lines", "heads", "attributes")) == comparable(
        others, (*EXACTLY, "purchase_days", "lines", "heads", "attributes")
    )
    assert {who: row["segment"] for who, row in rows.items()} == {who: row["segment"] for who, row in others.items()}
    np.testing.assert_allclose(sums_of(worker), sums_of(other), rtol=0, atol=1e-6)
    np.testing.assert_allclose(sums_of(worker), batch_sums_of(worker, worker.clock.now), rtol=0, atol=1e-6)
    popular, elsewhere = popularity_of(worker), popularity_of(other)
    for key in {*popular, *elsewhere}:
        assert popular[key] == pytest.approx(elsewhere[key], abs=1e-6), key
    with several.reader() as reader, one.reader() as another:
        for who in ("ann", "phone", "cookie", "bob", "zoe"):
            whose = together.get(who, who)
            view, same = reader.get(who), another.get(whose)
            assert (view.customer_id, view.joined_to) == (who, whose if whose != who else None)
            assert (view.known, view.segment and view.segment.id) == (same.known, same.segment and same.segment.id)
            if view.known:
                again, others_again = (
                    {item.item_id for item in each.items if item.reason == "again"} for each in (view, same)
                )
                assert again == others_again


def test_readers_and_the_log_of_changes_tell_whose_an_id_is(shop):
    shop.adopt(fixed_model())
    shop.publish(event(Purchase, "1", "ann", 0, items=("a",)), event(Purchase, "2", "cookie", 1, items=("b",)))
    shop.publish(event(Purchase, "3", "zoe", 24 * 50))
    shop.run()
    assert shop.rows().keys() == {"ann", "cookie", "zoe"}
    shop.publish(alias("j", "cookie", "ann", 24 * 51))
    worker = shop.run()
    assert shop.rows().keys() == {"ann", "zoe"}
    assert worker.figures.events["alias"] == worker.figures.events["hand_over"] == 1
    pointer = JoinedView.model_validate_json(shop.views.get(shop.keys.customer("cookie")))
    assert (pointer.customer_id, pointer.joined_to) == ("cookie", "ann")
    with shop.reader() as reader:
        answer = reader.get("cookie")
        assert (answer.customer_id, answer.joined_to, answer.known) == ("cookie", "ann", True)
        assert {item.item_id for item in answer.items if item.reason == "again"} == {"a", "b"}
        many = reader.get_many(["ann", "cookie", "nobody"])
        assert [one.joined_to for one in many.values()] == [None, "ann", None]
        assert many["cookie"].items == many["ann"].items
        assert [one.known for one in many.values()] == [True, True, False]
    moved = [one for one in shop.changes() if one["cause"] == "alias"]
    assert {one["customer_id"] for one in moved} <= {"ann"}

    # What comes under either id is the customer's; who is joined on, is so with all that is joined to it.
    shop.publish(event(Purchase, "4", "cookie", 24 * 52, items=("c",)), alias("k", "ann", "zoe", 24 * 53))
    shop.run()
    assert (list(shop.rows()), shop.rows()["zoe"]["orders"]) == (["zoe"], 4)
    with shop.reader() as reader:
        assert [reader.get(who).joined_to for who in ("cookie", "ann", "zoe")] == ["zoe", "zoe", None]

    shop.publish(alias("l", "cookie", None, 24 * 54))
    shop.run()
    rows = shop.rows()
    assert {who: row["orders"] for who, row in rows.items()} == {"zoe": 2, "cookie": 2}
    with shop.reader() as reader:
        assert reader.get("cookie").joined_to is None
        assert {item.item_id for item in reader.get("cookie").items if item.reason == "again"} == {"b", "c"}
    assert [one["cause"] for one in shop.changes() if one["customer_id"] == "cookie"][-1] == "alias"

    # Erasing the customer erases the ids that are joined to it, and nobody else.
    shop.publish(event(Erase, "gone", "zoe", 24 * 60))
    shop.run()
    assert shop.rows().keys() == {"cookie"}
    assert [shop.views.get(shop.keys.customer(who)) for who in ("ann", "zoe")] == [None, None]
    kept = [shop.state.keep(number) for number in range(3)]
    assert sum(len(one.markers) for one in kept) == 2
    assert not any(who in one.bonds for one in kept for who in ("ann", "zoe"))


class _KilledError(BaseException):
    """What a worker does not survive."""


def test_what_a_killed_worker_told_last_is_told_anew_where_it_no_longer_holds():
    """It had told whom an id belongs to of another one that, by now, has come and gone again."""
    shop = InProcess(3, clock="wall")
    by_partition = {partition_of(f"c{n}", 3): f"c{n}" for n in range(20)}
    cookie, phone, account = (by_partition[number] for number in range(3))
    shop.publish(*(event(Purchase, who, who, n) for n, who in enumerate((cookie, phone, account))))
    shop.publish(alias("1", phone, account, 10))
    shop.run()

    def told(who):
        return [
            one
            for one in map(json.loads, shop.all_events())
            if one["type"] == "hand-over" and one["customer_id"] == who
        ]

    shop.publish(alias("2", cookie, phone, 11))
    worker, begin = shop.worker(), shop.state.begin_checkpoints

    def killed(steps):
        if len(told(account)) > 1:
            raise _KilledError
        return begin(steps)

    shop.state.begin_checkpoints = killed
    with pytest.raises(_KilledError):
        shop.run(worker)
    shop.state.begin_checkpoints = begin
    worker.close()
    # The cookie is split off before anybody reads on, and the phone has heard of it then.
    shop.publish(alias("3", cookie, None, 12))
    (came,) = [convert(one, HandOver) for one in told(phone)]
    since = Since(came.since.partitions, came.since.far, came.since.near + 1)
    at = START + 12 * HOUR
    shop.publish(hand_over(phone, cookie, [], since=since, cause=came.cause, at=at, deployment=came.deployment))
    shop.run()
    assert {who: row["orders"] for who, row in shop.rows().items()} == {cookie: 1, account: 2}


def test_where_aliases_go_round_in_a_circle_the_last_one_is_void(shop):
    shop.publish(*(event(Purchase, who, who, n) for n, who in enumerate(("ann", "bob", "cid"))))
    shop.publish(alias("1", "ann", "bob", 10), alias("3", "bob", "cid", 12), alias("2", "cid", "ann", 11))
    shop.run()
    assert {who: row["orders"] for who, row in shop.rows().items()} == {"bob": 3}
    with shop.reader() as reader:
        assert [reader.get(who).joined_to for who in ("ann", "bob", "cid")] == ["bob", None, "bob"]
    shop.publish(alias("4", "cid", None, 13))
    shop.run()
    assert {who: row["orders"] for who, row in shop.rows().items()} == {"cid": 3}


def test_snapshots_and_repartitioning_take_along_what_each_id_did(redis_url, unique, tmp_path):
    with open_redis(redis_url) as client:
        shop = InProcess(3, state=RedisState(client, Keys(unique)), views=RedisViews(client), prefix=unique)
        ids = [f"{who}-{n}" for who in ("ann", "bob", "cid", "dan") for n in range(3)]
        shop.publish(*(event(Purchase, who, who, n) for n, who in enumerate(ids)))
        shop.publish(*(alias(f"a{who}", who, who[:4] + "0", 30) for who in ids if not who.endswith("0")))
        shop.run()
        rows, kept = shop.rows(), bonds_of(shop.state, 3)
        assert (len(rows), len(kept)) == (4, 12)

        images, log = RedisImages(client, shop.keys), shop.logs.describe(shop.names.events)
        snapshot.save(tmp_path / "one.zip", images, log, prefix=unique, version="test", now=START)
        shop.publish(alias("split", "ann-1", None, 40))
        shop.run()
        assert shop.rows().keys() == {*rows, "ann-1"}
        client.delete(*client.scan_iter(shop.keys.customer("*")))
        snapshot.restore(tmp_path / "one.zip", images, log)
        assert bonds_of(shop.state, 3) == unsaid(kept)
        shop.run()  # reads on from the snapshot's position
        assert {who: row["orders"] for who, row in shop.rows().items()} == {
            **dict.fromkeys(rows, 3),
            "ann-0": 2,
            "ann-1": 1,
        }
        with shop.reader() as reader:
            assert [reader.get(who).joined_to for who in ("ann-1", "ann-2", "bob-1")] == [None, "ann-0", "bob-0"]

        before = bonds_of(shop.state, 3)
        moved = repartition(shop.state, images, replace(log, partitions=7))
        assert moved.moved
        assert bonds_of(shop.state, 7) == before


def bonds_of(state, partitions):
    """Every bond by its id, in the partition where it belongs."""
    found = {}
    for number in range(partitions):
        for who, bond in state.keep(number).bonds.items():
            assert who not in found
            assert partition_of(who, partitions) == number
            found[who] = bond
    return found
