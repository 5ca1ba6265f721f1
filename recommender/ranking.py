"""One ranked list per customer: what they buy again and what is popular around them, for a whole batch at once."""

from dataclasses import dataclass
from enum import IntEnum
from typing import Any, Final

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
    allowed: NDArray[np.bool_],
    now: int,
    *,
    n: int = 20,
    again_half_life: int,
    best_seller_weight: float,
) -> Ranked:
    """The n best items for each customer of a batch.

    score = (a[c, i] + κ_s·share_s[i]) / (A_c + κ_s), with a[c, i] the customer's purchases of the item, each halved
    per `again_half_life` of age, A_c their sum, share_s[i] the item's share in the customer's segment: own taste
    shrunk to the segment's, as that is to everybody's. κ_s = `best_seller_weight` / max share_s: so many purchases is
    the segment's best-selling item worth, whether a shop has fifty items or a million. A customer without purchases
    gets the segment's popular items. Items returned as often as bought are left out.

    Half of the places are kept for items never bought and half for items to buy again, as far as there are such:
    so that the best n/2 of all, of the new and of the known are all in the list, in their right order.

    Parameters:
        history: kept lines of the batch, any order within a customer.
        slots: segment of each customer, (customers,); -1 for none, as is one that `popular` does not know yet.
        popular: may be older than `history`; an item or a segment that is newer has no popularity yet.
        allowed: which items may be recommended, (items,), at least as long as any item number.
        now: microseconds UTC.
    """
    customers = len(slots)
    places = np.where(slots < len(popular.shares) - 1, slots, -1).astype(np.int64)
    owner, item, again, kept = _own_items(history, len(allowed), now, again_half_life)
    best = popular.best_shares()[places]
    prior: NDArray[np.float64] = best_seller_weight / np.where(best > 0, best, 1.0)
    scale: NDArray[np.float64] = 1.0 / np.maximum(np.bincount(owner, weights=again, minlength=customers) + prior, 1e-9)
    kept &= allowed[item]
    who, known_items = owner[kept], item[kept]
    known_scores = (again[kept] + prior[who] * _shares(popular, places[who], known_items)) * scale[who]
    known = _widen(who, known_items, known_scores.astype(np.float32), customers, n)
    new = _never_bought(owner * len(allowed) + item, places, popular, allowed, n)
    new_scores = _shares(popular, places[:, None], new) * (prior * scale)[:, None]
    return _blend(known, (new, np.where(new >= 0, new_scores, _NO_SCORE).astype(np.float32)), n)


def _shares(popular: Popular, slots: NDArray[np.int64], items: NDArray[Any]) -> NDArray[np.float32]:
    """Shares of items in slots, of the shape that both broadcast to; 0 where there is none."""
    known = popular.shares.shape[1]
    if not known:
        return np.zeros(np.broadcast(slots, items).shape, dtype=np.float32)
    there = (items >= 0) & (items < known)
    return np.where(there, popular.shares[slots, np.where(there, items, 0)], np.float32(0))


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


def _never_bought(
    own: NDArray[np.int64], slots: NDArray[np.int64], popular: Popular, allowed: NDArray[np.bool_], n: int
) -> NDArray[np.int32]:
    """The n most popular items of each customer's segment that the customer has no line of, (customers, n).

    `own` has customer · items + item of every item a customer has a line of, rising.
    """
    customers, items = len(slots), len(allowed)
    result = np.full((customers, n), NO_ITEM, dtype=np.int32)
    # n of n + b popular items are new to somebody who knows b items.
    most = int(np.bincount(own // max(items, 1), minlength=1).max(initial=0))
    candidates = popular.items[slots, : n + most]
    is_new = (candidates >= 0) & allowed[candidates] if items else candidates >= 0
    if len(own):
        wanted = np.arange(customers)[:, None] * items + candidates
        is_new &= own[np.minimum(np.searchsorted(own, wanted), len(own) - 1)] != wanted
    nth = np.cumsum(is_new, axis=1) - 1
    is_new &= nth < n
    result[np.nonzero(is_new)[0], nth[is_new]] = candidates[is_new]
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
