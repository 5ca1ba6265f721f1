"""The leader's decisions: the first model, adopting the learnt means, adopting a refit. Each a new version or None."""

from dataclasses import dataclass, replace
from typing import Final, Self

import numpy as np

from contracts.model import FeatureColumn
from online_model.arrays import Floats, Labels
from online_model.features import FeatureSet
from online_model.fit import Fit, TooFewPointsError, fit
from online_model.lapse import settled_lapse_days
from online_model.lineage import Descent, lineage, named
from online_model.metric import Metric
from online_model.model import FIRST_SEGMENT_ID, ModelMismatchError, Segment, SegmentModel
from online_model.names import Members
from online_model.outliers import OutlierBounds
from online_model.settings import ModelSettings
from online_model.succession import following, ids_and_names, named_segments, sizes, voters
from online_model.sums import ClusterSums, Sums, Votes
from online_model.words import Spanning

_LARGE: Final = 4
"""So many times the gain that makes a version worth while is reason enough at any time."""
_MORE_PURCHASES: Final = 1.2
"""So many times the purchases of the last review call for another."""


@dataclass(frozen=True, slots=True)
class Reviewed:
    """What the last review looked at: the leader's memory between reviews."""

    at: int
    purchases: int
    buyers: int

    @classmethod
    def of(cls, model: SegmentModel) -> Self:
        """What a new leader knows: the last refit that was adopted."""
        return cls(model.adopted_at, model.purchases, model.buyers)

    def due(self, purchases: int, buyers: int, now: int, settings: ModelSettings) -> bool:
        """Whether there are many more buyers or purchases, or the review interval has passed and some purchases came.

        Time alone is no reason: it never changes a model. Where attributes alone are compared, no purchase is needed.
        """
        if settings.request.needs_purchases:
            many = buyers >= 2 * self.buyers or purchases >= _MORE_PURCHASES * self.purchases
            arrived = purchases > self.purchases
        else:
            many = buyers >= _MORE_PURCHASES * self.buyers
            arrived = True
        return arrived and (many or now - self.at >= settings.review_interval)


def first_model(
    X: Floats,
    order_value: float,
    k: int,
    purchases: int,
    now: int,
    *,
    settings: ModelSettings,
    members: Members | None = None,
    why: str = "",
    columns: tuple[FeatureColumn, ...] = (),
    by_rule: bool = False,
) -> SegmentModel:
    """Version 1 from the customers there are, X (customers, features); `members` describe the same customers for names.

    `columns` are how X was made; without any its features are the declared ones that settings name. `by_rule`: its
    segments are not to be published yet. Raises TooFewPointsError while fewer than k customers differ.
    """
    segments = tuple(Segment(FIRST_SEGMENT_ID + cluster, "") for cluster in range(k))
    chosen = FeatureSet(columns) if columns else FeatureSet.of(settings.request.terms())
    metric = Metric.of_sample(X, chosen.scaling)
    found = _by_size(fit(X, k, metric, settings.seed, restarts=settings.restarts), k)
    gap = members.usual_gap if members is not None else None
    lapse_days = settled_lapse_days(settings.first_lapse_days, gap, settings)
    spanning = Spanning(X, chosen.columns)
    segments = named_segments(segments, members, found.labels, settings, spanning=spanning, lapse_days=lapse_days)
    return SegmentModel(
        version=1,
        features=chosen.names,
        columns=chosen.described,
        requested=_requested(settings, chosen),
        order_value=order_value,
        metric=metric,
        centroids=found.centroids,
        segments=segments,
        seed=settings.seed,
        margin=settings.margin,
        dwell=settings.dwell,
        adopted_at=now,
        reason="first model",
        gain=0.0,
        purchases=purchases,
        buyers=voters(found.labels),
        next_segment_id=FIRST_SEGMENT_ID + k,
        sizes=sizes(found.labels, k),
        inertia=found.inertia,
        outliers=OutlierBounds.of(X, chosen.names),
        by_rule=by_rule,
        lapse_days=lapse_days,
        new_days=settings.new_days,
        why=why or f"the first {voters(found.labels)} customers, in {k} segments",
        lineage=tuple(Descent(one.id, one.name, "born") for one in segments),
    )


