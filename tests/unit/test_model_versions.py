"""Versions through a whole worker in memory: requests, the pin, roll-backs, reviews, and what reaches the log."""

import json

import numpy as np
import pytest

from consumer.memory_state import MemoryState
from consumer.state import StateUnavailableError
from contracts.documents import ReviewDocument, SegmentEvent
from contracts.model_requests import ModelRequest, ShadowOrder
from contracts.times import DAY
from livesegments.models import (
    NoSuchVersionError,
    NotDoneError,
    ask,
    pinned_version,
    version_of,
    versions,
    wait_until_answered,
)
from livesegments.settings import Settings
from livesegments.trials import TrialError, try_out
from online_model.choose_k import SHOWN
from online_model.model import SegmentModel
from online_model.settings import ModelSettings
from tests.failing import fails_once
from tests.in_process import START, InProcess, step_until
from tests.kinds import Kind, purchases_of

KINDS = (Kind(300, 1, 10.0), Kind(30, 2, 40.0), Kind(10, 12, 15.0), Kind(60, 5, 300.0))


def purchases(first, last, *, kinds=KINDS, at=START):
    """Customers first … last of each kind in turn, as of `at`."""
    return purchases_of(range(first, last), kinds, at=at)


class Shop(InProcess):
    """A shop whose worker can be asked for things."""

    def __init__(self, *, state=None, partitions=1, **model):
        super().__init__(
            partitions,
            state=state,
            model=ModelSettings(first_model_buyers=40, by_rule_buyers=0, by_rule_days=0, **model),
        )

    def ask(self, worker, kind, **request):
        """What the leader answers."""
        request_id = ask(self.state, ModelRequest(kind=kind, asked_at=START, **request))
        worker._deciding.due_at = 0.0
        step_until(worker, lambda: self.answered(request_id))
        return wait_until_answered(self.state, request_id, 0)

    def answered(self, request_id):
        return ModelRequest.model_validate_json(self.state.requests()[request_id]).answer is not None

    def grow(self, worker, first, last, **changes):
        self.publish(*purchases(first, last, **changes))
        self.run(worker)

    def model(self):
        return SegmentModel.read(self.state.model())

    def segment_events(self):
        kinds = ("born", "split", "restored", "merged", "gone")
        return [SegmentEvent.model_validate(one) for one in self.changes(*kinds)]


@pytest.fixture
def shop():
    return Shop(k=4)


@pytest.fixture
def worker(shop):
    shop.publish(*purchases(0, 120))
    worker = shop.run(shop.worker())
    yield worker
    worker.close()


def other_customers(shop, worker, first=1000):
    """So many of another kind that nothing stays as it was."""
    shop.grow(worker, first, first + 200, kinds=(Kind(2, 3, 900.0), Kind(500, 1, 2.0)), at=START + 60 * DAY)


# ---- the pin and the way back ----


def test_nothing_is_adopted_while_a_version_is_pinned(shop, worker):
    before = shop.model()
    assert shop.ask(worker, "pin").message == f"version {before.version} is pinned"
    assert pinned_version(shop.state) == before.version
    other_customers(shop, worker)
    assert shop.model().version == before.version
    assert shop.ask(worker, "unpin").message == "the model learns again"
    assert pinned_version(shop.state) is None
    shop.grow(worker, 2000, 2040)
    assert shop.model().version > before.version


def test_the_pin_holds_the_next_leader_too(shop, worker):
    version = shop.model().version
    shop.ask(worker, "pin")
    worker.close()
    successor = shop.worker()
    other_customers(shop, successor)
    assert shop.model().version == version
    successor.close()


