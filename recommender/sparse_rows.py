"""Rows of one sparse matrix times another, by scipy's own routine without what its public classes check each time.

Both are valid by the way they are made, and of a few dozen rows the checks take three times as long as the product.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recommender.neighbours import Neighbours


@dataclass(frozen=True, slots=True)
class SparseRows:
    """Row r has `values[starts[r]:starts[r + 1]]` in `columns`, each column at most once, in no order."""

    starts: NDArray[np.int32]
    columns: NDArray[np.int32]
    values: NDArray[np.float32]

    def times(self, neighbours: Neighbours) -> "SparseRows":
        """Σ_j value[r, j] · weight[j, i] over the items j of each row r, in their order; what sums up to 0 is left out.

        Columns are items, of which the neighbours need not know all.
        """
        known = len(neighbours)
        first = neighbours.first_pairs
        items = np.minimum(self.columns, np.int32(known))  # where the row after the last is empty
        product = _product()
        if product is None:
            return _checked_product(SparseRows(self.starts, items, self.values), neighbours)
        rows, most = len(self.starts) - 1, int((first[1:] - first[:-1])[items].sum())
        found = SparseRows(np.empty(rows + 1, np.int32), np.empty(most, np.int32), np.empty(most, np.float32))
        table = (first, neighbours.items, neighbours.weights)
        product(rows, known, self.starts, items, self.values, *table, found.starts, found.columns, found.values)
        total = int(found.starts[-1])
        return SparseRows(found.starts, found.columns[:total], found.values[:total])


def _checked_product(rows: SparseRows, neighbours: Neighbours) -> SparseRows:
    """The same by the public way; columns at most len(neighbours)."""
    from scipy.sparse import csr_array  # noqa: PLC0415 - settings need no scipy

    known = len(neighbours)
    table = csr_array((neighbours.weights, neighbours.items, neighbours.first_pairs), shape=(known + 1, known))
    product = csr_array((rows.values, rows.columns, rows.starts), shape=(len(rows.starts) - 1, known + 1)) @ table
    return SparseRows(product.indptr.astype(np.int32), product.indices.astype(np.int32), product.data)


@cache
def _product() -> Callable[..., Any] | None:
    """None where a scipy to come has it no more, or not like this: what it makes of one number is looked at."""
    try:
        from scipy.sparse import _sparsetools  # noqa: PLC0415 - settings need no scipy

        routine: Callable[..., Any] = _sparsetools.csr_matmat
        one = (np.array([0, 1], np.int32), np.zeros(1, np.int32), np.array([3], np.float32))
        found = tuple(np.full_like(column, -1) for column in one)
        routine(1, 1, *one, *one, *found)
        right = [column.tolist() for column in found] == [[0, 1], [0], [9.0]]
    except Exception:  # noqa: BLE001 - whatever else it has become
        return None
    return routine if right else None
