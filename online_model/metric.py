"""The metric of a model version: squared distances over what is observed, each feature in its unit."""

from dataclasses import dataclass
from typing import Self

import numpy as np

from online_model.arrays import Booleans, Floats, Integers, Labels, ShapeError, feature_matrix, frozen

_CONSTANT = 1e-10
"""A variance below this share of the mean square is rounding: the feature is constant."""
_BLOCK = 4096
"""Customers whose distances to all centroids stay near the processor."""
_LEVELS = 2.0
"""Standard deviations of all levels together that make one unit: a quarter of the variance."""


def missing_scale(X: Floats) -> Floats:
    """F / observed features of each row, (customers,): what scales its distances up; 0 where nothing is observed."""
    features = X.shape[1]
    observed = features - np.count_nonzero(np.isnan(X), axis=1)
    return np.asarray(np.divide(features, observed, out=np.zeros(len(X)), where=observed > 0))


@dataclass(frozen=True, eq=False, slots=True)
class Scaling:
    """What turns standard deviations into the units of distance. Without any, they are the units.

    Indicators of one attribute's levels share a unit that leaves all of them together at most a quarter of the variance
    of a numeric feature, and any two levels at most one unit apart: as features of their own they would outweigh
    everything else, and every segment would be one gender.
    """

    spans: Floats
    """(features,): the unit of a column, its range; NaN where it is the standard deviation."""
    groups: Labels
    """(features,): columns of one number are the levels of one attribute; -1 for a column by itself."""

    def units(self, deviations: Floats) -> Floats:
        """Units by column, (features,), of these standard deviations; 0 where nothing varies."""
        units: Floats = np.where(np.isnan(self.spans), deviations, np.where(deviations > 0, self.spans, 0))
        for group in range(int(self.groups.max(initial=-1)) + 1):
            levels = self.groups == group
            variance = float((deviations[levels] ** 2).sum())
            units[levels] = max(_LEVELS * np.sqrt(variance), np.sqrt(2)) if variance > 0 else 0.0
        return units


@dataclass(frozen=True, eq=False, slots=True)
class Points:
    """Rows of a feature matrix in units of a metric, feature by feature."""

    columns: Floats
    """(features, customers)."""
    absent: Booleans | None = None
    """(features, customers): what is not observed; None where everything is."""
    scale: Floats | None = None
    """`missing_scale` of each, likewise."""
    unseen: Integers | None = None
    """Places of those of whom nothing is observed, likewise."""


@dataclass(frozen=True, eq=False, slots=True)
class Metric:
    """Means and deviations of the population, (features,). A deviation of 0 marks a constant feature.

    Deviations are what distances divide by: standard deviations, unless a Scaling says otherwise.
    """

    means: Floats
    deviations: Floats

    def __post_init__(self) -> None:
        if self.means.shape != self.deviations.shape or self.means.ndim != 1:
            raise ShapeError("a metric needs one mean and one deviation for each feature")
        object.__setattr__(self, "means", frozen(self.means))
        object.__setattr__(self, "deviations", frozen(self.deviations))

    @classmethod
    def euclidean(cls, features: int) -> Self:
        """The metric that scales nothing."""
        return cls(np.zeros(features), np.ones(features))

    @classmethod
    def of_moments(cls, observed: Floats, first: Floats, second: Floats, scaling: Scaling | None = None) -> Self:
        """From counts, sums and sums of squares of the observed values, each (features,)."""
        count = np.maximum(observed, 1)
        means = first / count
        mean_squares = second / count
        variances = mean_squares - means**2
        return cls._of(means, np.where(variances > _CONSTANT * mean_squares, variances, 0), scaling)

    @classmethod
    def of_sample(cls, X: Floats, scaling: Scaling | None = None) -> Self:
        """From the observed values of a sample (customers, features)."""
        seen = ~np.isnan(X)
        filled = np.where(seen, X, 0)
        observed = np.count_nonzero(seen, axis=0).astype(np.float64)
        means = filled.sum(axis=0) / np.maximum(observed, 1)
        # Around the mean, where there is a sample to go through twice: no cancellation.
        centred = np.where(seen, X - means, 0)
        variances = (centred**2).sum(axis=0) / np.maximum(observed, 1)
        constant = variances <= _CONSTANT * (variances + means**2)
        return cls._of(means, np.where(constant, 0, variances), scaling)

    @classmethod
    def _of(cls, means: Floats, variances: Floats, scaling: Scaling | None) -> Self:
        deviations = np.sqrt(variances)
        return cls(means, deviations if scaling is None else scaling.units(deviations))

    @property
    def precisions(self) -> Floats:
        """1 / variance of each feature, 0 where it is constant: such a feature tells nobody apart."""
        varies = self.deviations > 0
        return np.asarray(np.divide(1.0, self.deviations**2, out=np.zeros(len(varies)), where=varies))

    def squared_distances(self, X: Floats, centroids: Floats) -> Floats:
        """Squared distances (customers, k), over observed features scaled by F / observed; 0 where nothing is observed.

        Raises ShapeError where X or the centroids have another number of features, NotFiniteError for infinity.
        """
        return self._by_cluster(self.points(X), centroids).T

    def nearest(self, X: Floats, centroids: Floats) -> Labels:
        """The nearest centroid of each row, (customers,) int32; -1 where nothing is observed. Ties go to the first."""
        return self.closest(X, centroids)[0]

    def closest(self, X: Floats, centroids: Floats) -> tuple[Labels, Floats]:
        """The nearest centroid of each row as in `nearest`, and the squared distance to it, (customers,)."""
        return self.closest_of(self.points(X), centroids)

    def points(self, X: Floats) -> Points:
        """Rows made ready for distances: once, where they are held against many centroids in turn."""
        X = feature_matrix(X, len(self.means))
        missing = np.isnan(X)
        # One contiguous row per feature: numpy walks them at memory speed.
        columns = np.ascontiguousarray((X * np.sqrt(self.precisions)).T)
        if not missing.any():
            return Points(columns)
        absent = np.ascontiguousarray(missing.T)
        return Points(columns, absent, missing_scale(X), np.flatnonzero(missing.all(axis=1)))

    def closest_of(self, points: Points, centroids: Floats) -> tuple[Labels, Floats]:
        """`closest` for points that are made ready."""
        distances = self._by_cluster(points, centroids)
        labels: Labels = np.zeros(distances.shape[1], np.int32)
        closest = distances[0].copy()
        # numpy's argmin across rows this short takes longer than all the distances.
        for cluster in range(1, len(distances)):
            np.putmask(labels, distances[cluster] < closest, cluster)
            np.minimum(closest, distances[cluster], out=closest)
        if points.unseen is not None:
            labels[points.unseen] = -1
        return labels, closest

    def _by_cluster(self, points: Points, centroids: Floats) -> Floats:
        """Squared distances, (k, customers)."""
        features, n = points.columns.shape
        targets = feature_matrix(centroids, features) * np.sqrt(self.precisions)
        distances: Floats = np.zeros((len(targets), n))
        terms: Floats = np.empty((len(targets), min(n, _BLOCK)))
        for start in range(0, n, _BLOCK):
            some = slice(start, min(start + _BLOCK, n))
            total = distances[:, some]
            term = terms[:, : total.shape[1]]
            for feature in range(features):
                np.subtract(points.columns[feature, some], targets[:, feature, np.newaxis], out=term)
                np.multiply(term, term, out=term)
                if points.absent is not None:
                    term[:, points.absent[feature, some]] = 0
                np.add(total, term, out=total)
        if points.scale is not None:
            distances *= points.scale
        return distances