def test_a_roll_back_is_a_new_version_with_what_the_old_one_had(shop, worker):
    old = shop.model()
    other_customers(shop, worker)
    changed = shop.model()
    assert changed.version > old.version
    answer = shop.ask(worker, "rollback", version=old.version)
    shop.run(worker)
    back = shop.model()
    assert answer.version == back.version == changed.version + 1
    assert (back.segments, back.rolled_back_to) == (old.segments, old.version)
    np.testing.assert_array_equal(back.centroids, old.centroids)
    np.testing.assert_array_equal(back.metric.deviations, old.metric.deviations)
    assert back.next_segment_id == changed.next_segment_id, "no id is given a second time"
    assert {one.id for one in back.segments} >= {row["segment"] for row in shop.rows().values() if row["segment"] > 0}


def test_pinning_an_old_version_brings_it_back_and_holds_it(shop, worker):
    old = shop.model()
    other_customers(shop, worker)
    shop.ask(worker, "pin", version=old.version)
    back = shop.model()
    assert back.rolled_back_to == old.version
    assert pinned_version(shop.state) == back.version
    shop.grow(worker, 3000, 3100, kinds=(Kind(5, 9, 3000.0),), at=START + 90 * DAY)
    assert shop.model().version == back.version


@pytest.mark.parametrize(
    ("request_", "refusal"),
    [
        ({"kind": "rollback", "version": 99}, "there is no version 99"),
        ({"kind": "rollback"}, "is in force"),
        ({"kind": "adopt"}, "nothing to adopt"),
    ],
)
def test_what_can_not_be_done_is_refused_in_words(shop, worker, request_, refusal):
    with pytest.raises(NotDoneError, match=refusal):
        shop.ask(worker, **request_)
    assert shop.state.requests() == {}, "answers that were read are gone"


def test_what_nobody_answers_in_time_is_taken_back():
    state = MemoryState()
    clock = iter(range(100))
    request_id = ask(state, ModelRequest(kind="unpin", asked_at=START))
    with pytest.raises(NotDoneError, match="no worker took the request within 3 s"):
        wait_until_answered(state, request_id, 3, monotonic=lambda: next(clock), sleep=lambda _: None)
    assert state.requests() == {}


def test_a_request_before_there_is_a_model_is_refused():
    shop = Shop()
    worker = shop.worker()
    with pytest.raises(NotDoneError, match="no model yet"):
        shop.ask(worker, "pin")
    worker.close()


# ---- trying out ----


def settings(**changes):
    return Settings(clock="event", first_model_buyers=40, by_rule_buyers=0, by_rule_days=0, **changes)


def test_a_trial_says_what_would_be_and_changes_nothing(shop, worker):
    before, rows = shop.state.model(), shop.rows()
    trial = try_out(shop.state, settings(k=3), 0, 10_000)
    assert (trial.model.k, trial.customers) == (3, 120)
    assert sum(one.customers for one in trial.segments) == 120
    assert len({one.name for one in trial.segments}) == 3
    assert trial.moved.moving == sum(
        count
        for old, row in zip(trial.moved.before, trial.moved.customers, strict=True)
        for new, count in zip(trial.moved.after, row, strict=True)
        if old != new
    )
    spent = sum(row["spend"] for row in rows.values()) / 1e6
    assert sum(one.net_spend for one in trial.segments) == pytest.approx(spent)
    assert (shop.state.model(), shop.rows()) == (before, rows)


def test_what_was_tried_is_adopted_as_shown_and_stays(shop, worker):
    trial = try_out(shop.state, settings(k=3), 0, 10_000)
    answer = shop.ask(worker, "adopt", candidate=trial.model.to_document(), k="3")
    shop.run(worker)
    adopted = shop.model()
    assert answer.version == adopted.version == trial.model.version
    assert (adopted.k, adopted.k_instead_of) == (3, "4")
    sizes = {one.segment_id: one.customers for one in trial.segments}
    found = [row["segment"] for row in shop.rows().values()]
    assert {one: found.count(one) for one in set(found)} == {one: size for one, size in sizes.items() if size}
    other_customers(shop, worker)
    assert shop.model().k == 3, "though the setting says four"


