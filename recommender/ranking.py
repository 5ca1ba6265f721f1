"""One ranked list per customer: what they buy again, what goes with it, what sells; for a whole batch at once.

docs/recommendations.md has the formula, its sources and what each part is worth.
"""

from dataclasses import dataclass
from enum import IntEnum
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray

from recommender.among_own import among_own
from recommender.candidates import Batch, Candidates, to_buy_again, to_discover
from recommender.distinct import sorted_order
from recommender.going_with import NO_ITEM, GoingWith
from recommender.history import History
from recommender.item_model import NumberedItems
from recommender.list_rules import ListRules, within
from recommender.own_items import OwnItems
from recommender.popularity import Popular
from recommender.try_out import draws, to_try_out

_CELLS: Final = 1 << 22
"""Customers × items that are worked on at a time: so much stays near the processor."""
_MOST: Final = 256
"""Customers at a time; of more, a customer, a score and a place would not fit into one integer."""
_TRUST: Final = 50.0
"""Customers from whom co-purchases must have been learnt before they weigh half."""


class Reason(IntEnum):
    """Why an item stands in a list. The document has the name in small letters, arrays have the code."""

    AGAIN = 0
    """The customer bought it before (and did not return it all)."""
    POPULAR = 1
    """It sells in the customer's segment, and the customer has never bought it."""
    BECAUSE = 2
    """It goes with an item that the customer bought: `because:<that item>` in the document."""
    TRENDING = 3
    """It sells more than it used to, and the customer has never bought it."""
    NEW = 4
    """It is new in the shop, and is tried out."""


@dataclass(frozen=True, slots=True)
class Ranked:
    """Best item first, (customers, n) each."""

    items: NDArray[np.int32]
    """Item numbers; -1 where a list is shorter."""
    scores: NDArray[np.float32]
    """Between 0 and 1; comparable within a list."""
    reasons: NDArray[np.uint8]
    """Codes of `Reason`."""
    because: NDArray[np.int32]
    """Where the reason is BECAUSE, the number of the own item that speaks for it most; -1 elsewhere."""

    @classmethod
    def empty(cls, customers: int, n: int) -> Self:
        """Empty lists of so many customers."""
        shape = (customers, n)
        nothing = np.full(shape, NO_ITEM, np.int32)
        return cls(nothing, np.zeros(shape, np.float32), np.zeros(shape, np.uint8), nothing.copy())

    def of_customers(self, start: int, stop: int) -> "Ranked":
        """Those of some customers: a view."""
        part = slice(start, stop)
        return Ranked(self.items[part], self.scores[part], self.reasons[part], self.because[part])


