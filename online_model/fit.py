"""Batch k-means under a metric: k-means++ restarts and Lloyd's iterations over a sample, missing values included."""

from dataclasses import dataclass
from typing import Final

import numpy as np

from contracts.errors import LivesegmentsError
from online_model.arrays import Floats, Labels, feature_matrix
from online_model.metric import Metric, Points, missing_scale

_MAX_ITERATIONS: Final = 300
_ROUGHLY: Final = 1e-4
"""Restarts stop when an iteration saves less than this share of the inertia; only the best goes on to the end."""


class TooFewPointsError(LivesegmentsError):
    """There are fewer distinguishable customers than clusters asked for."""


@dataclass(frozen=True, eq=False, slots=True)
class Fit:
    """A clustering of a sample."""

    centroids: Floats
    """(k, features), in unscaled feature space."""
    inertia: float
    """Sum of squared distances to the nearest centroid."""
    labels: Labels
    """(customers,); -1 where nothing is observed."""


@dataclass(frozen=True, eq=False, slots=True)
class _Sample:
    """The rows with anything observed, and what each Lloyd iteration needs of them."""

    X: Floats
    metric: Metric
    points: Points
    weights: Floats | None
    """(features, n): F / observed where observed, else 0: what makes the mean the point of least inertia; None: 1."""
    weighted: Floats
    """(features, n): weights * X, 0 where not observed."""

    @classmethod
    def of(cls, X: Floats, metric: Metric) -> "_Sample":
        seen = ~np.isnan(X)
        weights = np.ascontiguousarray((seen * missing_scale(X)[:, np.newaxis]).T)
        weighted = weights * np.where(seen, X, 0).T
        return cls(X, metric, metric.points(X), None if seen.all() else weights, np.ascontiguousarray(weighted))

    def means(self, labels: Labels, centroids: Floats) -> Floats:
        """Members' means; the old coordinate where no member has the feature observed."""
        k, features = centroids.shape
        clusters = labels.astype(np.intp)  # what bincount counts by
        first, weight = np.empty((features, k)), np.empty((features, k))
        for feature in range(features):
            first[feature] = np.bincount(clusters, self.weighted[feature], k)
            if self.weights is not None:
                weight[feature] = np.bincount(clusters, self.weights[feature], k)
        if self.weights is None:
            weight[:] = np.bincount(clusters, minlength=k)
        return np.divide(first.T, weight.T, out=centroids.copy(), where=weight.T > 0)


def fit(X: Floats, k: int, metric: Metric, seed: int, *, restarts: int = 10, start: Floats | None = None) -> Fit:
    """The best of so many k-means++ restarts, or the clustering that Lloyd reaches from `start` (k, features).

    X is (customers, features). The same seed gives the same result. Raises TooFewPointsError where fewer than k
    customers differ, NotFiniteError and ShapeError for what is no feature matrix.

    Sources: Lloyd (1982); Arthur and Vassilvitskii, k-means++ (2007), greedy as in scikit-learn.
    """
    X = feature_matrix(X, len(metric.means))
    voting = ~np.isnan(X).all(axis=1)
    sample = _Sample.of(X[voting], metric)
    if start is not None:
        best = _lloyd(sample, start, until=0.0)
    else:
        rough = [
            _lloyd(sample, _plus_plus(sample, k, np.random.default_rng([seed, restart])), until=_ROUGHLY)
            for restart in range(restarts)
        ]
        best = _lloyd(sample, min(rough, key=lambda one: one.inertia).centroids, until=0.0)
    labels = np.full(len(X), -1, np.int32)
    labels[voting] = best.labels
    return Fit(best.centroids, best.inertia, labels)


def _plus_plus(sample: _Sample, k: int, rng: np.random.Generator) -> Floats:
    """Seeds: k rows drawn with chances by squared distance to those drawn before; of several tries the best."""
    n = len(sample.X)
    if n < k:
        raise TooFewPointsError(f"{n} customers can not make {k} segments; wait for more or choose a smaller k")
    tries = 2 + int(np.log(k))
    chosen = [int(rng.integers(n))]
    closest = sample.metric.squared_distances(sample.X, _seeds(sample, chosen)).ravel()
    while len(chosen) < k:
        cumulated = np.cumsum(closest)
        if not cumulated[-1] > 0:
            raise TooFewPointsError(
                f"only {len(chosen)} different customers can not make {k} segments; wait for more or choose a smaller k"
            )
        drawn = np.searchsorted(cumulated, rng.random(tries) * cumulated[-1], side="right")
        candidates = [int(one) for one in np.minimum(drawn, n - 1)]
        distances = sample.metric.squared_distances(sample.X, _seeds(sample, candidates))
        np.minimum(distances, closest[:, np.newaxis], out=distances)
        best = int(distances.sum(axis=0).argmin())
        chosen.append(candidates[best])
        closest = distances[:, best].copy()
    return _seeds(sample, chosen)


def _seeds(sample: _Sample, chosen: list[int]) -> Floats:
    rows = sample.X[chosen]
    return np.where(np.isnan(rows), sample.metric.means, rows)


def _lloyd(sample: _Sample, centroids: Floats, until: float) -> Fit:
    """Assign and average until nothing changes, or an iteration saves less than `until` of the inertia."""
    before: Labels | None = None
    inertia = np.inf
    for _ in range(_MAX_ITERATIONS):
        labels, own = sample.metric.closest_of(sample.points, centroids)
        reseeded = _reseed_empty(labels, own, len(centroids))
        now = float(own.sum())
        if not reseeded and before is not None and (inertia - now <= until * now or np.array_equal(labels, before)):
            return Fit(centroids, now, labels)
        centroids = sample.means(labels, centroids)
        before, inertia = labels, now
    labels, own = sample.metric.closest_of(sample.points, centroids)
    return Fit(centroids, float(own.sum()), labels)


def _reseed_empty(labels: Labels, own: Floats, k: int) -> bool:
    """Give every empty cluster the row farthest from its centroid, in place; whether there was one that could be."""
    counts = np.bincount(labels, minlength=k)
    reseeded = False
    for empty in np.flatnonzero(counts == 0):
        farthest = int(own.argmax()) if own.size else 0
        if not own.size or not own[farthest] > 0:
            break
        labels[farthest] = empty
        own[farthest] = 0
        reseeded = True
    return reseeded
