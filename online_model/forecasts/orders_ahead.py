"""How many purchase days lie ahead of each customer: the whole predictive distribution, without sampling.

Given that a customer is active, the rate λ is gamma(r + x, α + T) and the drop-out probability p beta(a, b + chances),
independently. The k-th purchase ahead comes within t weeks if the process of rate λ makes k purchases by then, and the
customer has stayed after the k − 1 before. So, with N negative binomial,

    P(Y ≥ k | active) = B(a, b + chances + k − 1) / B(a, b + chances) · P(N ≥ k),

of which mean, variance and quantiles are sums of positive terms. The mean is equation (10) of the BG/NBD paper, whose
hypergeometric function loses all its digits where x is large.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Self

import numpy as np
from scipy.special import betainc, betaln

from online_model.arrays import Floats, Integers
from online_model.forecasts.lifetime import LifetimeModel
from online_model.forecasts.purchases import DAYS_PER_WEEK, Purchases

COVERAGE: Final = 0.9
"""Of the intervals."""
_TAIL: Final = (1 - COVERAGE) / 2
_NEGLIGIBLE: Final = 1e-9
"""A probability that is as good as 0."""
_BLOCK: Final = 4_096
"""Customers at once: their columns stay in the processor's cache."""
_MANY: Final = 8.0
"""Purchases to expect from which on customers are put into blocks of their own, if there are enough of them."""
_LEAST_BLOCK: Final = 256
_LARGE: Final = 300.0
"""Purchases to expect from which on terms are not added up one by one."""
_FAR: Final = 50.0
"""Horizons as long as so many times what is known so far: tails are long, however little there is to expect."""
_FIRST: Final = 32
"""So many terms are added up one by one even then."""
_A_FEW: Final = 200
"""Customers up to whom terms are worked out in blocks ..."""
_AT_ONCE: Final = 64
"""... of so many."""
_UNDERFLOW: Final = 600.0
"""-log P(N = 0) from which on the recursion would begin at 0."""


def _gauss_legendre(count: int) -> tuple[Floats, Floats]:
    """Nodes and weights of the integral from 0 to 1."""
    nodes, weights = np.polynomial.legendre.leggauss(count)
    return (nodes + 1) / 2, weights / 2


_NODES: Final = _gauss_legendre(48)


@dataclass(frozen=True, eq=False, slots=True)
class OrdersAhead:
    """Purchase days within a horizon, columns of one length (customers,)."""

    expected: Floats
    any: Floats
    """Probability of at least one."""
    low: Floats
    """With `high` (both included) the numbers that come with a probability as near to 90 % as whole numbers can be."""
    high: Floats
    log_mean: Floats
    """Mean of the logarithm, where there is any; 0 where there can not be."""
    log_variance: Floats

    @classmethod
    def empty(cls, customers: int) -> "OrdersAhead":
        """Columns to be filled."""
        return cls(*(np.zeros(customers) for _ in range(6)))

    def put(self, places: Integers, part: "OrdersAhead") -> None:
        """Fill in some customers."""
        for name in OrdersAhead.__slots__:
            getattr(self, name)[places] = getattr(part, name)


def orders_ahead(
    model: LifetimeModel, purchases: Purchases, weeks: float | Floats, active: Floats | None = None
) -> OrdersAhead:
    """What each customer will buy within so many weeks from now, one number or (customers,), in purchase days.

    Never more of them than there are days: rates know no such bound, and run off where next to nothing is known.
    `active`: what model.active says of them, where that is known by now.
    """
    future = _Future.of(model, purchases, weeks, active)
    found = OrdersAhead.empty(len(purchases))
    few, many = future.blocks()
    for places in few:
        found.put(places, _term_by_term(future.select(places)))
    for places in many:
        found.put(places, _by_tails(future.select(places)))
    days = np.asarray(weeks) * DAYS_PER_WEEK
    for column in (found.expected, found.low, found.high):
        np.minimum(column, days, out=column)
    np.minimum(found.log_mean, np.log(np.maximum(days, 1.0)), out=found.log_mean)
    return found


def expected_orders(
    model: LifetimeModel, purchases: Purchases, weeks: float | Floats, active: Floats | None = None
) -> Floats:
    """The mean alone, (customers,), in half of the time."""
    future = _Future.of(model, purchases, weeks, active)
    found = np.zeros(len(purchases))
    few, many = future.blocks()
    for places in few:
        found[places] = _mean(future.select(places))
    for places in many:
        found[places] = _by_tails(future.select(places)).expected
    return np.minimum(found, np.asarray(weeks) * DAYS_PER_WEEK)


