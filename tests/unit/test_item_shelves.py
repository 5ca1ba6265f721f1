"""Lists of items and of groups, while views fail now and then."""

import numpy as np
import pytest

from consumer import item_shelves
from consumer.item_shelves import SimilarShelves
from consumer.lift_writer import LiftWriter
from consumer.trial import GroupSums, TrialSums
from contracts.keys import Keys
from contracts.times import DAY
from recommender.blend import Blend
from recommender.history import History
from recommender.holdout import HoldOut
from recommender.item_review import ItemReview
from recommender.settings import RecommenderSettings
from recommender.store import MemoryViews, ViewsUnavailableError

NOW = 15_000 * DAY
ITEMS = 60


class FailingViews(MemoryViews):
    """Fails so many times."""

    def __init__(self):
        super().__init__(lambda: NOW)
        self.failures = 0

    def _fail(self):
        if self.failures:
            self.failures -= 1
            raise ViewsUnavailableError("gone for a moment")

    def set_many(self, views, ttl_ms=None):
        self._fail()
        super().set_many(views, ttl_ms)

    def delete_many(self, keys):
        self._fail()
        super().delete_many(keys)


def a_model():
    chance = np.random.default_rng(1)
    customers = np.repeat(np.arange(500, dtype=np.int32), 8)
    many = len(customers)
    history = History(
        customers,
        chance.integers(0, ITEMS, many).astype(np.int32),
        NOW - chance.integers(0, 365 * DAY, many),
        np.ones(many, np.int32),
    )
    ids = [f"i{number}" for number in range(ITEMS)]
    return ItemReview.of(history, ids, NOW, RecommenderSettings(), known=Blend())()


def test_every_list_of_what_goes_with_an_item_is_written_whatever_fails_in_between(monkeypatch):
    monkeypatch.setattr(item_shelves, "TOGETHER", 20)
    views, model = FailingViews(), a_model()
    shelves = SimilarShelves(views, Keys("p"))
    shelves.begin(model, ["gone"])
    views.set_many({Keys("p").similar("gone"): b"{}"})
    while shelves.behind:
        views.failures = 1
        with pytest.raises(ViewsUnavailableError):
            shelves.write()
        shelves.write()
        if shelves.behind and not shelves._left and not shelves._gone:
            shelves.write()
    known = [one for one, count in zip(model.ids, model.neighbours.counts, strict=True) if count]
    assert len(known) > 40
    assert all(views.get(Keys("p").similar(one)) for one in known)
    assert views.get(Keys("p").similar("gone")) is None


def test_without_an_experiment_no_lift_is_left():
    keys, views, held_out = Keys("p"), FailingViews(), HoldOut(0.1, 0)
    sums = TrialSums(held_out.number, GroupSums(), GroupSums())
    LiftWriter(views, keys, held_out).show(sums, NOW)
    assert views.get(keys.lift()) is not None

    another = LiftWriter(views, keys, HoldOut(0.2, 0))
    views.failures = 1
    with pytest.raises(ViewsUnavailableError):
        another.show(sums, NOW)
    another.show(sums, NOW)
    assert views.get(keys.lift()) is None, "of another experiment"

    LiftWriter(views, keys, held_out).show(sums, NOW)
    without = LiftWriter(views, keys, None)
    without.show(None, NOW)
    assert views.get(keys.lift()) is None
