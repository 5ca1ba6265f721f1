"""What goes with each item: EASE as in the paper, the low-rank part, cosines in the tail, each item's trend."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.sparse import csr_array

from contracts.times import DAY
from recommender.co_purchases import co_purchases, purchases
from recommender.cosine import SUPPORT
from recommender.ease import ease
from recommender.history import History
from recommender.low_rank import low_rank
from recommender.neighbours import Neighbours
from recommender.together import Together
from recommender.trending import trend, trending


def shop(customers: int = 300, seed: int = 1) -> csr_array:
    """Six items of tea and six of garden, 0 … 5 and 6 … 11, and a rare thing, 12, that goes with 0."""
    chance = np.random.default_rng(seed)
    H = np.zeros((customers, 13), np.float32)
    for customer in range(customers):
        kind = 6 * (customer % 2)
        H[customer, kind + chance.choice(6, 3, replace=False)] = 1
        if customer % 60 == 0:
            H[customer, [0, 12]] = 1
    return csr_array(H)


def together(bought: csr_array, lately: csr_array | None = None, **options) -> Together:
    options = {"head_items": 100, "rank": 2, "tail_neighbours": 5} | options
    return Together.of(bought, bought if lately is None else lately, **options)


def test_ease_is_the_best_ridge_regression_of_every_item_on_the_others():
    H = np.random.default_rng(2).random((40, 7)).astype(np.float32)
    G = H.T @ H
    ridge = 0.5 * float(np.diag(G).mean())
    B = ease(G, 0.5)
    for item in range(7):
        others = np.delete(np.arange(7), item)
        solved = np.linalg.solve(G[np.ix_(others, others)] + ridge * np.eye(6), G[others, item])
        assert B[others, item] == pytest.approx(solved, abs=1e-4)
        assert B[item, item] == 0


def test_the_low_rank_part_finds_kinds():
    L = low_rank(co_purchases(shop()).toarray()[:12, :12], 2)
    assert L[:6, :6][~np.eye(6, dtype=bool)].min() > L[:6, 6:].max() + 0.05


@pytest.mark.parametrize("rank", [0, 1, 3, 99])
def test_no_rank_is_too_large_or_small(rank):
    assert np.isfinite(low_rank(co_purchases(shop()).toarray()[:5, :5], rank)).all()


def test_what_was_bought_a_lifetime_ago_counts_next_to_nothing_and_goes_with_things():
    """Products of two weights that vanish are no zeros, which the sparse product would leave out."""
    now, customers = 20_000 * DAY, np.repeat(np.arange(40, dtype=np.int32), 2)
    items = np.where(np.arange(80) % 2 == 0, 0, 1 + customers // 20 + customers % 2).astype(np.int32)
    at = np.where(customers < 20, now - 15 * 365 * DAY, now)  # items 0 and 1 together only long ago
    bought = purchases(History(customers, items, at, np.ones(80, np.int32)), 40, 4, now, 60 * DAY)
    found = together(bought, head_items=1)
    rows, columns, weights = found.tail
    assert {(0, 1), (0, 2), (0, 3)} <= set(zip(rows.tolist(), columns.tolist(), strict=True))
    assert np.isfinite(weights).all()


@pytest.mark.parametrize("left", [1e-10, 1e-30, 1e-40, 0.0])
def test_of_purchases_that_have_all_but_decayed_the_same_directions_are_found(left):
    G = np.full((16, 16), 0.1, np.float32) + np.eye(16, dtype=np.float32)
    G[:8, :8] += 1
    little = G * np.float32(left)
    found = low_rank(little, 2)
    assert np.isfinite(found).all()
    if little.any() and left > 1e-38:
        np.testing.assert_allclose(found, low_rank(G, 2), atol=1e-3)


@pytest.mark.parametrize("head_items", [1, 4, 100])
def test_items_go_with_their_own_kind_in_head_and_tail(head_items):
    learnt = together(shop(), head_items=head_items)
    found = learnt.neighbours(learnt.ease(1.0), 1.0, 0.0, 4)
    for item in range(12):
        items, weights = found.row(item)
        assert len(items)
        assert items[0] // 6 == item // 6
        assert (weights > 0).all()
        assert (np.diff(weights) <= 0).all()
        assert item not in items
    assert 0 in found.row(12)[0]


def test_cosines_of_the_tail_are_shrunk_by_common_buyers():
    bought = shop()
    learnt = together(bought, head_items=1, tail_neighbours=12)
    G = co_purchases(bought).toarray()
    n = (bought.toarray() > 0).astype(float).T @ (bought.toarray() > 0)
    cosine = G / np.sqrt(np.outer(np.diag(G), np.diag(G))) * n / (n + SUPPORT)
    rows, columns, weights = learnt.tail
    scale = weights[0] / cosine[rows[0], columns[0]]
    assert weights == pytest.approx(cosine[rows, columns] * scale, rel=1e-4)
    pairs = set(zip(rows.tolist(), columns.tolist(), strict=True))
    assert len(pairs) == len(rows)
    head = int(learnt.head[0])
    assert any(row == head for row in rows), "items of the tail stand beside those of the head, too"


def test_what_no_longer_sells_is_pushed_back():
    bought = shop()
    lately = bought.toarray()
    lately[:, 3] = 0
    learnt = together(bought, csr_array(lately))
    places = [learnt.neighbours(learnt.ease(1.0), 1.0, power, 12).row(0)[0].tolist().index(3) for power in (0.0, 1.0)]
    assert places[1] > places[0]


def test_who_buys_much_of_one_thing_buys_much_of_what_goes_with_it():
    """Everybody has all of it, so who has what says nothing; what a builder needs, 0 and 1, goes by the lot."""
    chance = np.random.default_rng(4)
    often = np.where(np.arange(200) % 2, 9, 1)[:, None]
    times = chance.poisson(3, (200, 4)) + 1 + np.concatenate((often, often, np.ones((200, 2))), axis=1)
    learnt = together(csr_array(np.ones((200, 4), np.float32)), head_items=3)
    own = learnt.own_neighbours(csr_array(times.astype(np.float32)))
    assert own.row(0)[0][0] == 1
    assert own.row(1)[0][0] == 0
    for item in range(4):
        items, weights = own.row(item)
        assert item not in items
        assert 3 not in items, "it is not in the head"
        assert (weights > 0).all()


def test_an_empty_shop_has_no_neighbours():
    nothing = csr_array((5, 3), dtype=np.float32)
    learnt = together(nothing)
    assert not len(learnt.neighbours(learnt.ease(20.0), 1.0, 1.0, 4).items)
    assert not len(learnt.own_neighbours(nothing).items)


# ---- neighbours ----

weighted = st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5), st.floats(-1, 2, width=32)), max_size=25)


def neighbours(pairs: list, items: int = 6) -> Neighbours:
    unique = list({(i, j): (i, j, w) for i, j, w in pairs}.values())
    columns = list(zip(*unique, strict=True)) or [(), (), ()]
    types = (np.int32, np.int32, np.float32)
    return Neighbours.of(items, *(np.array(column, kind) for column, kind in zip(columns, types, strict=True)))


@given(weighted, st.integers(0, 4))
def test_the_first_n_are_the_strongest(pairs, n):
    expected = {(i, j): w for i, j, w in pairs}
    whole = neighbours(pairs)
    first = whole.first(n)
    for item in range(6):
        best = sorted((w for (i, _), w in expected.items() if i == item and w > 0), reverse=True)
        assert whole.row(item)[1].tolist() == best
        assert first.row(item)[1].tolist() == best[:n]


@given(weighted, st.permutations([0, 3, 4, 7, 8, 11]))
def test_renumbered_items_keep_their_neighbours(pairs, numbers):
    whole, other = neighbours(pairs), neighbours(pairs).renumbered(np.array(numbers, np.int32))
    assert len(other) == 12
    for item, number in enumerate(numbers):
        items, weights = whole.row(item)
        expected = dict(zip([numbers[i] for i in items.tolist()], weights.tolist(), strict=True))
        assert dict(zip(other.row(number)[0].tolist(), other.row(number)[1].tolist(), strict=True)) == expected
    assert not len(other.row(5)[0])


# ---- trends ----


def test_steady_sales_trend_for_nothing():
    slow = np.array([400.0, 40.0, 0.0, 4.0])
    assert trend(slow / 8, slow) == pytest.approx(np.ones(4), abs=1e-9)
    assert not trending(slow / 8, slow).any()


def test_a_rise_beyond_chance_is_trending_and_one_by_chance_is_not():
    slow = np.array([800.0, 80.0, 8.0, 8.0, 7_104.0])
    fast = slow / 8
    fast[1] = 30.0
    fast[2] = 3.0
    rising = trending(fast, slow)
    assert rising.tolist() == [False, True, False, False, False]
    assert trend(fast, slow)[1] > 2


def test_an_empty_shop_has_no_trends():
    assert not trending(np.zeros(3), np.zeros(3)).any()
    assert trend(np.zeros(3), np.zeros(3)).tolist() == [1, 1, 1]
