"""Claim and checkpoint: one suite over the state in Redis and its twin in memory."""

from dataclasses import replace

import pytest
import redis

from consumer.layout import LAYOUT
from consumer.memory_state import MemoryState
from consumer.redis_state import RedisState
from consumer.state import (
    Checkpoint,
    StateConflictError,
    StateDivergedError,
    StateLayoutError,
    StateUnavailableError,
    Written,
    bucket_of,
)
from contracts.keys import BUCKETS, Keys
from logs.redis_server import find_bundled_redis_server, find_redis_server
from recommender.redis_open import open_redis
from tests.servers import LocalRedis


@pytest.fixture(params=["memory", "redis", "cluster"])
def state(request):
    if request.param == "memory":
        yield MemoryState()
        return
    with open_redis(request.getfixturevalue(f"{request.param}_url")) as client:
        yield RedisState(client, Keys(request.getfixturevalue("unique")))


def step(seq, **more):
    return Checkpoint(
        **{
            "seq": seq,
            "position": 10 * seq,
            "log_identity": "log",
            "log_partitions": 4,
            "clock": 5,
            "purchases": 7,
            "heard": 9,
            "views_seq": 0,
            "layout": LAYOUT,
            **more,
        }
    )


def all_rows(state, partition, buckets=None):
    return {who: row for ids, rows in state.rows(partition, buckets) for who, row in zip(ids, rows, strict=True)}


def test_nothing_is_known_of_an_unclaimed_partition(state):
    assert state.meta(3) is None
    assert state.model() is None
    assert not state.sums()


def test_a_claim_counts_once_however_often_it_arrives(state):
    assert state.claim(0, "a", 0).claims == 1
    assert state.claim(0, "a", 0).claims == 1
    assert state.claim(0, "b", 1).claims == 2


def test_a_claim_that_arrives_after_anothers_is_refused(state):
    state.claim(0, "a", 0)
    state.claim(0, "b", 1)
    with pytest.raises(StateConflictError):
        state.claim(0, "a", 0)
    assert state.checkpoint(0, "b", step(1)) == Written.NOW


def test_a_checkpoint_writes_everything_in_one_step(state):
    state.claim(1, "a", 0)
    written = step(
        1,
        rows=[("ann", b"row"), ("böb", b"")],
        items={0: "x", 1: "y"},
        markers={b"hash": b"marker"},
        outbox={"1": b"change"},
        unviewed=["gone"],
        views_seq=1,
    )
    assert state.checkpoint(1, "a", written) == Written.NOW
    meta = state.meta(1)
    assert (meta.seq, meta.position, meta.log_identity, meta.clock, meta.purchases, meta.views_seq, meta.layout) == (
        1,
        10,
        "log",
        5,
        7,
        1,
        LAYOUT,
    )
    assert all_rows(state, 1) == {"ann": b"row", "böb": b""}
    assert state.row(1, "ann") == b"row"
    assert state.row(1, "nobody") is None
    kept = state.keep(1)
    assert list(kept.items) == ["x", "y"]
    assert kept.markers == {b"hash": b"marker"}
    assert kept.outbox == {"1": b"change"}
    assert kept.unviewed == {"gone"}
    state.checkpoint(1, "a", step(2, removed=["ann"], published=["1"], viewed=["gone"], rows=[("cid", b"r")]))
    assert all_rows(state, 1) == {"böb": b"", "cid": b"r"}
    kept = state.keep(1)
    assert not kept.outbox
    assert not kept.unviewed


def test_a_customer_erased_and_back_in_one_checkpoint_has_the_new_row(state):
    state.claim(0, "a", 0)
    state.checkpoint(0, "a", step(1, rows=[("ann", b"old")]))
    state.checkpoint(0, "a", step(2, removed=["ann"], rows=[("ann", b"new")]))
    assert all_rows(state, 0) == {"ann": b"new"}


