"""Products of sparse rows are what a plain loop adds up, by scipy's routine as by its public way."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.sparse import _sparsetools

from recommender import sparse_rows
from recommender.neighbours import Neighbours
from recommender.sparse_rows import SparseRows

ITEMS = 12
pairs = st.dictionaries(
    st.tuples(st.integers(0, ITEMS - 1), st.integers(0, ITEMS - 1)), st.floats(0.125, 4.0, width=32), max_size=40
)
rows = st.lists(st.dictionaries(st.integers(0, ITEMS + 2), st.floats(0, 3, width=32), max_size=6), max_size=5)
"""Of some items the neighbours know nothing."""


def summed(some: list[dict[int, float]], weights: dict[tuple[int, int], float]) -> SparseRows:
    table = Neighbours.of(
        ITEMS,
        np.array([owner for owner, _ in weights], np.int32),
        np.array([other for _, other in weights], np.int32),
        np.array(list(weights.values()), np.float32),
    )
    own = SparseRows(
        np.cumsum([0, *map(len, some)]).astype(np.int32),
        np.array([item for row in some for item in row], np.int32),
        np.array([value for row in some for value in row.values()], np.float32),
    )
    return own.times(table)


@given(rows, pairs)
def test_sums_are_those_of_a_loop(some, weights):
    found = summed(some, weights)
    for place, row in enumerate(some):
        part = slice(found.starts[place], found.starts[place + 1])
        sums = {i: sum(x * weights.get((j, i), 0.0) for j, x in row.items()) for i in range(ITEMS)}
        expected = {i: pytest.approx(total, rel=1e-5) for i, total in sums.items() if np.float32(total) > 0}
        assert dict(zip(found.columns[part].tolist(), found.values[part].tolist(), strict=True)) == expected


def test_without_scipys_own_routine_the_same_comes_out_in_the_same_order(monkeypatch):
    rng = np.random.default_rng(1)
    weights = {(j, i): float(rng.random()) for j in range(ITEMS) for i in rng.permutation(ITEMS)[:5].tolist()}
    some = [dict.fromkeys(rng.permutation(ITEMS + 2)[:4].tolist(), 0.5) for _ in range(9)]
    quick = summed(some, weights)
    monkeypatch.setattr(sparse_rows, "_product", lambda: None)
    public = summed(some, weights)
    assert quick.starts.tolist() == public.starts.tolist()
    assert quick.columns.tolist() == public.columns.tolist()
    assert quick.values.tolist() == public.values.tolist()


def test_scipys_own_routine_is_used_only_where_it_is_what_it_was(monkeypatch):
    sparse_rows._product.cache_clear()
    assert sparse_rows._product() is _sparsetools.csr_matmat
    for other in (lambda a, b: None, lambda *given: None, lambda *given: given[-1].fill(8)):
        monkeypatch.setattr(_sparsetools, "csr_matmat", other)
        sparse_rows._product.cache_clear()
        assert sparse_rows._product() is None
    monkeypatch.undo()
    sparse_rows._product.cache_clear()
