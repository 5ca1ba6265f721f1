"""The whole worker against a shop whose truth is known: it finds the hidden types, and follows when they change."""

from dataclasses import dataclass, replace
from itertools import islice

import numpy as np
import pytest
from sklearn.metrics import adjusted_rand_score

from benchmarks.calmness import ids_reused
from benchmarks.in_time_order import Population, TimeOrdered, in_slices, segments_only
from consumer.currency import Rates
from consumer.settings import WorkerSettings
from contracts.times import DAY, SECOND
from online_model.settings import ModelSettings
from producer.customers import TYPES
from producer.shop import Shop, ShopSettings

pytestmark = pytest.mark.slow

NOW = 1_770_000_000 * SECOND
WITHIN_EVENTS = 20_000
WITHIN_DAYS = 14
"""The time in which the model is to follow a change of types."""
EVENTS_A_DAY = 50
"""About what this shop's customers make."""

REGULAR = next(kind for kind in TYPES if kind.name == "regular")
WHOLESALE = replace(REGULAR, quantity=(60, 120), lines=6.0)
"""What regulars turn into: as often as before, but two hundred times as much."""


@dataclass
class Followed:
    shop: Shop
    before: Population
    after: Population
    reused: int

    def truth(self, population):
        return np.array([self.shop.type_of(customer) for customer in population.ids])

    def segment_of(self, population, name):
        """The segment that most customers of a type are in."""
        ids = population.model.segment_ids[population.clusters[self.truth(population) == name]]
        return int(np.bincount(ids).argmax())


@pytest.fixture(scope="module", params=[1])  # other seeds by hand: each takes a minute
def followed(request):
    """All of a shop's past; then its regulars turn into wholesalers, and two weeks pass."""
    shop = Shop(ShopSettings(now=NOW, seed=request.param, change_at=NOW, changed=(WHOLESALE,)))
    moments = iter(range(NOW, NOW + 2 * WITHIN_DAYS * DAY, DAY // EVENTS_A_DAY))
    settings = segments_only(
        WorkerSettings(model=ModelSettings(k=len(TYPES), k_interval=1_000 * DAY), rates=Rates("EUR"))
    )
    with TimeOrdered(settings, log_time=NOW + 2 * WITHIN_DAYS * DAY) as deployment:
        for part in in_slices(list(islice(shop.history(), WITHIN_EVENTS)), 200, 7 * DAY):
            deployment.publish(part)
        before = deployment.population()
        live = shop.live(lambda: next(moments))
        for part in in_slices(list(islice(live, WITHIN_DAYS * EVENTS_A_DAY)), 200, DAY):
            deployment.publish(part)
        return Followed(shop, before, deployment.population(), ids_reused(deployment.models()))


def test_hidden_types_are_found_within_20_000_events(followed):
    assert adjusted_rand_score(followed.truth(followed.before), followed.before.clusters) >= 0.9


def test_when_a_type_changes_the_model_follows_within_two_weeks(followed):
    truth = followed.truth(followed.after)
    assert adjusted_rand_score(truth, followed.after.clusters) >= 0.9
    # The shop did change: a model that had stayed as it was would have lost them.
    left_alone = followed.before.model.assign(followed.after.X)
    assert adjusted_rand_score(truth, left_alone) < 0.9


def test_and_the_other_types_keep_their_segments_ids(followed):
    for kind in TYPES:
        if kind.name != REGULAR.name:
            ids = [followed.segment_of(population, kind.name) for population in (followed.before, followed.after)]
            assert ids[0] == ids[1], kind.name
    assert followed.reused == 0
