"""The best items of each kind for the customers of a batch: those to buy again, and those never bought."""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from recommender.blend import Blend
from recommender.going_with import NO_ITEM, GoingWith
from recommender.own_items import OwnItems
from recommender.popularity import Popular

NO_SCORE: Final = np.float32(-1.0)
_BINS: Final = 256
"""Steps of the histogram that tells the best candidates from the rest."""


@dataclass(frozen=True, slots=True)
class Candidates:
    """Best first, (customers, width) each."""

    items: NDArray[np.int32]
    """Item numbers; -1 where there are fewer."""
    scores: NDArray[np.float32]
    """Not negative; -1 where there is no item."""


@dataclass(frozen=True, slots=True)
class Batch:
    """Some customers, and what is the same for all steps of ranking them."""

    slots: NDArray[np.int64]
    """Rows of `popular.shares`, (customers,)."""
    popular: Popular
    allowed: NDArray[np.bool_]
    blend: Blend
    own: OwnItems
    """Of which customers is the place in this batch."""
    own_cells: NDArray[np.int64]
    """customer · items + item of each own item, rising."""
    held_out: NDArray[np.bool_]
    """Customers who get what is popular and nothing else."""
    width: int
    """So many candidates of each kind."""

    @property
    def customers(self) -> int:
        """How many there are."""
        return len(self.slots)

    @property
    def items(self) -> int:
        """How many there are in the shop."""
        return len(self.allowed)

    def cells(self, items: NDArray[np.int32]) -> NDArray[np.int64]:
        """Customer · items + item of items, (customers, places); of item 0 where there is none."""
        cells: NDArray[np.int64] = np.arange(self.customers)[:, None] * self.items + np.maximum(items, 0)
        return cells

    def has(self, cells: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Which cells are own items, of their shape."""
        if not len(self.own):
            return np.zeros(cells.shape, np.bool_)
        found = np.minimum(np.searchsorted(self.own_cells, cells), len(self.own) - 1)
        had: NDArray[np.bool_] = self.own_cells[found] == cells
        return had

    def popularity(self, rows: NDArray[Any], items: NDArray[Any]) -> NDArray[np.float32]:
        """How popular items are with customers, of the shape that both broadcast to: √(share / the best one's)."""
        known = self.popular.shares.shape[1]
        if not known:
            return np.zeros(np.broadcast(rows, items).shape, np.float32)
        best = self.popular.best_shares()[self.slots]
        best = np.where(best > 0, best, 1).astype(np.float32)
        there = (items >= 0) & (items < known)
        shares = self.popular.shares[self.slots[rows], np.where(there, items, 0)]
        popularity: NDArray[np.float32] = np.sqrt(np.where(there, shares, np.float32(0)) / best[rows])
        return popularity


def to_buy_again(batch: Batch, goes: NDArray[np.float32]) -> Candidates:
    """The best items that each customer has. `goes`, (own pairs,): how well each goes with the others."""
    own, blend = batch.own, batch.blend
    kept = np.flatnonzero(own.kept & batch.allowed[own.items] & ~batch.held_out[own.customers])
    who, items = own.customers[kept], own.items[kept]
    scores = goes[kept]
    scores += np.float32(blend.again_weight) * np.sqrt(own.again[kept])
    scores += np.float32(blend.known_popular_weight) * batch.popularity(who, items)
    scores *= np.float32(blend.known_weight)
    return _widest(who, items, scores, batch.customers, batch.width)


def never_bought(batch: Batch) -> NDArray[np.int32]:
    """The most popular items of each customer's segment that the customer has no line of, (customers, width)."""
    result = np.full((batch.customers, batch.width), NO_ITEM, dtype=np.int32)
    # w of w + b popular items are new to somebody who knows b items.
    most = int(np.bincount(batch.own.customers, minlength=1).max(initial=0))
    candidates = batch.popular.items[batch.slots, : batch.width + most]
    is_new = candidates >= 0
    if batch.items:
        is_new &= batch.allowed[candidates] & ~batch.has(batch.cells(candidates))
    nth = np.cumsum(is_new, axis=1) - 1
    is_new &= nth < batch.width
    result[np.nonzero(is_new)[0], nth[is_new]] = candidates[is_new]
    return result


def to_discover(batch: Batch, going: GoingWith, popular: NDArray[np.int32]) -> Candidates:
    """The best items that each customer never had: of `popular` ones, by `never_bought`, and of what goes with theirs.

    Leaves `going` without the scores of own and of popular items.
    """
    n, weight = batch.width, np.float32(batch.blend.popular_weight)
    rows = np.arange(batch.customers)[:, None]
    if not batch.items:
        return Candidates(popular, np.full(popular.shape, NO_SCORE, np.float32))
    cells = batch.cells(popular)
    popular_scores = going.at(cells) * ~batch.held_out[:, None] + weight * batch.popularity(rows, popular)
    popular_scores[popular < 0] = NO_SCORE
    going.forget(batch.own_cells)
    going.forget(cells[popular >= 0])
    scores = going.at(going.cells)
    free = np.flatnonzero((scores > 0) & ~batch.held_out[going.rows])
    who = going.rows[free]
    items = going.cells[free] - who * batch.items
    free, who, items = (column[batch.allowed[items]] for column in (free, who, items))
    scores = scores[free] + weight * batch.popularity(who, items)
    near = _nearly_best(who, scores, batch.customers, n)
    others = _widest(who[near], items[near], scores[near], batch.customers, n)
    both = np.concatenate((popular, others.items), axis=1)
    both_scores = np.concatenate((popular_scores, others.scores), axis=1)
    order = np.argsort(-both_scores, axis=1, kind="stable")[:, :n]
    return Candidates(np.take_along_axis(both, order, axis=1), np.take_along_axis(both_scores, order, axis=1))


def _nearly_best(owner: NDArray[np.int64], score: NDArray[np.float32], customers: int, n: int) -> NDArray[np.int64]:
    """Places of the n best of each owner, and of few others: two passes instead of sorting all."""
    top = score.max(initial=np.float32(1e-9))
    steps = (score * np.float32((_BINS - 1) / top)).astype(np.int64)
    counts = np.bincount(owner * _BINS + steps, minlength=customers * _BINS).reshape(customers, _BINS)
    above = np.cumsum(counts[:, ::-1], axis=1)
    bounds = _BINS - 1 - np.argmax(above >= n, axis=1)
    bounds[above[:, -1] < n] = 0
    return np.flatnonzero(steps >= bounds[owner])


def _widest(
    owner: NDArray[np.int64], item: NDArray[np.int64], score: NDArray[np.float32], customers: int, n: int
) -> Candidates:
    """The n best items of each owner; ties by place."""
    # Scores are not negative, so their bits order as they do: one sort of integers instead of two of floats.
    order = np.argsort((owner << 32) - score.view(np.int32), kind="stable")
    owner, item, score = owner[order], item[order], score[order]
    place = np.arange(len(owner)) - np.searchsorted(owner, owner)
    near = place < n
    items = np.full((customers, n), NO_ITEM, dtype=np.int32)
    scores = np.full((customers, n), NO_SCORE, dtype=np.float32)
    items[owner[near], place[near]] = item[near]
    scores[owner[near], place[near]] = score[near]
    return Candidates(items, scores)
