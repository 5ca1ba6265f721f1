"""Forgetting a customer, through the whole worker: as if only what came after had ever been."""

from datetime import timedelta

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from consumer.layout import Limits
from consumer.redis_state import RedisState
from contracts.events import Erase, Line, Profile, Purchase, Return
from contracts.keys import Keys
from contracts.times import DAY, EPOCH, HOUR
from recommender.redis_open import open_redis
from recommender.store import MemoryViews, RedisViews, ViewsUnavailableError
from tests.in_process import (
    START,
    InProcess,
    assert_decayed_alike,
    batch_sums_of,
    comparable,
    fixed_model,
    popularity_of,
    step_until,
    sums_of,
)

LATENESS = 10 * DAY
LIMITS = Limits(LATENESS, lines=6)


def event(kind, event_id, who, at, *, items=("a", "b")):
    head = {"event_id": event_id, "customer_id": who, "occurred_at": EPOCH + timedelta(microseconds=at)}
    if kind is Profile:
        return Profile(**head, attributes={"age": 40, "from": event_id})
    if kind is Erase:
        return Erase(**head)
    lines = tuple(Line(item_id=item, quantity=1 + n, unit_price=2.5) for n, item in enumerate(items))
    return kind(**head, order_id=event_id, lines=lines, currency="GBP")


@pytest.fixture(params=["memory", "redis"])
def shop(request):
    """An empty deployment, on memory and on a real Redis."""
    if request.param == "memory":
        yield InProcess(limits=LIMITS)
        return
    prefix = request.getfixturevalue("unique")
    with open_redis(request.getfixturevalue("redis_url")) as client:
        yield InProcess(state=RedisState(client, Keys(prefix)), views=RedisViews(client), prefix=prefix, limits=LIMITS)


def view_of(shop, who):
    return shop.views.get(shop.keys.customer(who))


def bought_again(view):
    return sorted(one.item_id for one in view.items if one.reason == "again")


def markers(shop):
    return sum(len(shop.state.keep(partition).markers) for partition in range(shop.partitions))


def unviewed(shop):
    return set().union(*(shop.state.keep(partition).unviewed for partition in range(shop.partitions)))


streams = st.lists(
    st.tuples(
        st.sampled_from([Purchase, Purchase, Return, Profile]),
        st.sampled_from(["ann", "bob", "cid"]),
        st.integers(0, 30 * 24),
        st.lists(st.sampled_from("abcde"), min_size=1, max_size=3),
    ),
    max_size=14,
)


def drawn_events(name, drawn):
    return [
        event(kind, f"{name}{n}", who, START + hours * HOUR, items=items)
        for n, (kind, who, hours, items) in enumerate(drawn)
    ]


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(streams, streams, st.integers(0, 40), st.integers(1, 30), st.booleans(), st.booleans())
def test_an_erasure_and_what_follows_equal_a_run_of_what_follows(before, after, day, batch, restart, repeat):
    """Rows, markers, sums, popularity and views; whatever the batches, with a restart or a repeated erase between."""
    before, after = drawn_events("b", before), drawn_events("a", after)
    erase = event(Erase, "gone", "ann", START + day * DAY)
    # Both runs end at one time, and take the same first step, so that they evaluate everybody for the same moment.
    last = event(Purchase, "last", "zoe", START + 50 * DAY)
    floor = max([erase.occurred_at, *(one.occurred_at for one in before if one.customer_id == "ann")])
    counted = [one for one in after if one.customer_id != "ann" or one.occurred_at > floor]

    whole = InProcess(limits=LIMITS, batch_events=batch)
    whole.adopt(fixed_model())
    whole.publish(*before, erase)
    if restart:
        whole.run()
    whole.publish(*after, *([erase] if repeat else []), last)
    worker = whole.run()

    only = InProcess(limits=LIMITS, batch_events=batch)
    only.adopt(fixed_model())
    only.publish(*(one for one in before if one.customer_id != "ann"), *counted, last)
    other = only.run()

    rows, others = whole.rows(), only.rows()
    assert_decayed_alike(rows, others)
    if "ann" in rows:
        assert rows["ann"].pop("erase_floor") is not None
        assert others["ann"].pop("erase_floor") is None
        rows["ann"]["erase_floor"] = others["ann"]["erase_floor"] = None
    assert comparable(rows) == comparable(others)
    assert (markers(whole), markers(only)) == (1, 0)

    magnitude = 20.0 * (len(before) + len(after) + 1)
    np.testing.assert_allclose(sums_of(worker), sums_of(other), rtol=0, atol=1e-9 * magnitude)
    np.testing.assert_allclose(sums_of(worker), batch_sums_of(worker, worker.clock.now), rtol=0, atol=1e-9 * magnitude)
    popular, elsewhere = popularity_of(worker), popularity_of(other)
    for key in {*popular, *elsewhere}:
        assert popular[key] == pytest.approx(elsewhere[key], abs=1e-9 * 2**8 * magnitude), key

    for who in ("ann", "bob", "cid", "zoe"):
        view, same = whole.reader().get(who), only.reader().get(who)
        assert view.known == same.known == (who in rows)
        if view.known:
            assert (view.segment.id, view.segment.name) == (same.segment.id, same.segment.name)
            # What is popular may be a little older in one of them; what one has bought may not.
            assert bought_again(view) == bought_again(same)
    assert not unviewed(whole)


