"""What every recommender is given at a cut: the kept lines of all customers, and which items are products."""

from dataclasses import dataclass, field
from functools import cached_property
from typing import Final

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from online_model.arrays import Floats, Integers
from recommender.history import History

MOST_PRODUCTS: Final = 20_000
"""A score for every customer and product is kept at once."""

Scores = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Inputs:
    """The kept histories of all customers at one moment, exactly as the worker has them."""

    now: int
    """Microseconds UTC: when weights are worth what they say."""
    customers: tuple[str, ...]
    items: tuple[str, ...]
    allowed: npt.NDArray[np.bool_]
    """(items,): which are products."""
    history: History
    """`customers` are places in the tuple."""
    _again: dict[float, sp.csr_matrix] = field(default_factory=dict, repr=False)
    _popularity: dict[float, Scores] = field(default_factory=dict, repr=False)

    @cached_property
    def columns(self) -> Integers:
        """(products,): item numbers, rising. Matrices here have a column for each.

        Where there are more than MOST_PRODUCTS, those that most customers bought.
        """
        columns = np.flatnonzero(self.allowed)
        best = np.argsort(-self.buyers[columns], kind="stable")[:MOST_PRODUCTS]
        return np.sort(columns[best])

    @cached_property
    def _place(self) -> Integers:
        """(items,): the column of each item; -1 where it has none."""
        place = np.full(len(self.items), -1)
        place[self.columns] = np.arange(len(self.columns))
        return place

    @cached_property
    def _lines(self) -> History:
        """Of products that have a column."""
        return self.history.where(self._place[self.history.items] >= 0)

    def weights(self, half_life: float) -> Floats:
        """(lines,): each kept line of a product, halved per `half_life` (µs; infinity: never); 0 for returns."""
        lines = self._lines
        weights = np.exp2(np.minimum(lines.at - self.now, 0) / half_life)
        weights[lines.quantity <= 0] = 0
        return weights

    def matrix(self, half_life: float, *, newest: bool = False) -> sp.csr_matrix:
        """(customers, products): decayed purchases, or (`newest`) the decay of the newest one alone."""
        lines, weights = self._lines, self.weights(half_life)
        rows, columns = lines.customers.astype(np.int64), self._place[lines.items]
        shape = (len(self.customers), len(self.columns))
        if newest:
            order = np.argsort(weights, kind="stable")
            dense = np.zeros(shape, np.float32)
            dense[rows[order], columns[order]] = weights[order]
            matrix = sp.csr_matrix(dense)
        else:
            matrix = sp.csr_matrix((weights.astype(np.float32), (rows, columns)), shape)
        matrix.eliminate_zeros()
        return matrix

    def again(self, half_life: float) -> sp.csr_matrix:
        """(customers, products): decayed purchases of what was not all given back."""
        if half_life not in self._again:
            self._again[half_life] = self._bought_again(half_life)
        return self._again[half_life]

    def _bought_again(self, half_life: float) -> sp.csr_matrix:
        lines = self._lines
        net = sp.csr_matrix(
            (lines.quantity.astype(np.float64), (lines.customers, self._place[lines.items])),
            (len(self.customers), len(self.columns)),
        )
        kept: sp.csr_matrix = self.matrix(half_life).multiply(net > 0).tocsr()
        return kept

    @cached_property
    def known(self) -> sp.csr_matrix:
        """(customers, products): where a customer has any kept line, a return as well."""
        lines = self._lines
        ones = np.ones(len(lines), np.bool_)
        return sp.csr_matrix(
            (ones, (lines.customers, self._place[lines.items])), (len(self.customers), len(self.columns))
        )

    def popularity(self, half_life: float) -> Scores:
        """(products,): decayed kept purchase lines of everybody, the best seller at 1."""
        if half_life not in self._popularity:
            self._popularity[half_life] = self._popular(half_life)
        return self._popularity[half_life]

    def _popular(self, half_life: float) -> Scores:
        columns = self._place[self._lines.items]
        sold = np.bincount(columns, self.weights(half_life), len(self.columns))
        shares: Scores = (sold / (sold.max(initial=0.0) or 1.0)).astype(np.float32)
        return shares

    def sold_since(self, since: int) -> Scores:
        """(products,): kept purchase lines from then on, the best seller at 1."""
        lines = self._lines
        recent = (lines.at >= since) & (lines.quantity > 0)
        sold = np.bincount(self._place[lines.items[recent]], minlength=len(self.columns))
        shares: Scores = (sold / max(1, sold.max(initial=0))).astype(np.float32)
        return shares

    @cached_property
    def buyers(self) -> Integers:
        """(items,): how many customers have a kept purchase of each."""
        lines = self.history.where(self.history.quantity > 0)
        pairs = np.unique(lines.customers.astype(np.int64) * len(self.items) + lines.items)
        counts: Integers = np.bincount(pairs % max(1, len(self.items)), minlength=len(self.items))
        return counts