def test_a_repeated_checkpoint_is_known_and_changes_nothing(state):
    state.claim(0, "a", 0)
    first = step(1, rows=[("ann", b"1")])
    assert state.checkpoint(0, "a", first) == Written.NOW
    assert state.checkpoint(0, "a", first) == Written.BEFORE
    state.checkpoint(0, "a", step(2, rows=[("ann", b"2")]))
    with pytest.raises(StateConflictError):
        state.checkpoint(0, "a", first)
    assert state.row(0, "ann") == b"2"


def test_the_same_number_with_another_content_is_a_fault_of_ours(state):
    state.claim(0, "a", 0)
    state.checkpoint(0, "a", step(1, rows=[("ann", b"1")]))
    with pytest.raises(StateDivergedError):
        state.checkpoint(0, "a", step(1, rows=[("ann", b"2")]))
    assert state.row(0, "ann") == b"1"


@pytest.mark.parametrize("what", [{"rows": [("ann", b"zombie")]}, {}], ids=["events", "a sweep or an idle worker"])
def test_a_zombies_write_after_a_claim_is_refused(state, what):
    state.claim(0, "zombie", 0)
    state.checkpoint(0, "zombie", step(1, rows=[("ann", b"1")]))
    state.claim(0, "owner", 1)
    with pytest.raises(StateConflictError):
        state.checkpoint(0, "zombie", step(2, **what))
    assert state.row(0, "ann") == b"1"
    assert state.meta(0).seq == 1
    assert state.checkpoint(0, "owner", step(2)) == Written.NOW


def test_partitions_are_apart(state):
    state.claim(0, "a", 0)
    state.claim(1, "b", 0)
    state.checkpoint(0, "a", step(1, rows=[("ann", b"0")]))
    with pytest.raises(StateConflictError):
        state.checkpoint(1, "a", step(1))
    assert all_rows(state, 1) == {}


def test_steps_written_together_are_each_written_or_refused(state):
    for partition, token in enumerate("abcd"):
        state.claim(partition, token, 0)
    state.checkpoint(3, "d", step(1, rows=[("eve", b"3")]))
    steps = [step(1, rows=[("ann", b"0")]), step(1, rows=[("bob", b"1")]), step(3), step(1, rows=[("eve", b"3")])]
    work = list(zip(range(4), ["a", "zombie", "c", "d"], steps, strict=True))
    for first in (Written.NOW, Written.BEFORE):  # a lost reply: it is done again
        written = state.begin_checkpoints(work)()
        assert [written[0], written[3]] == [first, Written.BEFORE]
        assert all(isinstance(one, StateConflictError) for one in written[1:3])
    assert [all_rows(state, partition) for partition in range(4)] == [{"ann": b"0"}, {}, {}, {"eve": b"3"}]
    assert state.begin_checkpoints([])() == []


def test_a_skipped_number_is_a_conflict(state):
    state.claim(0, "a", 0)
    with pytest.raises(StateConflictError):
        state.checkpoint(0, "a", step(2))


def test_more_rows_than_lua_can_unpack_at_once(state):
    state.claim(0, "a", 0)
    rows = [(f"c{n}", b"%d" % n) for n in range(3000)]
    items = {n: f"i{n}" for n in range(9000)}
    state.checkpoint(0, "a", step(1, rows=rows, items=items, removed=[f"x{n}" for n in range(9000)]))
    assert all_rows(state, 0) == dict(rows)
    assert list(state.keep(0).items) == list(items.values())


