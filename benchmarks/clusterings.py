"""What our clusters are compared with: batch k-means on the same customers, other algorithms on the same transforms."""

import random
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

import numpy as np
from river import cluster
from sklearn.cluster import HDBSCAN, KMeans
from sklearn.metrics import adjusted_rand_score, silhouette_score
from sklearn.mixture import GaussianMixture

from benchmarks.in_time_order import Population
from online_model.arrays import Floats, Labels
from online_model.fit import fit
from online_model.projection import standardised

RESTARTS: Final = 20
HALFLIVES: Final = (0.5, 0.1, 0.02, 0.005)
"""Settings of river's KMeans that are tried, its own default first: how far a centre steps to each new vector."""
_SILHOUETTE_CUSTOMERS: Final = 10_000


@dataclass(frozen=True, slots=True)
class Compared:
    """Our clusters beside scikit-learn's KMeans on the same customers, k and metric."""

    inertia_ratio: float
    ari: float
    silhouette: float | None
    silhouette_batch: float | None
    labels: Labels
    """The batch's."""
    inertia: float
    """The batch's."""


@dataclass(frozen=True, slots=True)
class Row:
    """Another algorithm on the same customers."""

    name: str
    clusters: int
    inertia_ratio: float | None
    """About the means of its own members, the kindest reading; None where it leaves customers out, or has more clusters
    than the batch: more are always nearer."""
    ari: float
    """To batch k-means."""
    silhouette: float | None
    seconds: float


def compare(population: Population, seed: int, *, silhouettes: bool) -> Compared:
    """Our `cluster` and a batch k-means of 20 restarts."""
    model, X = population.model, population.X
    batch = KMeans(model.k, n_init=RESTARTS, random_state=seed).fit(standardised(X, model.metric))
    constant = model.metric.deviations == 0
    centres = np.where(constant, model.centroids, batch.cluster_centers_ * model.metric.deviations + model.metric.means)
    if np.isnan(X).any():
        # scikit-learn knows no missing values, and customers filled up with means are a poor rival: batch k-means over
        # what is observed goes on from there, or from seeds of its own.
        fits = (
            fit(X, model.k, model.metric, seed, start=centres),
            fit(X, model.k, model.metric, seed, restarts=RESTARTS),
        )
        centres = min(fits, key=lambda one: one.inertia).centroids
    labels, closest = model.metric.closest(X, centres)
    distances = model.metric.squared_distances(X, model.centroids)
    ours = float(distances[np.arange(len(X)), population.clusters].sum())
    inertia = float(closest.sum())
    points = standardised(X, model.metric)
    return Compared(
        inertia_ratio=ours / inertia if inertia > 0 else 1.0,
        ari=float(adjusted_rand_score(labels, population.clusters)),
        silhouette=silhouette(points, population.clusters, seed) if silhouettes else None,
        silhouette_batch=silhouette(points, labels, seed) if silhouettes else None,
        labels=labels,
        inertia=inertia,
    )


def silhouette(points: Floats, labels: Labels, seed: int) -> float | None:
    """The mean silhouette, over at most 10,000 customers drawn; None for fewer than two clusters. Noise is left out."""
    points, labels = points[labels >= 0], labels[labels >= 0]
    if len(points) > _SILHOUETTE_CUSTOMERS:
        drawn = np.random.default_rng(seed).choice(len(points), _SILHOUETTE_CUSTOMERS, replace=False)
        points, labels = points[drawn], labels[drawn]
    if not 2 <= len(np.unique(labels)) < len(points):
        return None
    return float(silhouette_score(points, labels))


def rows(population: Population, batch: Compared, touched: Sequence[Floats], seed: int) -> list[Row]:
    """Other algorithms, measured on everybody as they stand.

    The streaming ones have learnt the vector of every customer at every slice of events that touched the customer,
    standardised by the metric of that time; ours had one vote for each customer.
    """
    points = standardised(population.X, population.model.metric)
    k = population.model.k
    stream = [dict(enumerate(row)) for part in touched for row in part.tolist()]
    found = [_row(name, _learnt(make, stream, points), points, batch, seed) for name, make in _rivals(k, seed)]
    found.append(_row("scikit-learn GaussianMixture", _timed(lambda: _mixture(points, k, seed)), points, batch, seed))
    least = max(5, len(points) // 50)
    found.append(
        _row("scikit-learn HDBSCAN", _timed(lambda: HDBSCAN(least, copy=True).fit_predict(points)), points, batch, seed)
    )
    return found


def _rivals(k: int, seed: int) -> Iterator[tuple[str, Callable[[], Any]]]:
    for halflife in HALFLIVES:
        yield f"river KMeans, halflife {halflife}", partial(cluster.KMeans, k, halflife=halflife, seed=seed)
    yield "river STREAMKMeans", partial(cluster.STREAMKMeans, chunk_size=max(10, 5 * k), n_clusters=k, seed=seed)
    yield "river CluStream", partial(cluster.CluStream, n_macro_clusters=k, seed=seed)
    yield "river DBSTREAM", partial(cluster.DBSTREAM, clustering_threshold=0.5, fading_factor=0.001)


def _learnt(make: Callable[[], Any], stream: Sequence[dict[int, float]], points: Floats) -> tuple[Labels, float]:
    """Labels and seconds of learning."""
    # Some of them draw from Python's global generator, whatever their seed.
    random.seed(0)
    model = make()
    began = time.perf_counter()
    for x in stream:
        model.learn_one(dict(x))
    seconds = time.perf_counter() - began
    return np.array([model.predict_one(dict(enumerate(row))) for row in points.tolist()], np.int32), seconds


def _mixture(points: Floats, k: int, seed: int) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that it did not converge: so be it
        return GaussianMixture(k, random_state=seed).fit_predict(points)


def _timed(fit: Callable[[], Any]) -> tuple[Labels, float]:
    began = time.perf_counter()
    labels = np.asarray(fit(), np.int32)
    return labels, time.perf_counter() - began


def _row(name: str, learnt: tuple[Labels, float], points: Floats, batch: Compared, seed: int) -> Row:
    labels, seconds = learnt
    clusters = np.unique(labels[labels >= 0])
    inertia = sum(float(((points[labels == one] - points[labels == one].mean(axis=0)) ** 2).sum()) for one in clusters)
    alike = bool(np.all(labels >= 0)) and len(clusters) <= len(np.unique(batch.labels)) and batch.inertia > 0
    return Row(
        name=name,
        clusters=len(clusters),
        inertia_ratio=inertia / batch.inertia if alike else None,
        ari=float(adjusted_rand_score(batch.labels, labels)),
        silhouette=silhouette(points, labels, seed),
        seconds=seconds,
    )
