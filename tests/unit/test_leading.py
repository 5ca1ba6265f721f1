"""The lead is taken, lost, taken again, and the state goes back under it: what everybody reads is right afterwards."""

import copy
import json
from dataclasses import replace
from datetime import timedelta

from contracts.events import Line, Purchase
from contracts.times import DAY, EPOCH
from recommender.store import ViewsUnavailableError
from tests.in_process import NO_RULES, START, InProcess, fixed_model, step_until


def purchases(first, count, day=0):
    return [
        Purchase(
            event_id=f"e{first + n}",
            customer_id=f"c{n % 7}",
            occurred_at=EPOCH + timedelta(microseconds=START + day * DAY + n),
            order_id="o",
            currency="GBP",
            lines=(Line(item_id="abc"[n % 3], quantity=1, unit_price=2.5),),
        )
        for n in range(first, first + count)
    ]


def shop_documents(shop):
    """What the leader writes for everybody, without its time."""
    keys = shop.keys
    wanted = (keys.segments(), keys.cold_start(), keys.history(""), keys.segment(1)[:-1])
    documents = {key: json.loads(body) for key, (body, _) in shop.views._documents.items() if key.startswith(wanted)}
    return {key: {name: value for name, value in one.items() if name != "as_of"} for key, one in documents.items()}


def as_a_new_leader_writes_them(shop):
    kept = shop_documents(shop)
    shop.views._documents.clear()
    shop.run()
    return kept, shop_documents(shop)


def test_documents_for_everybody_are_right_after_state_and_views_went_back():
    """Old documents came back, and some of them say again just what this leader believes to stand there."""
    shop = InProcess(1)
    shop.adopt(fixed_model())
    shop.publish(*purchases(0, 20))
    shop.run()
    now = [0.0]
    worker = shop.worker(monotonic=lambda: now[0])
    step_until(worker, lambda: worker.idle)
    state = {name: copy.deepcopy(value) for name, value in vars(shop.state).items() if name != "_lock"}
    views = copy.deepcopy(shop.views._documents)
    shop.publish(*purchases(20, 20, day=3))
    step_until(worker, lambda: worker.idle)
    vars(shop.state).update(state)
    shop.views._documents = views
    shop.publish(*purchases(40, 1, day=3))
    step_until(worker, lambda: worker.figures.conflicts == 1)
    now[0] += 1.0
    step_until(worker, lambda: worker.idle)
    now[0] += 2.0  # what is popular may be a second old
    worker.step(0.0)
    step_until(worker, lambda: worker.idle)
    worker.close()
    kept, new = as_a_new_leader_writes_them(shop)
    assert kept == new
    assert len(kept) > 5


def test_documents_for_everybody_are_right_when_the_lead_comes_back():
    """Another leader has written meanwhile: what the first one wrote last no longer stands there."""
    shop = InProcess(1)
    shop.adopt(fixed_model())
    shop.publish(*purchases(0, 20))
    now = [0.0]
    worker = shop.worker(monotonic=lambda: now[0])
    step_until(worker, lambda: worker.idle)
    right = shop_documents(shop)
    shop.views.set_many(dict.fromkeys(right, b'{"by": "the other leader"}'))
    worker._reader.give(set(), {0})
    step_until(worker, lambda: not worker.memory.held)
    worker._reader.give({0}, set())
    step_until(worker, lambda: bool(worker.memory.held) and worker.idle)
    assert shop_documents(shop) == right
    worker.close()


class RefusingViews:
    """Takes no documents of days until it is mended."""

    def __init__(self, shop) -> None:
        self._views, self._days = shop.views, (shop.keys.history(""), shop.keys.feedback(""))
        self.broken = True

    def __getattr__(self, name):
        return getattr(self._views, name)

    def set_many(self, views, ttl_ms=None):
        if self.broken and any(key.startswith(self._days) for key in views):
            raise ViewsUnavailableError("broken")
        self._views.set_many(views, ttl_ms)


