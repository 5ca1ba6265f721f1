"""The best items of each kind for the customers of a batch: those to buy again, and those never bought."""

from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from recommender.blend import Blend
from recommender.going_with import GoingWith
from recommender.own_items import OwnItems
from recommender.popularity import Popular

_GONE: Final = np.float32(-np.inf)


@dataclass(frozen=True, slots=True)
class Candidates:
    """Items for customers, in any order; of two with the same score the first is the better. Columns (candidates,)."""

    customers: NDArray[np.int64]
    """Places in the batch."""
    items: NDArray[np.int64]
    scores: NDArray[np.float32]
    """Not negative."""

    def __len__(self) -> int:
        return len(self.items)

    def __add__(self, other: "Candidates") -> "Candidates":
        return Candidates(
            np.concatenate((self.customers, other.customers)),
            np.concatenate((self.items, other.items)),
            np.concatenate((self.scores, other.scores)),
        )


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
    held_out: NDArray[np.bool_] | None
    """Customers who get what is popular and nothing else; None: nobody does."""
    width: int
    """So many candidates of each kind."""
    scratch: NDArray[np.float32] = field(init=False)
    """A place for every cell, customer · items + item. Never cleared: that would cost customers × items, however few
    are touched. Who reads a place has written it."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "scratch", np.empty(self.customers * self.items, np.float32))

    @property
    def customers(self) -> int:
        """How many there are."""
        return len(self.slots)

    @property
    def items(self) -> int:
        """How many there are in the shop."""
        return len(self.allowed)

    def has(self, cells: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Which cells are own items, of their shape."""
        self.scratch[cells] = 0
        self.scratch[self.own.cells] = 1
        had: NDArray[np.bool_] = self.scratch[cells] > 0
        return had

    def popularity(self, customers: NDArray[np.int64], items: NDArray[np.int64]) -> NDArray[np.float32]:
        """How popular items are with customers, of the shape of both: √(share / the best one's)."""
        return self.popularity_in(self.slots[customers], items)

    def popularity_in(self, slots: NDArray[np.int64], items: NDArray[Any]) -> NDArray[np.float32]:
        """The same in slots."""
        strengths = self.popular.strengths
        known = strengths.shape[1]
        if known >= self.items:
            popularity: NDArray[np.float32] = strengths.take(slots * known + items)
            return popularity
        if not known:
            return np.zeros(items.shape, np.float32)
        # An item that is newer than this has no popularity yet.
        there = items < known
        found: NDArray[np.float32] = strengths.take(slots * known + np.where(there, items, 0)) * there
        return found


def to_buy_again(batch: Batch, goes: NDArray[np.float32]) -> Candidates:
    """The items that each customer has. `goes`, (own pairs,): how well each goes with the others."""
    own, blend = batch.own, batch.blend
    good = own.kept & batch.allowed[own.items]
    if batch.held_out is not None:
        good &= ~batch.held_out[own.customers]
    kept = np.flatnonzero(good)
    who, items = own.customers[kept], own.items[kept]
    scores = goes[kept]
    scores += np.float32(blend.again_weight) * np.sqrt(own.again[kept])
    scores += np.float32(blend.known_popular_weight) * batch.popularity(who, items)
    scores *= np.float32(blend.known_weight)
    return Candidates(who, items, scores)


def never_bought(batch: Batch) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """The `width` most popular items of each customer's segment that the customer has no line of, best first.

    Customers and items, (found,) each, and how many each customer has, (customers,).
    """
    # w of w + b popular items are new to somebody who knows b items.
    most = int(np.diff(batch.own.starts).max(initial=0))
    candidates = batch.popular.items[batch.slots, : batch.width + most]
    cells = np.maximum(candidates, 0) + (np.arange(batch.customers) * batch.items)[:, None]
    is_new = (candidates >= 0) & batch.allowed[candidates] & ~batch.has(cells)
    nth = is_new.cumsum(axis=1)
    is_new &= nth <= batch.width
    who, place = is_new.nonzero()
    counts = np.minimum(nth[:, -1], batch.width) if nth.shape[1] else np.zeros(batch.customers, np.int64)
    return who, candidates[who, place].astype(np.int64), counts


def to_discover(batch: Batch, going: GoingWith) -> Candidates:
    """Among others the `width` best items that each customer never had: popular ones, and what goes with theirs."""
    weight, scratch = np.float32(batch.blend.popular_weight), batch.scratch
    who, items, counts = never_bought(batch)
    cells = who * batch.items + items
    scratch[cells] = 0
    scratch[going.cells] = going.scores
    scores = scratch[cells]
    if batch.held_out is not None:
        scores *= ~batch.held_out[who]
    scores += weight * batch.popularity(who, items)
    # What goes with a customer's items must be better than the last popular one, where there are enough of these.
    least = np.zeros(batch.customers, np.float32)
    some = counts > 0
    if len(who):
        starts = counts.cumsum() - counts
        least[some] = np.minimum.reduceat(scores, starts[some])
    least[counts < batch.width] = 0
    least[~going.speaks] = np.inf
    if batch.held_out is not None:
        least[batch.held_out] = np.inf
    scratch[batch.own.cells] = _GONE
    scratch[cells] = _GONE
    others = scratch[going.cells]
    others += weight * batch.popularity_in(np.repeat(batch.slots, going.counts), going.items)
    near = np.flatnonzero(others > np.repeat(least, going.counts))[::-1]  # what was bought first comes first
    found = going.items[near].astype(np.int64)
    good = batch.allowed[found]
    near, found = near[good], found[good]
    return Candidates(who, items, scores) + Candidates(
        (going.cells[near] - found) // max(batch.items, 1), found, others[near]
    )
