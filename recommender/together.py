"""What goes with each item, learnt from purchases: EASE and the low-rank part in the head, cosines in the tail."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from recommender.co_purchases import buyers, co_purchases, sales
from recommender.cosine import shrunk_cosines
from recommender.ease import ease
from recommender.low_rank import low_rank
from recommender.neighbours import Neighbours
from recommender.trending import trend

OWN_RIDGE: Final = 5.0
"""Of EASE among what somebody has, in units of the mean diagonal of its G."""
OWN_NEIGHBOURS: Final = 16
"""How many items of those that somebody may have are kept of each."""
_STRONGEST: Final = 10
"""Neighbours by whose mean weight two ways of learning are brought to one scale."""
_MOST: Final = np.float32(1_000)
"""A weight is never larger: where hardly any two items go together, a strong one is so many times the typical one."""
_BLOCK: Final = 2_000
"""Tail items that are looked at in one go."""


@dataclass(frozen=True, slots=True)
class Together:
    """Everything about items bought together that does not hang on what is tuned."""

    items: int
    head: NDArray[np.int64]
    """The most popular items, rising."""
    G: NDArray[np.float32]
    """Co-purchases among them."""
    low_rank: NDArray[np.float32]
    """Their low-rank part, scaled."""
    tail: tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.float32]]
    """Pairs of which one item at least is not in the head: rows, columns, scaled and shrunk cosines."""
    trend: NDArray[np.float64]
    """How many times as much of each item sells of late as is to be expected, (items,)."""

    @classmethod
    def of(cls, bought: csr_array, lately: csr_array, *, head_items: int, rank: int, tail_neighbours: int) -> Self:
        """What purchases H, (customers, items), say, and the same `lately`, with a shorter half-life.

        Parameters: how many items are in the head; directions of its low-rank part; neighbours of each other item.
        """
        counts = buyers(bought)
        known = np.flatnonzero(counts)
        head = np.sort(known[np.argsort(-counts[known], kind="stable")[:head_items]])
        G = co_purchases(bought, head).toarray()
        diagonal = np.sqrt(np.maximum(np.diag(G), 1e-12))
        cosines = G / diagonal[:, None] / diagonal[None, :]
        np.fill_diagonal(cosines, 0)
        tail = np.setdiff1d(known, head)
        pairs = list(_tail_pairs(bought, tail, tail_neighbours, strength(cosines)))
        none = np.empty(0, np.int32)
        rows, columns, weights = (
            (np.concatenate(column) for column in zip(*pairs, strict=True))
            if pairs
            else (none, none, np.empty(0, np.float32))
        )
        L = low_rank(G, rank)
        return cls(
            bought.shape[1], head, G, L / strength(L), (rows, columns, weights), trend(sales(lately), sales(bought))
        )

    def ease(self, ridge: float) -> NDArray[np.float32]:
        """The EASE weights of the head, scaled."""
        B = ease(self.G, ridge)
        return B / strength(B)

    def neighbours(self, B: NDArray[np.float32], low_rank_weight: float, trend: float, most: int) -> Neighbours:
        """The `most` best neighbours of each item of the head, and those found of each in the tail.

        Each counts as far as it sells now: times its trend to the power of `trend`.
        """
        sells = (self.trend**trend).astype(np.float32)
        W = B + np.float32(low_rank_weight) * self.low_rank
        W *= sells[self.head] / (1 + np.float32(low_rank_weight))
        near, weights = _largest(W, most)
        rows, columns, tail_weights = self.tail
        return Neighbours.of(
            self.items,
            np.concatenate((np.repeat(self.head, near.shape[1]), rows)),
            np.concatenate((self.head[near.reshape(-1)], columns)),
            np.minimum(np.concatenate((weights, tail_weights * sells[columns])), _MOST),
        ).first(most)

    def own_neighbours(self, times: csr_array) -> Neighbours:
        """Which of a customer's other items each item of the head speaks for buying again: the best of each.

        EASE by how often each customer bought what, `times`, (customers, items): where one vote per customer and item
        says who buys a thing at all, this says of which things much is bought by the same.
        """
        B = ease(co_purchases(times, self.head).toarray(), OWN_RIDGE)
        near, weights = _largest(B / strength(B), OWN_NEIGHBOURS)
        owners = np.repeat(self.head, near.shape[1])
        return Neighbours.of(self.items, owners, self.head[near.reshape(-1)], np.minimum(weights, _MOST))


def _largest(W: NDArray[np.float32], most: int) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Places of the `most` largest weights in each row, (rows, most), and the weights, (rows · most,)."""
    most = min(most, len(W))
    near = np.argpartition(-W, most - 1, axis=1)[:, :most] if most else np.empty((len(W), 0), np.int64)
    return near, np.take_along_axis(W, near, axis=1).reshape(-1)


def strength(weights: NDArray[np.float32]) -> np.float32:
    """What a strong neighbour's weight is, typically: the median over items of the mean of their ten best."""
    size = len(weights)
    if size < 2:
        return np.float32(1)
    most = min(_STRONGEST, size - 1)
    best = -np.partition(-weights, most - 1, axis=1)[:, :most]
    typical = np.float32(np.median(np.maximum(best, 0).mean(axis=1)))
    return typical if typical > 0 else np.float32(1)


def _tail_pairs(
    bought: csr_array, tail: NDArray[np.int64], most: int, scale: np.float32
) -> Iterator[tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.float32]]]:
    """The best cosines of tail items, each in both directions, a block of items at a time."""
    if not len(tail):
        return
    is_tail = np.zeros(bought.shape[1], np.bool_)
    is_tail[tail] = True
    have = csr_array((np.ones(len(bought.data), np.float32), bought.indices, bought.indptr), shape=bought.shape)
    norms = np.sqrt(np.bincount(bought.indices, weights=bought.data.astype(np.float64) ** 2, minlength=len(is_tail)))
    by_item, by_item_counts = bought.tocsc(), have.tocsc()
    for start in range(0, len(tail), _BLOCK):
        block = tail[start : start + _BLOCK]
        G, together = by_item[:, block].T.tocsr() @ bought, by_item_counts[:, block].T.tocsr() @ have
        rows, columns, weights = shrunk_cosines(G, together, norms, block)
        found = Neighbours.of(len(is_tail), rows, columns, weights / scale).first(most)
        rows = np.repeat(np.arange(len(is_tail), dtype=np.int32), found.counts)
        yield rows, found.items, found.weights
        # A pair of two tail items is found from either side; one with the head only from this one.
        back = ~is_tail[found.items]
        yield found.items[back], rows[back], found.weights[back]
