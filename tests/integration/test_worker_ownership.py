"""Who may write a partition, and from which log: zombies are refused, a changed log is told before any write."""

import copy
import random
from dataclasses import replace
from datetime import timedelta

import pytest

from consumer.held import WrongLogError, claim
from consumer.redis_state import RedisState
from consumer.worker import TooManyConflictsError
from contracts.events import Line, Purchase
from contracts.keys import Keys
from contracts.times import DAY, EPOCH, SECOND
from logs.base import LogSpec, PositionGoneError
from recommender.redis_open import open_redis
from recommender.store import RedisViews
from tests.in_process import START, InProcess, comparable, fixed_model, step_until

CUSTOMERS = [f"c{n}" for n in range(8)]


def purchases(first, count, day=0):
    rng = random.Random(first)
    return [
        Purchase(
            event_id=f"e{first + n}",
            customer_id=rng.choice(CUSTOMERS),
            occurred_at=EPOCH + timedelta(microseconds=START + day * DAY + n),
            order_id="o",
            currency="GBP",
            lines=(Line(item_id=rng.choice("abc"), quantity=1, unit_price=2.5),),
        )
        for n in range(count)
    ]


def shops(request, partitions):
    """An empty deployment, on memory or on a real Redis, as the fixture's parameter says."""
    if request.param == "memory":
        yield InProcess(partitions)
        return
    prefix = request.getfixturevalue("unique")
    with open_redis(request.getfixturevalue("redis_url")) as client:
        yield InProcess(partitions, state=RedisState(client, Keys(prefix)), views=RedisViews(client), prefix=prefix)


@pytest.fixture(params=["memory", "redis"])
def shop(request):
    """An empty deployment of one partition, on memory and on a real Redis."""
    yield from shops(request, 1)


@pytest.fixture(params=["memory", "redis"])
def shop_of_two(request):
    """An empty deployment of two partitions, likewise."""
    yield from shops(request, 2)


def alone(shop, *events):
    """The rows that one undisturbed worker makes of the same log."""
    other = InProcess(1)
    other.publish(*events)
    other.run()
    return comparable(other.rows(), names=("orders", "spend", "units", "first_at", "last_at", "lines", "ids"))


def exact(shop):
    return comparable(shop.rows(), names=("orders", "spend", "units", "first_at", "last_at", "lines", "ids"))


class Elsewhere:
    """A reader that its group has forgotten, and that has not noticed: it still hands out its partitions' records."""

    def __init__(self, shop):
        self._reader = shop.logs.reader(shop.names.events, "another group, so that both are given everything")

    def __getattr__(self, name):
        return getattr(self._reader, name)


def claimed_by(shop):
    """Anybody else's claim of partition 0."""
    held, _ = claim(shop.state, 0, shop.logs.describe(shop.names.events), 0.0)
    return held


def test_a_zombies_checkpoint_of_events_is_refused_and_its_memory_dropped(shop):
    first, second = purchases(0, 20), purchases(20, 20, day=1)
    shop.publish(*first)
    zombie = shop.worker(reader=Elsewhere(shop))
    step_until(zombie, lambda: zombie.idle)
    owner = shop.worker()
    step_until(owner, lambda: owner.idle)
    shop.publish(*second)
    step_until(zombie, lambda: zombie.figures.conflicts > 0)
    assert not zombie.memory.held
    assert len(zombie.memory.store) == 0
    step_until(owner, lambda: owner.idle)
    assert exact(shop) == alone(shop, *first, *second)
    assert owner.figures.conflicts == 0
    owner.close()
    zombie.close()


def test_a_zombies_checkpoint_from_a_sweep_is_refused(shop):
    """Nothing new on the log: only time passes for the zombie, and everybody moves."""
    shop.adopt(fixed_model())
    shop.publish(*purchases(0, 30))
    zombie = shop.worker()
    step_until(zombie, lambda: zombie.idle)
    owner = claimed_by(shop)
    before = shop.rows()
    zombie.clock.hear([START + 900 * DAY])
    step_until(zombie, lambda: zombie.figures.conflicts > 0)
    assert zombie.figures.moves["time"] > 0, "the sweep did move somebody"
    assert not zombie.memory.held
    assert shop.rows() == before
    assert shop.state.meta(0).seq == owner.seq
    zombie.close()


def test_a_zombie_writes_no_views_once_its_last_checkpoint_is_old(shop):
    """It can not know that it is one; so it asks the state before it writes."""
    now = [0.0]
    shop.publish(*purchases(0, 10))
    zombie = shop.worker(monotonic=lambda: now[0])
    step_until(zombie, lambda: zombie.idle)
    claimed_by(shop)
    written = zombie.memory.views.figures.written
    shop.views.delete_many([shop.keys.customer(who) for who in CUSTOMERS])
    now[0] += 10_000.0  # every view is due for a refresh
    step_until(zombie, lambda: zombie.figures.conflicts > 0)
    zombie.step(0.0)
    assert zombie.memory.views.figures.written == written
    assert all(shop.views.get(shop.keys.customer(who)) is None for who in CUSTOMERS)
    zombie.close()


