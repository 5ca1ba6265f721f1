"""CustomerKMeans: incremental k-means as means of members, one vote a customer, on river's verbs."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from river import cluster

from contracts.errors import LivesegmentsError
from online_model.arrays import Floats, Labels, NotFiniteError, feature_matrix
from online_model.fit import TooFewPointsError, fit
from online_model.metric import Metric
from online_model.sums import ClusterSums, Votes

_WARM_UP: Final = 20
"""Anonymous votes for each cluster that are clustered as a batch, before the means go on by themselves."""


class NotSeededError(LivesegmentsError):
    """The clusterer has no centroids yet."""


class CustomerKMeans(cluster.KMeans):
    """Incremental k-means in which a customer has one vote, and centroids are the means of their members.

    Unlike `river.cluster.KMeans` it is seeded by k-means++ over the first votes (river draws Gaussians), moves a
    centroid to the exact mean of its members (river steps by a constant share), and can take a vote back: `revise_many`
    replaces what customers contributed before by what they contribute now. It is never changed by predicting, does not
    depend on the order of features, and is reproducible from its seed.

    In the service the adopted centroids assign and the sums learn: `adopt`, `assign`, `learn`, `centroids`. By itself,
    on river's verbs, it adopts the means after every call.

    Args:
        n_clusters: Clusters to form; fewer while fewer votes differ.
        seed: Of k-means++.
        partitions: Of the sums.
        features: Names of the features, fixed. Without them those of the first vote, sorted. A feature that a vote
            lacks counts as not observed; one that is not among the names is ignored.

    Attributes:
        centers: Central positions of each cluster, by feature.
        sums: What has been learnt; None before the first centroids.

    Example:
    >>> model = CustomerKMeans(n_clusters=2, seed=1)
    >>> for visits in [1, 2, 10, 12]:
    ...     model.learn_one({"visits": visits})
    >>> sorted(center["visits"] for center in model.centers.values())
    [1.5, 11.0]
    >>> model.predict_one({"visits": 3}) == model.predict_one({"visits": 0})
    True
    """

    def __init__(
        self, n_clusters: int = 5, seed: int = 1, partitions: int = 1, features: tuple[str, ...] | None = None
    ) -> None:
        # Not river's constructor: it draws Gaussian centres, and keeps parameters that mean nothing here.
        self.n_clusters = n_clusters
        self.seed = seed
        self.partitions = partitions
        self.features = features
        self._names: tuple[Any, ...] | None = features
        self._first: list[Floats] = []
        self._adopted: Floats | None = None
        self._metric: Metric | None = None
        self.sums: ClusterSums | None = None

    # ---- the seam: what the service calls ----

    def adopt(self, centroids: Floats, metric: Metric) -> None:
        """Assign by these centroids, (k, features), from now on. Sums go on where their shape still fits."""
        self._adopted, self._metric = feature_matrix(centroids, len(metric.means)), metric
        k, features = self._adopted.shape
        if self.sums is None or (self.sums.clusters, self.sums.features) != (k, features):
            self.sums = ClusterSums(self.partitions, k, features)

    def learn(self, before: Votes | None, after: Votes | None) -> None:
        """Replace old votes by new ones; the adopted centroids stay. Raises NotSeededError before the first `adopt`."""
        if self.sums is None:
            raise NotSeededError("adopt a model's centroids before learning votes")
        self.sums.revise(before, after)

    def assign(self, X: Floats) -> Labels:
        """The nearest adopted centroid of each row, (customers,) int32; -1 where nothing is observed."""
        if self._adopted is None or self._metric is None:
            raise NotSeededError("adopt a model's centroids, or learn votes, before assigning")
        return self._metric.nearest(X, self._adopted)

    def centroids(self) -> Floats:
        """The means of the members, (k, features); the adopted centroid where a cluster has none."""
        if self._adopted is None or self.sums is None:
            raise NotSeededError("there are no centroids before votes or a model")
        return self.sums.merged().means(empty=self._adopted)

    # ---- river's verbs ----

    @property
    def centers(self) -> dict[int, dict[Any, float]]:  # type: ignore[override]
        """Cluster to feature to coordinate, as in river; a copy."""
        if self._adopted is None:
            return {}
        names = self._names or tuple(range(self._adopted.shape[1]))
        return {place: dict(zip(names, row, strict=True)) for place, row in enumerate(self._adopted.tolist())}

    @property
    def _mutable_attributes(self) -> set[str]:
        return set()

    @classmethod
    def _unit_test_params(cls) -> Iterator[dict[str, Any]]:
        yield {"n_clusters": 5}

    def learn_one(self, x: Mapping[Any, float]) -> None:
        """One new anonymous vote. Raises NotFiniteError for NaN or infinity: leave out what is not known."""
        if self._names is None:
            self._names = tuple(sorted(x, key=str))
        self._learn_anonymous(self._row(x))

    def predict_one(self, x: Mapping[Any, float]) -> int:
        """The nearest centroid; 0 before anything is learnt, or where no known feature is given."""
        if self._adopted is None:
            return 0
        return max(0, int(self.assign(self._row(x))[0]))

    def learn_predict_one(self, x: Mapping[Any, float]) -> int:
        """Equivalent to `learn_one(x)` and then `predict_one(x)`."""
        self.learn_one(x)
        return self.predict_one(x)

    def learn_many(self, X: npt.ArrayLike) -> None:
        """New anonymous votes: a DataFrame, by column names, or an array (votes, features) in the features' order."""
        self._learn_anonymous(self._matrix(X))

    def predict_many(self, X: npt.ArrayLike) -> Labels:
        """The nearest centroids, (votes,) int32; 0 before anything is learnt, -1 where nothing is observed."""
        if self._adopted is None or self._names is None:
            return np.zeros(len(np.asarray(X)), np.int32)
        return self.assign(self._matrix(X))

    def revise_many(self, before: Votes | None, after: npt.ArrayLike | None) -> Votes | None:
        """Take old votes back, cast new ones, adopt the means. Returns the new votes: to be handed back as `before`.

        The first call seeds; raises TooFewPointsError where fewer votes differ than there are clusters.
        """
        matrix = None if after is None else self._matrix(after)
        if self.sums is None or self._first:
            if before is not None or matrix is None:
                raise NotSeededError("there are no votes to take back yet: the first call casts some")
            # Votes that can be taken back need clusters that stay: no batch after this one may seed again.
            self._seed(self._first, [*self._first, *matrix], self.n_clusters)
            self._first = []
        votes = None if matrix is None else Votes(np.zeros(len(matrix), np.int32), self.assign(matrix), matrix)
        self._settle(before, votes)
        return votes

    # ---- inside ----

    def _learn_anonymous(self, X: Floats) -> None:
        if self.sums is not None and not self._first:
            self._settle(None, Votes(np.zeros(len(X), np.int32), self.assign(X), X))
            return
        self._first.extend(row.copy() for row in X if not np.isnan(row).all())
        for k in range(min(self.n_clusters, len(self._first)), 0, -1):
            try:
                self._seed(self._first, self._first, k)
            except TooFewPointsError:
                continue
            break
        if len(self._first) >= _WARM_UP * self.n_clusters:
            self._first = []

    def _seed(self, votes: list[Floats], points: list[Floats], k: int) -> None:
        """Start anew: centroids by batch k-means over the points, sums over the votes."""
        X = np.array(points)
        metric = self._metric or Metric.euclidean(X.shape[1])
        self.sums = None
        self.adopt(fit(X, k, metric, int(self.seed or 0)).centroids, metric)
        if votes:
            cast = np.array(votes)
            self.learn(None, Votes(np.zeros(len(cast), np.int32), self.assign(cast), cast))

    def _settle(self, before: Votes | None, after: Votes | None) -> None:
        """Learn, then adopt the means; an empty cluster moves into the widest."""
        self.learn(before, after)
        if self.sums is None or self._metric is None:
            return
        merged = self.sums.merged()
        if merged.total:
            self._adopted = merged.reseeded(self.centroids(), self._metric)

    def _row(self, x: Mapping[Any, float]) -> Floats:
        values = [float(x[name]) if name in x else np.nan for name in self._names or ()]
        if any(name in x and not np.isfinite(x[name]) for name in self._names or ()):
            raise NotFiniteError("a vote holds NaN or infinity; leave a feature out where its value is not known")
        return np.array([values], np.float64)

    def _matrix(self, X: npt.ArrayLike) -> Floats:
        columns = getattr(X, "columns", None)
        if columns is not None and hasattr(X, "reindex"):
            if self._names is None:
                self._names = tuple(sorted(columns, key=str))
            X = X.reindex(columns=list(self._names)).to_numpy(dtype=np.float64)
        matrix = feature_matrix(X, None if self._names is None else len(self._names))
        if self._names is None:
            self._names = tuple(range(matrix.shape[1]))
        return matrix
