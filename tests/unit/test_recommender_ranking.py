"""A batch is ranked as a plain loop over customers would, and each shelf is right by itself."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.times import DAY
from recommender.history import History
from recommender.popularity import ItemPopularity, Popular
from recommender.ranking import Ranked, Reason, rank

NOW = 15_000 * DAY
AGAIN = 365 * DAY
WEIGHT = 0.5
ITEMS = 30

line = st.tuples(st.integers(0, ITEMS - 1), st.integers(-900, 1), st.integers(-3, 4).filter(bool))
customers = st.lists(st.tuples(st.integers(-1, 3), st.lists(line, max_size=14)), max_size=6)
"""Slot and lines (item, age in days, quantity) of each customer."""


def columns(rows: list) -> tuple[History, np.ndarray]:
    lines = [(c, item, NOW + age * DAY, quantity) for c, (_, kept) in enumerate(rows) for item, age, quantity in kept]
    parts = list(zip(*lines, strict=True)) or [()] * 4
    types = (np.int32, np.int32, np.int64, np.int32)
    history = History(*(np.array(part, kind) for part, kind in zip(parts, types, strict=True)))
    return history, np.array([slot for slot, _ in rows], np.int32)


def popular_among(rows: list, allowed: np.ndarray, depth: int = 100) -> Popular:
    popularity = ItemPopularity(30 * DAY)
    history, slots = columns(rows)
    popularity.revise(History.empty(), slots, history, slots)
    return popularity.popular(NOW, allowed, shrinkage=5.0, depth=depth)


def ranked(rows: list, popular: Popular, allowed: np.ndarray, n: int = 6) -> Ranked:
    history, slots = columns(rows)
    return rank(history, slots, popular, allowed, NOW, n=n, again_half_life=AGAIN, best_seller_weight=WEIGHT)


def scores_of(slot: int, lines: list, popular: Popular, allowed: np.ndarray) -> tuple[dict, dict]:
    """Item to score, of items to buy again and of those never bought: the documented formula, plainly."""
    slot = slot if slot < len(popular.shares) - 1 else -1
    shares = popular.shares[slot].astype(float)
    prior = WEIGHT / (shares.max() or 1.0)
    again = {
        i: sum(2.0 ** (min(age, 0) * DAY / AGAIN) for item, age, q in lines if item == i and q > 0) for i, _, _ in lines
    }
    net = {i: sum(q for item, _, q in lines if item == i) for i in again}
    total = max(sum(again.values()) + prior, 1e-9)
    known = {i: (a + prior * shares[i]) / total for i, a in again.items() if net[i] > 0 and allowed[i]}
    new = {i: prior * shares[i] / total for i in range(ITEMS) if i not in again and shares[i] > 0 and allowed[i]}
    return known, new


@given(customers, st.lists(st.booleans(), min_size=ITEMS, max_size=ITEMS), st.integers(1, 12))
def test_ranking_equals_a_loop_over_customers(rows, allowed, n):
    mask = np.array(allowed)
    popular = popular_among(rows, mask)
    result = ranked(rows, popular, mask, n)
    assert result.items.shape == result.scores.shape == result.reasons.shape == (len(rows), n)
    for (slot, lines), items, scores, reasons in zip(
        rows, result.items.tolist(), result.scores.tolist(), result.reasons.tolist(), strict=True
    ):
        known, new = scores_of(slot, lines, popular, mask)
        news = max(n - n // 2, n - len(known))
        knowns = n - min(news, len(new))
        best = sorted(sorted(known.values(), reverse=True)[:knowns] + sorted(new.values(), reverse=True)[:news])[::-1]
        listed = [item for item in items if item >= 0]
        assert len(set(listed)) == len(listed) == len(best)
        assert scores[: len(best)] == pytest.approx(best, rel=1e-5)
        assert items[len(best) :] == [-1] * (n - len(best))
        for item, score, reason in zip(listed, scores, reasons, strict=False):
            shelf = known if reason == Reason.AGAIN else new
            assert score == pytest.approx(shelf[item], rel=1e-5)


@given(customers, st.integers(1, 6))
def test_the_first_half_of_the_list_is_what_a_list_without_reserved_places_has(rows, half):
    everything = np.ones(ITEMS, np.bool_)
    popular = popular_among(rows, everything)
    result = ranked(rows, popular, everything, 2 * half)
    for (slot, lines), scores in zip(rows, result.scores[:, :half].tolist(), strict=True):
        known, new = scores_of(slot, lines, popular, everything)
        best = sorted([*known.values(), *new.values()], reverse=True)[:half]
        assert scores[: len(best)] == pytest.approx(best, rel=1e-5)


def test_what_was_bought_comes_back_and_what_was_returned_does_not():
    shop = [(0, [(item, 0, 1) for item in range(10)])]
    everything = np.ones(ITEMS, np.bool_)
    mine = (0, [(3, -9, 2), (3, -5, -1), (4, -9, 2), (4, -5, -2), (20, -1, 1)])
    result = ranked([mine], popular_among(shop, everything), everything, 20)
    reasons = dict(zip(result.items[0].tolist(), result.reasons[0].tolist(), strict=True))
    assert reasons[3] == reasons[20] == Reason.AGAIN
    assert 4 not in reasons
    assert reasons[5] == Reason.POPULAR


def test_a_customer_without_purchases_gets_what_is_popular_in_the_segment():
    everything = np.ones(ITEMS, np.bool_)
    shop = [(0, [(1, 0, 1)] * 50 + [(2, 0, 1)]), (1, [(2, 0, 1)] * 50 + [(1, 0, 1)])]
    result = ranked([(0, []), (1, []), (-1, [])], popular_among(shop, everything), everything, 4)
    assert result.items[:2].tolist() == [[1, 2, -1, -1], [2, 1, -1, -1]]
    assert (result.items[2] >= 0).sum() == 2
    assert (result.reasons[result.items >= 0] == Reason.POPULAR).all()


def test_whoever_knows_every_popular_item_is_still_given_a_list():
    everything = np.ones(200, np.bool_)
    shop = [(0, [(item, 0, 1)] * (200 - item)) for item in range(150)]
    mine = (0, [(item, -1, 1) for item in range(100)])
    result = ranked([mine, (0, [])], popular_among(shop, everything, depth=120), everything, 20)
    new = result.items[0][result.reasons[0] == Reason.POPULAR]
    assert new.tolist() == list(range(100, 110))
    assert result.items[1].tolist() == list(range(20))


def test_items_and_segments_newer_than_the_popularity_are_no_error():
    old = popular_among([(0, [(1, 0, 1)])], np.ones(3, np.bool_))
    everything = np.ones(ITEMS, np.bool_)
    result = ranked([(9, [(25, -1, 1)])], old, everything, 4)
    assert result.items[0].tolist() == [25, 1, -1, -1]


def test_an_item_that_may_no_longer_be_recommended_leaves_at_once():
    everything = np.ones(ITEMS, np.bool_)
    popular = popular_among([(0, [(1, 0, 1), (2, 0, 1)])], everything)
    allowed = everything.copy()
    allowed[[1, 3]] = False
    assert ranked([(0, [(3, 0, 1)])], popular, allowed, 4).items[0].tolist() == [2, -1, -1, -1]


def test_an_item_bought_long_ago_by_nobody_since_can_still_be_bought_again():
    everything = np.ones(ITEMS, np.bool_)
    mine = (0, [(8, -2_000, 1)])
    popular = popular_among([mine, (0, [(1, 0, 1)])], everything)
    assert popular.shares[-1, 8] == 0
    assert 8 in ranked([mine], popular, everything, 4).items[0]


def test_an_empty_shop_and_an_empty_batch_give_empty_lists():
    nothing = ItemPopularity(DAY).popular(NOW, np.zeros(0, np.bool_), shrinkage=1.0, depth=120)
    assert ranked([(0, []), (-1, [])], nothing, np.zeros(0, np.bool_), 5).items.tolist() == [[-1] * 5] * 2
    assert ranked([], nothing, np.zeros(0, np.bool_), 5).items.shape == (0, 5)


def test_the_order_of_lines_within_a_customer_does_not_matter():
    everything = np.ones(ITEMS, np.bool_)
    lines = [(i % 7, -i, 1 + i % 3) for i in range(40)]
    popular = popular_among([(0, lines)], everything)
    one, other = ranked([(0, lines)], popular, everything), ranked([(0, lines[::-1])], popular, everything)
    assert one.items.tolist() == other.items.tolist()
    assert one.scores == pytest.approx(other.scores, rel=1e-6)
