"""Popularity is a sum over rows: exact after any revisions, mergeable, and shrunk as documented."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.times import DAY
from recommender.history import History
from recommender.popularity import ItemPopularity, Popular

HALF_LIFE = 7 * DAY
NOW = 15_000 * DAY
EVERYTHING = np.ones(64, dtype=np.bool_)

line = st.tuples(st.integers(0, 40), st.integers(-900 * DAY, 5 * DAY), st.integers(-3, 5).filter(bool))
row = st.tuples(st.integers(-1, 4), st.lists(line, max_size=6))
"""One customer's slot and lines (item, age, quantity)."""


def history(rows: list) -> tuple[History, np.ndarray]:
    lines = [(c, item, NOW + age, quantity) for c, (_, kept) in enumerate(rows) for item, age, quantity in kept]
    customers, items, at, quantity = zip(*lines, strict=True) if lines else ((), (), (), ())
    columns = History(
        np.array(customers, np.int32), np.array(items, np.int32), np.array(at, np.int64), np.array(quantity, np.int32)
    )
    return columns, np.array([slot for slot, _ in rows], np.int32)


def in_one_go(rows: list) -> ItemPopularity:
    popularity = ItemPopularity(HALF_LIFE)
    revise(popularity, [(-1, [])] * len(rows), rows)
    return popularity


def revise(popularity: ItemPopularity, before: list, after: list) -> None:
    popularity.revise(*history(before), *history(after))


def as_of(popularity: ItemPopularity, time: int, shape=(6, 64)) -> np.ndarray:
    full = np.zeros(shape)
    sums = popularity.sums
    full[: sums.shape[0], : min(64, sums.shape[1])] = sums[:, :64]
    return full * 2.0 ** ((popularity.landmark - time) / popularity.half_life)


@given(st.lists(row, min_size=1, max_size=6), st.data())
def test_sums_equal_a_batch_pass_after_any_revisions_and_erasures(rows, data):
    popularity, current, churned = ItemPopularity(HALF_LIFE), [(-1, [])] * len(rows), []
    for _ in range(data.draw(st.integers(1, 5))):
        new = data.draw(st.lists(row, min_size=len(rows), max_size=len(rows)))
        revise(popularity, current, new)
        churned += new
        current = new
    erased = [(slot, []) for slot, _ in rows]
    revise(popularity, current, erased)
    revise(popularity, erased, rows)
    error = np.abs(as_of(popularity, NOW) - as_of(in_one_go(rows), NOW))
    assert (error <= 1e-9 * as_of(in_one_go(churned + rows), NOW)).all()


@given(st.lists(row, max_size=5), st.lists(row, max_size=5))
def test_merging_two_workers_equals_one(ours, theirs):
    merged = in_one_go(ours)
    numbers = np.arange(63, -1, -1, dtype=np.int32)
    swapped = [(slot, [(63 - item, age, quantity) for item, age, quantity in kept]) for slot, kept in theirs]
    merged.merge(in_one_go(swapped), numbers=np.append(numbers, np.full(300, 0, np.int32)))
    expected = as_of(in_one_go(ours + theirs), NOW)
    np.testing.assert_allclose(as_of(merged, NOW), expected, rtol=1e-9, atol=1e-300)


def test_merging_different_half_lives_is_refused():
    with pytest.raises(ValueError, match="half-lives"):
        ItemPopularity(DAY).merge(ItemPopularity(2 * DAY))


def test_moving_the_landmark_changes_nothing_that_can_be_seen():
    old, new = (0, [(3, -10 * DAY, 1), (4, -11 * DAY, 2)]), (0, [(5, 300 * HALF_LIFE, 1)])
    moved = in_one_go([old])
    landmark = moved.landmark
    revise(moved, [(0, [])], [new])
    assert moved.landmark > landmark
    revise(moved, [new], [(0, [])])
    np.testing.assert_allclose(as_of(moved, NOW), as_of(in_one_go([old]), NOW), rtol=1e-12)


def test_a_hundred_years_of_purchases_overflow_nothing():
    popularity = ItemPopularity(DAY)
    for year in range(100):
        revise(popularity, [(-1, [])], [(0, [(year % 3, 365 * DAY * year, 1)])])
    popular = popularity.popular(NOW + 365 * 99 * DAY, EVERYTHING, shrinkage=1.0, depth=5)
    assert np.isfinite(popularity.sums).all()
    assert popular.items[-1].tolist() == [0, -1, -1, -1, -1]


def test_returns_do_not_count():
    popularity = in_one_go([(0, [(1, 0, 2), (2, 0, -2)])])
    assert as_of(popularity, NOW)[1, :3].tolist() == [0, 1, 0]


