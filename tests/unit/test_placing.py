"""Where customers are published: audiences, scope, segments by rule, and a feed that has fallen silent."""

import itertools
from collections import Counter
from datetime import timedelta

import numpy as np
import pytest

from consumer.audiences import MAX_AUDIENCES, Audiences, TooManyAudiencesError, names_in
from contracts.events import Line, Profile, Purchase
from contracts.times import DAY, EPOCH, HOUR
from online_model.by_rule import RULE_SEGMENTS
from online_model.model import FIRST_SEGMENT_ID, OUT_OF_SCOPE
from online_model.rules import Audience, audiences, parse
from online_model.settings import ModelSettings
from tests.in_process import NO_RULES, START, InProcess, step_until


def purchase(who, at, price=10.0, units=1):
    return Purchase(
        event_id=f"{who}-{at}",
        customer_id=who,
        occurred_at=EPOCH + timedelta(microseconds=at),
        order_id="o",
        lines=(Line(item_id="i", quantity=units, unit_price=price),),
        currency="GBP",
    )


def profile(who, at, **attributes):
    return Profile(
        event_id=f"{who}-p-{at}",
        customer_id=who,
        occurred_at=EPOCH + timedelta(microseconds=at),
        attributes=attributes,
    )


def told(shop):
    return [(one["customer_id"], one["kind"], one["audience"], one["cause"]) for one in shop.changes("entered", "left")]


# ---- audiences ----


def test_entering_and_leaving_an_audience_is_told_with_its_cause_and_stands_in_the_view():
    shop = InProcess(audiences=audiences({"Big": "spend >= 100", "Away": "recency_days > 30"}))
    shop.publish(purchase("ann", START, 60.0), purchase("bob", START, 10.0))
    shop.run()
    assert told(shop) == []
    shop.publish(purchase("ann", START + HOUR, 60.0))
    shop.run()
    assert told(shop) == [("ann", "entered", "Big", "purchase")]
    assert shop.reader().get("ann").audiences == ("Big",)
    shop.publish(purchase("ann", START + 40 * DAY, 1.0))
    shop.run()
    assert told(shop)[1:] == [("bob", "entered", "Away", "time")]
    shop.publish(purchase("bob", START + 41 * DAY))
    shop.run()
    assert told(shop)[2:] == [("bob", "left", "Away", "purchase")]
    assert shop.reader().get("bob").audiences == ()


def test_an_audience_that_is_no_longer_set_is_left_by_everybody_and_its_number_stays_its_own():
    shop = InProcess(audiences=audiences({"Big": "spend >= 100"}))
    shop.publish(purchase("ann", START, 200.0))
    shop.run()
    shop.run(shop.worker(audiences=audiences({"Small": "spend < 100"})))
    assert told(shop) == [("ann", "entered", "Big", "purchase"), ("ann", "left", "Big", "time")]
    assert shop.state.number_audiences(["New"]) == {"Big": 0, "Small": 1, "New": 2}


def test_a_rule_may_compare_with_what_is_usual_in_the_shop():
    shop = InProcess(audiences=audiences({"Bulk": "units_per_order > 5 * median"}))
    for day in range(3):
        shop.publish(*(purchase(f"c{n}", START + day * DAY + n, units=2) for n in range(20)))
        shop.publish(purchase("trader", START + day * DAY + 50, units=40))
        shop.run()
    assert {one[0] for one in told(shop)} == {"trader"}


def test_more_names_than_a_row_has_bits_are_refused():
    numbers = {f"a{n}": n for n in range(MAX_AUDIENCES + 1)}
    with pytest.raises(TooManyAudiencesError, match="use a name again"):
        Audiences((Audience("a0", parse("orders > 1")),), numbers)
    del numbers[f"a{MAX_AUDIENCES}"]
    assert names_in(1 << (MAX_AUDIENCES - 1), Audiences((), numbers).names) == [f"a{MAX_AUDIENCES - 1}"]


def test_a_worker_that_has_read_no_event_by_which_to_tell_the_time_comes_to_rest():
    shop = InProcess()
    worker = shop.worker(wall=itertools.count(START, DAY).__next__)
    shop.publish(b"[]", partition=0)
    shop.run(worker)
    assert len(shop.dead_letters()) == 1
    worker.close()