@dataclass(frozen=True, eq=False, slots=True)
class _Future:
    """What decides a customer's purchases ahead, columns of one length."""

    active: Floats
    shape: Floats
    """Of N's negative binomial distribution."""
    ahead: Floats
    """The horizon as a share of what is known so far, t / (α + T): N's mean is shape times it."""
    a: float
    b: Floats

    @classmethod
    def of(cls, model: LifetimeModel, purchases: Purchases, weeks: float | Floats, active: Floats | None) -> Self:
        """That of customers within so many weeks."""
        return cls(
            active=model.active(purchases) if active is None else active,
            shape=model.r + purchases.repeats,
            ahead=weeks / (model.alpha + purchases.age),
            a=model.a,
            b=model.b + model.chances(purchases),
        )

    def blocks(self) -> tuple[list[Integers], list[Integers]]:
        """Places of customers to be worked on together: term by term, and by tails.

        Those of one block are to be through after about as many terms, and few have many orders.
        """
        mean = self.shape * self.ahead
        large = (mean > _LARGE) | (self.shape * np.log1p(self.ahead) > _UNDERFLOW) | (self.ahead > _FAR)
        few = np.flatnonzero(~large)
        few = few[np.argsort(mean[few], kind="stable")]
        # The last ones have many terms, which is not worth a block of its own where they are few.
        edge = max(int(np.searchsorted(mean[few], _MANY)), len(few) - len(few) // 4)
        parts = [few[:edge], few[edge:]] if len(few) - edge >= _LEAST_BLOCK else [few]
        return [block for part in parts for block in _cut(part)], _cut(np.flatnonzero(large))

    def select(self, which: Integers) -> "_Future":
        """Some of the customers."""
        return _Future(self.active[which], self.shape[which], self.ahead[which], self.a, self.b[which])

    def tail(self, k: Floats) -> Floats:
        """P(Y ≥ k) of each customer for a k of its own, (customers,) or (nodes, customers); also between integers."""
        stay = np.exp(betaln(self.a, self.b + k - 1) - betaln(self.a, self.b))
        return np.asarray(self.active * stay * betainc(k, self.shape, self.ahead / (1 + self.ahead)))

    def first_below(self, level: Floats | float) -> Floats:
        """The first whole k from 1 on with P(Y ≥ k) ≤ level, (customers,)."""
        low, high = np.zeros(len(self.active)), np.ones(len(self.active))
        while (more := self.tail(high) > level).any():
            low, high = np.where(more, high, low), np.where(more, 2 * high, high)
        while (high - low > 1).any():
            middle = np.maximum(np.floor((low + high) / 2), 1.0)
            more = self.tail(middle) > level
            low, high = np.where(more, middle, low), np.where(more, high, middle)
        return np.asarray(high)

    def integral(self, start: Floats, end: Floats, power: int) -> Floats:
        """∑ (2k - 1)^power · P(Y ≥ k) over k between two halves, as an integral, (customers,).

        With power 0 that is what the part contributes to the mean of Y, with 1 to that of Y².
        """
        width = np.log(end) - np.log(start)
        nodes, weights = _NODES
        k = start * np.exp(width * nodes[:, None])
        return np.asarray((weights[:, None] * (2 * k - 1) ** power * self.tail(k) * k).sum(0) * width)


def _cut(places: Integers) -> list[Integers]:
    return [places[begin : begin + _BLOCK] for begin in range(0, len(places), _BLOCK)]


def _mean(future: _Future) -> Floats:
    """The sum of _tails, of which none is kept."""
    found = np.zeros(len(future.active))
    for tails in _each_tail(future):
        for tail in tails:
            found += tail
    return found


def _term_by_term(future: _Future) -> OrdersAhead:
    """Add up terms for k = 1, 2, … until nothing is left of any customer."""
    tails = _tails(future)  # (k, customers): P(Y ≥ k), k from 1 on
    exactly = tails.copy()
    exactly[:-1] -= tails[1:]
    logs = np.log(np.arange(1, len(tails) + 1))
    some = np.maximum(tails[0], _NEGLIGIBLE)
    log_mean = logs @ exactly / some
    low, high = _interval(tails)
    return OrdersAhead(
        expected=tails.sum(axis=0),
        any=tails[0].copy(),
        low=low,
        high=high,
        log_mean=log_mean,
        log_variance=np.maximum(logs**2 @ exactly / some - log_mean**2, 0.0),
    )


def _tails(future: _Future) -> Floats:
    """P(Y ≥ k), (k, customers), k from 1 up to where nothing is left."""
    return np.concatenate(list(_each_tail(future)))


def _each_tail(future: _Future) -> Iterator[Floats]:
    """The same, some k at a time."""
    return _tails_in_blocks(future) if len(future.active) <= _A_FEW else _tails_in_place(future)


def _tails_in_place(future: _Future) -> Iterator[Floats]:
    """Of many customers, one k at a time: nothing is made anew but what is yielded."""
    chance = future.ahead / (1 + future.ahead)
    point = np.exp(-future.shape * np.log1p(future.ahead))  # P(N = k)
    above = -np.expm1(-future.shape * np.log1p(future.ahead))  # P(N > k)
    stay = future.active.copy()  # the probability of being active, and staying after k purchases more
    tail = stay * above
    yield tail[None]
    k = 0
    while tail.max(initial=0.0) > _NEGLIGIBLE:
        point *= chance * (future.shape + k) / (k + 1)
        above -= point
        stay *= (future.b + k) / (future.a + future.b + k)
        k += 1
        tail = stay * np.maximum(above, 0.0)
        yield tail[None]


def _tails_in_blocks(future: _Future) -> Iterator[Floats]:
    """Of a few customers, the very same numbers: many k at once, as an operation's cost is nearly all overhead."""
    chance = future.ahead / (1 + future.ahead)
    none = future.shape * np.log1p(future.ahead)  # -log P(N = 0)
    point, above, stay = np.exp(-none), -np.expm1(-none), future.active
    last, k = stay * above, 0
    yield last[None]
    while last.max(initial=0.0) > _NEGLIGIBLE:
        terms = np.arange(k, k + _AT_ONCE, dtype=np.float64)[:, None]
        # The first row is where the terms before have come to; every other one goes on from the one above it.
        points = np.concatenate((point[None], chance * (future.shape + terms) / (terms + 1)))  # P(N = k)
        np.multiply.accumulate(points, axis=0, out=points)
        aboves = np.concatenate((above[None], points[1:]))  # P(N > k)
        np.subtract.accumulate(aboves, axis=0, out=aboves)
        stays = np.concatenate((stay[None], (future.b + terms) / (future.a + future.b + terms)))
        np.multiply.accumulate(stays, axis=0, out=stays)
        tails = stays[1:] * np.maximum(aboves[1:], 0.0)
        nothing_left = tails.max(axis=1, initial=0.0) <= _NEGLIGIBLE
        if nothing_left.any():
            yield tails[: int(nothing_left.argmax()) + 1]
            return
        yield tails
        last, point, above, stay, k = tails[-1], points[-1], aboves[-1], stays[-1], k + _AT_ONCE


def _interval(tails: Floats) -> tuple[Floats, Floats]:
    """Ends of the interval, (customers,) each, from P(Y ≥ k), (k, customers).

    At most 5 % lie below it; how many lie above it is chosen so that 90 % are inside as nearly as can be.
    """
    low = (tails >= 1 - _TAIL).sum(axis=0)
    padded = np.concatenate([np.ones((1, tails.shape[1])), tails, np.zeros((1, tails.shape[1]))])
    everybody = np.arange(tails.shape[1])
    outside = padded[low, everybody] - COVERAGE  # what should lie above
    beyond = 1 + (tails > outside).sum(axis=0)  # the first k with no more than that
    nearer = (padded[beyond - 1, everybody] - outside < outside - padded[beyond, everybody]) & (beyond > low + 1)
    return low.astype(np.float64), (beyond - nearer - 1).astype(np.float64)


def _by_tails(future: _Future) -> OrdersAhead:
    """The same for large numbers, from P(Y ≥ k) at some k only: by quadrature and bisection."""
    spread = np.sqrt(future.shape * future.ahead * (1 + future.ahead))
    n = len(future.active)
    k = np.arange(1.0, _FIRST + 1)[:, None]
    first = future.tail(np.broadcast_to(k, (_FIRST, n)))
    some = first[0]
    begin = np.full(n, _FIRST + 0.5)
    end = np.maximum(future.first_below(_NEGLIGIBLE) + 0.5, begin)
    # Staying falls slowly over magnitudes of k, then N's own tail falls at once.
    knee = np.clip(future.shape * future.ahead - 8 * spread, begin, end)
    expected, squares = (
        ((2 * k - 1) ** power * first).sum(axis=0)
        + future.integral(begin, knee, power)
        + future.integral(knee, end, power)
        for power in (0, 1)
    )
    anyway = np.maximum(some, 1e-300)
    mean = np.maximum(expected / anyway, 1.0)  # where there is any
    # Of large numbers the first two moments say enough: as if their logarithms were normal.
    log_variance = np.log(np.maximum(squares / anyway / mean**2, 1.0))
    low = future.first_below(1 - _TAIL) - 1
    outside = np.where(low > 0, future.tail(np.maximum(low, 1.0)), 1.0) - COVERAGE
    return OrdersAhead(
        expected=expected,
        any=some,
        low=low,
        high=np.maximum(future.first_below(outside) - 1, low),
        log_mean=np.maximum(np.log(mean) - log_variance / 2, 0.0),
        log_variance=log_variance,
    )
