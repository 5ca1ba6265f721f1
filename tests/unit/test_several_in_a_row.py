"""Events that are applied while the state writes those before them: nothing is lost, and all comes out the same."""

import random
from collections import Counter
from datetime import timedelta
from functools import partial

import pytest

from consumer import intake, worker
from consumer.day_book import read_page
from consumer.feedback_book import read_tally
from consumer.layout import Limits
from consumer.memory_state import MemoryState
from consumer.state import one_by_one
from contracts.events import Alias, Erase, Interaction, Line, Profile, Purchase, Return
from contracts.times import DAY, EPOCH, HOUR
from tests.in_process import START, InProcess, assert_decayed_alike, comparable, fixed_model, step_until

PARTITIONS = 3
NOW = START + 60 * DAY
WHO = [f"c{n}" for n in range(12)]
KINDS = [Purchase] * 20 + [Interaction] * 12 + [Return] * 3 + [Profile] * 3 + [Erase, Alias]


def drawn(seed, count):
    rng = random.Random(seed)
    for n in range(count):
        kind = rng.choice(KINDS)
        at = EPOCH + timedelta(microseconds=START + rng.randrange(20 * 24) * HOUR)
        head = {"event_id": f"e{n}", "customer_id": rng.choice(WHO), "occurred_at": at}
        items = rng.sample("abcdef", rng.randint(1, 3))
        if kind is Interaction:
            yield Interaction(**head, kind=rng.choice(["shown", "clicked"]), items=items, source="home")
        elif kind is Profile:
            yield Profile(**head, attributes={"age": rng.randint(18, 80)})
        elif kind is Erase:
            yield Erase(**head)
        elif kind is Alias:
            yield Alias(**head, alias_of=rng.choice([*WHO, None]))
        else:
            lines = tuple(Line(item_id=item, quantity=1, unit_price=rng.choice([1.5, 20.0, 200.0])) for item in items)
            yield kind(**head, order_id=f"e{n}", lines=lines, currency="GBP")


class LateState(MemoryState):
    """Writes steps when they are waited for, as late as can be; before some, another worker claims a partition."""

    def __init__(self, robberies=()):
        super().__init__()
        self.begun = 0
        self._robberies = set(robberies)

    def begin_checkpoints(self, work):
        self.begun += 1
        if self.begun in self._robberies:
            partition = work[0][0]
            self.claim(partition, "thief", self.meta(partition).claims)
        return partial(one_by_one, self.checkpoint, work)


def _at_work(held):
    return held.outbox or held.has_news or held.dirty or held.unviewed


def outcome(monkeypatch, seed, *, seconds, robberies=()):
    """A shop that has read the drawn log; how often the worker took events, and how many writes that were."""
    monkeypatch.setattr(intake, "_FEW", 1)
    monkeypatch.setattr(worker, "_IN_A_ROW", seconds)
    state = LateState(robberies)
    limits = Limits(attribution_window=3 * DAY)
    shop = InProcess(PARTITIONS, state=state, clock="wall", batch_events=5, limits=limits, session_timeout=0.02)
    shop.adopt(fixed_model())
    shop.publish(*drawn(seed, 300))
    took = 0
    ours = shop.worker(wall=lambda: NOW)
    original = ours._take_events

    def count():
        nonlocal took
        some = original()
        took += some
        return some

    ours._take_events = count
    step_until(ours, lambda: ours.lag == 0 and not any(_at_work(one) for one in ours.memory.held.values()))
    ours.close()
    return shop, took, state.begun


def feedback(shop):
    """Outcomes by day, shelf and reason."""
    counts = Counter()
    for partition in range(PARTITIONS):
        for day, page in shop.state.keep(partition).feedback.items():
            for cell, outcomes in read_tally(day, page).items():
                counts.update({(*cell[:3], name): number for name, number in outcomes._asdict().items()})
    return +counts


def sales(shop):
    """Purchases and spend by day."""
    orders, net = Counter(), Counter()
    for partition in range(PARTITIONS):
        for day, written in shop.state.keep(partition).days.items():
            page = read_page(written)
            orders[day] += sum(page.orders.values())
            net[day] += sum(page.net.values())
    return orders, net


def bonds(shop):
    return {who: bond for partition in range(PARTITIONS) for who, bond in shop.state.keep(partition).bonds.items()}


def markers(shop):
    return {key for partition in range(PARTITIONS) for key in shop.state.keep(partition).markers}


@pytest.mark.parametrize("robberies", [(), (3, 9, 10)], ids=["undisturbed", "robbed"])
@pytest.mark.parametrize("seed", range(8))
def test_several_steps_in_a_row_come_to_what_each_on_its_own_does(monkeypatch, seed, robberies):
    apart, times, writes = outcome(monkeypatch, seed, seconds=-1.0)
    assert writes >= times, "each step of events is written before the next one begins"
    row, took, written = outcome(monkeypatch, seed, seconds=60.0, robberies=robberies)
    assert took < written / 3, "several were"
    assert_decayed_alike(apart.rows(), row.rows())
    names = ("orders", "returns", "spend", "refunds", "units", "lines", "heads", "ids", "attributes", "segment")
    assert comparable(apart.rows(), names) == comparable(row.rows(), names)
    assert markers(apart) == markers(row)
    assert bonds(apart).keys() == bonds(row).keys()
    assert feedback(apart) == feedback(row)
    assert sales(apart) == sales(row)
    last = {change["customer_id"]: change["to"] for change in row.changes()}
    with row.reader() as reader:
        for who, known in row.rows().items():
            view = reader.get(who)
            if known["segment"] > 0:
                assert (view.segment.id, last[who]) == (known["segment"],) * 2, "its view and the last change tell it"
    assert all(not row.state.keep(partition).outbox for partition in range(PARTITIONS))