# ---- scope ----


def test_who_is_out_of_scope_has_a_segment_of_its_own_and_no_vote():
    shop = InProcess(
        scope=parse('not attributes.type = "trade" or attributes.type is missing'), out_of_scope_name="Trade"
    )
    for n in range(60):
        shop.publish(purchase(f"c{n}", START + n * HOUR, 5.0 + 30 * (n % 3)), purchase(f"c{n}", START + (n + 1) * HOUR))
    shop.publish(profile("whale", START, type="trade"), purchase("whale", START + HOUR, 9_000.0))
    worker = shop.worker()
    shop.run(worker)
    row = shop.rows()["whale"]
    assert row["segment"] == OUT_OF_SCOPE
    assert shop.reader().get("whale").segment.name == "Trade"
    memory = worker.memory
    number = next(part.index["whale"] for part in memory.store.partitions.values() if "whale" in part.index)
    assert memory.learner.clusters(np.array([number])).tolist() == [-1]
    assert sum(memory.learner.sums(part)[1].total for part in memory.held) == 60
    shop.publish(profile("whale", START + 90 * HOUR, type="retail"))
    shop.run(worker)
    assert shop.rows()["whale"]["segment"] >= FIRST_SEGMENT_ID
    assert sum(memory.learner.sums(part)[1].total for part in memory.held) == 61


# ---- segments by rule ----


def test_with_little_data_everybody_is_in_a_segment_by_rule_and_later_in_a_learnt_one():
    shop = InProcess(model=ModelSettings())
    for day in range(30):
        shop.publish(
            *(purchase(f"c{n}", START + day * DAY + n, 5.0 + n % 7) for n in range(day % 3, 120, 1 + n_of(day)))
        )
        shop.run()
    segments = {row["segment"] for row in shop.rows().values()}
    assert segments <= set(RULE_SEGMENTS)
    names = {one.name for one in shop.reader().segments().segments if one.size}
    assert names <= {one.name for one in RULE_SEGMENTS.values()}
    assert sum(one.size for one in shop.reader().segments().segments) == len(shop.rows())
    for day in range(30, 70):
        shop.publish(
            *(purchase(f"c{n}", START + day * DAY + n, 5.0 + n % 7) for n in range(day % 3, 260, 1 + n_of(day)))
        )
        shop.run()
    segments = Counter(row["segment"] for row in shop.rows().values())
    assert min(segments) >= FIRST_SEGMENT_ID
    causes = {one["cause"] for one in shop.changes() if one["from"] in RULE_SEGMENTS and one["to"] >= FIRST_SEGMENT_ID}
    assert causes == {"model"}


def n_of(day):
    return (0, 2, 10)[day % 3]


# ---- a silent feed ----


def test_when_no_event_comes_at_all_nobody_moves_by_time_alone_until_events_come_again():
    shop = InProcess(
        clock="wall", model=NO_RULES, figures_interval=0.0, audiences=audiences({"Away": "recency_days > 60"})
    )
    shop.log_time = START
    worker = shop.worker(wall=lambda: shop.log_time)
    for n in range(80):
        shop.publish(*(purchase(f"c{n}", START - (n + 40 * one) * DAY) for one in range(1 + n % 4)))
    shop.run(worker)
    before = {who: row["segment"] for who, row in shop.rows().items()}
    moved = len(shop.changes())
    for _ in range(40):
        shop.log_time += 3 * DAY
        shop.run(worker)
    assert {who: row["segment"] for who, row in shop.rows().items()} == before
    assert len(shop.changes()) == moved
    assert shop.reader().segments().quiet_since is not None
    assert shop.reader().segments().held_back > 0
    shop.publish(purchase("c0", shop.log_time))
    shop.run(worker)
    step_until(worker, lambda: worker.idle and shop.reader().segments().quiet_since is None)
    after = {who: row["segment"] for who, row in shop.rows().items()}
    assert sum(after[who] != before[who] for who in after) >= 10
    assert {one["cause"] for one in shop.changes()[moved:]} <= {"time", "purchase", "model"}
    assert len(told(shop)) >= 10
