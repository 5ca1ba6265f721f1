"""How many segments: curves over k with bootstrap bands, the rule that chooses, and when a choice is followed."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np

from online_model.agreement import adjusted_rand, shared_members
from online_model.arrays import Floats, Integers, feature_matrix
from online_model.fit import TooFewPointsError, fit
from online_model.metric import Metric
from online_model.silhouette import distances_between, silhouette

SHOWN: Final = range(2, 9)
"""The k of which curves are drawn."""
LEAST_CHOSEN: Final = 3
"""Two groups are hardly ever what anybody can act on, and often have the best silhouette: shown, never chosen."""
LEAST_SILHOUETTE: Final = 0.5
LEAST_SHARE: Final = 0.03
LEAST_STABILITY: Final = 0.8
"""Bootstrap ARI below which a k is not changed to."""
AGREEING_REVIEWS: Final = 3
"""So many reviews in a row must choose the same before it is followed."""
MOST_POINTS: Final = 2_000
RESAMPLES: Final = 8
_RESTARTS: Final = 5
_BOOTSTRAP_RESTARTS: Final = 2
_BAND: Final = (10, 90)


class Banded(NamedTuple):
    """A figure, and between what it lies in 80 % of the bootstrap resamples."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class KPoint:
    """What k segments would be like."""

    k: int
    inertia: Banded
    """Mean squared distance of a customer to the nearest centroid, in units of the metric."""
    silhouette: Banded
    smallest_share: float
    """Of the customers, in the smallest segment."""
    stability: float
    """Mean adjusted Rand index between the clustering and those of bootstrap resamples."""


@dataclass(frozen=True, slots=True)
class Choice:
    """How many segments the curves speak for."""

    k: int
    natural: bool
    """Whether the customers fall into that many groups by themselves; else k is `k_default`."""
    reason: str
    """In words."""


@dataclass(frozen=True, slots=True)
class Streak:
    """How many reviews in a row have chosen the same k: memory of the leader, part of the review document."""

    k: int = 0
    reviews: int = 0

    def after(self, choice: Choice) -> "Streak":
        """With one more review."""
        return Streak(choice.k, self.reviews + 1 if choice.k == self.k else 1)


def curves(
    X: Floats, metric: Metric, seed: int, *, ks: Sequence[int] = SHOWN, points: int = MOST_POINTS
) -> tuple[KPoint, ...]:
    """What each k would be like, on at most so many customers of X (customers, features); k that can not be made lack.

    Bands and stability are from clusterings of 8 bootstrap resamples (Efron, 1979), judged on the customers as often as
    they were drawn. The same seed gives the same curves.
    """
    X = feature_matrix(X, len(metric.means))
    X = X[~np.isnan(X).all(axis=1)]
    rng = np.random.default_rng([seed, len(X)])
    if len(X) > points:
        X = X[np.sort(rng.choice(len(X), points, replace=False))]
    if not len(X):
        return ()
    looked_at = _LookedAt(
        X,
        metric,
        seed,
        distances_between(X, metric),
        tuple(rng.integers(len(X), size=len(X)) for _ in range(RESAMPLES)),
    )
    found: list[KPoint] = []
    for k in ks:
        try:
            found.append(looked_at.point(k))
        except TooFewPointsError:
            continue
    return tuple(found)


@dataclass(frozen=True, eq=False, slots=True)
class _LookedAt:
    """The customers that all curves are of."""

    X: Floats
    metric: Metric
    seed: int
    distances: Floats
    resamples: tuple[Integers, ...]
    """Of each the rows that were drawn, as many as there are, some of them several times."""

    def point(self, k: int) -> KPoint:
        """What k segments of them would be like. Raises TooFewPointsError."""
        n = len(self.X)
        whole = fit(self.X, k, self.metric, self.seed, restarts=_RESTARTS)
        inertias, silhouettes, agreements = [], [], []
        for number, drawn in enumerate(self.resamples):
            again = fit(self.X[drawn], k, self.metric, self.seed + number, restarts=_BOOTSTRAP_RESTARTS)
            labels, squared = self.metric.closest(self.X, again.centroids)
            counts = np.bincount(drawn, minlength=n).astype(np.float64)
            inertias.append(float((squared * counts).sum() / n))
            silhouettes.append(silhouette(self.distances, labels, k, counts))
            agreements.append(adjusted_rand(shared_members(whole.labels, labels, k, k)))
        shares = np.bincount(whole.labels, minlength=k) / n
        return KPoint(
            k=k,
            inertia=_banded(whole.inertia / n, inertias),
            silhouette=_banded(silhouette(self.distances, whole.labels, k), silhouettes),
            smallest_share=float(shares.min()),
            stability=float(np.mean(agreements)),
        )


def _banded(value: float, resampled: Sequence[float]) -> Banded:
    low, high = np.percentile(resampled, _BAND)
    return Banded(value, float(low), float(high))


def choose(points: Sequence[KPoint], k_default: int) -> Choice:
    """The k of the best silhouette from 3 on whose segments all have 3 % of the customers, if it is 0.5 or more.

    Otherwise there is no natural number of groups, and it is `k_default`: the elbow of the inertia says four or five
    whatever the truth, so it is shown and decides nothing.
    """
    allowed = [point for point in points if point.k >= LEAST_CHOSEN and point.smallest_share >= LEAST_SHARE]
    best = max(allowed, key=lambda point: point.silhouette.value, default=None)
    if best is None:
        why = f"no number of segments from {LEAST_CHOSEN} on leaves each with {LEAST_SHARE:.0%} of the customers"
    elif best.silhouette.value < LEAST_SILHOUETTE:
        why = (
            f"the best silhouette, {best.silhouette.value:.2f} with {best.k} segments, is below {LEAST_SILHOUETTE:g}:"
            " customers pass from one kind into another without a gap"
        )
    else:
        reason = (
            f"{best.k} natural groups: silhouette {best.silhouette.value:.2f}, the best from {LEAST_CHOSEN} segments on"
            f" and not below {LEAST_SILHOUETTE:g}, the smallest with {best.smallest_share:.1%} of the customers"
        )
        return Choice(best.k, natural=True, reason=reason)
    return Choice(k_default, natural=False, reason=f"no natural number of groups, so {k_default} (k_default): {why}")


def stability_of(points: Sequence[KPoint], k: int) -> float:
    """The bootstrap ARI of k; 0 where no curve has it."""
    return next((point.stability for point in points if point.k == k), 0.0)


def is_stable(points: Sequence[KPoint], k: int) -> bool:
    """Whether bootstrap resamples find much the same k segments."""
    return stability_of(points, k) >= LEAST_STABILITY
