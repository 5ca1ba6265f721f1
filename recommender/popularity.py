"""What sells: sums over rows of decayed purchase lines, by segment and item."""

from dataclasses import dataclass, field
from functools import cached_property
from typing import Final

import numpy as np
from numpy.typing import NDArray

from recommender.history import History
from recommender.trending import trending

_MAX_EXPONENT: Final = 256
"""Half-lives a line may be newer than the landmark before that moves; doubles hold 1,023."""
_NOTHING: Final = 1e-12
"""A share that can only be what rounding left of contributions that were subtracted again."""


@dataclass(frozen=True)
class Popular:
    """What is popular at one moment. The last row is everybody, which is also where slot -1 points."""

    shares: NDArray[np.float32]
    """Share of the slot's purchases, shrunk to everybody's, (slots + 1, items); 0 where not allowed."""
    items: NDArray[np.int32]
    """Item numbers, best first, (slots + 1, depth), padded with -1."""
    trending: NDArray[np.bool_] = field(default_factory=lambda: np.zeros(0, np.bool_))
    """Which items sell more than they used to, (items,); empty where that was not asked for."""

    def top(self, slot: int, n: int) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
        """The n most popular items of a segment (or of all, slot -1) and their shares; fewer where there are fewer."""
        items = self.items[slot, :n]
        items = items[items >= 0]
        return items, self.shares[slot, items]

    def best_shares(self) -> NDArray[np.float32]:
        """The share of each slot's most popular item, (slots + 1,); 0 where nothing was bought."""
        if not self.items.shape[1]:
            return np.zeros(len(self.items), dtype=np.float32)
        best = self.items[:, 0]
        return np.where(best >= 0, self.shares[np.arange(len(best)), best], np.float32(0))

    @cached_property
    def strengths(self) -> NDArray[np.float32]:
        """How popular each item is, √(share / the best one's) of its slot, (slots + 1, items)."""
        best = self.best_shares()
        best = np.where(best > 0, best, 1).astype(np.float32)
        strengths: NDArray[np.float32] = np.sqrt(self.shares / best[:, None])
        return strengths

    def lift(
        self, slot: int, n: int, among: NDArray[np.bool_] | None = None
    ) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
        """The n items that set a segment apart, and by how many times their share in it exceeds their share in all.

        Ordered by share · log(lift), what an item adds to the divergence of the segment's purchases from everybody's:
        by lift alone, items that hardly anybody buys would come first. Items with a lift of 1 or less are left out,
        and those that are not `among`, (items,), where that is given; an item beyond its end is not.
        """
        own, everybody = self.shares[slot], self.shares[-1]
        ratio = np.divide(own, everybody, out=np.ones_like(everybody), where=everybody > 0)
        telling = own * np.log(np.maximum(ratio, 1))
        if among is not None:
            telling[len(among) :] = 0
            telling[: len(among)] *= among[: len(telling)]
        items = _largest(telling, n)
        return items, ratio[items]