def test_a_trial_of_an_older_version_is_not_adopted(shop, worker):
    trial = try_out(shop.state, settings(k=3), 0, 10_000)
    other_customers(shop, worker)
    with pytest.raises(NotDoneError, match="try again"):
        shop.ask(worker, "adopt", candidate=trial.model.to_document(), k="3")


def test_other_features_can_be_tried_and_are_adopted_by_the_setting(shop, worker):
    trial = try_out(shop.state, settings(k=3, features=("recency", "monetary")), 0, 10_000)
    assert trial.model.features == ("recency", "monetary")
    with pytest.raises(NotDoneError, match="change the setting `features`"):
        shop.ask(worker, "adopt", candidate=trial.model.to_document(), k="3")


def test_before_there_is_a_model_there_is_nothing_to_try():
    with pytest.raises(TrialError, match="no model yet"):
        try_out(MemoryState(), settings(), 0, 100)


# ---- what is kept ----


def test_versions_can_be_listed_and_only_so_many_are_kept():
    shop = Shop(k=4, model_versions_kept=2)
    worker = shop.worker()
    shop.grow(worker, 0, 120)
    for turn in range(1, 4):
        first = shop.model().version
        shop.ask(
            worker, "adopt", candidate=try_out(shop.state, settings(k=2 + turn), 0, 999).model.to_document(), k="x"
        )
        assert shop.model().version == first + 1
    kept = list(versions(shop.state))
    newest = shop.model().version
    assert [one.version for one in kept] == [newest, newest - 1]
    assert version_of(shop.state).version == newest
    with pytest.raises(NoSuchVersionError):
        version_of(shop.state, 1)
    with pytest.raises(NotDoneError, match="there is no version 1 any more"):
        shop.ask(worker, "rollback", version=1)
    worker.close()


# ---- births and ends on the log ----


def test_what_becomes_of_segments_is_published_once_per_version(shop, worker):
    assert [(one.kind, one.model_version) for one in shop.segment_events()] == [("born", 1)] * 4
    shop.ask(worker, "adopt", candidate=try_out(shop.state, settings(k=3), 0, 999).model.to_document(), k="3")
    shop.run(worker)
    (ended,) = [one for one in shop.segment_events() if one.model_version == 2]
    assert ended.kind in {"merged", "gone"}
    assert ended.segment_id not in {one.id for one in shop.model().segments}
    shop.ask(worker, "rollback", version=1)
    shop.run(worker)
    (restored,) = [one for one in shop.segment_events() if one.model_version == 3]
    assert (restored.kind, restored.segment_id) == ("restored", ended.segment_id)
    ids = [one.change_id for one in shop.segment_events()]
    assert len(ids) == len(set(ids))


def test_the_next_leader_announces_what_the_last_one_could_not(shop):
    shop.publish(*purchases(0, 120))
    worker = shop.run(shop.worker())
    announced = shop.segment_events()
    assert len(announced) == 4
    worker.close()
    shop.state.put_note("announced", None)  # as if it had died between publishing the version and the events
    successor = shop.run(shop.worker())
    again = shop.segment_events()[len(announced) :]
    assert [one.change_id for one in again] == [one.change_id for one in announced]
    successor.close()


# ---- reviews ----


def review_of(shop):
    return ReviewDocument.model_validate_json(shop.state.review())


def test_a_review_is_published_with_its_curves(shop, worker):
    shop.ask(worker, "review")
    step_until(worker, lambda: shop.state.review() is not None)
    review = review_of(shop)
    assert [one.k for one in review.look.curves] == list(SHOWN)
    assert review.k == 4
    assert "by the setting `k`" in review.look.verdict
    assert review.customers == 120


def test_the_first_model_takes_a_natural_number_at_once():
    shop = Shop(k="auto")
    shop.publish(*purchases(0, 120))
    shop.run()
    first = SegmentModel.read(shop.state.old_model(1))
    assert first.k == 4
    assert "4 natural groups" in first.why


