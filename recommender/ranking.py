"""One ranked list per customer: what they buy again and what is popular around them, for a whole batch at once."""

from dataclasses import dataclass
from enum import IntEnum
from typing import Final

import numpy as np
from numpy.typing import NDArray

from recommender.history import History
from recommender.popularity import Popular

NO_ITEM: Final = -1
_NO_SCORE: Final = np.float32(-1.0)


class Reason(IntEnum):
    """Why an item stands in a list. The document has the name in small letters, arrays have the code."""

    AGAIN = 0
    """The customer bought it before (and did not return it all)."""
    POPULAR = 1
    """It sells in the customer's segment, and the customer has never bought it."""


@dataclass(frozen=True, slots=True)
class Ranked:
    """Best item first, (customers, n) each."""

    items: NDArray[np.int32]
    """Item numbers; -1 where a list is shorter."""
    scores: NDArray[np.float32]
    """Expected share of the customer's next purchases; comparable within a list."""
    reasons: NDArray[np.uint8]
    """Codes of `Reason`."""


def rank(
    history: History,
    slots: NDArray[np.int32],
    popular: Popular,
    now: int,
    *,
    n: int = 20,
    again_half_life: int,
    customer_shrinkage: float,
) -> Ranked:
    """The n best items for each customer of a batch.

    score = (a[c, i] + κ·share_s[i]) / (A_c + κ), with a[c, i] the customer's purchases of the item, each halved per
    `again_half_life` of age, A_c their sum over allowed items, share_s the item's share in the customer's segment, κ
    the shrinkage: own taste shrunk to the segment's, as that is to everybody's. A customer without purchases gets the
    segment's popular items. Items returned as often as bought are left out, and so are items without a share, which
    is how those that may not be recommended are marked.

    Half of the places are kept for items never bought and half for items to buy again, as far as there are such:
    so that the best n/2 of all, of the new and of the known are all in the list, in their right order.

    Parameters:
        history: kept lines of the batch, any order within a customer.
        slots: segment of each customer, (customers,); -1 for none.
        popular: of at least n items per slot where there are so many.
        now: microseconds UTC.
    """
    customers = len(slots)
    owner, item, again, kept = _own_items(history, popular.shares.shape[1], now, again_half_life)
    totals = np.bincount(owner, weights=again, minlength=customers)
    scale = 1.0 / np.maximum(totals + customer_shrinkage, 1e-9)
    scores = (again + customer_shrinkage * popular.shares[slots[owner], item]) * scale[owner]
    buy_again = kept & (popular.shares[-1, item] > 0)
    known = _widen(owner[buy_again], item[buy_again], scores[buy_again].astype(np.float32), customers, n)
    new = _never_bought(owner, item, slots, popular, n)
    new_shares = np.where(new >= 0, popular.shares[slots[:, None], np.maximum(new, 0)], 0.0)
    new_scores = np.where(new >= 0, new_shares * (customer_shrinkage * scale)[:, None], _NO_SCORE).astype(np.float32)
    return _blend(known, (new, new_scores), n)


def _own_items(
    history: History, items: int, now: int, half_life: int
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64], NDArray[np.bool_]]:
    """Each (customer, item) once, rising: customer, item, decayed purchases, whether more was bought than returned."""
    key = history.customers.astype(np.int64) * items + history.items
    order = np.argsort(key, kind="stable")
    key, quantity, at = key[order], history.quantity[order], history.at[order]
    starts = np.flatnonzero(np.diff(key, prepend=-1))
    if not len(starts):
        none = np.empty(0, dtype=np.int64)
        return none, none, np.empty(0), np.empty(0, dtype=np.bool_)
    # Time may run backwards by a little between machines: an age below zero counts as none.
    weight = np.exp2(np.minimum(at - now, 0) / half_life)
    weight[quantity <= 0] = 0
    unique = key[starts]
    net = np.add.reduceat(quantity.astype(np.int64), starts)
    return unique // items, unique % items, np.add.reduceat(weight, starts), net > 0


def _widen(
    owner: NDArray[np.int64], item: NDArray[np.int64], score: NDArray[np.float32], customers: int, n: int
) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """The n best items of each owner as padded arrays, (customers, n), best first; ties by item number."""
    order = np.lexsort((-score, owner))
    owner, item, score = owner[order], item[order], score[order]
    place = np.arange(len(owner)) - np.searchsorted(owner, owner)
    near = place < n
    items = np.full((customers, n), NO_ITEM, dtype=np.int32)
    scores = np.full((customers, n), _NO_SCORE, dtype=np.float32)
    items[owner[near], place[near]] = item[near]
    scores[owner[near], place[near]] = score[near]
    return items, scores


def _never_bought(
    owner: NDArray[np.int64], item: NDArray[np.int64], slots: NDArray[np.int32], popular: Popular, n: int
) -> NDArray[np.int32]:
    """The n most popular items of each customer's segment that the customer has no line of, (customers, n)."""
    customers, items = len(slots), popular.shares.shape[1]
    own = owner * items + item
    most = int(np.bincount(owner, minlength=1).max(initial=0))
    # n of n + b popular items are new to somebody who knows b items.
    candidates = popular.items[slots, : n + most]
    result = np.full((customers, n), NO_ITEM, dtype=np.int32)
    if not candidates.shape[1]:
        return result
    wanted = np.arange(customers)[:, None] * items + candidates
    place = np.minimum(np.searchsorted(own, wanted), max(len(own) - 1, 0))
    is_new = candidates >= 0
    if len(own):
        is_new &= own[place] != wanted
    nth = np.cumsum(is_new, axis=1) - 1
    chosen = is_new & (nth < n)
    who, _ = np.nonzero(chosen)
    result[who, nth[chosen]] = candidates[chosen]
    return result


def _blend(
    known: tuple[NDArray[np.int32], NDArray[np.float32]], new: tuple[NDArray[np.int32], NDArray[np.float32]], n: int
) -> Ranked:
    """Both lists as one by score, each with at least its share of the places."""
    half = n // 2
    items = np.concatenate((known[0], new[0]), axis=1)
    scores = np.concatenate((known[1], new[1]), axis=1)
    knowns = (known[0] >= 0).sum(axis=1, keepdims=True)
    news = (new[0] >= 0).sum(axis=1, keepdims=True)
    place = np.arange(n)[None, :]
    cut = np.concatenate(
        (place >= np.maximum(half, n - news), place >= n - np.minimum(knowns, np.maximum(half, n - news))), axis=1
    )
    scores[cut | (items < 0)] = _NO_SCORE
    order = np.argsort(-scores, axis=1, kind="stable")[:, :n]
    items, scores = np.take_along_axis(items, order, axis=1), np.take_along_axis(scores, order, axis=1)
    nothing = scores < 0
    items[nothing] = NO_ITEM
    scores[nothing] = 0
    reasons = np.where(order < n, Reason.AGAIN, Reason.POPULAR).astype(np.uint8)
    return Ranked(items, scores, reasons)
