"""What is kept of webhooks: one suite over Redis, Redis Cluster and the twin in memory."""

import uuid

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from contracts.keys import Keys
from livesegments.key_contents import contents
from livesegments.webhooks.ledger import Kept, LedgerChangedError, Letter, LetterIdError, Step, place_of
from livesegments.webhooks.memory_ledger import MemoryLedger
from livesegments.webhooks.redis_ledger import RedisLedger
from recommender.redis_open import open_redis

MOST = 5
FAR = (1_700_000_000_000 << 64) + 41
"""A position on a log in Redis: more than a double holds."""


@pytest.fixture(params=["memory", "redis", "cluster"])
def ledger(request):
    if request.param == "memory":
        yield MemoryLedger(MOST)
        return
    with open_redis(request.getfixturevalue(f"{request.param}_url")) as client:
        yield RedisLedger(client, Keys(request.getfixturevalue("unique")), MOST)


def step(call="a", at=10, **more):
    return Step(**{"call": call, "identity": "log", "at": at, **more})


def letter(position, dead_at=100, **more):
    return Letter(**{"partition": 0, "position": position, "dead_at": dead_at, "tries": 3, **more})


def test_nothing_is_known_of_an_endpoint_that_was_never_told_anything(ledger):
    assert ledger.kept("crm") == Kept()
    assert ledger.letters("crm", 0, 10) == []
    assert ledger.find("crm", "0:1") is None


def test_it_begins_once_and_new_partitions_are_added(ledger):
    ledger.begin("crm", "log", {0: 5, 1: FAR})
    ledger.begin("crm", "log", {0: 7, 1: 0, 2: 9})
    assert ledger.kept("crm").positions == {0: 5, 1: FAR, 2: 9}
    assert ledger.kept("mail").positions == {}


def test_positions_only_rise_whatever_their_size(ledger):
    ledger.begin("crm", "log", {0: 99, 1: FAR})
    ledger.advance("crm", step("a", positions={0: 100, 1: FAR + 1}))
    ledger.advance("crm", step("b", positions={0: 9, 1: FAR}))
    assert ledger.kept("crm").positions == {0: 100, 1: FAR + 1}


def test_what_is_lost_counts_only_where_the_position_moves_on(ledger):
    ledger.begin("crm", "log", {0: 5})
    for call in ("one process", "another"):
        ledger.advance("crm", step(call, positions={0: 12}, lost={0: 7}))
    assert ledger.kept("crm").lost == 7


def test_a_repeated_step_changes_nothing(ledger):
    ledger.begin("crm", "log", {0: 0})
    said = step("a", positions={0: 3}, letters=[letter(1), letter(2)], delivered=4, delivered_at=9)
    for _ in range(2):
        assert ledger.advance("crm", said) == 0
    kept = ledger.kept("crm")
    assert (kept.delivered, kept.given_up, kept.letters, kept.delivered_at) == (4, 2, 2, 9)


def test_how_it_is_doing_is_replaced(ledger):
    ledger.begin("crm", "log", {0: 0})
    ledger.advance("crm", step("a", failing_since=7, status=503, error="answered 503"))
    kept = ledger.kept("crm")
    assert (kept.failing_since, kept.status, kept.error, kept.seen_at) == (7, 503, "answered 503", 10)
    ledger.advance("crm", step("b", at=11))
    kept = ledger.kept("crm")
    assert (kept.failing_since, kept.status, kept.error, kept.seen_at) == (None, None, "", 11)


def test_the_newest_letters_are_kept(ledger):
    ledger.begin("crm", "log", {0: 0})
    ledger.advance(
        "crm", step("a", letters=[letter(n, dead_at=100 + n, status=400, error="answered 400") for n in range(8)])
    )
    assert [one.position for one in ledger.letters("crm", 0, 10)] == [7, 6, 5, 4, 3]
    assert [one.position for one in ledger.letters("crm", 1, 2)] == [6, 5]
    assert ledger.letters("crm", 0, 1) == [letter(7, dead_at=107, status=400, error="answered 400")]
    assert (ledger.kept("crm").dropped, ledger.kept("crm").given_up) == (3, 8)
    assert ledger.find("crm", "0:2") is None


def test_letters_are_tried_again_by_one_process_at_a_time(ledger):
    ledger.begin("crm", "log", {0: 0})
    ledger.advance("crm", step("a", letters=[letter(n) for n in range(3)]))
    assert ledger.ask_again("crm", ["0:1", "0:2", "5:5"]) == 2
    assert [one.position for one in ledger.letters("crm", 0, 10)] == [0]
    assert ledger.find("crm", "0:1").tries == 3
    assert ledger.advance("crm", step("b")) == 2
    taken = ledger.take("crm", 1, now=50, until=90)
    assert [one.id for one in taken] == ["0:1"]
    assert [one.id for one in ledger.take("crm", 9, now=60, until=95)] == ["0:2"]
    assert ledger.take("crm", 9, now=70, until=95) == []
    ledger.advance("crm", step("c", settled=["0:2"]))
    assert [one.id for one in ledger.take("crm", 9, now=99, until=120)] == ["0:1"], "whoever took it was killed"
    ledger.advance("crm", step("d", returned=[letter(1, tries=4)]))
    kept = ledger.kept("crm")
    assert (kept.letters, kept.again, kept.given_up) == (2, 0, 3)
    assert ledger.find("crm", "0:1").tries == 4


