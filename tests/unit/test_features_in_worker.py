"""Features of attributes and categories through a whole worker: who is placed, and what new settings change."""

from collections import Counter

import numpy as np
import pytest

from consumer.catalogue_entry import Entry
from consumer.sample import sample_columns
from contracts.events import Line, Profile, Purchase
from contracts.times import DAY
from online_model.model import FIRST_SEGMENT_ID, NO_PURCHASES, NOT_ENOUGH_DATA, SegmentModel
from online_model.settings import ModelSettings
from tests.in_process import START, InProcess, batch_sums_of, step_until, sums_of
from tests.rows import moment

GROUPS = 3


def profile(number, **attributes):
    return Profile(
        event_id=f"profile-{number}", customer_id=f"c{number}", occurred_at=moment(START), attributes=attributes
    )


def purchase(number, day, item, price=10.0, place=0):
    return Purchase(
        event_id=f"purchase-{number}-{day}-{place}",
        customer_id=f"c{number}",
        occurred_at=moment(START + day * DAY),
        order_id=f"{number}-{day}",
        lines=(Line(item_id=item, quantity=1, unit_price=price),),
        currency="GBP",
    )


def settings(*features, **more):
    return ModelSettings(
        features=features,
        k=GROUPS,
        first_model_buyers=20,
        dwell=0,
        margin=0.0,
        by_rule_buyers=0,
        by_rule_days=0,
        **more,
    )


def segments(worker):
    """Segment id by customer."""
    store = worker.memory.store
    return {
        who: int(store.header["segment"][row]) for part in store.partitions.values() for who, row in part.index.items()
    }


def by_group(worker, numbers):
    """The segments of the customers of each group, who are every third."""
    found = segments(worker)
    return [{found[f"c{number}"] for number in numbers if number % GROUPS == group} for group in range(GROUPS)]


def worked(shop, *events, worker=None):
    worker = worker or shop.worker()
    shop.publish(*events)
    step_until(worker, lambda: worker.idle)
    return worker


def assert_exact(worker):
    np.testing.assert_allclose(sums_of(worker), batch_sums_of(worker, worker.clock.now), rtol=1e-9, atol=1e-9)


def test_people_who_never_bought_are_placed_by_their_profiles():
    shop = InProcess(model=settings("attributes.age"), figures_interval=0.0)
    people = [profile(number, age=20 + 25 * (number % GROUPS)) for number in range(30)]
    worker = worked(shop, *people, profile(90, city="x"), purchase(91, 0, "a"))
    groups = by_group(worker, range(30))
    assert [len(group) for group in groups] == [1, 1, 1]
    assert len(set.union(*groups)) == GROUPS
    found = segments(worker)
    assert found["c90"] == found["c91"] == NOT_ENOUGH_DATA
    worked(shop, profile(95, age=44), worker=worker)
    assert segments(worker)["c95"] in groups[1]
    assert_exact(worker)
    worker.close()


def test_where_purchases_count_as_well_nobody_is_placed_without_one():
    shop = InProcess(model=settings("recency", "attributes.age"), figures_interval=0.0)
    people = [profile(number, age=20 + 25 * (number % GROUPS)) for number in range(31)]
    bought = [purchase(number, number % 7, "a") for number in range(30)]
    worker = worked(shop, *people, *bought, purchase(91, 0, "a"))
    found = segments(worker)
    assert found["c30"] == NO_PURCHASES
    assert min(found[f"c{number}"] for number in range(30)) > 0
    assert found["c91"] > 0  # by recency alone
    assert_exact(worker)
    worker.close()


def test_preferences_are_what_is_bought():
    shop = InProcess(model=settings("preferences"), figures_interval=0.0)
    worker = shop.worker()
    for item, category in {"a": "Garden", "b": "Kitchen", "c": "Toys"}.items():
        worker.memory.item_sums.items.put(item, Entry(category=category))
    orders = [purchase(number, day, "abc"[number % GROUPS]) for day in range(3) for number in range(30)]
    worked(shop, *orders, purchase(90, 0, "no category"), worker=worker)
    model = worker.memory.learner.model
    assert sorted(model.features) == ["share.Garden", "share.Kitchen", "share.Toys"]
    groups = by_group(worker, range(30))
    assert len(set.union(*groups)) == GROUPS
    assert segments(worker)["c90"] == NOT_ENOUGH_DATA
    assert_exact(worker)
    worker.close()


