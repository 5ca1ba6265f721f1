"""Where customers lie on a flat or a spatial picture: the principal components of their features.

What is learnt is a sum over rows again: the second moments of standardised features. It is added up afresh over a
sample when a picture is wanted, rather than kept up with every event (docs/adr/0012-moments-on-the-sample.md).
"""

from dataclasses import dataclass
from typing import Any, Final, Self

import numpy as np

from contracts.errors import LivesegmentsError
from online_model.arrays import Floats, ShapeError, feature_matrix
from online_model.metric import Metric

_TIE: Final = 1e-9
"""Loadings this near to the largest are as large: rounding must not turn a picture round."""


class ProjectionError(LivesegmentsError):
    """There are no principal components of what was given."""


@dataclass(frozen=True, eq=False, slots=True)
class Moments:
    """Sums over customers of standardised features. Adding two gives the sums over both.

    What is not observed counts as the mean, hence adds nothing. Customers with nothing observed are not counted.
    """

    customers: int
    first: Floats
    """(features,)"""
    second: Floats
    """(features, features): products of each two."""

    @classmethod
    def of(cls, X: Floats, metric: Metric) -> Self:
        """Over the rows of X (customers, features)."""
        X = feature_matrix(X, len(metric.means))
        Z = standardised(X[~np.isnan(X).all(axis=1)], metric)
        return cls(len(Z), Z.sum(axis=0), Z.T @ Z)

    def __add__(self, other: "Moments") -> "Moments":
        if self.second.shape != other.second.shape:
            raise ShapeError("moments of different features can not be added")
        return Moments(self.customers + other.customers, self.first + other.first, self.second + other.second)

    def covariance(self) -> Floats:
        """Of the standardised features, (features, features), divided by n - 1 as is usual for a sample.

        Raises ProjectionError for fewer than two customers.
        """
        if self.customers < 2:
            raise ProjectionError("two customers at least make a picture; wait for more")
        centred = self.second - np.outer(self.first, self.first) / self.customers
        return np.asarray(centred / (self.customers - 1))


@dataclass(frozen=True, eq=False, slots=True)
class Projection:
    """Principal components: directions in standardised feature space along which customers differ most."""

    metric: Metric
    centre: Floats
    """(features,): the customers' mean, standardised; it lies at the origin of the picture."""
    components: Floats
    """(dimensions, features): unit vectors. The largest coordinate of each is positive, of equals the first."""
    variances: Floats
    """(dimensions,): of the customers along each component, falling."""
    total_variance: float
    """Along all components, also those that are not shown."""

    @property
    def explained(self) -> Floats:
        """Share of the total variance that each component shows, (dimensions,); 0 where customers do not differ."""
        return self.variances / self.total_variance if self.total_variance > 0 else np.zeros(len(self.variances))

    @property
    def loadings(self) -> Floats:
        """(dimensions, features): component · √variance; where a feature has deviation 1, their correlation."""
        return np.asarray(self.components * np.sqrt(self.variances)[:, np.newaxis])

    def place(self, X: Floats) -> Floats:
        """Coordinates of customers or centroids X (n, features), as (n, dimensions); NaN where nothing is observed."""
        X = feature_matrix(X, len(self.centre))
        points: Floats = (standardised(X, self.metric) - self.centre) @ self.components.T
        points[np.isnan(X).all(axis=1)] = np.nan
        return points

    def to_plain(self) -> dict[str, Any]:
        """Numbers and lists only, for JSON."""
        return {
            "centre": self.centre.tolist(),
            "components": self.components.tolist(),
            "variances": self.variances.tolist(),
            "explained": self.explained.tolist(),
            "loadings": self.loadings.tolist(),
        }


def standardised(X: Floats, metric: Metric) -> Floats:
    """(X - mean) / deviation, (customers, features); 0 where not observed and where a feature is constant."""
    Z: Floats = (X - metric.means) * np.sqrt(metric.precisions)
    return np.where(np.isnan(X), 0.0, Z)


def project(moments: Moments, metric: Metric, dimensions: int = 2) -> Projection:
    """The principal components, at most as many as there are features.

    `metric` is the one that the moments were made with. Raises ProjectionError for fewer than one dimension or two
    customers. Sources: Pearson (1901); Hotelling (1933).
    """
    if dimensions < 1:
        raise ProjectionError(f"a picture has at least 1 dimension, not {dimensions}")
    covariance = moments.covariance()
    values, vectors = np.linalg.eigh(covariance)
    falling = np.argsort(-values, kind="stable")[:dimensions]
    return Projection(
        metric=metric,
        centre=moments.first / moments.customers,
        components=_signed(vectors[:, falling].T),
        variances=np.maximum(values[falling], 0.0),
        total_variance=float(np.maximum(values, 0.0).sum()),
    )


def of_sample(X: Floats, metric: Metric, dimensions: int = 2) -> Projection:
    """The principal components of a sample X (customers, features)."""
    return project(Moments.of(X, metric), metric, dimensions)


def _signed(components: Floats) -> Floats:
    """Each turned so that its largest coordinate is positive: an eigenvector is one either way round."""
    sizes = np.abs(components)
    largest = (sizes >= sizes.max(axis=1, keepdims=True) - _TIE).argmax(axis=1)
    signs = np.sign(components[np.arange(len(components)), largest])
    return np.asarray(components * signs[:, np.newaxis])
