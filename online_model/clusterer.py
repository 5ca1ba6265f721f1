"""The seam through which the service learns: what a clusterer must offer, and the two that settings may name."""

import math
from typing import Protocol

import numpy as np
from river import cluster

from online_model.arrays import Floats, Labels, feature_matrix
from online_model.kmeans import CustomerKMeans, NotSeededError
from online_model.metric import Metric
from online_model.model import SegmentModel
from online_model.settings import ModelSettings
from online_model.sums import ClusterSums, Votes


class OnlineClusterer(Protocol):
    """Learns from votes, assigns by what was adopted."""

    @property
    def sums(self) -> ClusterSums | None:
        """The sums over the votes; None before the first `adopt`."""

    def adopt(self, centroids: Floats, metric: Metric) -> None:
        """Assign by these centroids, (k, features), and this metric from now on."""

    def learn(self, before: Votes | None, after: Votes | None) -> None:
        """Replace customers' old votes by new ones."""

    def assign(self, X: Floats) -> Labels:
        """The cluster of each row by the adopted centroids, (customers,) int32; -1 where nothing is observed."""

    def centroids(self) -> Floats:
        """What has been learnt, (k, features): the centroids that could be adopted."""


class RiverKMeans:
    """Stock `river.cluster.KMeans` behind the seam, for comparison; it can not take votes back.

    Features go in standardised under their column numbers, since its centres step by a constant share and its Gaussian
    seeds depend on the order of a set of names; centres are always given. What a customer lacks stays where it is.
    """

    def __init__(self, partitions: int = 1, halflife: float = 0.02) -> None:
        self.partitions = partitions
        self.halflife = halflife
        self.sums: ClusterSums | None = None
        self._model: cluster.KMeans | None = None
        self._metric: Metric | None = None
        self._adopted: Floats | None = None

    def adopt(self, centroids: Floats, metric: Metric) -> None:
        """Assign by these centroids, and let river go on from them."""
        self._adopted, self._metric = feature_matrix(centroids, len(metric.means)), metric
        k, features = self._adopted.shape
        self._model = cluster.KMeans(n_clusters=k, halflife=self.halflife, seed=0)
        standardised = (self._adopted - metric.means) * np.sqrt(metric.precisions)
        for place, row in enumerate(standardised.tolist()):
            self._model.centers[place].update(enumerate(row))
        if self.sums is None or (self.sums.clusters, self.sums.features) != (k, features):
            self.sums = ClusterSums(self.partitions, k, features)

    def learn(self, before: Votes | None, after: Votes | None) -> None:
        """Let river learn the new votes one by one; the sums, which figures come from, replace the old ones."""
        if self.sums is None or self._model is None or self._metric is None:
            raise NotSeededError("adopt a model's centroids before learning votes")
        self.sums.revise(before, after)
        if after is not None:
            standardised = (after.X[after.clusters >= 0] - self._metric.means) * np.sqrt(self._metric.precisions)
            for row in standardised.tolist():
                self._model.learn_one(  # type: ignore[no-untyped-call]
                    {name: value for name, value in enumerate(row) if not math.isnan(value)}
                )

    def assign(self, X: Floats) -> Labels:
        """The nearest adopted centroid of each row, (customers,) int32; -1 where nothing is observed."""
        if self._adopted is None or self._metric is None:
            raise NotSeededError("adopt a model's centroids before assigning")
        return self._metric.nearest(X, self._adopted)

    def centroids(self) -> Floats:
        """River's centres in unscaled feature space, (k, features)."""
        if self._model is None or self._metric is None:
            raise NotSeededError("there are no centroids before a model")
        centers = self._model.centers
        features = range(len(self._metric.means))
        standardised = np.array([[centers[place][name] for name in features] for place in range(len(centers))])
        return np.asarray(standardised * self._metric.deviations + self._metric.means)


def clusterer_for(model: SegmentModel, settings: ModelSettings, partitions: int) -> OnlineClusterer:
    """The clusterer that settings name, at the centroids of a model, with empty sums over so many partitions."""
    chosen: OnlineClusterer
    if settings.clusterer == "river":
        chosen = RiverKMeans(partitions)
    else:
        chosen = CustomerKMeans(model.k, model.seed, partitions, model.features)
    chosen.adopt(model.centroids, model.metric)
    return chosen
