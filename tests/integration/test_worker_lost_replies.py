"""A reply that is lost after Redis has done what it was asked: nothing is done twice, and no conflict is seen."""

import pytest
import redis

from consumer.layout import LAYOUT
from consumer.redis_state import RedisState
from consumer.state import Checkpoint, StateConflictError
from contracts.keys import Keys
from recommender.store import RedisViews
from tests.in_process import InProcess
from tests.integration.test_worker_ownership import exact, purchases
from tests.servers.lossy_proxy import LossyProxy


@pytest.fixture
def proxy(local_redis):
    with LossyProxy(local_redis.port) as proxy:
        yield proxy


def client_of(proxy):
    return redis.Redis(port=proxy.port)


def step(seq, **more):
    return Checkpoint(
        seq=seq,
        position=seq,
        log_identity="log",
        log_partitions=1,
        clock=0,
        purchases=0,
        heard=0,
        views_seq=0,
        layout=LAYOUT,
        **more,
    )


def test_a_claim_whose_reply_is_lost_counts_once(proxy):
    state = RedisState(client_of(proxy), Keys("t"))
    state.meta(0)
    proxy.lose_next(b"token")
    assert state.claim(0, "token", 0).claims == 1
    assert proxy.lost == 1
    assert state.meta(0).claims == 1


def test_a_checkpoint_whose_reply_is_lost_is_written_once(proxy):
    state = RedisState(client_of(proxy), Keys("t"))
    state.claim(0, "token", 0)
    state.checkpoint(0, "token", step(1, rows=[("ann", b"1")]))
    proxy.lose_next(b"ann")
    state.checkpoint(0, "token", step(2, rows=[("ann", b"2")]))
    assert proxy.lost == 1
    assert state.meta(0).seq == 2
    assert state.row(0, "ann") == b"2"


def test_a_checkpoint_repeated_after_anothers_claim_is_refused(proxy, local_redis):
    """The reply is lost, and before the client asks again somebody else has claimed: that is a conflict indeed."""
    state, other = RedisState(client_of(proxy), Keys("t")), RedisState(redis.Redis(port=local_redis.port), Keys("t"))
    state.claim(0, "zombie", 0)
    state.checkpoint(0, "zombie", step(1, rows=[("ann", b"1")]))
    other.claim(0, "owner", 1)
    with pytest.raises(StateConflictError):
        state.checkpoint(0, "zombie", step(1, rows=[("ann", b"1")]))


def test_a_model_whose_reply_is_lost_is_published_once(proxy):
    state = RedisState(client_of(proxy), Keys("t"))
    state.publish_model(1, 1, b"one")
    proxy.lose_next(b"second document")
    assert state.publish_model(1, 2, b"second document")
    assert proxy.lost == 1
    assert state.publish_model(1, 3, b"three")


@pytest.mark.parametrize("what", [b"HSET", b"views_seq", b"customer:", b"claims"], ids=["rows", "meta", "views", "any"])
def test_a_worker_goes_on_whatever_reply_is_lost(proxy, what):
    shop = InProcess(1, state=RedisState(client_of(proxy), Keys("t")), views=RedisViews(client_of(proxy)), prefix="t")
    shop.publish(*purchases(0, 20))
    shop.run()
    proxy.lose_next(what)
    shop.publish(*purchases(20, 20, day=1))
    worker = shop.run()
    assert worker.figures.conflicts == 0
    undisturbed = InProcess(1)
    undisturbed.publish(*purchases(0, 20), *purchases(20, 20, day=1))
    undisturbed.run()
    assert exact(shop) == exact(undisturbed)
    contents: dict = {}
    for change in shop.changes():
        assert contents.setdefault(change["change_id"], change) == change