def test_everything_of_the_customer_goes(shop):
    """And of nobody else."""
    shop.publish(*(event(Purchase, f"e{who}", who, START) for who in ("ann", "bob")))
    shop.run()
    assert view_of(shop, "ann") is not None
    shop.publish(event(Erase, "x", "ann", START + DAY))
    worker = shop.run()
    assert set(shop.rows()) == {"bob"}
    assert view_of(shop, "ann") is None
    assert view_of(shop, "bob") is not None
    assert markers(shop) == 1
    assert sum(popularity_of(worker).values()) == pytest.approx(2.0)
    assert worker.figures.events == {"erase": 1}


def test_a_repeated_erase_deletes_nothing_newer(shop):
    erase = event(Erase, "x", "ann", START + DAY)
    shop.publish(event(Purchase, "old", "ann", START), erase, event(Purchase, "new", "ann", START + 2 * DAY))
    shop.run()
    row = shop.rows()["ann"]
    view = shop.reader().get("ann")
    shop.publish(erase, event(Erase, "other id, no later", "ann", START + DAY), event(Erase, "older", "ann", START))
    worker = shop.run()
    assert worker.figures.ignored == {"repeated": 3}
    assert shop.rows()["ann"] == row
    assert row["orders"] == 1
    assert shop.reader().get("ann").items == view.items
    assert view.known


def test_purchases_before_and_after_an_erase_in_one_batch(shop):
    shop.publish(
        event(Purchase, "first", "ann", START, items="a"),
        event(Erase, "x", "ann", START + DAY),
        event(Purchase, "again", "ann", START + DAY, items="b"),  # at the floor: not newer
        event(Purchase, "later", "ann", START + DAY + 1, items="c"),
    )
    worker = shop.run()
    row = shop.rows()["ann"]
    assert (row["orders"], row["lines"]) == (1, [("c", 1)])
    assert worker.figures.ignored == {"erased": 1}
    assert {item for (_, item), weight in popularity_of(worker).items() if weight > 1e-12} == {"c"}
    assert view_of(shop, "ann") is not None


def test_twice_erased_in_one_batch(shop):
    shop.publish(
        event(Purchase, "1", "ann", START),
        event(Erase, "x1", "ann", START + DAY),
        event(Purchase, "2", "ann", START + 2 * DAY),
        event(Erase, "x2", "ann", START + 3 * DAY),
    )
    worker = shop.run()
    assert shop.rows() == {}
    assert view_of(shop, "ann") is None
    assert worker.figures.events == {"purchase": 2, "erase": 2}
    assert sum(popularity_of(worker).values()) == pytest.approx(0.0, abs=1e-12)


def test_an_erase_of_somebody_unknown_refuses_what_is_older(shop):
    """Also after a restart: the marker is in the state."""
    shop.publish(event(Erase, "x", "ann", START + DAY))
    shop.run()
    shop.publish(
        event(Purchase, "late", "ann", START),
        event(Profile, "edge", "ann", START + DAY),
        event(Return, "back", "ann", START + DAY),
    )
    worker = shop.run()
    assert worker.figures.ignored == {"erased": 3}
    assert shop.rows() == {}
    assert view_of(shop, "ann") is None
    shop.publish(event(Profile, "new", "ann", START + DAY + 1))
    shop.run()
    assert shop.rows()["ann"]["attributes"] == {"age": 40, "from": "new"}


