"""What the next version of a model takes over from the one before: places, ids, names, descent."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from online_model.agreement import shared_members
from online_model.arrays import Integers, Labels
from online_model.fit import Fit
from online_model.identity import match_clusters
from online_model.lapse import settled_lapse_days
from online_model.lineage import lineage
from online_model.model import Segment, SegmentModel
from online_model.names import Members, name_segments
from online_model.settings import ModelSettings
from online_model.words import Spanning


def following(  # noqa: PLR0917
    model: SegmentModel,
    found: Fit,
    present: Labels,
    members: Members | None,
    settings: ModelSettings,
    space: Mapping[str, Any],
    *,
    spanning: Spanning | None = None,
) -> SegmentModel:
    """The next version with these clusters: ids, names and descent from the present ones; `space` are its features.

    `spanning` is what the clusters were made from.
    """
    k = len(found.centroids)
    found, continued = _in_old_order(found, match_clusters(present, found.labels, model.k, k))
    segments, next_id = _segments(model, continued)
    gap = members.usual_gap if members is not None else None
    lapse_days = settled_lapse_days(model.lapse_days, gap, settings)
    segments = named_segments(segments, members, found.labels, settings, spanning=spanning, lapse_days=lapse_days)
    shared = shared_members(present, found.labels, model.k, k)
    return replace(
        model,
        **space,
        version=model.version + 1,
        centroids=found.centroids,
        segments=segments,
        buyers=voters(found.labels),
        next_segment_id=next_id,
        sizes=sizes(found.labels, k),
        inertia=found.inertia,
        lapse_days=lapse_days,
        new_days=settings.new_days,
        lineage=lineage(ids_and_names(model.segments), ids_and_names(segments), shared, model.next_segment_id),
    )


def ids_and_names(segments: Sequence[Segment]) -> list[tuple[int, str]]:
    """What a lineage is made from."""
    return [(one.id, one.name) for one in segments]


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


def named_segments(
    segments: Sequence[Segment],
    members: Members | None,
    labels: Labels,
    settings: ModelSettings,
    *,
    spanning: Spanning | None = None,
    lapse_days: int,
) -> tuple[Segment, ...]:
    """The segments with names and strategies that are true of these members; by their ids where none are given."""
    if members is None:
        return tuple(one if one.name else replace(one, name=f"Segment {one.id}") for one in segments)
    names = name_segments(
        members,
        labels,
        len(segments),
        settings,
        [one.name for one in segments],
        previous_flags=[one.flags for one in segments],
        spanning=spanning,
        lapse_days=lapse_days,
    )
    return tuple(
        Segment(one.id, name.name, name.strategy, name.flags, name.adjectives, name.active, name.lapsing)
        for one, name in zip(segments, names, strict=True)
    )


def sizes(labels: Labels, k: int) -> tuple[int, ...]:
    """Customers by cluster."""
    return tuple(np.bincount(labels[labels >= 0], minlength=k).tolist())


def voters(labels: Labels) -> int:
    """Customers with a vote."""
    return int(np.count_nonzero(labels >= 0))