def test_a_purchase_counts_half_after_a_half_life():
    popularity = in_one_go([(0, [(1, 0, 1), (2, -HALF_LIFE, 1)])])
    popular = popularity.popular(NOW, EVERYTHING, shrinkage=0.0, depth=5)
    assert popular.shares[0, [1, 2]].tolist() == pytest.approx([2 / 3, 1 / 3])


def test_shares_are_shrunk_to_everybodys():
    rows = [(0, [(1, 0, 1)] * 3), (1, [(2, 0, 1)])]
    popular = in_one_go(rows).popular(NOW, EVERYTHING, shrinkage=6.0, depth=5)
    assert popular.shares[0, [1, 2]].tolist() == pytest.approx([(3 + 6 * 0.75) / 9, (6 * 0.25) / 9])
    assert popular.shares[1, [1, 2]].tolist() == pytest.approx([(6 * 0.75) / 7, (1 + 6 * 0.25) / 7])
    assert popular.shares[-1, [1, 2]].tolist() == pytest.approx([0.75, 0.25])


def test_what_is_not_allowed_has_no_share_and_takes_none():
    allowed = EVERYTHING.copy()
    allowed[1] = False
    popular = in_one_go([(0, [(1, 0, 1), (2, 0, 1)])]).popular(NOW, allowed, shrinkage=1.0, depth=5)
    assert popular.shares[0, [1, 2]].tolist() == [0, 1]
    assert popular.top(0, 5)[0].tolist() == [2]


def test_a_segment_without_purchases_likes_what_everybody_likes():
    popular = in_one_go([(0, [(7, 0, 1)])]).popular(NOW, EVERYTHING, shrinkage=10.0, depth=3, slots=4)
    assert [popular.top(slot, 3)[0].tolist() for slot in (0, 3, -1)] == [[7], [7], [7]]


def test_erased_customers_leave_no_popular_item_whatever_rounding_leaves():
    rows = [(0, [(3, -7 * c * DAY // 5, 1), (4, -c * DAY // 3, 1)]) for c in range(40)]
    stays = (1, [(9, 0, 1)])
    popularity = in_one_go([*rows, stays])
    for erased in rows:
        revise(popularity, [erased], [(0, [])])
    assert popularity.sums[1, [3, 4]].any(), "rounding left nothing: the test shows nothing"
    popular = popularity.popular(NOW, EVERYTHING, shrinkage=1.0, depth=9)
    assert {item for row in popular.items.tolist() for item in row} == {9, -1}


@pytest.mark.parametrize("allowed", [np.zeros(0, np.bool_), np.zeros(9, np.bool_)])
def test_an_empty_shop_has_nothing_popular(allowed):
    for popularity in (ItemPopularity(HALF_LIFE), in_one_go([(0, [(1, 0, 1)])])):
        popular = popularity.popular(NOW, allowed, shrinkage=0.0, depth=5, slots=2)
        assert [popular.top(slot, 5)[0].tolist() for slot in (0, 1, -1)] == [[], [], []]
        assert popular.best_shares().tolist() == [0, 0, 0]


@given(st.lists(st.integers(0, 30), min_size=1, max_size=30), st.integers(1, 12))
def test_top_items_are_the_largest_shares_with_ties_by_number(items, depth):
    popular = in_one_go([(0, [(item, 0, 1) for item in items])]).popular(NOW, EVERYTHING, shrinkage=0.0, depth=depth)
    counts = {item: items.count(item) for item in items}
    best = sorted(counts, key=lambda item: (-counts[item], item))[:depth]
    shares = [counts[item] for item in popular.top(0, depth)[0].tolist()]
    assert shares == [counts[item] for item in best]
    assert popular.top(0, depth)[0].tolist() == sorted(popular.top(0, depth)[0].tolist(), key=lambda i: (-counts[i], i))


def test_lift_names_what_sets_a_segment_apart():
    """Not what hardly anybody buys, however large its lift: item 3 has the largest, item 0 says the most."""
    everybody = [0.3, 0.6, 0.0999, 0.0001]
    shares = np.array([[0, 1, 0, 0], [0.6, 0.3, 0.0995, 0.0005], everybody], np.float32)
    items, lift = Popular(shares, np.zeros((3, 1), np.int32)).lift(1, 3)
    assert items.tolist() == [0, 3]
    assert lift.tolist() == pytest.approx([2, 5], rel=1e-4)


def test_empty_like_keeps_the_half_life_and_nothing_else():
    empty = in_one_go([(0, [(1, 0, 1)])]).empty_like()
    assert empty.half_life == HALF_LIFE
    assert not empty.sums.size
