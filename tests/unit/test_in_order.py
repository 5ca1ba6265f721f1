"""Events that are applied all at once leave the same rows, bit for bit, as one by one."""

import itertools
import random

import numpy as np
import pytest

from consumer import applying
from consumer.applied import Ignored
from consumer.applying import Applier
from consumer.currency import Rates
from consumer.decoding import Decoder
from consumer.layout import Limits
from consumer.row_store import PartitionRows, RowStore
from contracts.events import Alias, Erase, Interaction, Line, Profile, Purchase, Return, encode_event
from contracts.times import DAY, HOUR
from logs.base import Batch
from recommender.holdout import HoldOut
from tests.rows import LATENESS, START, moment

LIMITS = Limits(lateness=LATENESS, lines=7, ids=12, attribution_window=3 * DAY)
PEOPLE = [f"c{number}" for number in range(12)]


def stream(seed, count=400):
    """Mostly purchases in the order of time; beside them whatever else may come."""
    draw = random.Random(seed)
    events, at = [], START
    odd = draw.choice([0.0, 0.02, 0.3])
    for number in range(count):
        at += draw.choice([0, HOUR, DAY // 3, DAY if draw.random() < 0.1 else HOUR])
        events.append(drawn(draw, number, at, events, odd=draw.random() < odd))
    return events


def drawn(draw, number, at, events, *, odd):  # noqa: C901 - one after the other
    head = {"event_id": f"e{number}", "customer_id": draw.choice(PEOPLE), "occurred_at": moment(at)}
    lines = tuple(
        Line(item_id=draw.choice("abcd"), quantity=draw.randint(1, 3), unit_price=draw.choice([0.85, 2.5, 0.0]))
        for _ in range(draw.randint(1, 3))
    )
    order = {"order_id": "o", "lines": lines, "currency": "GBP"}
    if not odd and events and draw.random() < 0.15:
        if draw.random() < 0.3:
            return draw.choice(events[-20:])
        if draw.random() < 0.5:
            head |= {name: getattr(events[-1], name) for name in ("customer_id", "occurred_at")}
        return Profile(**head, attributes={draw.choice(["age", "city"]): draw.randint(1, 2)})
    kind = draw.choice(["late", "again", "same id", "profile", "seen", "erase", "alias", "dear"]) if odd else "order"
    if kind == "late":
        head["occurred_at"] = moment(at - draw.choice([HOUR, DAY, 2 * LATENESS]))
    elif kind == "again" and events:
        return draw.choice(events)
    elif kind == "same id" and number > 3:
        head |= {"event_id": f"e{number - draw.choice([1, 3])}", "customer_id": events[-1].customer_id}
    elif kind == "profile":
        return Profile(**head, attributes={"age": draw.randint(1, 9)})
    elif kind == "seen":
        return Interaction(**head, kind=draw.choice(["shown", "clicked"]), items=("a", "b"), source="home")
    elif kind == "erase":
        return Erase(**head)
    elif kind == "alias":
        return Alias(**head, alias_of=draw.choice([None, *PEOPLE]))
    elif kind == "dear":
        order["lines"] = (Line(item_id="a", quantity=1000, unit_price=999_999.0),) * 3
    return (Return if draw.random() < 0.1 else Purchase)(**head, **order)


def applied(events, cuts, partitions=1, holdout=None):
    """Everything that is known after the events: rows as packed, and what became of each step."""
    store = RowStore(holdout=holdout)
    store.partitions[0] = PartitionRows(0)
    applier, decoder = Applier(store, LIMITS, partitions), Decoder(Rates("GBP"))
    told = []
    for start, end in itertools.pairwise(cuts):
        values = [encode_event(event) for event in events[start:end]]
        batch = Batch(0, range(start, end), values, [None] * len(values), [4 * 10**15] * len(values))
        outcome = applier.apply(decoder.decode(batch).events)
        step = applier.settle()
        names = {row: store.ids[row] for row in {*step.causes, *step.before}}
        told.append(
            {
                "outcome": outcome,
                "causes": {names[row]: cause for row, cause in step.causes.items()},
                "before": {names[row]: was for row, was in step.before.items()},
                "removed": [who for _, who in step.removed],
                "counts": (step.ignored, step.accepted, step.evicted, step.unattributed, step.crowded),
                "by partition": (step.feedback, step.newest, step.purchases),
                "told": step.told,
                "sold": sold_of(step.sold, store),
            }
        )
        store.release([*(row for row, _ in step.removed), *step.borrowed])
    index = store.partitions[0].index
    packed = dict(zip(index, store.pack(np.array(list(index.values()), np.int64), 1), strict=True))
    return told, packed, store.partitions[0].items.names, sorted(store.partitions[0].markers)


def sold_of(sold, store):
    if sold is None:
        return None
    ids = [store.ids[row] for row in sold.rows.tolist()]
    return sorted(zip(ids, sold.net.tolist(), sold.is_purchase.tolist(), strict=True))


def both_ways(monkeypatch, events, cuts, **more):
    """What each step told, which must not hang on whether events are taken together."""
    found = []
    for many in (1, 10**9):
        monkeypatch.setattr(applying, "_MANY", many)
        found.append(applied(events, cuts, **more))
    assert found[0] == found[1]
    return found[0][0]


@pytest.mark.parametrize("seed", range(40))
def test_together_is_as_one_by_one(seed, monkeypatch):
    events = stream(seed)
    draw = random.Random(seed)
    cuts = sorted({0, len(events), *(draw.randrange(len(events)) for _ in range(draw.randint(0, 9)))})
    told = both_ways(monkeypatch, events, cuts, holdout=HoldOut(0.3, START + 20 * DAY) if seed % 2 else None)
    assert sum(step["counts"][1].total() for step in told) > len(events) / 4, "most count"


def test_what_belongs_to_another_partition_is_set_aside(monkeypatch):
    events = stream(1)
    told = both_ways(monkeypatch, events, [0, 100, len(events)], partitions=3)
    assert all(step["outcome"].foreign for step in told)


def purchase(number, hour):
    return Purchase(
        event_id=f"e{number}",
        customer_id=PEOPLE[number % 5],
        occurred_at=moment(START + hour * HOUR),
        order_id="o",
        lines=(Line(item_id="a", quantity=1, unit_price=1.0),),
        currency="GBP",
    )


def test_an_id_that_comes_again_with_another_time_counts_once(monkeypatch):
    monkeypatch.setattr(applying, "_MANY", 1)
    events = [*(purchase(number, number) for number in range(10)), purchase(3, 20), purchase(4, 21)]
    told, _, _, _ = applied(events, [0, 10, 12])
    assert [step["counts"][0][Ignored.REPEATED] for step in told] == [0, 2]


def test_an_id_that_comes_again_long_after_is_not_known_any_more(monkeypatch):
    hours = LATENESS // HOUR + 9
    events = [purchase(3, 3), purchase(8, hours), purchase(3, hours + 1), purchase(3, 3)]
    (step,) = both_ways(monkeypatch, events, [0, 4])
    assert step["counts"][1].total() == 3
    assert step["counts"][0] == {Ignored.LATE: 1}


def test_a_profile_as_old_as_what_is_known_counts_where_it_says_something_new(monkeypatch):
    head = {"customer_id": "ann", "occurred_at": moment(START)}
    events = [Profile(event_id=f"p{number}", **head, attributes={"age": 30}) for number in range(30)]
    steps = both_ways(monkeypatch, events, list(range(31)))
    assert sum(step["counts"][0][Ignored.REPEATED] for step in steps) >= 3, (
        "of two, the one with the larger hash counts"
    )
    assert sum(step["counts"][1].total() for step in steps) >= 2


def test_plain_orders_are_indeed_taken_together(monkeypatch):
    """In batches of any size nobody is decided one by one who only buys, in order."""
    monkeypatch.setattr(applying, "_MANY", 1)
    monkeypatch.setattr(applying._PartitionStep, "_decide", lambda *_: pytest.fail("decided one by one"))
    events = [purchase(number, number) for number in range(50)]
    for number in (3, 20, 22):
        head = {name: getattr(events[number], name) for name in ("event_id", "customer_id", "occurred_at")}
        events[number] = Profile(**head, attributes={"age": number})
    told, packed, _, _ = applied(events, [0, 20, 21, 50])
    assert len(packed) == 5
    assert sum(step["counts"][1].total() for step in told) == 50
