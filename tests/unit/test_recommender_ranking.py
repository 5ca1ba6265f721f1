"""A batch is ranked as a plain loop over customers would, and each shelf is right by itself."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.times import DAY
from recommender.among_own import among_own
from recommender.blend import Blend
from recommender.history import History
from recommender.item_model import NumberedItems
from recommender.list_rules import ListRules, within
from recommender.neighbours import Neighbours
from recommender.own_items import OwnItems
from recommender.popularity import ItemPopularity, Popular
from recommender.ranking import Ranked, Reason, rank

NOW = 15_000 * DAY
ITEMS = 30
CUSTOMERS = 450
"""That the model claims to be learnt from: co-purchases count for 0.9."""

line = st.tuples(st.integers(0, ITEMS - 1), st.integers(-900, 1), st.integers(-3, 4).filter(bool))
customers = st.lists(st.tuples(st.integers(-1, 3), st.lists(line, max_size=14)), max_size=6)
"""Slot and lines (item, age in days, quantity) of each customer."""
pairs = st.dictionaries(
    st.tuples(st.integers(0, ITEMS + 3), st.integers(0, ITEMS + 3)).filter(lambda pair: pair[0] != pair[1]),
    st.floats(0.125, 4.0, width=32),
    max_size=60,
)
"""Weights of neighbours, of more items than the shop has."""


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


def neighbours(weights: dict, items: int = ITEMS + 4) -> Neighbours:
    rows = np.array([pair[0] for pair in weights], np.int32)
    others = np.array([pair[1] for pair in weights], np.int32)
    return Neighbours.of(items, rows, others, np.array(list(weights.values()), np.float32))


def learnt(
    weights: dict, blend: Blend | None = None, *, own: dict | None = None, gap: float = 40.0, fresh: tuple = ()
) -> NumberedItems:
    gaps = np.full(ITEMS, gap, np.float32)
    own_neighbours = neighbours(own or {})
    return NumberedItems(
        neighbours(weights), own_neighbours, gaps, CUSTOMERS, blend or Blend(), np.array(fresh, np.int32)
    )


def ranked(rows: list, popular: Popular, allowed: np.ndarray, n: int = 6, model=None, **options) -> Ranked:
    history, slots = columns(rows)
    return rank(history, slots, popular, allowed, NOW, n=n, model=model or NumberedItems.none(), **options)


def scores_of(
    slot: int, lines: list, popular: Popular, allowed: np.ndarray, weights: dict, blend: Blend, own: dict
) -> tuple:
    """Item to score: of items to buy again, of those never bought, and what goes with them: the formula, plainly."""
    slot = slot if slot < len(popular.shares) - 1 else -1
    shares = popular.shares[slot].astype(float)
    strength = np.sqrt(shares / (shares.max(initial=0) or 1.0))
    had = {item for item, _, _ in lines}
    net = {i: sum(q for item, _, q in lines if item == i) for i in had}

    def decayed(item, half_life):
        return sum(2.0 ** (min(age, 0) * DAY / half_life) for i, age, q in lines if i == item and q > 0)

    def newest(item, half_life):
        return max((2.0 ** (min(age, 0) * DAY / half_life) for i, age, q in lines if i == item and q > 0), default=0.0)

    def speaks(item):
        last = newest(item, blend.profile_half_life)
        return last + blend.repeats * (decayed(item, blend.profile_half_life) - last)

    speak = {i: speaks(i) for i in had if net[i] > 0}
    goes = {i: sum(x * weights.get((j, i), 0.0) for j, x in speak.items()) for i in range(ITEMS)}
    times = {j: sum(i == j and q > 0 for i, _, q in lines) for j in speak}
    goes_again = {i: sum(x * own.get((j, i), 0.0) for j, x in times.items()) for i in had}

    def scaled(sums):
        best = max(sums.values(), default=0) or 1.0
        return {i: CUSTOMERS / (CUSTOMERS + 50) * value / best for i, value in sums.items()}

    goes, goes_again = scaled(goes), scaled(goes_again)

    def due(item):
        latest = min((-min(age, 0) for i, age, q in lines if i == item and q > 0), default=np.inf)
        return 1 - blend.rhythm * (1 - min(1.0, latest / 40.0))

    known = {
        i: blend.known_weight
        * (
            goes_again[i]
            + blend.again_weight * (decayed(i, blend.again_half_life) * due(i)) ** 0.5
            + blend.known_popular_weight * strength[i]
        )
        for i in had
        if net[i] > 0 and allowed[i]
    }
    new = {
        i: goes[i] + blend.popular_weight * strength[i]
        for i in range(ITEMS)
        if i not in had and allowed[i] and (goes[i] > 0 or shares[i] > 0)
    }
    return known, new, {i: value for i, value in goes.items() if value > 0}


@given(
    customers,
    st.lists(st.booleans(), min_size=ITEMS, max_size=ITEMS),
    st.integers(1, 12),
    pairs,
    st.sampled_from(
        [
            Blend(),
            Blend(rhythm=0.5, popular_weight=1.0),
            Blend(profile_half_life=30 * DAY, rhythm=1.0, known_weight=0.25, repeats=0.0),
            Blend(repeats=1.0),
        ]
    ),
    pairs,
)
def test_ranking_equals_a_loop_over_customers(rows, allowed, n, weights, blend, own):
    mask = np.array(allowed)
    popular = popular_among(rows, mask)
    result = ranked(rows, popular, mask, n, learnt(weights, blend, own=own))
    assert result.items.shape == result.scores.shape == result.reasons.shape == (len(rows), n)
    for place, (slot, lines) in enumerate(rows):
        known, new, goes = scores_of(slot, lines, popular, mask, weights, blend, own)
        news = max(n - n // 2, n - len(known))
        knowns = n - min(news, len(new))
        best = sorted(sorted(known.values(), reverse=True)[:knowns] + sorted(new.values(), reverse=True)[:news])[::-1]
        items = result.items[place].tolist()
        listed = [item for item in items if item >= 0]
        assert len(set(listed)) == len(listed) == len(best)
        assert items[len(best) :] == [-1] * (n - len(best))
        bounded = [score / (1 + score) for score in best]
        assert result.scores[place, : len(best)] == pytest.approx(bounded, rel=1e-4, abs=1e-6)
        told = zip(listed, result.scores[place], result.reasons[place], result.because[place], strict=False)
        for item, score, reason, because in told:
            expected = (known if reason == Reason.AGAIN else new)[item]
            assert score == pytest.approx(expected / (1 + expected), rel=1e-4, abs=1e-6)
            if reason == Reason.BECAUSE:
                assert (because, item) in weights
                assert goes[item] >= (new[item] - goes[item]) * (1 - 1e-4)
            else:
                assert because == -1


@given(customers, st.integers(1, 6), pairs, pairs)
def test_the_first_half_of_the_list_is_what_a_list_without_reserved_places_has(rows, half, weights, own):
    everything = np.ones(ITEMS, np.bool_)
    popular = popular_among(rows, everything)
    result = ranked(rows, popular, everything, 2 * half, learnt(weights, own=own))
    for (slot, lines), scores in zip(rows, result.scores[:, :half].tolist(), strict=True):
        known, new, _ = scores_of(slot, lines, popular, everything, weights, Blend(), own)
        best = sorted([*known.values(), *new.values()], reverse=True)[:half]
        assert scores[: len(best)] == pytest.approx([score / (1 + score) for score in best], rel=1e-4, abs=1e-6)


@given(customers, pairs, st.data())
def test_each_customer_gets_the_same_list_alone_and_in_a_batch(rows, weights, data):
    everything = np.ones(ITEMS, np.bool_)
    popular = popular_among(rows, everything)
    hashes = np.arange(len(rows), dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    model = learnt(weights, own=weights, fresh=(3, 8))
    rules = ListRules(exploration=0.3, max_per_reason=3)
    whole = ranked(rows, popular, everything, 8, model, hashes=hashes, rules=rules)
    for place, row in enumerate(rows):
        alone = ranked([row], popular, everything, 8, model, hashes=hashes[place : place + 1], rules=rules)
        assert alone.scores[0] == pytest.approx(whole.scores[place], rel=1e-5)
        assert sorted(alone.reasons[0].tolist()) == sorted(whole.reasons[place].tolist())


def test_what_goes_with_a_purchase_is_told_with_it():
    everything = np.ones(ITEMS, np.bool_)
    weights = {(3, 10): 1.0, (4, 10): 3.0, (3, 11): 2.0}
    mine = (0, [(3, -1, 1), (4, -1, 1), (5, -1, 1)])
    result = ranked([mine], popular_among([mine], everything), everything, 6, learnt(weights))
    because = dict(zip(result.items[0].tolist(), result.because[0].tolist(), strict=True))
    assert because[10] == 4
    assert because[11] == 3
    assert because[5] == -1


def test_the_newer_purchase_speaks_louder():
    everything = np.ones(ITEMS, np.bool_)
    mine = (0, [(3, -300, 1), (4, -1, 1)])
    result = ranked([mine], popular_among([mine], everything), everything, 4, learnt({(3, 10): 1.0, (4, 11): 1.0}))
    new = result.items[0][result.reasons[0] == Reason.BECAUSE]
    assert new.tolist() == [11, 10]


def test_what_is_bought_every_week_does_not_drown_what_was_bought_once():
    everything = np.ones(ITEMS, np.bool_)
    mine = (0, [(3, -7 * week, 1) for week in range(12)] + [(4, -1, 1), (4, -1, 1)])
    popular, weights = popular_among([mine], everything), {(3, 10): 1.0, (4, 11): 2.0}
    first = {}
    for repeats in (0.0, 1.0):
        result = ranked([mine], popular, everything, 4, learnt(weights, Blend(repeats=repeats)))
        first[repeats] = result.items[0][result.reasons[0] == Reason.BECAUSE].tolist()
    assert first == {0.0: [11, 10], 1.0: [10, 11]}


def test_own_items_speak_for_each_other_as_often_as_they_were_bought():
    everything = np.ones(ITEMS, np.bool_)
    mine = (0, [(3, -9, 1), (3, -8, 1), (3, -7, 1), (4, -9, 1), (5, -1, 1), (6, -1, 1), (7, -1, 1), (7, -1, -1)])
    own = {(3, 5): 1.0, (4, 6): 2.0, (3, 20): 9.0, (7, 6): 9.0}
    blend = Blend(again_weight=0.0, known_popular_weight=0.0)
    result = ranked([mine], popular_among([], everything), everything, 6, learnt({(3, 11): 1.0}, blend, own=own))
    assert result.items[0][:2].tolist() in ([5, 11], [11, 5]), "twice 2 is less than three times 1; 7 was given back"
    again = result.items[0][result.reasons[0] == Reason.AGAIN].tolist()
    assert again[:2] == [5, 6]
    assert 20 not in result.items[0], "nobody is made to discover by what is bought again"


@given(customers, pairs, st.integers(1, ITEMS + 3), st.integers(40, 200))
def test_own_items_are_found_however_many_the_neighbours_know(rows, weights, known, copies):
    """Fewer items than the shop has, or more."""
    weights = {pair: weight for pair, weight in weights.items() if max(pair) < known}
    many = [row for row in rows for _ in range(copies)]
    own = OwnItems.of(columns(many)[0], len(many), ITEMS, np.empty(0, np.float32), now=NOW, blend=Blend())
    scores = among_own(
        own, ITEMS, neighbours(weights, known).among(ITEMS), 1.0, np.empty(len(many) * ITEMS, np.float32)
    )
    bought = {
        (c, i): n for c, i, n in zip(own.customers.tolist(), own.items.tolist(), own.bought.tolist(), strict=True)
    }
    plain = [sum(n * weights.get((j, i), 0.0) for j in range(ITEMS) if (n := bought.get((c, j)))) for c, i in bought]
    best: dict[int, float] = {}
    for (c, _), value in zip(bought, plain, strict=True):
        best[c] = max(best.get(c, 0.0), value)
    assert scores == pytest.approx(
        [value / (best[c] or 1.0) for (c, _), value in zip(bought, plain, strict=True)], rel=1e-4
    )


@pytest.mark.parametrize("half_lives", [0, 1, 100, 126, 130, 140, 150, 200, 2000])
def test_however_long_ago_the_last_purchase_was_the_same_goes_with_it(half_lives):
    """Weights that only rounding tells from nothing must not become infinite scores."""
    everything, blend = np.ones(ITEMS, np.bool_), Blend(profile_half_life=7 * DAY)
    popular = popular_among([(0, [(20, -1, 3), (21, -1, 2)])], everything)
    days = 7 * half_lives
    mine = (0, [(3, -days, 1), (4, -days - 7, 1)])
    result = ranked([mine], popular, everything, 6, learnt({(3, 10): 1.0, (4, 11): 1.0}, blend))
    new = result.reasons[0] == Reason.BECAUSE
    assert result.items[0][new].tolist() == [10, 11]
    trust = CUSTOMERS / (CUSTOMERS + 50)
    assert result.scores[0][new] == pytest.approx([trust / (1 + trust), trust / 2 / (1 + trust / 2)], rel=1e-4)


def test_few_customers_see_popular_items_first():
    everything = np.ones(ITEMS, np.bool_)
    shop = [(0, [(1, 0, 1)] * 50)]
    mine = (0, [(3, -1, 1)])
    popular = popular_among([*shop, mine], everything)
    for customers, first in ((2, 1), (2_000, 10)):
        model = dataclasses.replace(learnt({(3, 10): 1.0}), customers=customers)
        result = ranked([mine], popular, everything, 4, model)
        assert result.items[0][result.items[0] != 3][0] == first


def test_an_item_is_due_after_its_own_gap():
    everything = np.ones(ITEMS, np.bool_)
    lines = [(1, -400, 1), (1, -4, 1), (2, -400, 1), (2, -40, 1)]
    popular = popular_among([(0, [(9, 0, 1)])], everything)
    scores = {}
    for rhythm in (0.0, 1.0):
        result = ranked([(0, lines)], popular, everything, 4, learnt({}, Blend(rhythm=rhythm), gap=40.0))
        scores[rhythm] = result.items[0][result.reasons[0] == Reason.AGAIN].tolist()
    assert scores[0.0][:2] == [1, 2]
    assert scores[1.0][:2] == [2, 1]


def test_what_was_bought_comes_back_and_what_was_returned_does_not():
    shop = [(0, [(item, 0, 1) for item in range(10)])]
    everything = np.ones(ITEMS, np.bool_)
    mine = (0, [(3, -9, 2), (3, -5, -1), (4, -9, 2), (4, -5, -2), (20, -1, 1)])
    result = ranked([mine], popular_among(shop, everything), everything, 20, learnt({(4, 25): 1.0}))
    reasons = dict(zip(result.items[0].tolist(), result.reasons[0].tolist(), strict=True))
    assert reasons[3] == reasons[20] == Reason.AGAIN
    assert 4 not in reasons
    assert 25 not in reasons, "what was given back speaks for nothing"
    assert reasons[5] == Reason.POPULAR


def test_a_customer_without_purchases_gets_what_is_popular_in_the_segment():
    everything = np.ones(ITEMS, np.bool_)
    shop = [(0, [(1, 0, 1)] * 50 + [(2, 0, 1)]), (1, [(2, 0, 1)] * 50 + [(1, 0, 1)])]
    result = ranked([(0, []), (1, []), (-1, [])], popular_among(shop, everything), everything, 4, learnt({(1, 2): 1.0}))
    assert result.items[:2].tolist() == [[1, 2, -1, -1], [2, 1, -1, -1]]
    assert (result.items[2] >= 0).sum() == 2
    assert (result.reasons[result.items >= 0] == Reason.POPULAR).all()


def test_whoever_is_held_out_gets_what_is_popular_and_nothing_else():
    everything = np.ones(ITEMS, np.bool_)
    rows = [(0, [(1, -1, 1), (2, -1, 1)]), (0, [(1, -1, 1), (2, -1, 1)]), (0, [(7, 0, 1), (8, 0, 1), (8, 0, 1)])]
    held_out = np.array([True, False, False])
    model = learnt({(1, 10): 1.0}, fresh=(20,))
    options = {"popular_only": held_out, "hashes": np.arange(3, dtype=np.uint64), "rules": ListRules(exploration=0.5)}
    result = ranked(rows, popular_among(rows, everything), everything, 6, model, **options)
    assert result.items[0].tolist() == [8, 7, -1, -1, -1, -1]
    assert (result.reasons[0, :2] == Reason.POPULAR).all()
    assert {10, 1, 2} <= set(result.items[1].tolist())


def test_what_trends_is_told_so():
    everything = np.ones(ITEMS, np.bool_)
    popular = popular_among([(0, [(1, 0, 1), (2, 0, 1)])], everything)
    popular = dataclasses.replace(popular, trending=np.arange(ITEMS) == 2)
    result = ranked([(0, [])], popular, everything, 4)
    assert result.reasons[0, :2].tolist() == [Reason.POPULAR, Reason.TRENDING]


def test_at_most_so_many_of_a_category_and_what_comes_next_moves_up():
    everything = np.ones(ITEMS, np.bool_)
    shop = [(0, [(item, 0, 1)] * (30 - item)) for item in range(20)]
    categories = np.where(np.arange(ITEMS) < 6, 0, -1).astype(np.int32)
    options = {"categories": categories, "rules": ListRules(max_per_category=2)}
    result = ranked([(0, [])], popular_among(shop, everything), everything, 6, **options)
    assert result.items[0].tolist() == [0, 1, 6, 7, 8, 9]


def test_what_was_bought_of_a_category_leaves_room_for_what_is_new_in_it():
    everything = np.ones(ITEMS, np.bool_)
    mine = (0, [(item, -1, 1) for item in range(8)])
    shop = [mine, (0, [(item, 0, 1) for item in range(20, 30)])]
    options = {"categories": np.zeros(ITEMS, np.int32), "rules": ListRules(max_per_category=3)}
    result = ranked([mine], popular_among(shop, everything), everything, 6, **options)
    assert (result.reasons[0] == Reason.AGAIN).sum() == 3
    assert set(result.items[0][result.reasons[0] != Reason.AGAIN].tolist()) == {20, 21, 22}


def test_at_most_so_many_for_one_reason():
    everything = np.ones(ITEMS, np.bool_)
    mine = (0, [(item, -1, 1) for item in range(8)])
    shop = [mine, (0, [(item, 0, 1) for item in range(20, 30)])]
    model = learnt({(0, 12): 3.0, (0, 13): 2.9, (0, 14): 2.8, (0, 15): 2.7})
    result = ranked([mine], popular_among(shop, everything), everything, 8, model, rules=ListRules(max_per_reason=3))
    counts = np.bincount(result.reasons[0][result.items[0] >= 0], minlength=3)
    assert counts[:3].tolist() == [3, 2, 3]
    assert {12, 13, 14} < set(result.items[0].tolist())


@given(st.lists(st.lists(st.integers(-1, 3), min_size=5, max_size=5), max_size=4), st.integers(1, 3))
def test_within_counts_from_the_left(rows, most):
    kinds = np.array(rows, np.int64).reshape(-1, 5)
    found = within(np.repeat(np.arange(len(rows)), 5), kinds.ravel(), most).reshape(kinds.shape)
    for row, verdicts in zip(rows, found.tolist(), strict=True):
        assert verdicts == [kind < 0 or row[:place].count(kind) < most for place, kind in enumerate(row)]


def test_new_items_are_shown_to_their_share_of_customers_the_same_all_week():
    everything = np.ones(ITEMS, np.bool_)
    shop = [(0, [(item, 0, 1) for item in range(20)])]
    popular = popular_among(shop, everything)
    rows = [(0, [(25, -1, 1)])] * 2_000
    hashes = np.random.default_rng(5).integers(0, 2**64, len(rows), dtype=np.uint64)
    model = learnt({}, fresh=(25, 26, 27))
    options = {"hashes": hashes, "rules": ListRules(exploration=0.05)}
    week = 7 * DAY
    history, slots = columns(rows)
    shown = []
    for now in (NOW, NOW // week * week + week - 1, NOW // week * week + week):
        result = rank(history, slots, popular, everything, now, n=10, model=model, **options)
        tried = result.reasons == Reason.NEW
        assert set(result.items[tried].tolist()) <= {26, 27}, "one has bought 25"
        assert (result.items[:, 8] >= 0).all()
        shown.append(np.where(tried, result.items, -1).max(axis=1).tolist())
    # Half a place in ten, and a third of the draws fall on the item that everybody has.
    assert sum(item >= 0 for item in shown[0]) == pytest.approx(2_000 * 0.5 * 2 / 3, rel=0.1)
    assert shown[0] == shown[1]
    assert shown[0] != shown[2]


def test_whoever_knows_every_popular_item_is_still_given_a_list():
    everything = np.ones(200, np.bool_)
    shop = [(0, [(item, 0, 1)] * (200 - item)) for item in range(150)]
    mine = (0, [(item, -1, 1) for item in range(100)])
    result = ranked([mine, (0, [])], popular_among(shop, everything, depth=120), everything, 20)
    new = result.items[0][result.reasons[0] == Reason.POPULAR]
    assert new.tolist() == list(range(100, 110))
    assert result.items[1].tolist() == list(range(20))


def test_items_and_segments_newer_than_the_popularity_and_the_model_are_no_error():
    old = popular_among([(0, [(1, 0, 1)])], np.ones(3, np.bool_))
    everything = np.ones(ITEMS + 20, np.bool_)
    result = ranked([(9, [(45, -1, 1), (25, -1, 1)])], old, everything, 4, learnt({(25, 2): 1.0}, Blend(rhythm=1.0)))
    assert sorted(result.items[0].tolist()) == [1, 2, 25, 45]


def test_an_item_that_may_no_longer_be_recommended_leaves_at_once():
    everything = np.ones(ITEMS, np.bool_)
    popular = popular_among([(0, [(1, 0, 1), (2, 0, 1)])], everything)
    allowed = everything.copy()
    allowed[[1, 3, 9]] = False
    model = learnt({(3, 9): 1.0, (3, 10): 0.5}, fresh=(1,))
    options = {"hashes": np.zeros(1, np.uint64), "rules": ListRules(exploration=0.5)}
    assert sorted(ranked([(0, [(3, 0, 1)])], popular, allowed, 4, model, **options).items[0].tolist()) == [
        -1,
        -1,
        2,
        10,
    ]


def test_an_item_bought_long_ago_by_nobody_since_can_still_be_bought_again():
    everything = np.ones(ITEMS, np.bool_)
    mine = (0, [(8, -2_000, 1)])
    popular = popular_among([mine, (0, [(1, 0, 1)])], everything)
    assert popular.shares[-1, 8] == 0
    assert 8 in ranked([mine], popular, everything, 4).items[0]


def test_an_empty_shop_and_an_empty_batch_give_empty_lists():
    nothing = ItemPopularity(DAY).popular(NOW, np.zeros(0, np.bool_), shrinkage=1.0, depth=120)
    options = {"hashes": np.zeros(2, np.uint64), "model": learnt({(1, 2): 1.0}, fresh=(1,))}
    assert ranked([(0, []), (-1, [])], nothing, np.zeros(0, np.bool_), 5, **options).items.tolist() == [[-1] * 5] * 2
    assert ranked([], nothing, np.zeros(0, np.bool_), 5).items.shape == (0, 5)


def test_the_order_of_lines_within_a_customer_does_not_matter():
    everything = np.ones(ITEMS, np.bool_)
    lines = [(i % 7, -i, 1 + i % 3) for i in range(40)]
    popular = popular_among([(0, lines)], everything)
    model = learnt({(1, 9): 1.0, (2, 9): 0.5, (3, 10): 0.25})
    one, other = (ranked([(0, some)], popular, everything, model=model) for some in (lines, lines[::-1]))
    assert one.items.tolist() == other.items.tolist()
    assert one.scores == pytest.approx(other.scores, rel=1e-6)
