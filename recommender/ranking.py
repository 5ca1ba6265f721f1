"""One ranked list per customer: what they buy again, what goes with it, what sells; for a whole batch at once.

docs/recommendations.md has the formula, its sources and what each part is worth.
"""

from dataclasses import dataclass
from enum import IntEnum
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from recommender.blend import Blend
from recommender.going_with import NO_ITEM, GoingWith
from recommender.history import History
from recommender.item_model import NumberedItems
from recommender.list_rules import ListRules, draws, within
from recommender.own_items import OwnItems
from recommender.popularity import Popular

_NO_SCORE: Final = np.float32(-1.0)
_CELLS: Final = 1 << 22
"""Customers × items that are worked on at a time: so much stays near the processor."""
_BINS: Final = 256
"""Steps of the histogram that tells the best candidates from the rest."""
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


@dataclass(frozen=True, slots=True)
class _Batch:
    """What is the same for all steps of ranking some customers."""

    slots: NDArray[np.int64]
    popular: Popular
    allowed: NDArray[np.bool_]
    blend: Blend
    own: OwnItems
    own_cells: NDArray[np.int64]
    held_out: NDArray[np.bool_]
    n: int

    @property
    def customers(self) -> int:
        return len(self.slots)

    @property
    def items(self) -> int:
        return len(self.allowed)

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
    rules = rules or ListRules()
    size = int(np.clip(_CELLS // max(len(allowed), 1), 16, 1024))
    parts = []
    for start in range(0, max(len(slots), 1), size):
        stop = min(start + size, len(slots))
        first, last = np.searchsorted(history.customers, (start, stop))
        lines = History(
            history.customers[first:last] - np.int32(start),
            history.items[first:last],
            history.at[first:last],
            history.quantity[first:last],
        )
        own = OwnItems.of(lines, len(allowed), model.gaps, now, model.blend)
        some = slots[start:stop]
        batch = _Batch(
            np.where(some < len(popular.shares) - 1, some, -1).astype(np.int64),
            popular,
            allowed,
            model.blend,
            own,
            own.customers * len(allowed) + own.items,
            np.zeros(len(some), np.bool_) if popular_only is None else popular_only[start:stop],
            n,
        )
        chosen = None if hashes is None else draws(hashes[start:stop], now // rules.exploration_period)
        parts.append(_rank(batch, model, rules, categories, chosen))
    return Ranked(
        np.concatenate([part.items for part in parts]),
        np.concatenate([part.scores for part in parts]),
        np.concatenate([part.reasons for part in parts]),
        np.concatenate([part.because for part in parts]),
    )


def _rank(
    batch: _Batch,
    model: NumberedItems,
    rules: ListRules,
    categories: NDArray[np.int32] | None,
    chosen: NDArray[np.uint64] | None,
) -> Ranked:
    popular = _never_bought(batch)
    cells = np.arange(batch.customers)[:, None] * batch.items + np.maximum(popular, 0)
    trust = model.customers / (model.customers + _TRUST)
    also = np.concatenate((batch.own_cells, cells.reshape(-1)))
    going = GoingWith(
        batch.own, batch.customers, batch.items, model.neighbours, trust=trust, also=also if batch.items else also[:0]
    )
    known, known_scores = _to_buy_again(batch, going)
    new, new_scores = _to_discover(batch, going, popular, cells)
    tried = np.empty((batch.customers, 0), np.int32)
    if chosen is not None and batch.items:
        tried = _to_try_out(batch, new, model.fresh, rules.exploration, chosen)
    places = (tried >= 0).sum(axis=1, keepdims=True)
    items, scores, again = _one_list((known, known_scores), (new, new_scores), places, rules, categories)
    reasons, because = _reasons(batch, going, items, scores, again)
    ranked = Ranked(items, scores / (1 + scores), reasons, because)
    for column in tried.T:
        _append(ranked, column)
    return ranked


def _to_buy_again(batch: _Batch, going: GoingWith) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """The n best items that each customer has, (customers, n), and their scores."""
    own, blend = batch.own, batch.blend
    kept = np.flatnonzero(own.kept & batch.allowed[own.items] & ~batch.held_out[own.customers])
    who, items = own.customers[kept], own.items[kept]
    scores = going.at(batch.own_cells[kept])
    scores += np.float32(blend.again_weight) * np.sqrt(own.again[kept])
    scores += np.float32(blend.known_popular_weight) * batch.popularity(who, items)
    return _widest(who, items, scores, batch.customers, batch.n)


def _to_discover(
    batch: _Batch, going: GoingWith, popular: NDArray[np.int32], cells: NDArray[np.int64]
) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """The n best items that each customer never had, (customers, n), and their scores."""
    n, weight = batch.n, np.float32(batch.blend.popular_weight)
    rows = np.arange(batch.customers)[:, None]
    if not batch.items:
        return popular, np.full(popular.shape, _NO_SCORE, np.float32)
    popular_scores = going.at(cells) * ~batch.held_out[:, None] + weight * batch.popularity(rows, popular)
    popular_scores[popular < 0] = _NO_SCORE
    going.forget(batch.own_cells)
    going.forget(cells[popular >= 0])
    scores = going.at(going.cells)
    free = np.flatnonzero((scores > 0) & ~batch.held_out[going.rows])
    who = going.rows[free]
    items = going.cells[free] - who * batch.items
    free, who, items = (column[batch.allowed[items]] for column in (free, who, items))
    scores = scores[free] + weight * batch.popularity(who, items)
    near = _nearly_best(who, scores, batch.customers, n)
    others, other_scores = _widest(who[near], items[near], scores[near], batch.customers, n)
    both = np.concatenate((popular, others), axis=1)
    both_scores = np.concatenate((popular_scores, other_scores), axis=1)
    order = np.argsort(-both_scores, axis=1, kind="stable")[:, :n]
    return np.take_along_axis(both, order, axis=1), np.take_along_axis(both_scores, order, axis=1)


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
) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """The n best items of each owner as padded arrays, (customers, n), best first; ties by place."""
    # Scores are not negative, so their bits order as they do: one sort of integers instead of two of floats.
    order = np.argsort((owner << 32) - score.view(np.int32), kind="stable")
    owner, item, score = owner[order], item[order], score[order]
    place = np.arange(len(owner)) - np.searchsorted(owner, owner)
    near = place < n
    items = np.full((customers, n), NO_ITEM, dtype=np.int32)
    scores = np.full((customers, n), _NO_SCORE, dtype=np.float32)
    items[owner[near], place[near]] = item[near]
    scores[owner[near], place[near]] = score[near]
    return items, scores


def _never_bought(batch: _Batch) -> NDArray[np.int32]:
    """The n most popular items of each customer's segment that the customer has no line of, (customers, n)."""
    result = np.full((batch.customers, batch.n), NO_ITEM, dtype=np.int32)
    # n of n + b popular items are new to somebody who knows b items.
    most = int(np.bincount(batch.own.customers, minlength=1).max(initial=0))
    candidates = batch.popular.items[batch.slots, : batch.n + most]
    is_new = candidates >= 0
    if batch.items:
        is_new &= batch.allowed[candidates]
    if len(batch.own):
        wanted = np.arange(batch.customers)[:, None] * batch.items + candidates
        found = np.minimum(np.searchsorted(batch.own_cells, wanted), len(batch.own) - 1)
        is_new &= batch.own_cells[found] != wanted
    nth = np.cumsum(is_new, axis=1) - 1
    is_new &= nth < batch.n
    result[np.nonzero(is_new)[0], nth[is_new]] = candidates[is_new]
    return result


def _one_list(
    known: tuple[NDArray[np.int32], NDArray[np.float32]],
    new: tuple[NDArray[np.int32], NDArray[np.float32]],
    reserved: NDArray[np.int64],
    rules: ListRules,
    categories: NDArray[np.int32] | None,
) -> tuple[NDArray[np.int32], NDArray[np.float32], NDArray[np.bool_]]:
    """Both lists as one by score, (customers, n): items, scores, whether bought before.

    Leaves `reserved` places, (customers, 1), free at the end: at the cost of the last items never bought.
    """
    n = new[0].shape[1]
    items = np.concatenate((known[0], new[0]), axis=1)
    scores = np.concatenate((known[1], new[1]), axis=1)
    order = np.argsort(-scores, axis=1, kind="stable")
    items, scores = np.take_along_axis(items, order, axis=1), np.take_along_axis(scores, order, axis=1)
    there = items >= 0
    if categories is not None and len(categories):
        of = np.where(there & (items < len(categories)), categories[np.minimum(items, len(categories) - 1)], -1)
        there &= within(of, rules.max_per_category)
    is_known, is_new = there & (order < known[0].shape[1]), there & (order >= known[0].shape[1])
    knowns, news = is_known.sum(axis=1, keepdims=True), is_new.sum(axis=1, keepdims=True)
    room = np.maximum(n // 2, n - reserved - news)
    taken = is_known & (np.cumsum(is_known, axis=1) <= room)
    taken |= is_new & (np.cumsum(is_new, axis=1) <= n - reserved - np.minimum(knowns, room))
    place = np.argsort(~taken, axis=1, kind="stable")[:, :n]
    taken = np.take_along_axis(taken, place, axis=1)
    items = np.where(taken, np.take_along_axis(items, place, axis=1), NO_ITEM)
    scores = np.where(taken, np.take_along_axis(scores, place, axis=1), 0)
    return items.astype(np.int32), scores.astype(np.float32), taken & np.take_along_axis(is_known, place, axis=1)


def _to_try_out(
    batch: _Batch, new: NDArray[np.int32], fresh: NDArray[np.int32], share: float, chosen: NDArray[np.uint64]
) -> NDArray[np.int32]:
    """New items of the shop that customers are shown besides what is ranked, (customers, places); -1 for none."""
    fresh = fresh[fresh < batch.items]
    fresh = fresh[batch.allowed[fresh]]
    # The part of a place that is left over goes to so many customers, by their draw.
    places = np.floor(share * batch.n + (chosen >> np.uint64(40)).astype(np.float64) / 2.0**24).astype(np.int64)
    most = min(int(places.max(initial=0)), len(fresh), batch.n // 2)
    tried = np.full((batch.customers, most), NO_ITEM, np.int32)
    for turn in range(most):
        items = fresh[((chosen + np.uint64(turn)) % np.uint64(len(fresh))).astype(np.int64)]
        cells = np.arange(batch.customers) * batch.items + items
        found = np.searchsorted(batch.own_cells, cells)
        had = batch.own_cells[np.minimum(found, len(batch.own) - 1)] == cells if len(batch.own) else np.False_
        fits = (turn < places) & ~had & ~(new == items[:, None]).any(axis=1) & ~batch.held_out
        tried[fits, turn] = items[fits]
    return tried


def _append(ranked: Ranked, items: NDArray[np.int32]) -> None:
    """Put an item, (customers,), -1 for none, at the end of each list, in place."""
    rows = np.flatnonzero(items >= 0)
    place = (ranked.items[rows] >= 0).sum(axis=1)
    ranked.scores[rows, place] = np.where(place > 0, ranked.scores[rows, np.maximum(place - 1, 0)], 0)
    ranked.items[rows, place] = items[rows]
    ranked.reasons[rows, place] = Reason.NEW


def _reasons(
    batch: _Batch, going: GoingWith, items: NDArray[np.int32], scores: NDArray[np.float32], again: NDArray[np.bool_]
) -> tuple[NDArray[np.uint8], NDArray[np.int32]]:
    """Why each item stands where it does, (customers, n): by the larger part of its score."""
    new = (items >= 0) & ~again
    rows, places = np.nonzero(new)
    numbers = items[rows, places].astype(np.int64)
    selling = np.float32(batch.blend.popular_weight) * batch.popularity(rows, numbers)
    going_most = (scores[rows, places] > 2 * selling) & ~batch.held_out[rows]
    rows, places, numbers = rows[going_most], places[going_most], numbers[going_most]
    source = going.because(rows * batch.items + numbers)
    reasons = np.where(again, Reason.AGAIN, Reason.POPULAR).astype(np.uint8)
    rising = batch.popular.trending
    if len(rising):
        reasons[new & (items < len(rising)) & rising[np.clip(items, 0, len(rising) - 1)]] = Reason.TRENDING
    because = np.full(items.shape, NO_ITEM, np.int32)
    told = source >= 0
    reasons[rows[told], places[told]] = Reason.BECAUSE
    because[rows[told], places[told]] = source[told]
    return reasons, because
