"""Which segments are alike: Ward's hierarchy over the centroids, weighted by size, or over a sample of customers."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Self

import numpy as np
from scipy.cluster.hierarchy import linkage

from contracts.errors import LivesegmentsError
from online_model.arrays import Floats, Integers, Labels, ShapeError, feature_matrix
from online_model.metric import Metric
from online_model.model import SegmentModel
from online_model.projection import standardised

MAX_SAMPLE: Final = 2_000
"""Customers of a subsample at most: Ward over n of them takes n² distances."""


class HierarchyError(LivesegmentsError):
    """There is no hierarchy of what was given, or no such cut of it."""


@dataclass(frozen=True, slots=True)
class Merge:
    """Two clusters becoming one. Leaves are 0 … n-1; the i-th merge makes cluster n + i."""

    left: int
    """The lower number of the two."""
    right: int
    height: float
    """sqrt(2 · the growth of the inertia), in units of the metric: for two single customers, their distance."""
    size: int
    """Customers in it."""


@dataclass(frozen=True, slots=True)
class Dendrogram:
    """A hierarchy as plain data: n leaves, n-1 merges, never one lower than the one before."""

    sizes: tuple[int, ...]
    """Customers in each leaf."""
    merges: tuple[Merge, ...]

    @property
    def leaf_order(self) -> tuple[int, ...]:
        """The leaves in an order in which no two branches of the picture cross."""
        if not self.merges:
            return (0,)
        leaves = len(self.sizes)
        order: list[int] = []
        waiting = [leaves + len(self.merges) - 1]
        while waiting:
            node = waiting.pop()
            if node < leaves:
                order.append(node)
            else:
                merge = self.merges[node - leaves]
                waiting += [merge.right, merge.left]
        return tuple(order)

    def cut_at(self, height: float) -> Labels:
        """The group of each leaf, (n,) int32, when all merges up to this height are made; the first leaf is in 0."""
        return self._groups(sum(merge.height <= height for merge in self.merges))

    def cut_into(self, groups: int) -> Labels:
        """The group of each leaf, (n,) int32, when so many are left. Raises HierarchyError where there are not so many.

        Leaves 0, 1, … are numbered by the order in which their group is first met.
        """
        if not 1 <= groups <= len(self.sizes):
            raise HierarchyError(
                f"{len(self.sizes)} leaves can be cut into 1 to {len(self.sizes)} groups, not {groups}"
            )
        return self._groups(len(self.sizes) - groups)

    def linkage(self) -> Floats:
        """The merges as scipy has them, (n-1, 4): left, right, height, size."""
        rows = [(merge.left, merge.right, merge.height, merge.size) for merge in self.merges]
        return np.array(rows, np.float64).reshape(len(rows), 4)

    def to_plain(self) -> dict[str, Any]:
        """Numbers and lists only, for JSON."""
        return {
            "sizes": list(self.sizes),
            "merges": [[merge.left, merge.right, merge.height, merge.size] for merge in self.merges],
            "leaf_order": list(self.leaf_order),
        }

    @classmethod
    def of_linkage(cls, rows: Floats, sizes: Sequence[int]) -> Self:
        """From merges as scipy has them, (n-1, 4)."""
        merges = (Merge(int(min(a, b)), int(max(a, b)), float(height), int(size)) for a, b, height, size in rows)
        return cls(tuple(sizes), tuple(merges))

    def _groups(self, merged: int) -> Labels:
        leaves = len(self.sizes)
        # Children come before their merge, so one pass from the top hands every node its topmost merge that is made.
        top = list(range(leaves + merged))
        for place in reversed(range(merged)):
            for child in (self.merges[place].left, self.merges[place].right):
                top[child] = top[leaves + place]
        numbers: dict[int, int] = {}
        return np.array([numbers.setdefault(top[leaf], len(numbers)) for leaf in range(leaves)], np.int32)


def ward(centroids: Floats, sizes: Sequence[int] | Integers, metric: Metric) -> Dendrogram:
    """Ward's hierarchy over clusters of customers: centroids (k, features), sizes (k,), distances by the metric.

    Exactly the last k-1 merges of Ward over all customers, had these been merged into the clusters first. An empty
    cluster counts as one customer. Of merges that cost the same, the one of the lowest numbers comes first.
    Raises HierarchyError without clusters, ShapeError where sizes are not one for each.

    Sources: Ward (1963); Lance and Williams (1967); in the form Ward2 of Murtagh and Legendre (2014), as in scipy.
    """
    members = [int(size) for size in sizes]
    k = len(members)
    if k != len(centroids):
        raise ShapeError("a hierarchy needs one size for each centroid")
    if not members:
        raise HierarchyError("there are no clusters to make a hierarchy of")
    weight = np.maximum(1.0, members)
    squared = _costs(centroids, weight, metric)
    node, size = list(range(k)), members.copy()
    merges: list[Merge] = []
    lowest = 0.0
    for made in range(k - 1):
        i, j = sorted(divmod(int(squared.argmin()), k))
        # Never below the merge before, also not by rounding: a picture's branches must not hang.
        lowest = max(lowest, float(squared[i, j]))
        left, right = sorted((node[i], node[j]))
        node[i], size[i] = k + made, size[i] + size[j]
        merges.append(Merge(left, right, float(np.sqrt(lowest)), size[i]))
        squared[i] = _lance_williams(squared, weight, i, j)
        squared[:, i] = squared[i]
        squared[j] = squared[:, j] = np.inf
        squared[i, i] = np.inf
        weight[i] += weight[j]
    return Dendrogram(tuple(members), tuple(merges))


def of_segments(model: SegmentModel) -> Dendrogram:
    """The hierarchy of a version's segments; leaf i is `model.segments[i]`."""
    return ward(model.centroids, model.sizes, model.metric)


def of_sample(X: Floats, metric: Metric, *, seed: int, most: int = MAX_SAMPLE) -> tuple[Dendrogram, Integers]:
    """The hierarchy of at most so many customers drawn from X (customers, features), and which rows they are.

    Leaf i is row `rows[i]`. What is not observed counts as the mean; rows with nothing observed are left out.
    Raises HierarchyError where nobody is left.
    """
    X = feature_matrix(X, len(metric.means))
    rows = np.flatnonzero(~np.isnan(X).all(axis=1))
    if not rows.size:
        raise HierarchyError("nobody has anything observed: there is nothing to make a hierarchy of")
    if rows.size > most:
        rows = np.sort(np.random.default_rng(seed).choice(rows, most, replace=False))
    points = standardised(X[rows], metric)
    merges = linkage(points, method="ward") if len(rows) > 1 else np.zeros((0, 4))
    return Dendrogram.of_linkage(merges, [1] * len(rows)), rows


def _costs(centroids: Floats, weights: Floats, metric: Metric) -> Floats:
    """Twice the inertia that merging each two would add, (k, k); infinite on the diagonal."""
    squared = metric.squared_distances(centroids, centroids)
    costs: Floats = squared * 2 * np.outer(weights, weights) / np.add.outer(weights, weights)
    np.fill_diagonal(costs, np.inf)
    return costs


def _lance_williams(costs: Floats, weight: Floats, i: int, j: int) -> Floats:
    """The costs of merging what i and j have become with each other cluster, (k,)."""
    updated = (weight + weight[i]) * costs[i] + (weight + weight[j]) * costs[j] - weight * costs[i, j]
    return np.asarray(updated / (weight + weight[i] + weight[j]))