def test_a_worker_to_which_nothing_happens_notices_that_others_went_on(shop):
    """Nothing new on the log, no view due: all the same it tells nobody anything that is no longer its own."""
    now = [0.0]
    shop.publish(*purchases(0, 10))
    zombie = shop.worker(monotonic=lambda: now[0])
    step_until(zombie, lambda: zombie.idle)
    claimed_by(shop)
    shop.state.put_sums({0: b"of the new owner"})
    now[0] += 0.2
    step_until(zombie, lambda: zombie.figures.conflicts == 1)
    assert shop.state.sums()[0] == b"of the new owner"
    zombie.close()


def test_after_a_conflict_it_claims_again_if_the_group_still_gives_it_the_partition(shop):
    now = [0.0]
    shop.publish(*purchases(0, 10))
    worker = shop.worker(monotonic=lambda: now[0])
    step_until(worker, lambda: worker.idle)
    claimed_by(shop)
    shop.publish(*purchases(10, 10, day=1))
    step_until(worker, lambda: worker.figures.conflicts == 1)
    for _ in range(5):
        worker.step(0.0)
    assert not worker.memory.held, "it waits between one and two session timeouts"
    now[0] += 2 * 0.2
    step_until(worker, lambda: worker.idle)
    assert exact(shop) == alone(shop, *purchases(0, 10), *purchases(10, 10, day=1))
    worker.close()


def test_after_a_conflict_it_leaves_a_partition_that_the_group_gave_away(shop):
    now = [0.0]
    shop.publish(*purchases(0, 10))
    worker = shop.worker(monotonic=lambda: now[0])
    step_until(worker, lambda: worker.idle)
    owner = claimed_by(shop)
    shop.publish(*purchases(10, 10, day=1))
    step_until(worker, lambda: worker.figures.conflicts == 1)
    worker._reader.give(set(), {0})
    now[0] += 100.0
    for _ in range(20):
        worker.step(0.0)
    assert shop.state.meta(0).claims == owner.claims
    assert not worker.memory.held
    worker.close()


def test_two_who_claim_from_each_other_for_ever_stop_with_a_name(shop):
    now = [0.0]
    worker = shop.worker(monotonic=lambda: now[0])

    def quarrel():
        for first in range(0, 400, 2):
            shop.publish(*purchases(first, 2))
            for _ in range(3):
                worker.step(0.0)
            claimed_by(shop)
            now[0] += 0.5

    with pytest.raises(TooManyConflictsError, match="same key prefix"):
        quarrel()
    assert worker.figures.conflicts == 4
    worker.close()


# ---- another log than the rows were made from ----


def everything_in(shop):
    return shop.state.meta(0), shop.rows(), shop.state.keep(0)


def assert_refused_and_untouched(shop, error, match):
    before = everything_in(shop)
    worker = shop.worker()
    with pytest.raises(error, match=match):
        worker.run(until_idle=0.0)
    after = everything_in(shop)
    assert after[1:] == before[1:]
    assert (after[0].seq, after[0].position) == (before[0].seq, before[0].position)
    return before, after


def test_a_log_made_anew_is_told_before_anything_is_written(shop):
    shop.publish(*purchases(0, 10))
    shop.run()
    shop.logs.delete(shop.names.events)
    shop.create_logs()
    shop.publish(*purchases(50, 30))
    before, after = assert_refused_and_untouched(shop, WrongLogError, "deleted and created again")
    assert after == before, "not even claimed"


def test_another_number_of_partitions_is_told_before_anything_is_written(shop):
    shop.publish(*purchases(0, 10))
    shop.run()
    before = everything_in(shop)
    found = shop.logs.describe(shop.names.events)
    with pytest.raises(WrongLogError, match="has 5 partitions, the rows were made from 1"):
        claim(shop.state, 0, replace(found, partitions=5), 0.0)
    assert everything_in(shop) == before


def test_a_position_that_the_log_no_longer_holds_is_told(shop):
    """The log was trimmed past it: going on from what is left would skip events silently."""
    shop.publish(*purchases(0, 10))
    shop.run()
    shop.publish(*purchases(10, 10))
    shop.logs.trim(shop.names.events, 0, 15)
    assert_refused_and_untouched(shop, PositionGoneError, "position 10 is not held")


def test_a_position_that_the_log_never_reached_is_told(shop):
    """The log lost its end, or was restored from a backup."""
    shop.publish(*purchases(0, 10))
    shop.run()
    info = shop.logs.describe(shop.names.events)
    shop.logs.delete(shop.names.events)
    shop.logs.create(LogSpec(shop.names.events, 1))
    shop.logs.find(shop.names.events).info = info  # the same log by identity, but empty
    assert_refused_and_untouched(shop, PositionGoneError, "position 10 is not held")