def test_documents_that_could_not_be_written_are_written_later():
    shop = InProcess(1)
    shop.adopt(fixed_model())
    shop.publish(*purchases(0, 20))
    views = RefusingViews(shop)
    worker = shop.worker(views=views)
    step_until(worker, lambda: worker.patience.failed_at > 0)
    views.broken = False
    step_until(worker, lambda: worker.idle)
    assert any(key.startswith(shop.keys.history("")) for key in shop_documents(shop))
    worker.close()


def test_whoever_no_longer_leads_waits_for_nothing_that_a_leader_does():
    shop = InProcess(2)
    shop.publish(*purchases(0, 20))
    worker = shop.worker()
    step_until(worker, lambda: worker.idle)
    worker._deciding._leader._events._behind = True  # the log has not acknowledged a segment's birth
    worker._reader.give(set(), {0})
    step_until(worker, lambda: 0 not in worker.memory.held and worker.idle)
    worker.close()


def test_a_version_of_the_same_number_and_another_content_is_taken_over():
    """The state went back, and another leader has published the same number meanwhile."""
    shop = InProcess(2)
    shop.adopt(fixed_model())
    worker = shop.worker()
    shop.publish(*purchases(0, 20))
    step_until(worker, lambda: worker.idle)
    other = replace(fixed_model(), reason="another leader's")
    shop.state._models[1] = other.to_document().model_dump_json().encode()
    worker._deciding.read_models()
    assert worker.memory.learner.model.reason == "another leader's"
    worker.close()


def test_a_worker_that_waited_for_the_first_event_decides_amid_a_history():
    """It began before there was any event, when an event clock can only guess; what comes then is years old."""
    shop = InProcess(1)
    worker = shop.worker(wall=lambda: START + 1_000 * DAY, batch_events=20)
    step_until(worker, lambda: worker.idle)
    for day in range(100):
        shop.publish(
            *(
                event.model_copy(update={"customer_id": f"c{day}-{event.customer_id}"})
                for event in purchases(20 * day, 20, day)
            )
        )
    step_until(worker, lambda: worker.figures.records >= 1_500)
    assert worker.lag > 0, "the log is not at rest, where it would decide in any case"
    assert worker.memory.learner.model is not None
    worker.close()


class NoCustomersViews:
    """Takes no customer's view until it is mended."""

    def __init__(self, shop) -> None:
        self._views = shop.views
        self.broken = False

    def __getattr__(self, name):
        return getattr(self._views, name)

    def begin_set_many(self, views, ttl_ms):
        end = self._views.begin_set_many(views, ttl_ms)

        def ended():
            if self.broken:
                raise ViewsUnavailableError("broken")
            end()

        return ended


def test_by_the_wall_clock_the_means_make_no_version_while_views_name_the_one_before_the_last():
    shop = InProcess(1, clock="wall", figures_interval=0.0, model=NO_RULES)
    shop.adopt(replace(fixed_model(), purchases=99, buyers=7))
    views = NoCustomersViews(shop)
    worker = shop.worker(views=views)
    learner = worker.memory.learner
    shop.publish(*(at_price(2.5 * 3 ** (n % 7), one) for n, one in enumerate(purchases(0, 100))))
    step_until(worker, lambda: learner.model is not None and learner.model.version == 1 and worker.memory.held)
    views.broken = True
    step_until(worker, lambda: learner.model.version == 2)
    shop.publish(*(at_price(100_000, one) for one in purchases(100, 3)))  # too few for a review
    decided = worker._deciding.due_at
    step_until(worker, lambda: worker.figures.records == 103 and not learner.sweeping)
    for _ in range(20):
        worker.step(0.0)
    assert worker._deciding.due_at > decided
    assert worker.memory.views.adopting
    assert learner.model.version == 2
    views.broken = False
    step_until(worker, lambda: learner.model.version == 3)
    worker.close()


def at_price(unit_price, purchase):
    return purchase.model_copy(update={"lines": (Line(item_id="a", quantity=1, unit_price=unit_price),)})