def rank(
    history: History,
    slots: NDArray[np.int32],
    popular: Popular,
    allowed: NDArray[np.bool_],
    now: int,
    *,
    n: int = 20,
    model: NumberedItems,
    rules: ListRules | None = None,
    categories: NDArray[np.int32] | None = None,
    hashes: NDArray[np.uint64] | None = None,
    popular_only: NDArray[np.bool_] | None = None,
) -> Ranked:
    """The n best items for each customer of a batch.

    Half of the places are kept for items never bought and half for items to buy again, as far as there are such:
    so that the best n/2 of all, of the new and of the known are all in the list, in their right order (as far as
    `rules` let them). Items returned as often as bought are left out.

    Parameters:
        history: kept lines of the batch, sorted by customer, any order within one.
        slots: segment of each customer, (customers,); -1 for none, as is one that `popular` does not know yet.
        popular: may be older than `history`; an item or a segment that is newer has no popularity yet.
        allowed: which items may be recommended, (items,), at least as long as any item number.
        now: microseconds UTC.
        model: what was learnt about items; `NumberedItems.none()` before anything was.
        rules: limits of each list.
        categories: of items, (items,), -1 for none; None where there is no catalogue.
        hashes: of the customers' ids, (customers,): by them new items are handed out; None: nothing is tried out.
        popular_only: customers, (customers,), who get what is popular and nothing else: the hold-out.
    """
    asked = _Asked(n, rules or ListRules(), categories)
    # With limits, what they strike out makes room for what comes next.
    width = 2 * n if asked.limited else n
    customers, items = len(slots), len(allowed)
    result = Ranked.empty(customers, n)
    if not items:
        return result
    model = model.among(items)
    size = int(np.clip(_CELLS // items, 16, _MOST))
    last = len(popular.shares) - 1
    for start in range(0, customers, size):
        stop = min(start + size, customers)
        some = slots[start:stop].astype(np.int64)
        some[(some < 0) | (some >= last)] = last
        lines = history if stop - start == customers else history.of_customers(start, stop)
        batch = Batch(
            some,
            popular,
            allowed,
            model.blend,
            OwnItems.of(lines, stop - start, items, model.gaps, now=now, blend=model.blend),
            None if popular_only is None else popular_only[start:stop],
            width,
        )
        drawn = None if hashes is None else draws(hashes[start:stop], now // asked.rules.exploration_period)
        _rank(batch, model, asked, drawn, result.of_customers(start, stop))
    return result


def _rank(
    batch: Batch, model: NumberedItems, asked: "_Asked", drawn: NDArray[np.uint64] | None, result: Ranked
) -> None:
    """Fill in the lists of a batch, which are empty."""
    trust = model.customers / (model.customers + _TRUST)
    known = to_buy_again(batch, among_own(batch.own, batch.items, model.own_neighbours, trust, batch.scratch))
    going = GoingWith(batch.own, batch.items, model.neighbours, trust=trust)
    lists = _Sorted.of(batch, known, to_discover(batch, going))
    tried = np.empty((batch.customers, 0), np.int32)
    if drawn is not None and len(model.fresh):
        tried = to_try_out(batch, lists.new(asked.n), model.fresh, asked.rules.exploration, drawn)
    if asked.limited:
        lists = lists.limited(batch, asked)
    lists = lists.best(asked.n, (tried >= 0).sum(axis=1))
    reasons = lists.reasons(batch)
    rows, places = lists.customers, lists.places
    result.items[rows, places] = lists.items
    result.scores[rows, places] = lists.scores / (1 + lists.scores)
    result.reasons[rows, places] = reasons
    told = np.flatnonzero(reasons == Reason.BECAUSE)
    rows, places = rows[told], places[told]
    cells = rows * batch.items + lists.items[told]
    result.because[rows, places] = going.because(cells, batch.scratch.view(np.int32))
    for column in tried.T:
        _append(result, column)


@dataclass(frozen=True, slots=True)
class _Asked:
    """What lists are to be like."""

    n: int
    rules: ListRules
    categories: NDArray[np.int32] | None

    @property
    def limited(self) -> bool:
        """Whether anything may have to go because there is too much of its kind."""
        return self.by_reason or self.by_category

    @property
    def by_reason(self) -> bool:
        """Whether so many with one reason may be too many."""
        return self.rules.max_per_reason < self.n

    @property
    def by_category(self) -> bool:
        """Whether so many of one category may be too many."""
        return self.categories is not None and len(self.categories) > 0 and self.rules.max_per_category < self.n


@dataclass(frozen=True, slots=True)
class _Sorted:
    """Candidates of both kinds, customer by customer, best first. Columns (candidates,)."""

    customers: NDArray[np.int64]
    items: NDArray[np.int64]
    scores: NDArray[np.float32]
    again: NDArray[np.bool_]
    """Whether the customer has bought it before."""
    nth: NDArray[np.int64]
    """The how manieth of its kind it is, from 1 on."""
    counts: NDArray[np.int64]
    """How many candidates each customer has, (customers,)."""
    knowns: NDArray[np.int64]
    """How many of them the customer has bought before."""

    @classmethod
    def of(cls, batch: Batch, known: Candidates, new: Candidates) -> Self:
        """The `width` best of each kind."""
        both = known + new
        # Scores are not negative, so their bits order as they do.
        order = sorted_order((both.customers << 32) - both.scores.view(np.int32))
        customers, again = both.customers[order], order < len(known)
        counts = np.bincount(customers, minlength=batch.customers)
        knowns = np.bincount(known.customers, minlength=batch.customers)
        found = cls(customers, both.items[order], both.scores[order], again, _nth(again, counts), counts, knowns)
        return found.where(found.nth <= batch.width)

    def where(self, kept: NDArray[np.bool_]) -> Self:
        """Some of the candidates."""
        customers, again = self.customers[kept], self.again[kept]
        counts = np.bincount(customers, minlength=len(self.counts))
        knowns = np.bincount(customers[again], minlength=len(self.counts))
        nth = _nth(again, counts)
        return type(self)(customers, self.items[kept], self.scores[kept], again, nth, counts, knowns)

    @property
    def places(self) -> NDArray[np.int64]:
        """Places in lists."""
        return np.arange(len(self.items)) - np.repeat(self.counts.cumsum() - self.counts, self.counts)

    def new(self, n: int) -> NDArray[np.int32]:
        """The n best items that each customer never bought, (customers, n), -1 where there are fewer."""
        items = np.full((len(self.counts), n), NO_ITEM, np.int32)
        some = np.flatnonzero(~self.again & (self.nth <= n))
        items[self.customers[some], self.nth[some] - 1] = self.items[some]
        return items

    def limited(self, batch: Batch, asked: _Asked) -> Self:
        """Without those of which there are enough of their kind before them."""
        kinds, rules, there = asked.categories, asked.rules, np.ones(len(self.items), np.bool_)
        if asked.by_category and kinds is not None:
            of = np.where(self.items < len(kinds), kinds[np.minimum(self.items, len(kinds) - 1)], -1)
            # Apart: else what was bought in a category would leave no room for anything new in it.
            there = within(self.customers, np.where(of >= 0, 2 * of + self.again, -1), rules.max_per_category)
        if asked.by_reason:
            reasons = np.where(there, self.reasons(batch).astype(np.int64), -1)
            there &= within(self.customers, reasons, rules.max_per_reason)
        return self.where(there)

    def best(self, n: int, reserved: NDArray[np.int64]) -> Self:
        """As many as fit into lists of n.

        Leaves `reserved` places, (customers,), free at the end: at the cost of the last items never bought.
        """
        room = np.maximum(n // 2, n - reserved - (self.counts - self.knowns))
        rest = n - reserved - np.minimum(self.knowns, room)
        most = np.where(self.again, np.repeat(room, self.counts), np.repeat(rest, self.counts))
        return self.where(self.nth <= most)

    def reasons(self, batch: Batch) -> NDArray[np.uint8]:
        """Why each item stands where it does, (candidates,): by the larger part of its score."""
        selling = np.float32(batch.blend.popular_weight) * batch.popularity(self.customers, self.items)
        reasons = np.full(len(self.items), Reason.POPULAR, np.uint8)
        rising = batch.popular.trending
        if len(rising):
            reasons[(self.items < len(rising)) & rising[np.minimum(self.items, len(rising) - 1)]] = Reason.TRENDING
        because = self.scores > 2 * selling
        if batch.held_out is not None:
            because &= ~batch.held_out[self.customers]
        reasons[because] = Reason.BECAUSE
        reasons[self.again] = Reason.AGAIN
        return reasons


def _nth(again: NDArray[np.bool_], counts: NDArray[np.int64]) -> NDArray[np.int64]:
    """The how manieth of its kind each candidate is, from 1 on, where every customer has so many of both kinds."""
    ends = counts.cumsum()
    starts = ends - counts
    knowns = again.cumsum()
    place = np.arange(1, len(again) + 1)
    place -= np.repeat(starts, counts)
    nth = knowns - np.repeat(np.append(0, knowns)[starts], counts)
    of_kind: NDArray[np.int64] = np.where(again, nth, place - nth)
    return of_kind


def _append(ranked: Ranked, items: NDArray[np.int32]) -> None:
    """Put an item, (customers,), -1 for none, at the end of each list, in place."""
    rows = np.flatnonzero(items >= 0)
    place = (ranked.items[rows] >= 0).sum(axis=1)
    ranked.scores[rows, place] = np.where(place > 0, ranked.scores[rows, np.maximum(place - 1, 0)], 0)
    ranked.items[rows, place] = items[rows]
    ranked.reasons[rows, place] = Reason.NEW
