"""Votes and segments of single rows, where a sweep, a margin or a dwell decides."""

from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest

from consumer.applying import Applier
from consumer.currency import Rates
from consumer.decoding import Decoder
from consumer.layout import MAX_MOVES, MOVE, Limits
from consumer.learning import Learner
from consumer.placing import MODEL, TIME
from consumer.row_store import PartitionRows, RowStore
from contracts.documents import CAUSES
from contracts.events import Line, Purchase, encode_event
from contracts.times import DAY, EPOCH, HOUR
from logs.base import Batch
from online_model.forecasts.ahead_columns import unknown
from online_model.model import NO_PURCHASES, NOT_ENOUGH_DATA, OUT_OF_SCOPE
from online_model.rules import parse
from online_model.settings import ModelSettings
from tests.in_process import fixed_model

START = 19_000 * DAY
PURCHASE = CAUSES.index("purchase")


class Shop:
    """Rows with their learner, and nothing else."""

    def __init__(self, settings=None, scope=None):
        self.store = RowStore()
        self.store.partitions[0] = PartitionRows(0)
        self.applier = Applier(self.store, Limits(), 1)
        self.learner = Learner(self.store, settings or ModelSettings(), 1, scope=scope)
        self.sold = 0

    def buy(self, who, at, price=10.0):
        self.sold += 1
        event = Purchase(
            event_id=f"e{self.sold}",
            customer_id=who,
            occurred_at=EPOCH + timedelta(microseconds=at),
            order_id="o",
            currency="GBP",
            lines=(Line(item_id="i", quantity=1, unit_price=price),),
        )
        batch = Batch(0, [self.sold], [encode_event(event)], [None], [4 * 10**15])
        self.applier.apply(Decoder(Rates("GBP")).decode(batch).events)
        return self.learner.update(dict.fromkeys(self.applier.settle().causes, PURCHASE), at)

    def sweep(self, now):
        parts = []
        while self.learner.sweeping:
            parts.append(self.learner.sweep(now, 2))
        return parts

    def row(self, who):
        return self.store.partitions[0].index[who]

    def segment(self, who):
        return int(self.store.header["segment"][self.row(who)])


def test_no_row_is_read_before_it_is_written(monkeypatch):
    """Memory may hold anything: an infinity where a row has not voted would stop the worker."""
    monkeypatch.setattr(np, "empty", lambda shape, dtype=float: np.full(shape, np.inf if dtype is float else 0, dtype))
    shop = Shop()
    shop.learner.adopt(fixed_model(), START)
    shop.sweep(START)
    shop.buy("ann", START)
    assert shop.learner.sums(0)[1].total == 1


def test_percentiles_of_forecasts_are_measured_of_fewer_customers(monkeypatch):
    monkeypatch.setattr("consumer.learning._AHEAD_ROWS", 5)
    shop = Shop(scope=parse("expected_orders_90d >= median and spend > p25"))
    for number in range(40):
        shop.buy(f"c{number}", START, price=float(number + 1))
    asked = []

    def ahead(rows, _now):
        asked.append(len(rows))
        found = unknown(len(rows))
        found["orders"] = rows[:, None]
        return found

    shop.store.ahead = ahead
    shop.learner.begin_sweep(START)
    assert asked == [5]
    asked.clear()
    shop.sweep(START)
    assert sum(asked) == 40
    rows = np.arange(40)
    outside = shop.store.header["segment"][rows] == OUT_OF_SCOPE
    measured = rows[::8]  # of every eighth
    assert outside.tolist() == ((rows < np.median(measured)) | (rows + 1 <= np.percentile(measured + 1, 25))).tolist()


def test_before_a_model_buyers_have_not_enough_data():
    shop = Shop()
    moves = shop.buy("ann", START)
    assert (moves.before.tolist(), moves.after.tolist(), moves.causes.tolist()) == (
        [-(2**31)],
        [NOT_ENOUGH_DATA],
        [PURCHASE],
    )
    assert shop.learner.sums(0) is None
    assert shop.learner.clusters(np.array([shop.row("ann")])).tolist() == [-1]
    assert len(shop.buy("ann", START + HOUR)) == 0, "who stays does not move"