def test_a_letter_that_is_dropped_while_it_is_tried_again_stays_dropped(ledger):
    ledger.begin("crm", "log", {0: 0})
    ledger.advance("crm", step("a", letters=[letter(n) for n in range(2)]))
    ledger.ask_again("crm", None)
    assert len(ledger.take("crm", 9, now=50, until=90)) == 2
    assert ledger.drop("crm", ["0:1"]) == 1
    for _ in range(2):
        ledger.advance("crm", step("b", returned=[letter(n, tries=4) for n in range(2)]))
    kept = ledger.kept("crm")
    assert [one.id for one in ledger.letters("crm", 0, 9)] == ["0:0"]
    assert (kept.given_up, kept.letters, kept.again) == (2, 1, 0)


def test_letters_are_dropped_also_those_to_be_tried_again(ledger):
    ledger.begin("crm", "log", {0: 0})
    ledger.advance("crm", step("a", letters=[letter(n) for n in range(4)]))
    assert ledger.drop("crm", ["0:0", "9:9"]) == 1
    assert ledger.ask_again("crm", ["0:1"]) == 1
    assert ledger.drop("crm", None) == 3
    kept = ledger.kept("crm")
    assert (kept.letters, kept.again) == (0, 0)
    assert ledger.find("crm", "0:1") is None


def test_another_log_begins_anew_and_its_letters_refer_to_nothing(ledger):
    ledger.begin("crm", "log", {0: 50, 1: 50})
    ledger.advance("crm", step("a", letters=[letter(1), letter(2)]))
    ledger.ask_again("crm", ["0:1"])
    ledger.begin("crm", "another", {0: 0})
    with pytest.raises(LedgerChangedError):
        ledger.advance("crm", step("b", positions={0: 60}))
    kept = ledger.kept("crm")
    assert (kept.identity, kept.positions, kept.letters, kept.again, kept.dropped) == ("another", {0: 0}, 0, 0, 2)


def test_a_proof_of_erasure_reads_all_of_it(redis_url, unique):
    with open_redis(redis_url) as client:
        ledger = RedisLedger(client, Keys(unique), MOST)
        ledger.begin("crm", "log", {0: 0})
        ledger.advance("crm", step("a", letters=[letter(n, error="answered 422") for n in range(2)]))
        ledger.ask_again("crm", ["0:1"])
        found = list(contents(client, Keys(unique)))
    assert {name.rpartition(":")[2] for name, _ in found} == {"kept", "letters", "again", "about"}
    assert {b"0:0", b"0:1", b"log"} <= {value for _, value in found}


@pytest.mark.parametrize("text", ["", "1", "1:", ":1", "-1:2", "1:2:3", "a:b", "1:２", "0:" + "9" * 99])
def test_only_ids_of_ours_are_taken_for_ids(text):
    with pytest.raises(LetterIdError):
        place_of(text)


ids = st.sampled_from([f"0:{n}" for n in range(6)])
moves = st.one_of(
    st.tuples(
        st.just("advance"), st.integers(0, 12), st.lists(st.integers(0, 5), max_size=3), st.lists(ids, max_size=2)
    ),
    st.tuples(st.just("again"), st.one_of(st.none(), st.lists(ids, max_size=3, unique=True))),
    st.tuples(st.just("drop"), st.one_of(st.none(), st.lists(ids, max_size=3, unique=True))),
    st.tuples(st.just("take"), st.integers(1, 3)),
)


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(moves, max_size=12))
def test_redis_and_memory_agree_whatever_happens(redis_url, said):
    with open_redis(redis_url) as client:
        real, twin = RedisLedger(client, Keys(f"t-{uuid.uuid4().hex}"), MOST), MemoryLedger(MOST)
        for one in (real, twin):
            one.begin("x", "log", {0: 3})
        for now, (what, *rest) in enumerate(said, start=1):
            for one in (real, twin):
                match what:
                    case "advance":
                        position, dead, settled = rest
                        letters = [letter(n, dead_at=100 * now + n) for n in dict.fromkeys(dead)]
                        one.advance("x", step(f"{now}", positions={0: position}, letters=letters, settled=settled))
                    case "take":
                        one.take("x", rest[0], now, now + 2)
                    case _:
                        (one.ask_again if what == "again" else one.drop)("x", rest[0])
            assert real.kept("x") == twin.kept("x")
            assert real.letters("x", 0, 10) == twin.letters("x", 0, 10)