def test_another_number_needs_three_reviews_also_across_leaders():
    shop = Shop(k="auto", k_default=6)
    worker = shop.worker()
    shop.grow(worker, 0, 60)
    assert shop.model().k == 6, "sixty customers are too few to see groups"
    shop.grow(worker, 60, 240)
    streaks = [(shop.model().k, review_of(shop).look.agreeing_reviews)]
    while shop.model().k == 6:
        assert len(streaks) < 4, streaks
        worker.close()
        worker = shop.worker()
        before = shop.state.review()
        shop.run(worker)
        shop.ask(worker, "review")
        step_until(worker, lambda before=before: shop.state.review() != before)
        shop.run(worker)
        streaks.append((shop.model().k, review_of(shop).look.agreeing_reviews))
    assert streaks[-1] == (4, 3)
    assert "3 reviews in a row: 4 natural groups" in shop.model().why
    worker.close()


def test_a_shadow_learns_beside_the_live_version_and_no_reader_sees_it(shop, worker):
    before = shop.state.model()
    shop.ask(worker, "shadow", shadow=ShadowOrder(k=3))
    step_until(worker, lambda: shop.state.review() is not None and review_of(shop).shadow is not None)
    shadow = review_of(shop).shadow
    assert (shadow.k, shadow.features, shadow.comparable) == (3, ("recency", "frequency", "monetary"), True)
    assert shadow.inertia > shadow.live_inertia
    assert 0 < shadow.would_move < 1
    assert sum(one.size for one in shadow.segments) == 120
    assert shop.state.model() == before
    assert json.loads(shop.state.notes()["shadow"])["centroids"]
    shop.ask(worker, "shadow-off")
    shop.run(worker)
    assert review_of(shop).shadow is None
    assert "shadow" not in shop.state.notes()


# ---- a state that fails in between ----


class FailsOnce(MemoryState):
    """Fails once after it has done what a method is asked for."""

    def __init__(self, method):
        super().__init__()
        done = getattr(self, method)
        self.failures = 0

        def fail_once(*arguments):
            answer = done(*arguments)
            self.failures += 1
            if self.failures == 1:
                raise StateUnavailableError("gone for a moment")
            return answer

        setattr(self, method, fail_once)


@pytest.mark.parametrize("method", ["publish_model", "put_note", "put_review"])
def test_a_version_in_force_is_taken_over_whatever_fails_after_it(method):
    shop = Shop(k=4, state=FailsOnce(method))
    shop.publish(*purchases(0, 120))
    worker = shop.run(shop.worker())
    if method == "put_review":
        shop.ask(worker, "review")
        step_until(worker, lambda: shop.state.review() is not None)
        shop.run(worker)
    other_customers(shop, worker)
    assert shop.state.failures > 0
    assert worker.memory.learner.model.version == shop.model().version > 1
    assert shop.state.notes()["announced"] == b"%d" % shop.model().version
    worker.close()


# ---- when something fails ----


def test_who_asked_for_a_model_that_is_in_force_is_told_so_although_the_state_failed(monkeypatch, shop, worker):
    trial = try_out(shop.state, settings(k=3), 0, 999)

    def answers(_, request):
        return request is not None and ModelRequest.model_validate_json(request).answer is not None

    calls = fails_once(monkeypatch, shop.state, "put_request", when=answers)
    answer = shop.ask(worker, "adopt", candidate=trial.model.to_document(), k="3")
    assert len(calls) == 2
    assert answer.done
    assert answer.message == f"version {trial.model.version} is adopted"
    assert shop.model().k == 3


def test_a_request_that_a_worker_fails_at_is_answered_and_ends_nobody(monkeypatch, shop, worker):
    def singular(*_):
        raise ValueError("a matrix of no rank")

    monkeypatch.setattr(worker._deciding._leader._requests, "_held", singular)
    with pytest.raises(NotDoneError, match=r"the worker failed at it .*a matrix of no rank"):
        shop.ask(worker, "pin")
    assert shop.ask(worker, "review").done
