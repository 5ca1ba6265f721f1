"""G is HᵀH of the rows there are, whatever was bought, given back and erased before."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.times import DAY
from recommender.co_purchases import buyers, co_purchases, purchases, sales, times_bought
from recommender.history import History

NOW = 15_000 * DAY
HALF_LIFE = 90 * DAY
ITEMS = 9

line = st.tuples(st.integers(0, ITEMS - 1), st.integers(-400, 0), st.integers(-3, 4).filter(bool))
rows = st.lists(st.lists(line, max_size=10), min_size=1, max_size=7)
"""Lines (item, age in days, quantity) of each customer."""


def history(kept: list) -> History:
    lines = [(c, item, NOW + age * DAY, q) for c, lines in enumerate(kept) for item, age, q in lines]
    parts = list(zip(*lines, strict=True)) or [()] * 4
    kinds = (np.int32, np.int32, np.int64, np.int32)
    return History(*(np.array(part, kind) for part, kind in zip(parts, kinds, strict=True)))


def plainly(kept: list) -> tuple[np.ndarray, np.ndarray]:
    """H and G, line by line."""
    H, G = np.zeros((len(kept), ITEMS)), np.zeros((ITEMS, ITEMS))
    for customer, lines in enumerate(kept):
        for item, age, quantity in lines:
            if quantity > 0 and sum(q for i, _, q in lines if i == item) > 0:
                H[customer, item] = max(H[customer, item], 2.0 ** (age * DAY / HALF_LIFE))
        for i in range(ITEMS):
            for j in range(ITEMS):
                G[i, j] += H[customer, i] * H[customer, j]
    return H, G


@given(rows, st.data())
def test_co_purchases_are_what_the_rows_that_are_left_say(kept, data):
    erased = data.draw(st.sets(st.integers(0, len(kept) - 1)))
    left = [[] if customer in erased else lines for customer, lines in enumerate(kept)]
    bought = purchases(history(left), len(left), ITEMS, NOW, HALF_LIFE)
    H, G = plainly(left)
    np.testing.assert_allclose(bought.toarray(), H, rtol=1e-5)
    np.testing.assert_allclose(co_purchases(bought).toarray(), G, rtol=1e-4, atol=1e-7)
    some = np.array([1, 4, 5])
    np.testing.assert_allclose(co_purchases(bought, some).toarray(), G[np.ix_(some, some)], rtol=1e-4, atol=1e-7)
    assert buyers(bought).tolist() == np.count_nonzero(H, axis=0).tolist()
    assert sales(bought) == pytest.approx(H.sum(axis=0), rel=1e-5)


@given(rows)
def test_how_often_each_was_bought(kept):
    times = times_bought(history(kept), len(kept), ITEMS).toarray()
    for customer, lines in enumerate(kept):
        for item in range(ITEMS):
            of_it = [quantity for one, _, quantity in lines if one == item]
            assert times[customer, item] == (sum(q > 0 for q in of_it) if sum(of_it) > 0 else 0)


def test_an_erased_customer_leaves_no_pair():
    together, alone = [(1, -1, 1), (2, -1, 1)], [(1, -1, 1), (3, -1, 1)]
    before = co_purchases(purchases(history([together, alone]), 2, ITEMS, NOW, HALF_LIFE)).toarray()
    after = co_purchases(purchases(history([[], alone]), 2, ITEMS, NOW, HALF_LIFE)).toarray()
    assert before[1, 2] > 0
    assert not after[2].any()
    assert after[1, 3] == before[1, 3]


def test_what_was_given_back_makes_no_pair():
    kept = [[(1, -9, 2), (2, -9, 1), (1, -5, -2)]]
    G = co_purchases(purchases(history(kept), 1, ITEMS, NOW, HALF_LIFE)).toarray()
    assert not G[1].any()
    assert G[2, 2] > 0


def test_nobody_and_nothing():
    bought = purchases(History.empty(), 0, 0, NOW, HALF_LIFE)
    assert co_purchases(bought).shape == (0, 0)
