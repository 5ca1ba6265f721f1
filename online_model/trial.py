"""Versions that somebody asks for: other numbers of segments or features tried out, and an old version brought back."""

from dataclasses import dataclass, replace
from typing import Final, Self

import numpy as np

from contracts.model import FeatureColumn
from online_model.agreement import shared_members
from online_model.arrays import Floats, Integers, Labels
from online_model.features import FeatureSet
from online_model.fit import fit
from online_model.lineage import lineage
from online_model.metric import Metric
from online_model.model import SegmentModel
from online_model.names import Members
from online_model.outliers import OutlierBounds
from online_model.settings import ModelSettings
from online_model.succession import following, ids_and_names
from online_model.words import Spanning

NEVER: Final = int(np.iinfo(np.int64).min)
"""A time long ago: no dwell holds a customer back in what is tried out, as none does when a version is adopted."""


def attempt(
    model: SegmentModel,
    X: Floats,
    k: int,
    now: int,
    *,
    settings: ModelSettings,
    order_value: float,
    clusters: Labels,
    columns: tuple[FeatureColumn, ...],
    members: Members | None = None,
    start: Floats | None = None,
) -> SegmentModel:
    """The next version with k segments, whether it is better or not: what would be if it were adopted.

    X (customers, features) was made by `columns` with `order_value`; `clusters` (customers,) are the present ones.
    `start` (k, features) are centroids to go on from, in place of fresh starts. Raises TooFewPointsError.
    """
    features = FeatureSet(columns)
    metric = Metric.of_sample(X, features.scaling)
    found = fit(X, k, metric, model.seed + model.version, restarts=settings.restarts, start=start)
    space = {
        "features": features.names,
        "columns": columns,
        "requested": settings.request.signature,
        "metric": metric,
    }
    return replace(
        following(model, found, clusters, members, settings, space, spanning=Spanning(X, columns)),
        order_value=order_value,
        margin=settings.margin,
        dwell=settings.dwell,
        adopted_at=now,
        reason="adopted on request",
        why=f"{k} segments by {', '.join(features.names)}, tried out and adopted on request",
        gain=0.0,
        rolled_back_to=None,
        outliers=OutlierBounds.of(X, features.names),
    )


def rolled_back(
    model: SegmentModel, old: SegmentModel, purchases: int, now: int, *, settings: ModelSettings, shared: Integers
) -> SegmentModel:
    """The next version with what an old one had: centroids, metric, names, ids.

    `shared` (k now, k then) counts common members. The same segments have the same ids again; ids that were given since
    are not given a second time.
    """
    return replace(
        old,
        version=model.version + 1,
        adopted_at=now,
        reason=f"rolled back to version {old.version}",
        why=f"version {old.version} was brought back on request",
        gain=0.0,
        purchases=purchases,
        buyers=model.buyers,
        next_segment_id=model.next_segment_id,
        lineage=lineage(
            ids_and_names(model.segments), ids_and_names(old.segments), shared, first_new_id=model.next_segment_id
        ),
        k_instead_of="" if settings.k == old.k else str(settings.k),
        rolled_back_to=old.version,
        by_rule=model.by_rule,
    )


@dataclass(frozen=True, slots=True)
class Moved:
    """Who would move: customers by present and by future segment."""

    before: tuple[int, ...]
    """Segment ids."""
    after: tuple[int, ...]
    customers: tuple[tuple[int, ...], ...]
    """(before, after)"""
    moving: int
    """Customers whose segment would be another."""

    @classmethod
    def of(cls, before: Labels, after: Labels) -> Self:
        """From segment ids, (customers,) each."""
        old, old_places = np.unique(before, return_inverse=True)
        new, new_places = np.unique(after, return_inverse=True)
        table = shared_members(old_places.astype(np.int32), new_places.astype(np.int32), len(old), len(new))
        return cls(
            tuple(old.tolist()),
            tuple(new.tolist()),
            tuple(tuple(row) for row in table.tolist()),
            int(np.count_nonzero(before != after)),
        )


@dataclass(frozen=True, slots=True)
class TriedSegment:
    """One segment as it would be."""

    segment_id: int
    name: str
    kind: str
    """As in a lineage: continued, split, born."""
    customers: int
    net_spend: float
    """Spend less refunds, in currency units."""


@dataclass(frozen=True, slots=True)
class Trial:
    """What would be if a candidate were adopted now."""

    model: SegmentModel
    """The candidate: one version above the one in force."""
    segments: tuple[TriedSegment, ...]
    moved: Moved
    customers: int
    """Looked at."""
