"""Neighbours by other numbers, or fewer of them, are what plain dictionaries say."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from recommender.neighbours import Neighbours

ITEMS = 9
tables = st.dictionaries(
    st.tuples(st.integers(0, ITEMS - 1), st.integers(0, ITEMS - 1)),
    st.sampled_from([0.25, 0.5, 1.0, 2.0]),  # many are alike: then the item's number decides
    max_size=40,
)
Table = dict[tuple[int, int], float]


def neighbours(items: int, table: Table) -> Neighbours:
    owners, others = ([pair[place] for pair in table] for place in (0, 1))
    return Neighbours.of(
        items, np.array(owners, np.int32), np.array(others, np.int32), np.array(list(table.values()), np.float32)
    )


def rows(found: Neighbours) -> list[list[tuple[int, float]]]:
    return [list(zip(*(column.tolist() for column in found.row(item)), strict=True)) for item in range(len(found))]


def expected(items: int, table: Table, most: int = ITEMS) -> list[list[tuple[int, float]]]:
    """Strongest first, of equals that with the lower number."""
    result = []
    for item in range(items):
        own = [(other, weight) for (owner, other), weight in table.items() if owner == item]
        result.append(sorted(own, key=lambda pair: (-pair[1], pair[0]))[:most])
    return result


@given(tables, st.permutations(range(ITEMS + 3)))
def test_renumbered(table, order):
    numbers = np.array(order[:ITEMS], np.int32)
    found = neighbours(ITEMS, table).renumbered(numbers)
    moved = {(order[owner], order[other]): weight for (owner, other), weight in table.items()}
    assert rows(found) == expected(max(order[:ITEMS]) + 1, moved)
    assert (found.starts.dtype, found.items.dtype, found.weights.dtype) == (np.int64, np.int32, np.float32)


@given(tables, st.integers(0, ITEMS + 1), st.integers(0, 4))
def test_fewer(table, items, most):
    found = neighbours(ITEMS, table)
    fewer = {pair: weight for pair, weight in table.items() if max(pair) < items}
    assert rows(found.among(items)) == expected(min(items, ITEMS), fewer)
    assert rows(found.first(most)) == expected(ITEMS, table, most)


def test_of_items_that_nothing_is_known_of():
    """A model of before has nothing of what is bought again, however many items it knows."""
    found = Neighbours.none().renumbered(np.array([4, 2], np.int32))
    assert rows(found) == [[]] * 5