def adopt_means(
    model: SegmentModel,
    sums: Sums,
    purchases: int,
    now: int,
    settings: ModelSettings,
    *,
    learnt: Floats | None = None,
    reseed: bool = True,
) -> SegmentModel | None:
    """The next version with the learnt means as centroids, where that gains enough; else None.

    `sums` are those of all partitions under this version. Nothing is adopted unless purchases arrived since: time alone
    never changes a model. (What attributes alone are compared by, time does not move.) An empty cluster is reseeded
    inside that of largest inertia, under a new id, unless `reseed` is False. `learnt` (k, features) are another
    clusterer's centroids, adopted in place of the means once they are as far away.
    """
    waiting = model.feature_set.needs_purchases and purchases <= model.purchases
    if waiting or sums.total == 0:
        return None
    target = sums.means(empty=model.centroids) if learnt is None else learnt
    moved = sums.moved(model.centroids, target, model.metric)
    empty = np.flatnonzero(sums.counts == 0) if reseed else ()
    if not _worth(moved, sums.total, model, now, settings) and len(empty) == 0:
        return None
    before = sums.inertia(model.centroids, model.metric)
    gain = 1 - sums.inertia(target, model.metric) / before if before > 0 else 0.0
    metric = sums.metric(model.scaling)
    centroids = sums.reseeded(target, metric) if reseed else target
    segments, next_id = list(model.segments), model.next_segment_id
    for cluster in empty:
        segments[cluster] = Segment(next_id, f"Segment {next_id}")
        next_id += 1
    reseeded = next_id - model.next_segment_id
    why = f"the means of their members fit customers {max(gain, 0):.1%} better than the centroids in force"
    return replace(
        model,
        version=model.version + 1,
        metric=metric,
        centroids=centroids,
        segments=tuple(segments),
        adopted_at=now,
        reason="empty segment reseeded" if reseeded else "means moved",
        why=f"nobody was left in {reseeded} of {model.k} segments: begun anew where customers differ most"
        if reseeded
        else why,
        lineage=lineage(
            ids_and_names(model.segments), ids_and_names(segments), np.diag(sums.counts), model.next_segment_id
        )
        if reseeded
        else (),
        rolled_back_to=None,
        gain=gain,
        purchases=purchases,
        next_segment_id=next_id,
        sizes=tuple(sums.counts.tolist()),
        inertia=sums.inertia(centroids, metric),
    )


def too_alike(model: SegmentModel, X: Floats) -> bool:
    """Whether fewer customers differ, X (customers, features), than there are segments: one would always be empty.

    Not by whether a segment is empty in the end: a mean of equal customers may be off by a last bit.
    """
    return len(np.unique(np.nan_to_num(X[~np.isnan(X).all(axis=1)], nan=np.inf), axis=0)) < model.k


def polished(model: SegmentModel, X: Floats, *, settings: ModelSettings, members: Members | None) -> SegmentModel:
    """A version about to be published, with its centroids carried on to where they come to rest, and true names.

    Adopting the means is one step of Lloyd's algorithm; on a sample X (customers, features) the others take
    milliseconds, where each would otherwise be a version, and need purchases to come about. Where a segment that has
    members has none in the sample, its centroid would be given to others: the version stays as it is.
    """
    sampled = sizes(model.assign(X), model.k)
    if any(count and not there for count, there in zip(model.sizes, sampled, strict=True)):
        return model
    found = fit(X, model.k, model.metric, model.seed, start=model.centroids)
    segments = named_segments(
        model.segments,
        members,
        found.labels,
        settings,
        spanning=Spanning(X, model.feature_set.columns),
        lapse_days=model.lapse_days,
    )
    return replace(
        model,
        centroids=found.centroids,
        segments=segments,
        lineage=named(model.lineage, ids_and_names(segments)),
        sizes=sizes(found.labels, model.k),
        inertia=found.inertia,
        outliers=OutlierBounds.of(X, model.features),
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
    columns: tuple[FeatureColumn, ...] | None = None,
    k: int | None = None,
    k_why: str = "",
) -> SegmentModel | None:
    """The next version from a sample X (customers, features), where one is clearly better; else None.

    To be asked when `Reviewed.due` says so, before `adopt_means`: one version is better than two.

    A restart is adopted when it beats the polished present centroids by `restart_gain`; these when they gain
    `adoption_gain`; new names when the old ones have ceased to be true. Ids survive by shared members. `clusters` are
    the customers' present clusters; to be given where `order_value` or `columns`, by which X was made, are not the
    model's: X then lies in another space. `k` is the number of segments it is to have, `settled_k` where none is given;
    `k_why` the sentence for a change. Raises ModelMismatchError where the settings ask for other features and none are
    given.
    """
    if columns is None and settings.request.signature != (model.requested or model.features):
        raise ModelMismatchError("the settings name other features than the model has: say how X was made of rows")
    feature_set = model.feature_set if columns is None else FeatureSet(columns)
    k = settled_k(model, settings) if k is None else k
    remade = feature_set.columns != model.feature_set.columns
    same_space = order_value == model.order_value and not remade
    present = model.assign(X) if clusters is None else clusters
    metric = Metric.of_sample(X, feature_set.scaling)
    sums = _sums(X, present, model.k)
    start = sums.means(empty=model.centroids if not remade else np.tile(metric.means, (model.k, 1)))
    inertia = sums.inertia(model.centroids if same_space else start, metric)
    polished = fit(X, model.k, metric, model.seed, start=start)
    try:
        found, reason, why = _better(model, polished, X, metric, settings, k)
    except TooFewPointsError:
        return None  # most customers are gone; the model stays as it is
    space = {
        "features": feature_set.names,
        "columns": feature_set.described,
        "requested": model.requested if columns is None else _requested(settings, feature_set),
        "metric": metric,
    }
    spanning = Spanning(X, feature_set.columns)
    successor = following(model, found, present, members, settings, space, spanning=spanning)
    gain = 1 - found.inertia / inertia if inertia > 0 else 0.0
    if reason == "means moved" and not (same_space and _worth(gain, sums.total, model, now, settings)):
        renamed = [
            f"{old.name} is now {new.name}"
            for old, new in zip(model.segments, successor.segments, strict=True)
            if old.name != new.name
        ]
        if same_space and successor.segments == model.segments:
            return None
        # The polished centroids go along: adopting them later would be one version more.
        reason, why = "renamed", "; ".join(renamed) or "what is to be done about a segment changed"
        if not same_space:
            reason = "order value revised"
            why = f"the median order is now {order_value:.2f}, not {model.order_value:.2f}"
    if remade:
        asked_before = settings.request.signature == (model.requested or model.features)
        reason, why = _remade(model, feature_set, asked_before=asked_before)
    return replace(
        successor,
        order_value=order_value,
        margin=settings.margin,
        dwell=settings.dwell,
        adopted_at=now,
        reason=reason,
        why=k_why if k_why and k != model.k else why,
        gain=gain,
        purchases=purchases,
        rolled_back_to=None,
        outliers=OutlierBounds.of(X, feature_set.names),
    )