def test_the_floor_is_the_newest_event_known_not_only_the_erase(shop):
    """A profile dated after the erase is forgotten, too, and what is as old as it stays out."""
    shop.publish(
        event(Profile, "p", "ann", START + 5 * DAY),
        event(Erase, "x", "ann", START + DAY),
        event(Purchase, "between", "ann", START + 4 * DAY),
    )
    worker = shop.run()
    assert worker.figures.ignored == {"erased": 1}
    assert shop.rows() == {}


def test_the_view_is_deleted_even_if_the_worker_ends_before_it_comes_to_that(shop):
    """The checkpoint that passes the erase remembers that a view is still to go."""

    class Unwilling:
        """The real views, but nothing can be deleted: their server fails at that moment."""

        def __getattr__(self, name):
            return getattr(shop.views, name)

        def delete_many(self, keys):
            if keys:
                raise ViewsUnavailableError("not now")

    shop.publish(event(Purchase, "1", "ann", START), event(Purchase, "2", "bob", START))
    shop.run()
    shop.publish(event(Erase, "x", "ann", START + DAY))
    failing = shop.worker(views=Unwilling())
    step_until(failing, lambda: unviewed(shop) == {"ann"})
    failing.close()
    assert set(shop.rows()) == {"bob"}
    assert view_of(shop, "ann") is not None
    shop.run()
    assert view_of(shop, "ann") is None
    assert unviewed(shop) == set()


def test_a_view_of_somebody_back_after_an_erase_has_nothing_of_before(shop):
    shop.publish(event(Purchase, "1", "ann", START, items="abc"), event(Purchase, "2", "bob", START, items="de"))
    shop.run()
    shop.publish(event(Erase, "x", "ann", START + DAY), event(Purchase, "3", "ann", START + 2 * DAY, items="d"))
    shop.run()
    view = shop.reader().get("ann")
    assert bought_again(view) == ["d"]
    assert shop.rows()["ann"]["lines"] == [("d", 1)]
    assert shop.rows()["ann"]["attributes"] == {}


def test_views_kept_in_memory_expire_by_the_clock_given():
    """Guards the fixture: nothing above passes because views had expired."""
    views = MemoryViews(lambda: 0)
    views.set_many({"k": b"v"}, ttl_ms=1)
    assert views.get("k") == b"v"


def test_a_worker_starts_again_where_nothing_ever_counted(shop):
    """No event counted, so there is no event time: the clock is the machine's until there is one."""
    shop.publish(event(Erase, "x", "ann", START), event(Erase, "x", "bob", START))
    shop.run()
    worker = shop.run()
    assert worker.clock.now == START
    shop.publish(event(Purchase, "1", "ann", START + DAY))
    assert shop.run().clock.now == START + DAY


def test_the_view_goes_of_who_came_back_and_was_erased_again(shop):
    """Before a checkpoint has noted that the first erasure left nothing to delete, because they were back."""

    class OnceUnwilling:
        """The real views, whose server fails at the first deletion."""

        failed = False

        def __getattr__(self, name):
            return getattr(shop.views, name)

        def delete_many(self, keys):
            if shop.keys.customer("ann") in keys and not self.failed:
                self.failed = True
                raise ViewsUnavailableError("not now")
            shop.views.delete_many(keys)

    views = OnceUnwilling()
    worker = shop.worker(views=views)
    shop.publish(event(Purchase, "1", "ann", START), event(Erase, "x1", "ann", START + DAY))
    step_until(worker, lambda: views.failed)
    shop.publish(event(Purchase, "2", "ann", START + 2 * DAY))
    step_until(worker, lambda: any(held.viewed for held in worker.memory.held.values()))
    assert view_of(shop, "ann") is not None
    shop.publish(event(Erase, "x2", "ann", START + 3 * DAY))
    shop.run(worker)
    worker.close()
    assert view_of(shop, "ann") is None
    assert unviewed(shop) == set()