def test_without_a_catalogue_preferences_make_no_model_and_nothing_fails():
    shop = InProcess(model=settings("preferences"), figures_interval=0.0)
    worker = worked(shop, *(purchase(number, 0, "a") for number in range(30)))
    assert worker.memory.learner.model is None
    assert max(segments(worker).values()) < FIRST_SEGMENT_ID
    worker.close()


@pytest.mark.parametrize(("first", "second"), [("rfm", "attributes.age"), ("attributes.age", "rfm")])
def test_other_features_in_the_settings_become_a_version_of_their_own(first, second):
    shop = InProcess(model=settings(first), figures_interval=0.0)
    people = [profile(number, age=20 + 25 * (number % GROUPS)) for number in range(30)]
    bought = [purchase(number, 3 * (number % 5), "a", 10.0 + number) for number in range(30)]
    worker = worked(shop, *people, *bought)
    before = worker.memory.learner.model
    worker.close()
    later = [purchase(number, 20, "a") for number in range(30)]
    worker = worked(shop, *later, worker=shop.worker(model=settings(second)))
    after = worker.memory.learner.model
    assert after.version > before.version
    assert after.features == settings(second).request.terms()
    assert min(segments(worker).values()) > 0
    assert_exact(worker)
    worker.close()


def test_features_are_scaled_by_their_range_once_the_settings_say_so():
    shop = InProcess(model=settings("rfm"), figures_interval=0.0)
    bought = [purchase(number, number % 7, "a", 10.0 + number % 5) for number in range(30)]
    worker = worked(shop, *bought)
    before = worker.memory.learner.model
    assert before.columns == ()
    worker.close()
    scaled = settings("rfm", scaling={"recency": "minmax", "monetary": "minmax"})
    worker = worked(shop, *(purchase(number, 20, "a") for number in range(10)), worker=shop.worker(model=scaled))
    model = worker.memory.learner.model
    assert (model.reason, model.features) == ("other features", before.features)
    store, now = worker.memory.store, worker.clock.now
    X = model.features_of(sample_columns(store, shop.state, 30, 30, 2), now)
    ranges = np.ptp(X, axis=0)
    assert model.metric.deviations[[0, 2]] == pytest.approx(ranges[[0, 2]], rel=0.11)
    assert model.metric.deviations[1] < 0.7 * ranges[1]
    assert_exact(worker)
    # Orders of another size: who was the largest buyer no longer is.
    worked(shop, *(purchase(number, 21 + number, "a", 5000.0) for number in range(10)), worker=worker)
    later = worker.memory.learner.model
    assert later.columns[2].span > 1.5 * model.columns[2].span
    assert later.metric.deviations[2] == later.columns[2].span
    revised = [SegmentModel.read(shop.state.old_model(one)) for one in range(model.version + 1, later.version)]
    assert "ranges revised" in {one.reason for one in (*revised, later)}
    assert_exact(worker)
    worker.close()


def test_a_sample_has_the_profiles_that_other_workers_hold():
    shop = InProcess(4, model=settings("attributes.age"), figures_interval=0.0)
    one, two = shop.worker(), shop.worker()
    shop.publish(*(profile(number, age=20 + 25 * (number % GROUPS)) for number in range(60)))
    shop.publish(*(purchase(number, 0, "a") for number in range(60)))
    step_until(one, lambda: one.idle and two.idle and one.memory.held and two.memory.held, two)
    assert len(one.memory.store) < 60
    one.memory.store.categories.set("a", "Garden")
    sample = sample_columns(one.memory.store, shop.state, 60, 60, 4)
    assert Counter(sample.numbers("age").tolist()) == {20: 20, 45: 20, 70: 20}
    assert sample.category_shares(["Garden"]).ravel().tolist() == [1.0] * 60
    one.close()
    two.close()