def handed_over(model: SegmentModel, purchases: int, now: int) -> SegmentModel:
    """The next version, the same but that its segments are published: so far segments went by rule."""
    return replace(
        model,
        version=model.version + 1,
        by_rule=False,
        adopted_at=now,
        purchases=purchases,
        reason="enough data",
        why="there are customers and history enough: segments are learnt from now on, no longer given by rule",
        gain=0.0,
        lineage=(),
        rolled_back_to=None,
    )


def _requested(settings: ModelSettings, chosen: FeatureSet) -> tuple[str, ...]:
    """What the settings ask for, where that is not just these features."""
    signature = settings.request.signature
    return () if signature == chosen.names else signature


def _remade(model: SegmentModel, chosen: FeatureSet, *, asked_before: bool) -> tuple[str, str]:
    """The reason for other columns, and the reason in a sentence."""
    if not asked_before or chosen.names != model.features:
        by_range = [column.name for column in chosen.columns if column.span is not None]
        scaled = f"; distances divide by the range of {', '.join(by_range)}" if by_range else ""
        return "other features", f"customers are now compared by {', '.join(chosen.names)}{scaled}"
    before = model.feature_set.columns
    outgrown = [new.name for old, new in zip(before, chosen.columns, strict=True) if old != new]
    return "ranges revised", f"customers have outgrown the range of {', '.join(outgrown)}"


def settled_k(model: SegmentModel, settings: ModelSettings) -> int:
    """How many segments the next version is to have, unless a review finds that their natural number has changed."""
    if settings.k == "auto" or model.k_instead_of == str(settings.k):
        return model.k
    return settings.k


def _better(  # noqa: PLR0917
    model: SegmentModel, polished: Fit, X: Floats, metric: Metric, settings: ModelSettings, k: int
) -> tuple[Fit, str, str]:
    """The clustering to go on with, the reason, and the reason in a sentence."""
    fresh = fit(X, k, metric, model.seed + model.version, restarts=settings.restarts)
    if k != model.k:
        return fresh, f"number of segments changed from {model.k} to {k}", f"{k} segments, as set"
    if fresh.inertia < (1 - settings.restart_gain) * polished.inertia:
        saved = 1 - fresh.inertia / polished.inertia
        return fresh, "better restart", f"a fresh start fits customers {saved:.1%} better than the present segments can"
    return polished, "means moved", "centroids carried on to rest on a sample fit customers better"


def _worth(gain: float, customers: int, model: SegmentModel, now: int, settings: ModelSettings) -> bool:
    """Whether a gain justifies a version.

    It must exceed k / customers, the share of the inertia by which chance alone moves k means. A large gain is followed
    at once. A small one must be as many times larger as the time since the last version is shorter than the adoption
    interval: what staying would cost until then is what counts, and so small changes do not make a version each.
    """
    least = max(settings.adoption_gain, model.k / customers)
    elapsed = min(1.0, max(0, now - model.adopted_at) / settings.adoption_interval)
    return gain >= _LARGE * least or gain * elapsed >= least


def _sums(X: Floats, clusters: Labels, k: int) -> Sums:
    sums = ClusterSums(1, k, X.shape[1])
    sums.revise(None, Votes(np.zeros(len(X), np.int32), clusters, X))
    return sums.merged()


def _by_size(found: Fit, k: int) -> Fit:
    """The largest cluster first."""
    order = np.argsort(-np.bincount(found.labels[found.labels >= 0], minlength=k), kind="stable")
    place = np.argsort(order).astype(np.int32)
    labels = np.where(found.labels >= 0, place[found.labels], np.int32(-1))
    return Fit(found.centroids[order], found.inertia, labels)
