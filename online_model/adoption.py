"""The leader's decisions: the first model, adopting the learnt means, adopting a refit. Each a new version or None."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Self

import numpy as np

from online_model.arrays import Floats, Integers, Labels
from online_model.features import FeatureSet
from online_model.fit import Fit, fit
from online_model.identity import match_clusters
from online_model.metric import Metric
from online_model.model import FIRST_SEGMENT_ID, ModelMismatchError, Segment, SegmentModel
from online_model.names import Members, name_segments
from online_model.settings import ModelSettings
from online_model.sums import ClusterSums, Sums, Votes


@dataclass(frozen=True, slots=True)
class Reviewed:
    """When a refit was last looked at, and how many customers had bought then. The leader's memory between reviews."""

    at: int
    buyers: int

    @classmethod
    def of(cls, model: SegmentModel) -> Self:
        """What a new leader knows: the last refit that was adopted."""
        return cls(model.now, model.buyers)

    def due(self, buyers: int, now: int, settings: ModelSettings) -> bool:
        """Whether buyers have doubled, or the review interval has passed."""
        return buyers >= 2 * self.buyers or now - self.at >= settings.review_interval


def first_model(
    X: Floats,
    order_value: float,
    k: int,
    purchases: int,
    now: int,
    *,
    settings: ModelSettings,
    members: Members | None = None,
) -> SegmentModel:
    """Version 1 from the customers there are, X (customers, features); `members` describe the same customers for names.

    Raises TooFewPointsError while fewer than k customers differ.
    """
    metric = Metric.of_sample(X)
    found = _by_size(fit(X, k, metric, settings.seed, restarts=settings.restarts), k)
    segments = tuple(Segment(FIRST_SEGMENT_ID + cluster, "") for cluster in range(k))
    return SegmentModel(
        version=1,
        features=FeatureSet.of(settings.features).names,
        order_value=order_value,
        metric=metric,
        centroids=found.centroids,
        segments=_named(segments, members, found.labels, settings),
        seed=settings.seed,
        margin=settings.margin,
        dwell=settings.dwell,
        adopted_at=now,
        now=now,
        reason="first model",
        gain=0.0,
        purchases=purchases,
        buyers=_voters(found.labels),
        next_segment_id=FIRST_SEGMENT_ID + k,
        sizes=_sizes(found.labels, k),
        inertia=found.inertia,
    )


def adopt_means(
    model: SegmentModel,
    sums: Sums,
    purchases: int,
    now: int,
    settings: ModelSettings,
    *,
    learnt: Floats | None = None,
) -> SegmentModel | None:
    """The next version with the learnt means as centroids, where that gains enough; else None.

    `sums` are those of all partitions under this version. Nothing is adopted unless purchases arrived since: time alone
    never changes a model. An empty cluster is reseeded inside that of largest inertia, under a new id. `learnt`
    (k, features) are another clusterer's centroids, adopted in place of the means once they are as far away.
    """
    if purchases <= model.purchases or sums.total == 0:
        return None
    target = sums.means(empty=model.centroids) if learnt is None else learnt
    moved = sums.moved(model.centroids, target, model.metric)
    if moved < settings.adoption_gain and np.all(sums.counts > 0):
        return None
    before = sums.inertia(model.centroids, model.metric)
    gain = 1 - sums.inertia(target, model.metric) / before if before > 0 else 0.0
    metric = sums.metric()
    centroids = sums.reseeded(target, metric)
    segments, next_id = list(model.segments), model.next_segment_id
    for cluster in np.flatnonzero(sums.counts == 0):
        segments[cluster] = Segment(next_id, f"Segment {next_id}")
        next_id += 1
    return replace(
        model,
        version=model.version + 1,
        metric=metric,
        centroids=centroids,
        segments=tuple(segments),
        adopted_at=now,
        now=now,
        reason="means moved" if next_id == model.next_segment_id else "empty segment reseeded",
        gain=gain,
        purchases=purchases,
        next_segment_id=next_id,
        sizes=tuple(sums.counts.tolist()),
        inertia=sums.inertia(centroids, metric),
    )


