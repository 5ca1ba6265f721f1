"""What is learnt: sums over customers' votes, by partition and cluster, that `revise` keeps exact.

A customer with o of F features observed adds F/o of each observed value, so that inertia and gain computed from the
sums equal those computed from the customers, whatever is missing.
"""

import struct
from dataclasses import dataclass
from typing import Final, Self

import numpy as np

from contracts.errors import LivesegmentsError
from online_model.arrays import Floats, Integers, Labels, ShapeError, feature_matrix
from online_model.metric import Metric, Scaling, missing_scale

_HEADER: Final = struct.Struct("<4sII")
_MAGIC: Final = b"sum1"
# Channels of a cell, after the number of customers: each (features,).
_WEIGHT, _FIRST, _SECOND, _OBSERVED, _PLAIN_FIRST, _PLAIN_SECOND = range(6)


class SumsFormatError(LivesegmentsError):
    """Stored sums can not be read: another version wrote them, or they are damaged."""


@dataclass(frozen=True, eq=False, slots=True)
class Votes:
    """What customers contribute: one vote each, in a cluster of a partition. Cluster -1 is no vote."""

    partitions: Labels
    """(n,)"""
    clusters: Labels
    """(n,)"""
    X: Floats
    """(n, features); NaN where not observed."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "X", feature_matrix(self.X))
        if self.partitions.shape != (len(self.X),) or self.clusters.shape != (len(self.X),):
            raise ShapeError("votes need one partition and one cluster for each row of X")

    def __len__(self) -> int:
        return len(self.clusters)


@dataclass(frozen=True, eq=False, slots=True)
class Sums:
    """Sums over the customers of some partitions. Adding two gives the sums over both."""

    cells: Floats
    """(k, 1 + 6 * features): customers, then the six channels."""

    @property
    def features(self) -> int:
        """How many features."""
        width: int = self.cells.shape[1]
        return (width - 1) // 6

    def __add__(self, other: "Sums") -> "Sums":
        if self.cells.shape != other.cells.shape:
            raise ShapeError("sums of different models can not be added")
        return Sums(self.cells + other.cells)

    def _channel(self, channel: int) -> Floats:
        return self.cells[:, 1:].reshape(len(self.cells), 6, self.features)[:, channel]

    @property
    def counts(self) -> Integers:
        """Customers by cluster, (k,)."""
        return np.rint(self.cells[:, 0]).astype(np.int64)

    @property
    def total(self) -> int:
        """Customers with a vote."""
        return int(self.counts.sum())

    def metric(self, scaling: Scaling | None = None) -> Metric:
        """Means and deviations of the observed values over all clusters."""
        return Metric.of_moments(
            self._channel(_OBSERVED).sum(axis=0),
            self._channel(_PLAIN_FIRST).sum(axis=0),
            self._channel(_PLAIN_SECOND).sum(axis=0),
            scaling,
        )

    def means(self, empty: Floats) -> Floats:
        """The centroids of least inertia for these votes, (k, features); `empty` (k, features) where there are none."""
        weight = self._channel(_WEIGHT)
        # A weight is a sum of numbers from 1 to F; what is left after all are gone again is rounding.
        voted = (weight > 0.5) & (self.counts > 0)[:, np.newaxis]
        return np.asarray(np.divide(self._channel(_FIRST), weight, out=empty.astype(np.float64), where=voted))

    def spreads(self) -> Floats:
        """Standard deviations within each cluster, (k, features); 0 where nobody is."""
        observed = self._channel(_OBSERVED)
        count = np.maximum(observed, 1)
        mean = self._channel(_PLAIN_FIRST) / count
        return np.sqrt(np.maximum(self._channel(_PLAIN_SECOND) / count - mean**2, 0)) * (observed > 0.5)

    def inertias(self, centroids: Floats, metric: Metric) -> Floats:
        """Squared distances to the centroid of their cluster, summed over its customers: (k,)."""
        by_feature = (
            self._channel(_SECOND) - 2 * centroids * self._channel(_FIRST) + centroids**2 * self._channel(_WEIGHT)
        )
        return np.maximum(by_feature, 0) @ metric.precisions

    def inertia(self, centroids: Floats, metric: Metric) -> float:
        """The sum of squared distances of all customers to the centroid of their cluster."""
        return float(self.inertias(centroids, metric).sum())

    def moved(self, centroids: Floats, target: Floats, metric: Metric) -> float:
        """How far centroids are from where they are to go: Σ N_k·d²(target_k, centroid_k) / inertia.

        For the means this is exactly the share of the inertia that adopting them saves.
        """
        inertia = self.inertia(centroids, metric)
        distance = float((self._channel(_WEIGHT) * (target - centroids) ** 2 @ metric.precisions).sum())
        return distance / inertia if inertia > 0 else 0.0

    def gain(self, centroids: Floats, metric: Metric) -> float:
        """The share of the inertia that adopting the means saves."""
        return self.moved(centroids, self.means(empty=centroids), metric)

    def reseeded(self, centroids: Floats, metric: Metric) -> Floats:
        """A copy with each empty cluster in the one of largest inertia, a deviation off on its widest feature.

        Sums hold no customers to start from; the assignments that follow do the rest.
        """
        reseeded: Floats = centroids.copy()
        inertias, spreads = self.inertias(centroids, metric), self.spreads()
        for empty in np.flatnonzero(self.counts == 0):
            worst = int(inertias.argmax())
            inertias[worst] = 0  # two empty clusters do not go to the same place
            widest = int((spreads[worst] ** 2 * metric.precisions).argmax())
            reseeded[empty] = centroids[worst]
            reseeded[empty, widest] += spreads[worst, widest]
        return reseeded

    def to_bytes(self) -> bytes:
        """A small header, then the cells as little-endian float64."""
        k = len(self.cells)
        return _HEADER.pack(_MAGIC, k, self.features) + self.cells.astype("<f8").tobytes()

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """The sums as stored by `to_bytes`. Raises SumsFormatError."""
        if len(data) < _HEADER.size:
            raise SumsFormatError("stored sums are cut short; delete them, workers write them anew")
        magic, k, features = _HEADER.unpack_from(data)
        width = 1 + 6 * features
        if magic != _MAGIC or len(data) != _HEADER.size + 8 * k * width:
            raise SumsFormatError("stored sums have another format; delete them, workers write them anew")
        return cls(np.frombuffer(data, "<f8", offset=_HEADER.size).reshape(k, width).astype(np.float64))


class ClusterSums:
    """The sums of every partition, kept under `revise(before, after)`."""

    def __init__(self, partitions: int, clusters: int, features: int) -> None:
        self.partitions = partitions
        self.clusters = clusters
        self.features = features
        self._cells: Floats = np.zeros((partitions, clusters, 1 + 6 * features))

    def revise(self, before: Votes | None, after: Votes | None) -> None:
        """Take back the votes before, count the votes after.

        Raises ShapeError where votes do not fit in: other features, or a partition or cluster that is not there.
        """
        # Checked before anything is added: half a revision could not be taken back.
        signed = [(votes, sign) for votes, sign in ((before, -1.0), (after, 1.0)) if votes is not None and len(votes)]
        additions = [self._contributions(votes, sign) for votes, sign in signed]
        for added in additions:
            self._cells += added

    def _contributions(self, votes: Votes, sign: float) -> Floats:
        if votes.X.shape[1] != self.features:
            raise ShapeError(f"votes have {votes.X.shape[1]} features, the sums {self.features}")
        voting = votes.clusters >= 0
        partitions, clusters, X = votes.partitions[voting], votes.clusters[voting], votes.X[voting]
        if np.any(clusters >= self.clusters) or np.any((partitions < 0) | (partitions >= self.partitions)):
            raise ShapeError(f"a vote outside {self.partitions} partitions and {self.clusters} clusters")
        width = 1 + 6 * self.features
        terms: Floats = np.empty((len(X), width))
        terms[:, 0] = sign
        channels = terms[:, 1:].reshape(len(X), 6, self.features)
        seen = ~np.isnan(X)
        values = np.where(seen, X, 0.0)
        channels[:, _OBSERVED] = seen
        channels[:, _PLAIN_FIRST] = values
        channels[:, _PLAIN_SECOND] = values * values
        channels[:, _OBSERVED:] *= sign
        channels[:, :_OBSERVED] = channels[:, _OBSERVED:] * missing_scale(X)[:, np.newaxis, np.newaxis]
        cells = self.partitions * self.clusters
        cell = partitions.astype(np.int64) * self.clusters + clusters
        # One bincount over (cell, column) pairs: add.at on rows is ten times slower.
        places = cell[:, np.newaxis] * width + np.arange(width)
        added = np.bincount(places.ravel(), weights=terms.ravel(), minlength=cells * width)
        return added.astype(np.float64, copy=False).reshape(self._cells.shape)

    def partition(self, partition: int) -> Sums:
        """The sums of one partition, a copy."""
        return Sums(self._cells[partition].copy())

    def drop_partition(self, partition: int) -> None:
        """Forget a partition that went to another worker."""
        self._cells[partition] = 0

    def merged(self) -> Sums:
        """The sums over all partitions."""
        return Sums(self._cells.sum(axis=0))