def test_the_first_model_moves_everybody_by_the_cause_model_and_time_moves_them_later():
    shop = Shop()
    for n in range(7):
        shop.buy(f"c{n}", START - n * DAY)
    shop.store.pack(np.arange(7), 1)
    shop.learner.adopt(fixed_model(), START)
    moves = shop.sweep(START)
    assert [len(part) for part in moves] == [2, 2, 2, 1]
    assert {type(body) for body in shop.store.bodies.all} == {bytes}, "rows in pieces take twice the memory"
    assert {cause for part in moves for cause in part.causes.tolist()} == {MODEL}
    assert shop.learner.sums(0)[1].total == 7
    shop.learner.begin_sweep(START + 900 * DAY)
    later = shop.sweep(START + 900 * DAY)
    assert {cause for part in later for cause in part.causes.tolist()} == {TIME}
    assert {shop.segment(f"c{n}") for n in range(7)} == {3}, "nobody has bought for years"


def test_an_event_of_a_row_the_sweep_has_passed_counts_under_the_new_model_and_ahead_of_it_under_the_old():
    shop = Shop()
    for n in range(4):
        shop.buy(f"c{n}", START)
    shop.learner.adopt(fixed_model(), START)
    shop.sweep(START)
    old = fixed_model()
    new = replace(old, version=2, centroids=old.centroids[::-1], segments=tuple(reversed(old.segments)))
    shop.learner.adopt(new, START)
    shop.learner.sweep(START, 2)
    rows = [shop.row(f"c{n}") for n in range(4)]
    before = shop.learner.clusters(np.array(rows)).tolist()
    assert len(shop.learner.update(dict.fromkeys(rows, CAUSES.index("profile")), START + 1)) == 0
    assert shop.learner.clusters(np.array(rows)).tolist() == before
    assert before[0] == before[1] == 2 - before[2] == 2 - before[3]
    assert shop.learner.sums(0)[0] == 1
    shop.sweep(START + 1)
    assert shop.learner.sums(0)[0] == 2
    assert shop.learner.sums(0)[1].counts.tolist()[before[0]] == 4


def test_a_row_keeps_its_last_ten_moves():
    shop = Shop()
    shop.buy("ann", START)
    shop.learner.adopt(fixed_model(), START)
    shop.sweep(START)
    for n in range(1, 14):
        now = START + n * 800 * DAY
        shop.buy("ann", now)
        shop.learner.begin_sweep(now + 700 * DAY)
        shop.sweep(now + 700 * DAY)
    moves = np.frombuffer(shop.store.moves[shop.row("ann")], MOVE)
    assert len(moves) == MAX_MOVES
    assert (np.diff(moves["at"]) > 0).all()
    header = shop.store.header[shop.row("ann")]
    assert moves["to"][-1] == header["segment"]
    assert moves["to"][-2] == header["previous"]
    assert moves["cause"][-2:].tolist() == [PURCHASE, TIME]
    assert moves["at"][-1] == header["since"]


def test_a_removed_row_takes_its_vote_with_it_also_in_the_middle_of_a_sweep():
    shop = Shop()
    for n in range(5):
        shop.buy(f"c{n}", START)
    shop.learner.adopt(fixed_model(), START)
    shop.sweep(START)
    shop.learner.begin_sweep(START + DAY)
    shop.learner.sweep(START + DAY, 2)
    gone = np.array([shop.row("c0"), shop.row("c4")])
    shop.learner.remove(gone)
    for who in ("c0", "c4"):
        shop.store.detach(shop.store.partitions[0], who)
    shop.store.release(gone.tolist())
    shop.sweep(START + DAY)
    assert shop.learner.sums(0)[1].total == 3


@pytest.mark.parametrize("clusterer", ["means", "river"])
def test_a_customer_without_purchases_has_no_vote(clusterer):
    shop = Shop(ModelSettings(clusterer=clusterer))
    shop.learner.adopt(fixed_model(), START)
    shop.sweep(START)
    number = shop.store.add(shop.store.partitions[0], "ann")
    moves = shop.learner.update({number: CAUSES.index("profile")}, START)
    assert moves.after.tolist() == [NO_PURCHASES]
    assert shop.learner.sums(0)[1].total == 0
    assert (shop.learner.learnt() is None) == (clusterer == "means")