def test_a_log_made_anew_while_it_is_read_stops_the_worker(shop):
    shop.publish(*purchases(0, 10))
    worker = shop.worker()
    step_until(worker, lambda: worker.idle)
    before = everything_in(shop)
    shop.logs.delete(shop.names.events)
    shop.create_logs()
    with pytest.raises(Exception, match="deleted and created again"):
        worker.run(until_idle=0.0)
    assert everything_in(shop)[1:] == before[1:]


# ---- an older state, and workers that are gone ----


def test_what_another_worker_sold_is_no_longer_added_when_it_has_gone():
    """A worker that holds everything has no others to add."""
    shop = InProcess(2)
    shop.publish(*purchases(0, 40))
    one, two = shop.worker(), shop.worker()
    step_until(one, lambda: len(one.memory.item_sums._others) == 1, two)
    two.close()
    step_until(one, lambda: one.memory.holds_all and one.idle)
    now = one.clock.now
    others = one.memory.item_sums._others
    assert not others, "popularity would count its customers twice"
    assert one.memory.item_sums.popular(now) is not None
    one.close()


def test_a_worker_tells_what_it_sells_under_one_name_and_takes_it_back_when_it_goes(shop_of_two):
    shop = shop_of_two
    shop.publish(*purchases(0, 40))
    one, two = shop.worker(), shop.worker()
    step_until(one, lambda: len(shop.state.popularity()) == 2, two)
    two.close()
    assert len(shop.state.popularity()) == 1
    step_until(one, lambda: one.memory.holds_all)
    three = shop.worker()
    step_until(one, lambda: len(one.memory.item_sums._others) == 1, three)
    assert len(shop.state.popularity()) == 2, "claims of the same worker are not told apart"
    three.close()
    one.close()


def test_what_a_killed_worker_sold_is_forgotten_after_two_session_timeouts(shop_of_two):
    shop, passed = shop_of_two, [0]
    shop.publish(*purchases(0, 40))
    one, two = (shop.worker(wall=lambda: START + passed[0]) for _ in range(2))
    step_until(one, lambda: len(shop.state.popularity()) == 2, two)
    shop.state.put_popularity("killed", next(iter(shop.state.popularity().values())))
    step_until(one, lambda: "killed" in one.memory.item_sums._others, two)
    passed[0] = SECOND
    step_until(one, lambda: "killed" not in shop.state.popularity(), two)
    step_until(one, lambda: len(shop.state.popularity()) == 2 and len(one.memory.item_sums._others) == 1, two)
    assert "killed" not in one.memory.item_sums._others
    two.close()
    one.close()


@pytest.mark.parametrize("lost", ["some", "all"])
def test_a_state_that_went_back_under_an_idle_worker_is_made_whole_again(lost):
    """Nothing new comes from the log, and yet rows are not to stay what they were once."""
    shop = InProcess(1)
    kept = {name: copy.deepcopy(value) for name, value in vars(shop.state).items() if name != "_lock"}
    first, second = purchases(0, 20), purchases(20, 20, day=1)
    now = [0.0]
    shop.publish(*first)
    worker = shop.worker(monotonic=lambda: now[0])
    step_until(worker, lambda: worker.idle)
    if lost == "some":
        kept = {name: copy.deepcopy(value) for name, value in vars(shop.state).items() if name != "_lock"}
    shop.publish(*second)
    step_until(worker, lambda: worker.idle)
    vars(shop.state).update(kept)
    now[0] += 0.2
    step_until(worker, lambda: worker.figures.conflicts == 1)
    step_until(worker, lambda: worker.idle)
    assert exact(shop) == alone(shop, *first, *second)
    worker.close()


def test_a_state_rolled_back_is_followed_and_the_log_replays_the_difference():
    """Rows, offset and model go back together: to older versions, which the next decision builds upon."""
    shop = InProcess(1)
    shop.adopt(fixed_model())
    shop.publish(*purchases(0, 20))
    shop.run()
    kept = {name: copy.deepcopy(value) for name, value in vars(shop.state).items() if name != "_lock"}
    now = [0.0]
    worker = shop.worker(monotonic=lambda: now[0])
    step_until(worker, lambda: worker.idle)
    shop.adopt(replace(fixed_model(), version=2))
    worker._deciding.read_models()
    shop.publish(*purchases(20, 20, day=1))
    step_until(worker, lambda: worker.idle)
    assert worker.memory.learner.model.version == 2
    vars(shop.state).update(kept)  # the server came back with yesterday's snapshot
    shop.publish(*purchases(40, 20, day=2))
    step_until(worker, lambda: worker.figures.conflicts == 1)
    now[0] += 1.0
    step_until(worker, lambda: worker.idle)
    assert exact(shop) == alone(shop, *purchases(0, 20), *purchases(20, 20, day=1), *purchases(40, 20, day=2))
    assert worker.memory.learner.model.version == 1, "no version that the state does not know may be built upon"
    worker.close()