def test_rows_of_some_buckets(state):
    state.claim(0, "a", 0)
    rows = {f"c{n}": b"%d" % n for n in range(500)}
    state.checkpoint(0, "a", step(1, rows=list(rows.items())))
    half = all_rows(state, 0, range(BUCKETS // 2))
    assert half == {who: row for who, row in rows.items() if bucket_of(who) < BUCKETS // 2}
    assert 150 < len(half) < 350
    assert (state.row_count(0), state.row_count(1)) == (500, 0)


def test_model_versions_follow_one_another(state):
    assert state.publish_model(1, 1, b"one")
    assert not state.publish_model(1, 3, b"three"), "a version was left out"
    assert state.publish_model(2, 2, b"two")
    assert state.publish_model(2, 2, b"two"), "a repeated publication, after a lost reply, says yes again"
    assert not state.publish_model(2, 2, b"other")
    assert state.model() == b"two"
    assert state.old_model(1) == b"one"


def test_a_frozen_leader_can_not_publish_over_a_newer_one(state):
    state.publish_model(1, 1, b"one")
    assert state.publish_model(5, 2, b"two")
    assert not state.publish_model(1, 3, b"stale")
    assert not state.publish_model(1, 2, b"stale")
    assert state.model() == b"two"


def test_a_leader_who_is_let_in_shuts_out_those_before_it_publishes_anything(state):
    assert state.publish_model(1, 1, b"first leader")
    state.lead(2)
    assert not state.publish_model(1, 2, b"frozen leader")
    assert state.model() == b"first leader"
    assert state.publish_model(2, 2, b"second leader")
    state.lead(1)
    assert state.leader() == 2


def test_a_claim_is_numbered_above_what_leaders_have_published_under(state):
    """Where a partition lost its last claims and the model did not, its owner would be refused for ever."""
    state.publish_item_model(7, 1, b"items")
    assert state.leader() == 7
    assert state.claim(0, "a", 0, state.leader()).claims == 8
    assert state.claim(0, "a", 0, state.leader()).claims == 8, "a repetition counts once"
    assert state.claim(0, "b", 8).claims == 9


def test_a_partitions_owner_is_told(state):
    state.claim(0, "a", 0)
    assert state.meta(0).owner == "a"
    state.checkpoint(0, "a", step(1))
    assert state.meta(0).owner == "a"


def test_forecasts_only_become_newer_and_what_they_go_on_from_comes_with_them(state):
    assert (state.forecast_version(), state.forecast(), state.forecast_memory()) == (0, None, None)
    assert state.publish_forecast(1, 1, b"one", b"memory of one")
    assert state.publish_forecast(1, 1, b"one", b"memory of one"), "a repeated publication says yes again"
    assert not state.publish_forecast(1, 1, b"other", b"")
    assert state.publish_forecast(3, 2, b"two", b"memory of two")
    assert not state.publish_forecast(3, 2, b"late", b"")
    assert not state.publish_forecast(2, 3, b"of an older leader", b"")
    assert (state.forecast_version(), state.forecast(), state.forecast_memory()) == (2, b"two", b"memory of two")
    assert state.leader() == 3


def test_what_forecasts_go_on_from_is_amended_and_all_of_it_taken_out(state):
    assert state.publish_forecast(2, 3, b"three", b"memory")
    assert not state.amend_forecast(1, 3, b"of an older leader")
    assert not state.amend_forecast(2, 2, b"of an older version")
    assert state.amend_forecast(2, 3, b"less")
    assert (state.forecast_version(), state.forecast(), state.forecast_memory()) == (3, b"three", b"less")
    assert state.amend_forecast(4, 3, None)
    assert (state.forecast_version(), state.forecast(), state.forecast_memory()) == (3, None, None)
    assert not state.publish_forecast(3, 4, b"of an older leader", b"")
    assert state.publish_forecast(4, 4, b"four", b"memory of four")


def test_item_models_only_become_newer_and_never_an_older_leader_s(state):
    assert (state.item_model_version(), state.item_model()) == (0, None)
    assert state.publish_item_model(1, 1, b"one")
    assert state.publish_item_model(1, 1, b"one"), "a repeated publication, after a lost reply, says yes again"
    assert not state.publish_item_model(1, 1, b"other")
    assert state.publish_item_model(3, 5, b"five"), "versions may be left out: nobody builds on the one before"
    assert not state.publish_item_model(3, 4, b"four")
    assert not state.publish_item_model(2, 6, b"six")
    assert (state.item_model_version(), state.item_model()) == (5, b"five")


def test_sums_are_absolute(state):
    state.put_sums({0: b"a", 1: b"b"})
    state.put_sums({1: b"c"})
    assert state.sums() == {0: b"a", 1: b"c"}


def test_popularity_comes_and_goes(state):
    state.put_popularity("w1", b"x")
    state.put_popularity("w2", b"y")
    state.put_popularity("w1", None)
    assert state.popularity() == {"w2": b"y"}


def test_hostile_ids_reach_no_other_key(state):
    state.claim(0, "a", 0)
    ids = ["*", "{p1}", "a:b", "x" * 128, "é\u0301", " ", "p0:meta", "owner"]
    state.checkpoint(0, "a", step(1, rows=[(who, who.encode()) for who in ids]))
    assert all_rows(state, 0) == {who: who.encode() for who in ids}
    assert state.meta(1) is None


def test_rows_of_another_layout_are_refused(redis_url, unique):
    state = RedisState(open_redis(redis_url), Keys(unique))
    state.claim(0, "a", 0)
    state.checkpoint(0, "a", replace(step(1), layout=LAYOUT + 1))
    with pytest.raises(StateLayoutError, match="another prefix"):
        state.claim(0, "b", 1)


def test_a_server_that_is_gone_is_named(local_redis):
    client = redis.Redis.from_url(local_redis.url, retry=None)
    state = RedisState(client, Keys("t"))
    state.claim(0, "a", 0)
    local_redis.kill()
    with pytest.raises(StateUnavailableError, match="Redis"):
        state.checkpoint(0, "a", step(1))


@pytest.fixture(params=[find_redis_server, find_bundled_redis_server], ids=["this machine's", "the oldest"])
def any_redis(request):
    """The oldest one that we support, too."""
    if (binary := request.param()) is None:
        pytest.skip("no such redis-server")
    with LocalRedis(binary) as server:
        yield server


def test_a_full_server_takes_no_checkpoint_and_recovers(any_redis):
    client = redis.Redis.from_url(any_redis.url)
    state = RedisState(client, Keys("t"))
    state.claim(0, "a", 0)
    client.config_set("maxmemory", "100kb")
    with pytest.raises(StateUnavailableError, match="maxmemory"):
        state.checkpoint(0, "a", step(1, rows=[("ann", b"1")]))
    assert state.meta(0).seq == 0
    client.config_set("maxmemory", 0)
    assert state.checkpoint(0, "a", step(1, rows=[("ann", b"1")])) == Written.NOW


def test_what_workers_say_of_themselves_stands_until_they_take_it_back(state):
    assert not state.workers()
    state.put_worker("a:1", b"first")
    state.put_worker("b:2", b"other")
    state.put_worker("a:1", b"second")
    assert state.workers() == {"a:1": b"second", "b:2": b"other"}
    state.put_worker("a:1", None)
    state.put_worker("a:1", None)
    assert state.workers() == {"b:2": b"other"}


def test_pages_of_the_day_book_are_kept_by_day_and_read_by_day(state):
    state.claim(1, "a", 0)
    state.checkpoint(1, "a", step(1, days={7: b"seven", 8: b"eight"}))
    state.checkpoint(1, "a", step(2, days={8: b"more"}, old_days=[7]))
    assert state.keep(1).days == {8: b"more"}
    state.checkpoint(1, "a", step(3, days={9: b"nine"}))
    assert list(state.pages(3)) == [{}, {8: b"more", 9: b"nine"}, {}]
    assert list(state.pages(3, [7, 9])) == [{}, {9: b"nine"}, {}]
    assert list(state.pages(2, [])) == [{}, {}]


def test_old_models_are_dropped_and_the_current_one_stays(state):
    for version in range(1, 5):
        assert state.publish_model(1, version, b"v%d" % version)
    state.drop_models(range(1, 3))
    assert [state.old_model(version) for version in range(1, 5)] == [None, None, b"v3", b"v4"]
    assert state.model() == b"v4"
    assert state.publish_model(1, 5, b"v5")


def test_review_notes_and_requests_are_replaced_and_taken_out(state):
    assert (state.review(), state.notes(), state.requests()) == (None, {}, {})
    state.put_review(b"r")
    state.put_note("pin", b"1")
    state.put_request("a", b"x")
    state.put_request("b", b"y")
    state.put_request("a", b"z")
    assert (state.review(), state.notes(), state.requests()) == (b"r", {"pin": b"1"}, {"a": b"z", "b": b"y"})
    state.put_note("pin", None)
    state.put_note("pin", None)
    state.put_request("a", None)
    assert (state.notes(), state.requests()) == ({}, {"b": b"y"})


def test_names_of_segments_are_replaced_and_taken_out(state):
    assert state.segment_names() == {}
    state.put_segment_name(4, b"a")
    state.put_segment_name(-101, b"b")
    state.put_segment_name(4, b"c")
    assert state.segment_names() == {4: b"c", -101: b"b"}
    state.put_segment_name(4, None)
    state.put_segment_name(4, None)
    assert state.segment_names() == {-101: b"b"}


def test_what_imports_came_to_is_replaced_and_taken_out(state):
    assert state.imports() == {}
    state.put_import("a", b"1")
    state.put_import("b", b"2")
    state.put_import("a", b"3")
    state.put_import("b", None)
    state.put_import("b", None)
    assert state.imports() == {"a": b"3"}


def test_ended_sessions_are_remembered_and_forgotten(state):
    assert state.ended_sessions() == {}
    state.put_ended_session("a", 1)
    state.put_ended_session("b", 2)
    state.put_ended_session("a", None)
    state.put_ended_session("a", None)
    assert state.ended_sessions() == {"b": 2}


def test_a_campaign_is_replaced_only_by_who_has_read_it(state):
    assert state.campaigns() == {}
    assert state.put_campaign("Spring", b"one", None)
    assert state.put_campaign("Spring", b"one", None), "a repeated call is the same call"
    assert not state.put_campaign("Spring", b"other", None)
    assert state.put_campaign("Spring", b"two", b"one")
    assert not state.put_campaign("Spring", None, b"one")
    assert state.campaigns() == {"Spring": b"two"}
    assert state.put_campaign("Spring", None, b"two")
    assert state.campaigns() == {}


def test_members_of_a_campaign_come_in_pieces_and_go_together(state):
    assert state.campaign_members("n1") == {}
    state.put_campaign_members("n1", {0: b"a", 1: b"\x00\xff"}, 60)
    state.put_campaign_members("n1", {0: b"b"}, 60)
    state.put_campaign_members("n2", {0: b"other"}, 60)
    assert state.campaign_members("n1") == {0: b"b", 1: b"\x00\xff"}
    state.put_campaign_members("n1", {}, 0)
    assert state.campaign_members("n1") == {}
    assert state.campaign_members("n2") == {0: b"other"}


def test_pages_of_the_feedback_book_are_written_with_the_rows(state):
    state.claim(1, "a", 0)
    state.checkpoint(1, "a", step(1, feedback={7: b"seven", 8: b"eight"}, days={7: b"other"}))
    state.checkpoint(1, "a", step(2, feedback={8: b"more"}, old_feedback=[7]))
    assert state.keep(1).feedback == {8: b"more"}
    assert [dict(book) for book in state.feedback_pages(3)] == [{}, {8: b"more"}, {}]
    with pytest.raises(StateDivergedError):
        state.checkpoint(1, "a", step(2, feedback={8: b"another"}, old_feedback=[7]))
