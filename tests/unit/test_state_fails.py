"""State and views fail at the worst moment: what was found out is not lost, and nobody is told something else."""

from dataclasses import replace
from types import SimpleNamespace

import pytest

from consumer.figures import merged
from consumer.item_reviewing import ItemReviewing
from consumer.memory_state import MemoryState
from consumer.reviewing import Reviewing
from consumer.state import StateUnavailableError
from contracts.documents import ReviewDocument
from contracts.times import DAY
from online_model.model import SegmentModel
from online_model.settings import ModelSettings
from recommender.settings import RecommenderSettings
from recommender.store import ViewsUnavailableError
from tests.failing import fails_once
from tests.in_process import START, InProcess, fixed_model, step_until
from tests.unit.test_items_learnt import two_tastes
from tests.unit.test_leading import purchases


class OneReview:
    """A review that is done."""

    free, running, failed = True, False, False

    def __init__(self, result):
        self.result = result

    def ask(self, work):
        raise AssertionError("one is done that nobody has published")

    def take(self):
        result, self.result = self.result, None
        return result


def test_a_review_that_is_due_stays_due_while_its_sample_can_not_be_read(monkeypatch):
    sampler = SimpleNamespace(sample=None)
    tries = fails_once(monkeypatch, sampler, "sample")
    tries_more = fails_once(monkeypatch, sampler, "sample")
    reviewing = Reviewing(MemoryState(), sampler, ModelSettings(), OneReview(None))
    model = replace(fixed_model(), purchases=10, buyers=5)
    figures = replace(merged([], 0), purchases=5_000, buyers=500)
    for again in range(2):
        with pytest.raises(StateUnavailableError):
            reviewing.begin_if_due(model, figures, START + 1_000 * DAY + again)
    assert (len(tries_more), len(tries)) == (2, 1)


@pytest.mark.parametrize(
    ("method", "after"), [("publish_model", False), ("publish_model", True), ("put_review", False)]
)
def test_what_a_review_proposes_is_adopted_and_shown_although_the_state_fails(monkeypatch, method, after):
    shop = InProcess(1)
    shop.adopt(fixed_model())
    shop.publish(*purchases(0, 20))
    worker = shop.run(shop.worker())
    proposed = replace(fixed_model(), version=2, why="it is better")
    review = SimpleNamespace(at=START, version=1, customers=7, proposed=proposed, k=None, shadow=None)
    worker._deciding._leader._reviewing._reviews = OneReview(review)
    calls = fails_once(monkeypatch, shop.state, method, after=after)
    worker._deciding.due_at = 0.0
    step_until(worker, lambda: calls)
    worker._deciding.due_at = 0.0
    step_until(worker, lambda: worker.idle and shop.state.review() is not None)
    assert SegmentModel.read(shop.state.model()).version == 2
    assert worker.memory.learner.model.version == 2
    document = ReviewDocument.model_validate_json(shop.state.review())
    assert document.outcome == "version 2 was adopted: it is better"
    worker.close()


def test_items_that_were_learnt_are_published_although_the_state_fails(monkeypatch):
    state = MemoryState()
    learnt = SimpleNamespace(encode=lambda: b"model", ids=(), customers=3, note="")
    reviewing = ItemReviewing(state, None, None, RecommenderSettings(), OneReview(learnt))
    figures = replace(merged([], 0), purchases=1_000)
    reviewing._take_over(1, figures, START)
    reviewing._reviewed = (1_000, START)
    fails_once(monkeypatch, state, "publish_item_model")
    with pytest.raises(StateUnavailableError):
        reviewing.decide(1, figures, START, at_rest=False)
    assert reviewing.busy
    assert reviewing.decide(1, figures, START, at_rest=False) is learnt
    assert not reviewing.busy
    assert state.item_model() == b"model"


def test_a_leader_of_items_that_can_not_read_what_is_published_reads_again(monkeypatch):
    state = MemoryState()
    assert state.publish_item_model(1, 7, b"model")
    reviewing = ItemReviewing(state, None, None, RecommenderSettings(), OneReview(None))
    figures = replace(merged([], 0), purchases=1_000)
    fails_once(monkeypatch, state, "item_model_version")
    with pytest.raises(StateUnavailableError):
        reviewing.decide(2, figures, START, at_rest=False)
    assert reviewing.decide(2, figures, START, at_rest=False) is None
    assert reviewing._version == 7


def test_a_lone_worker_takes_over_what_it_published_although_the_state_failed():
    """The model stands there, and the worker that published it has not read it."""
    shop = InProcess(1)
    shop.publish(*two_tastes())
    worker = shop.run(shop.worker())
    version = shop.state.item_model_version() + 1
    assert shop.state.publish_item_model(shop.state.leader(), version, shop.state.item_model())
    worker._deciding.due_at = 0.0
    worker.step(0.0)
    step_until(worker, lambda: worker.idle)
    assert worker.memory.item_version == version
    worker.close()


def test_views_that_could_not_be_refreshed_are_refreshed(monkeypatch):
    shop = InProcess(1)
    shop.publish(*purchases(0, 20))
    worker = shop.run(shop.worker())
    [held] = worker.memory.held.values()
    keys = [shop.keys.customer(who) for who in held.rows.index]
    shop.views.delete_many(keys)
    calls = fails_once(monkeypatch, shop.views, "set_many", error=ViewsUnavailableError)
    worker.memory.views._begin_refresh(held, urgent=True)
    step_until(worker, lambda: worker.idle and len(calls) > 1)
    assert all(shop.views.get_many(keys))
    worker.close()
