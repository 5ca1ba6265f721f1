"""A few boxes that come close to a chosen set of points: what ranges of some columns say of a shape drawn by hand.

Boxes are peeled and pasted as in PRIM (Friedman and Fisher 1999, "Bump hunting in high-dimensional data"), here by what
raises F1, the harmonic mean of precision and recall, most; to what one box leaves out the next one is fitted.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Self

import numpy as np

from online_model.arrays import Booleans, Floats

MOST: Final = 3
_PEELED: Final = (0.0, 0.005, 0.02, 0.05, 0.1, 0.2, 0.34, 0.51, 0.67, 0.8)
"""Shares of the wanted points between the other bounds that one may leave out: a cloud of several, too."""
_WORTH: Final = 0.02
"""Of F1: what another box has to add."""
_IDLE: Final = 0.001
"""Of F1: a bound that adds less is left out, since a short rule is easier to understand."""


@dataclass(frozen=True, eq=False, slots=True)
class Box:
    """Points within bounds, both included; what is NaN lies within no bound, and within an open one."""

    low: Floats
    """(columns,); -inf: open."""
    high: Floats
    """(columns,); inf: open."""

    @classmethod
    def around(cls, X: Floats) -> Self:
        """The smallest one around points (n, columns), open where nothing is known of any."""
        none = np.isnan(X).all(axis=0)
        low = np.where(none, -np.inf, np.fmin.reduce(X, axis=0, initial=np.inf))
        high = np.where(none, np.inf, np.fmax.reduce(X, axis=0, initial=-np.inf))
        return cls(low, high)

    def holds(self, X: Floats) -> Booleans:
        """Which points (n, columns) lie inside, (n,)."""
        inside: Booleans = np.ones(len(X), np.bool_)
        for place in range(X.shape[1]):
            if self.low[place] > -np.inf:
                inside &= X[:, place] >= self.low[place]
            if self.high[place] < np.inf:
                inside &= X[:, place] <= self.high[place]
        return inside

    def with_bound(self, place: int, *, upper: bool, value: float) -> Self:
        """The same but for one bound."""
        low, high = self.low.copy(), self.high.copy()
        (high if upper else low)[place] = value
        return type(self)(low, high)


def f1(found: Booleans, wanted: Booleans) -> float:
    """2 · hits / (found + wanted); 0 where there is neither.

    >>> f1(np.array([True, True, False]), np.array([True, False, False]))
    0.6666666666666666
    """
    whole = np.count_nonzero(found) + np.count_nonzero(wanted)
    return float(2 * np.count_nonzero(found & wanted) / whole) if whole else 0.0


def fit_boxes(X: Floats, wanted: Booleans, most: int = MOST) -> list[Box]:
    """At most so many boxes whose union comes close to the wanted ones of points (n, columns); none: none is wanted."""
    boxes: list[Box] = []
    found: Booleans = np.zeros(len(X), np.bool_)
    score = 0.0
    while len(boxes) < most and (wanted & ~found).any():
        rest = ~found
        box = _pruned(_climbed(X[rest], wanted[rest]), X, wanted, found)
        union = found | box.holds(X)
        if boxes and f1(union, wanted) < score + _WORTH:
            break
        boxes.append(box)
        found, score = union, f1(union, wanted)
    return boxes


def _climbed(X: Floats, wanted: Booleans) -> Box:
    """From the box around the wanted points, one bound moved at a time, inwards or back, to where F1 is highest."""
    box, whole = Box.around(X[wanted]), np.count_nonzero(wanted)
    score = f1(box.holds(X), wanted)
    while True:
        best, best_score = box, score
        # How many bounds each point lies beyond, NaN too: those beyond one alone are in where that one is moved.
        beyond = {(place, upper): ~_within(X[:, place], box, place, upper=upper) for place, upper in _set(box)}
        out = np.sum(list(beyond.values()), axis=0, dtype=np.int64) if beyond else np.zeros(len(X), np.int64)
        for (place, upper), own in beyond.items():
            inside = out == own
            values, chosen = X[inside, place], wanted[inside]
            known = values[chosen & ~np.isnan(values)]
            if not known.size:
                continue
            shares = 1 - np.array(_PEELED) if upper else np.array(_PEELED)
            bounds = np.quantile(known, shares, method="lower" if upper else "higher")
            for bound in np.unique(bounds).tolist():
                kept = values <= bound if upper else values >= bound
                reached = 2 * np.count_nonzero(kept & chosen) / (np.count_nonzero(kept) + whole)
                if reached > best_score:
                    best, best_score = box.with_bound(place, upper=upper, value=bound), reached
        if best is box:
            return box
        box, score = best, best_score


def _within(values: Floats, box: Box, place: int, *, upper: bool) -> Booleans:
    return np.asarray(values <= box.high[place] if upper else values >= box.low[place])


def _pruned(box: Box, X: Floats, wanted: Booleans, found: Booleans) -> Box:
    """Without the bounds that hardly matter, the idlest first."""
    while True:
        score = f1(found | box.holds(X), wanted)
        opened = [box.with_bound(place, upper=upper, value=np.inf if upper else -np.inf) for place, upper in _set(box)]
        scores = [f1(found | one.holds(X), wanted) for one in opened]
        if not scores or max(scores) < score - _IDLE:
            return box
        box = opened[int(np.argmax(scores))]


def _set(box: Box) -> Sequence[tuple[int, bool]]:
    lower = [(place, False) for place in np.flatnonzero(box.low > -np.inf).tolist()]
    return lower + [(place, True) for place in np.flatnonzero(box.high < np.inf).tolist()]