def refit(
    model: SegmentModel,
    X: Floats,
    order_value: float,
    purchases: int,
    now: int,
    *,
    settings: ModelSettings,
    members: Members | None = None,
    clusters: Labels | None = None,
) -> SegmentModel | None:
    """The next version from a sample X (customers, features), where one is clearly better; else None.

    A restart is adopted when it beats the polished present centroids by `restart_gain`; these when they gain
    `adoption_gain`; new names when the old ones have ceased to be true. Ids survive by shared members. `clusters` are
    the customers' present clusters; to be given where `order_value` is not the model's: X then lies in another space.
    """
    if FeatureSet.of(settings.features).names != model.features:
        raise ModelMismatchError("the settings name other features than the model has; start a first model instead")
    if purchases <= model.purchases:
        return None
    same_space = order_value == model.order_value
    present = model.assign(X) if clusters is None else clusters
    metric = Metric.of_sample(X)
    sums = _sums(X, present, model.k)
    start = sums.means(empty=model.centroids)
    inertia = sums.inertia(model.centroids if same_space else start, metric)
    found, reason = _better(model, fit(X, model.k, metric, model.seed, start=start), X, metric, settings)
    gain = 1 - found.inertia / inertia if inertia > 0 else 0.0
    if reason == "means moved" and gain < settings.adoption_gain and same_space:
        return _renamed(model, present, purchases, now, members=members, settings=settings)
    found, continued = _in_old_order(found, match_clusters(present, found.labels, model.k, settings.k))
    segments, next_id = _segments(model, continued)
    return replace(
        model,
        version=model.version + 1,
        order_value=order_value,
        metric=metric,
        centroids=found.centroids,
        segments=_named(segments, members, found.labels, settings),
        margin=settings.margin,
        dwell=settings.dwell,
        adopted_at=now,
        now=now,
        reason=reason,
        gain=gain,
        purchases=purchases,
        buyers=_voters(found.labels),
        next_segment_id=next_id,
        sizes=_sizes(found.labels, settings.k),
        inertia=found.inertia,
    )


def _better(model: SegmentModel, polished: Fit, X: Floats, metric: Metric, settings: ModelSettings) -> tuple[Fit, str]:
    """The clustering to go on with, and the reason in words."""
    fresh = fit(X, settings.k, metric, model.seed + model.version, restarts=settings.restarts)
    if settings.k != model.k:
        return fresh, f"number of segments changed from {model.k} to {settings.k}"
    if fresh.inertia < (1 - settings.restart_gain) * polished.inertia:
        return fresh, "better restart"
    return polished, "means moved"


def _renamed(
    model: SegmentModel, labels: Labels, purchases: int, now: int, *, members: Members | None, settings: ModelSettings
) -> SegmentModel | None:
    segments = _named(model.segments, members, labels, settings)
    if segments == model.segments:
        return None
    return replace(
        model, version=model.version + 1, segments=segments, now=now, reason="renamed", gain=0.0, purchases=purchases
    )


def _sums(X: Floats, clusters: Labels, k: int) -> Sums:
    sums = ClusterSums(1, k, X.shape[1])
    sums.revise(None, Votes(np.zeros(len(X), np.int32), clusters, X))
    return sums.merged()


def _in_old_order(found: Fit, matched: Integers) -> tuple[Fit, Integers]:
    """Continued clusters in their old places, so that rows not yet swept still count near the right means."""
    k = len(matched)
    order = np.full(k, -1)
    for cluster, old in enumerate(matched):
        if 0 <= old < k:
            order[old] = cluster
    left_over = [cluster for cluster in range(k) if cluster not in order]
    order[order < 0] = left_over
    place = np.argsort(order).astype(np.int32)
    labels = np.where(found.labels >= 0, place[found.labels], np.int32(-1))
    return Fit(found.centroids[order], found.inertia, labels), matched[order]


def _segments(model: SegmentModel, continued: Integers) -> tuple[tuple[Segment, ...], int]:
    """The segments of the new clusters, and the next id: continued ones keep theirs, no id is used twice."""
    next_id, segments = model.next_segment_id, []
    for old in continued:
        if old >= 0:
            segments.append(model.segments[old])
        else:
            segments.append(Segment(next_id, ""))
            next_id += 1
    return tuple(segments), next_id


def _named(
    segments: Sequence[Segment], members: Members | None, labels: Labels, settings: ModelSettings
) -> tuple[Segment, ...]:
    if members is None:
        return tuple(one if one.name else replace(one, name=f"Segment {one.id}") for one in segments)
    names = name_segments(members, labels, len(segments), settings, [one.name for one in segments])
    return tuple(Segment(one.id, *named) for one, named in zip(segments, names, strict=True))


def _by_size(found: Fit, k: int) -> Fit:
    """The largest cluster first."""
    order = np.argsort(-np.bincount(found.labels[found.labels >= 0], minlength=k), kind="stable")
    place = np.argsort(order).astype(np.int32)
    labels = np.where(found.labels >= 0, place[found.labels], np.int32(-1))
    return Fit(found.centroids[order], found.inertia, labels)


def _sizes(labels: Labels, k: int) -> tuple[int, ...]:
    return tuple(np.bincount(labels[labels >= 0], minlength=k).tolist())


def _voters(labels: Labels) -> int:
    return int(np.count_nonzero(labels >= 0))
