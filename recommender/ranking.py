"""One ranked list per customer: what they buy again, what goes with it, what sells; for a whole batch at once.

docs/recommendations.md has the formula, its sources and what each part is worth.
"""

from dataclasses import dataclass
from enum import IntEnum
from typing import Final

import numpy as np
from numpy.typing import NDArray

from recommender.candidates import Batch, Candidates, never_bought, to_buy_again, to_discover
from recommender.going_with import NO_ITEM, GoingWith
from recommender.history import History
from recommender.item_model import NumberedItems
from recommender.list_rules import ListRules, within
from recommender.own_items import OwnItems
from recommender.popularity import Popular
from recommender.try_out import draws, to_try_out

_CELLS: Final = 1 << 22
"""Customers × items that are worked on at a time: so much stays near the processor."""
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
    size = int(np.clip(_CELLS // max(len(allowed), 1), 16, 1024))
    parts = []
    for start in range(0, max(len(slots), 1), size):
        stop = min(start + size, len(slots))
        some = slots[start:stop]
        own = OwnItems.of(history.of_customers(start, stop), len(allowed), model.gaps, now, model.blend)
        batch = Batch(
            np.where(some < len(popular.shares) - 1, some, -1).astype(np.int64),
            popular,
            allowed,
            model.blend,
            own,
            own.customers * len(allowed) + own.items,
            np.zeros(len(some), np.bool_) if popular_only is None else popular_only[start:stop],
            width,
        )
        drawn = None if hashes is None else draws(hashes[start:stop], now // asked.rules.exploration_period)
        parts.append(_rank(batch, model, asked, drawn))
    return Ranked(
        np.concatenate([part.items for part in parts]),
        np.concatenate([part.scores for part in parts]),
        np.concatenate([part.reasons for part in parts]),
        np.concatenate([part.because for part in parts]),
    )


def _rank(batch: Batch, model: NumberedItems, asked: "_Asked", drawn: NDArray[np.uint64] | None) -> Ranked:
    popular = never_bought(batch)
    cells = batch.cells(popular).reshape(-1)
    trust = model.customers / (model.customers + _TRUST)
    known = to_buy_again(batch, model.among_own.scores(batch.own, batch.customers, batch.items, trust))
    going = GoingWith(
        batch.own,
        batch.customers,
        batch.items,
        model.neighbours,
        trust=trust,
        also=cells if batch.items else cells[:0],
    )
    new = to_discover(batch, going, popular)
    tried = np.empty((batch.customers, 0), np.int32)
    if drawn is not None and batch.items:
        tried = to_try_out(batch, new.items[:, : asked.n], model.fresh, asked.rules.exploration, drawn)
    items, scores, reasons = _one_list(batch, known, new, (tried >= 0).sum(axis=1, keepdims=True), asked)
    rows, places = np.nonzero(reasons == Reason.BECAUSE)
    because = np.full(items.shape, NO_ITEM, np.int32)
    because[rows, places] = going.because(rows * batch.items + items[rows, places])
    ranked = Ranked(items, scores / (1 + scores), reasons, because)
    for column in tried.T:
        _append(ranked, column)
    return ranked


@dataclass(frozen=True, slots=True)
class _Asked:
    """What lists are to be like."""

    n: int
    rules: ListRules
    categories: NDArray[np.int32] | None

    @property
    def limited(self) -> bool:
        """Whether anything may have to go because there is too much of its kind."""
        by_category = self.categories is not None and len(self.categories) > 0
        return self.rules.max_per_reason < self.n or (by_category and self.rules.max_per_category < self.n)


def _one_list(
    batch: Batch, known: Candidates, new: Candidates, reserved: NDArray[np.int64], asked: _Asked
) -> tuple[NDArray[np.int32], NDArray[np.float32], NDArray[np.uint8]]:
    """Both kinds as one list by score, (customers, n): items, scores, reasons.

    Leaves `reserved` places, (customers, 1), free at the end: at the cost of the last items never bought.
    """
    n = asked.n
    items = np.concatenate((known.items, new.items), axis=1)
    scores = np.concatenate((known.scores, new.scores), axis=1)
    order = np.argsort(-scores, axis=1, kind="stable")
    items, scores = np.take_along_axis(items, order, axis=1), np.take_along_axis(scores, order, axis=1)
    there, again = items >= 0, order < known.items.shape[1]
    reasons = _reasons(batch, items, scores, again)
    if asked.limited:
        if asked.categories is not None and len(asked.categories):
            in_range = there & (items < len(asked.categories))
            of = np.where(in_range, asked.categories[np.where(in_range, items, 0)], -1)
            # Apart: else what was bought in a category would leave no room for anything new in it.
            there &= within(np.where(of >= 0, 2 * of + again, -1), asked.rules.max_per_category)
        there &= within(np.where(there, reasons.astype(np.int64), -1), asked.rules.max_per_reason)
    is_known, is_new = there & again, there & ~again
    knowns, news = is_known.sum(axis=1, keepdims=True), is_new.sum(axis=1, keepdims=True)
    room = np.maximum(n // 2, n - reserved - news)
    taken = is_known & (np.cumsum(is_known, axis=1) <= room)
    taken |= is_new & (np.cumsum(is_new, axis=1) <= n - reserved - np.minimum(knowns, room))
    place = np.argsort(~taken, axis=1, kind="stable")[:, :n]
    taken = np.take_along_axis(taken, place, axis=1)
    return (
        np.where(taken, np.take_along_axis(items, place, axis=1), NO_ITEM).astype(np.int32),
        np.where(taken, np.take_along_axis(scores, place, axis=1), 0).astype(np.float32),
        np.where(taken, np.take_along_axis(reasons, place, axis=1), Reason.AGAIN).astype(np.uint8),
    )


def _reasons(
    batch: Batch, items: NDArray[np.int32], scores: NDArray[np.float32], again: NDArray[np.bool_]
) -> NDArray[np.uint8]:
    """Why each item stands where it does, of the shape of all: by the larger part of its score."""
    rows = np.arange(batch.customers)[:, None]
    selling = np.float32(batch.blend.popular_weight) * batch.popularity(rows, items)
    reasons = np.full(items.shape, Reason.POPULAR, np.uint8)
    rising = batch.popular.trending
    if len(rising):
        reasons[(items >= 0) & (items < len(rising)) & rising[np.clip(items, 0, len(rising) - 1)]] = Reason.TRENDING
    reasons[(scores > 2 * selling) & ~batch.held_out[:, None]] = Reason.BECAUSE
    reasons[again] = Reason.AGAIN
    return reasons


def _append(ranked: Ranked, items: NDArray[np.int32]) -> None:
    """Put an item, (customers,), -1 for none, at the end of each list, in place."""
    rows = np.flatnonzero(items >= 0)
    place = (ranked.items[rows] >= 0).sum(axis=1)
    ranked.scores[rows, place] = np.where(place > 0, ranked.scores[rows, np.maximum(place - 1, 0)], 0)
    ranked.items[rows, place] = items[rows]
    ranked.reasons[rows, place] = Reason.NEW
