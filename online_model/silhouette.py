"""The silhouette of clusterings of the same points: their distances are computed once, for all of them."""

import numpy as np

from online_model.arrays import Floats, Labels
from online_model.metric import Metric


def distances_between(X: Floats, metric: Metric) -> Floats:
    """Distances (points, points) between rows of X (points, features); what is not observed counts as the mean."""
    scaled = np.where(np.isnan(X), 0, X - metric.means) * np.sqrt(metric.precisions)
    squares = (scaled**2).sum(axis=1)
    squared = squares[:, np.newaxis] + squares - 2 * scaled @ scaled.T
    np.fill_diagonal(squared, 0)
    return np.asarray(np.sqrt(np.maximum(squared, 0)))


def silhouette(distances: Floats, labels: Labels, k: int, counts: Floats | None = None) -> float:
    """The mean silhouette of points in k clusters, from -1 to 1; 0 where fewer than two clusters have members.

    `counts` (points,) say how often a bootstrap drew each point: a point's own copies are no company, so they are left
    out of the mean distance to its cluster. A point alone in its cluster has 0.

    Source: Rousseeuw, Silhouettes (1987).
    """
    n = len(labels)
    drawn = np.ones(n) if counts is None else counts
    members = np.zeros((n, k))
    members[np.arange(n), labels] = drawn
    sizes = members.sum(axis=0)
    if np.count_nonzero(sizes) < 2:
        return 0.0
    sums = distances @ members
    own = np.arange(n), labels
    company = sizes[labels] - drawn
    within = np.divide(sums[own], company, out=np.zeros(n), where=company > 0)
    means = np.divide(sums, sizes, out=np.full((n, k), np.inf), where=sizes > 0)
    means[own] = np.inf
    nearest = means.min(axis=1)
    widest = np.maximum(within, nearest)
    worth = np.divide(nearest - within, widest, out=np.zeros(n), where=(widest > 0) & (company > 0))
    return float((worth * drawn).sum() / drawn.sum())