class ItemPopularity:
    """Sums of 2^(age / half-life) over the purchase lines of rows, by segment slot and item.

    Forward decay (Cormode et al. 2009): a line weighs 2^((at - landmark) / H), so that nothing changes as time
    passes; dividing by the weight of `now` is left to the reader. The landmark is a multiple of H and moves by whole
    half-lives, which scales every sum by a power of two: exactly.

    Parameters:
        half_life: in microseconds.
    """

    def __init__(self, half_life: int) -> None:
        if half_life <= 0:
            raise ValueError("half_life must be above 0")
        self.half_life = half_life
        self._landmark: int | None = None
        # Row 0 holds customers in no segment (slot -1), so that new slots grow at the end.
        self._weights = np.zeros((1, 0))

    @classmethod
    def of(cls, half_life: int, landmark: int, sums: NDArray[np.float64]) -> "ItemPopularity":
        """Sums as another process has them: weights as of its landmark, (slots + 1, items)."""
        popularity = cls(half_life)
        popularity._landmark = landmark
        popularity._weights = sums
        return popularity

    def empty_like(self) -> "ItemPopularity":
        """Sums over nobody, to be built behind a sweep."""
        return ItemPopularity(self.half_life)

    @property
    def landmark(self) -> int:
        """The time at which a line weighs 1, in microseconds UTC; 0 before the first line."""
        return self._landmark or 0

    @property
    def sums(self) -> NDArray[np.float64]:
        """Weights as of the landmark, (slots + 1, items); the first row is customers in no segment. A view."""
        return self._weights

    def revise(
        self, before: History, before_slots: NDArray[np.int32], after: History, after_slots: NDArray[np.int32]
    ) -> None:
        """Subtract what customers contributed before and add what they contribute after.

        Slots, (customers,), say in which segment each customer is counted; -1 is in none. A customer who is new has
        no lines before, one who is erased none after.
        """
        before, after = before.where(before.quantity > 0), after.where(after.quantity > 0)
        newest = max((int(lines.at.max()) for lines in (before, after) if len(lines)), default=None)
        if newest is None:
            return
        self._reach(newest)
        for lines, slots, sign in ((before, before_slots, -1.0), (after, after_slots, 1.0)):
            if len(lines):
                rows = slots[lines.customers].astype(np.int64) + 1
                self._grow(int(rows.max()) + 1, int(lines.items.max()) + 1)
                weights = np.exp2((lines.at - self.landmark) / self.half_life)
                weights *= sign
                np.add.at(self._weights.reshape(-1), rows * self._weights.shape[1] + lines.items, weights)

    def merge(self, other: "ItemPopularity", numbers: NDArray[np.int32] | None = None) -> None:
        """Add another worker's sums. `numbers`, (its items,), are our numbers of its items; None where they agree.

        Raises ValueError where the half-lives differ.
        """
        if other.half_life != self.half_life:
            raise ValueError("popularity with different half-lives can not be merged")
        if not other.sums.any():
            return
        self._reach(other.landmark)
        theirs = np.ldexp(other.sums, (other.landmark - self.landmark) // self.half_life)
        rows, items = theirs.shape
        columns = np.arange(items) if numbers is None else numbers[:items]
        if items:
            self._grow(rows, int(columns.max()) + 1)
            np.add.at(self._weights, (np.arange(rows)[:, None], columns[None, :]), theirs)

    def popular(
        self,
        now: int,
        allowed: NDArray[np.bool_],
        *,
        shrinkage: float,
        depth: int,
        slots: int = 0,
        slow: "ItemPopularity | None" = None,
        slow_share: float = 0.0,
    ) -> Popular:
        """What is popular now among the allowed items, (items,), in each of at least `slots` segments.

        A segment's share of an item is (w_s[i] + κ·p[i]) / (W_s + κ), with w the decayed purchases in the segment,
        W their sum, p the item's share in all, κ the shrinkage: a Dirichlet prior with everybody's taste as its mean.
        With `slow` sums of a longer half-life, `slow_share` of every share is their share in all, and what is well
        above that of late is trending.
        """
        rows, items = max(slots + 1, self._weights.shape[0]), len(allowed)
        weights = self.allowed_weights(rows, allowed)
        overall = weights.sum(axis=0)
        overall /= overall.sum() or 1.0
        fading = np.exp2(np.clip((self.landmark - now) / self.half_life, -1000.0, 500.0))
        weights[1:] *= fading
        totals = weights[1:].sum(axis=1, keepdims=True)
        shares = np.empty((rows, items), dtype=np.float32)
        shares[:-1] = (weights[1:] + shrinkage * overall) / np.where(totals + shrinkage > 0, totals + shrinkage, 1.0)
        shares[-1] = overall
        shares[shares < _NOTHING] = 0
        if slow is None:
            return Popular(shares, _best(shares, depth))
        weights[0] *= fading
        before = slow.allowed_weights(1, allowed).sum(axis=0)
        before *= np.exp2(np.clip((slow.landmark - now) / slow.half_life, -1000.0, 500.0))
        rising = trending(weights.sum(axis=0), before)
        if slow_share > 0:
            longer = before / (before.sum() or 1.0)
            longer[longer < _NOTHING] = 0
            shares = ((1 - slow_share) * shares + slow_share * longer).astype(np.float32)
        return Popular(shares, _best(shares, depth), rising)

    def allowed_weights(self, rows: int, allowed: NDArray[np.bool_]) -> NDArray[np.float64]:
        """The sums of allowed items, at least `rows` of them, (rows, items)."""
        rows = max(rows, self._weights.shape[0])
        weights = np.zeros((rows, len(allowed)))
        known = min(len(allowed), self._weights.shape[1])
        weights[: self._weights.shape[0], :known] = np.maximum(self._weights[:, :known], 0) * allowed[:known]
        return weights

    def _reach(self, newest: int) -> None:
        """Move the landmark so that a line of that time can be weighed."""
        if self._landmark is None:
            self._landmark = newest // self.half_life * self.half_life
        ahead = (newest - self._landmark) // self.half_life
        if ahead > _MAX_EXPONENT:
            self._weights = np.ldexp(self._weights, -ahead)
            self._landmark += ahead * self.half_life

    def _grow(self, rows: int, items: int) -> None:
        have_rows, have_items = self._weights.shape
        if rows > have_rows or items > have_items:
            # Doubled, so that a thousand new items one by one copy the sums ten times, not a thousand.
            room = have_items if items <= have_items else max(items, 2 * have_items, 256)
            grown = np.zeros((max(rows, have_rows), room))
            grown[:have_rows, :have_items] = self._weights
            self._weights = grown


def _best(shares: NDArray[np.float32], depth: int) -> NDArray[np.int32]:
    """Item numbers by falling share, (rows, depth); equal shares by number; -1 where nothing is left."""
    rows, items = shares.shape
    depth = min(depth, items)
    best = np.full((rows, depth), -1, dtype=np.int32)
    for row in range(rows):
        order = _largest(shares[row], depth)
        best[row, : len(order)] = order
    return best


def _largest(values: NDArray[np.floating], n: int) -> NDArray[np.int32]:
    """Places of the n largest values above 0, largest first; of equals the first ones."""
    places = np.flatnonzero(values > 0)
    if len(places) > n > 0:  # to sort a hundred thousand takes ten times as long as to find the n largest
        some = values[places]
        places = places[some >= np.partition(some, len(some) - n)[len(some) - n]]
    return places[np.argsort(-values[places], kind="stable")][:n].astype(np.int32)
