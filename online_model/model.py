"""A model version: the adopted centroids and metric, and what they make of customers."""

from dataclasses import dataclass, field
from typing import Final

import numpy as np
import numpy.typing as npt

from contracts.errors import LivesegmentsError
from contracts.model import DescentDocument, FeatureColumn, ModelDocument, SegmentDocument
from contracts.times import from_micros, to_micros
from online_model.arrays import Booleans, Floats, Integers, Labels, ShapeError, frozen
from online_model.features import RECENCY, FeatureSet, RowColumns
from online_model.lineage import Descent
from online_model.metric import Metric, Scaling
from online_model.outliers import OutlierBounds
from online_model.settings import FIRST_LAPSE_DAYS
from online_model.truth import Adjective, barred

NOT_ENOUGH_DATA: Final = -1
NO_PURCHASES: Final = 0
OUT_OF_SCOPE: Final = -2
OUT_OF_SEASON: Final = -3
LAPSED: Final = -108
"""The segment by rule for lapsed customers: also of those of whom every learnt name would be false."""
FIRST_SEGMENT_ID: Final = 1
SPECIAL_SEGMENTS: Final = {
    NOT_ENOUGH_DATA: "Not enough data",
    NO_PURCHASES: "No purchases yet",
    OUT_OF_SCOPE: "Out of scope",
    OUT_OF_SEASON: "Out of season",
}
"""Segments that no model learns; what settings call the last one stands in its place."""


class ModelMismatchError(LivesegmentsError):
    """A model was made for other features than those in use."""


@dataclass(frozen=True, slots=True)
class Segment:
    """What a cluster is called, and what to do about it. Ids are never reused."""

    id: int
    name: str
    strategy: str = ""
    flags: tuple[str, ...] = ()
    adjectives: tuple[Adjective, ...] = field(default=(), compare=False)
    """Words of the name, and of which share of the members they were true: figures, no part of what it is called."""
    active: bool = False
    """Whether the name is false of a customer who has lapsed."""
    lapsing: bool = False
    """Whether the name is about silence: false of a seasonal customer whose season has not come."""


@dataclass(frozen=True, eq=False, slots=True)
class _Forbidden:
    """Customers (rows,) and in which segments they must not be, (rows, k)."""

    rows: Integers
    segments: Booleans


@dataclass(frozen=True, eq=False, slots=True, kw_only=True)
class SegmentModel:
    """One version of all segments: a decision, never changed. Cluster c is row c of the centroids and segments[c]."""

    version: int
    features: tuple[str, ...]
    columns: tuple[FeatureColumn, ...] = ()
    """How each of the features is made; empty where all are declared ones."""
    requested: tuple[str, ...] = ()
    """What settings asked for when the features were chosen; empty where that was just these."""
    order_value: float
    """The median order value, in currency units, of the monetary features."""
    metric: Metric
    centroids: Floats
    """(k, features), in unscaled feature space."""
    segments: tuple[Segment, ...]
    seed: int
    margin: float
    dwell: int
    """Microseconds."""
    adopted_at: int
    """By the deployment's clock, microseconds."""
    reason: str
    gain: float
    """The share of the inertia that this version saved."""
    purchases: int
    """Purchases counted at adoption."""
    buyers: int
    """Customers who had bought at the last refit."""
    next_segment_id: int
    sizes: tuple[int, ...]
    """Customers nearest to each centroid at adoption, among those looked at."""
    inertia: float
    """Of those customers, under this metric."""
    by_rule: bool = False
    """Whether there is too little data for its segments to be published: customers are in segments by rule."""
    outliers: OutlierBounds | None = None
    """Beyond what a customer is marked as an outlier; None: nobody is."""
    why: str = ""
    """The reason in a sentence."""
    lineage: tuple[Descent, ...] = ()
    """What became of the segments of the version before; empty where all of them continue."""
    k_instead_of: str = ""
    """The setting `k` that was overruled on request; empty where it was not."""
    rolled_back_to: int | None = None
    """The version that this one brings back."""
    lapse_days: int = FIRST_LAPSE_DAYS
    """Without an order for longer, a customer has lapsed."""
    new_days: int = 60
    """First seen at most so long ago, a customer is new."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "centroids", frozen(self.centroids))
        shape = (len(self.segments), len(self.features))
        if self.centroids.shape != shape or len(self.sizes) != shape[0] or len(self.metric.means) != shape[1]:
            raise ShapeError(f"a model of {shape[0]} segments and {shape[1]} features needs centroids of shape {shape}")

    @property
    def feature_set(self) -> FeatureSet:
        """The features that customers are compared by."""
        return FeatureSet(self.columns) if self.columns else FeatureSet.of(self.features)

    def features_of(self, rows: RowColumns, now: int) -> Floats:
        """X of customers under this version, (customers, features); NaN where not observed."""
        return self.feature_set.features(rows, now, self.order_value)

    @property
    def scaling(self) -> Scaling | None:
        """How the metric weighs the features; None where standard deviations do."""
        return self.feature_set.scaling if self.columns else None

    @property
    def k(self) -> int:
        """How many segments."""
        return len(self.segments)

    @property
    def segment_ids(self) -> Labels:
        """The ids in cluster order, (k,) int32."""
        return np.array([segment.id for segment in self.segments], np.int32)

    def assign(self, X: Floats) -> Labels:
        """The nearest adopted centroid of each row of X, (customers,) int32; -1 where nothing is observed."""
        return self.metric.nearest(X, self.centroids)

    def outlying(self, X: Floats) -> npt.NDArray[np.uint32]:
        """In which features customers are outliers, (customers,): bit n for the nth; the 32nd for all from there on."""
        bits = np.zeros(len(X), np.uint32)
        if self.outliers is not None:
            for place, column in enumerate(self.outliers.outliers(X).T):
                bits[column] |= np.uint32(1 << min(place, 31))
        return bits

    def publish(  # noqa: PLR0917
        self,
        X: Floats,
        clusters: Labels,
        current_ids: Labels,
        since: Integers,
        now: int,
        recency: Floats | None = None,
    ) -> Labels:
        """The segment id that each customer is to have, (customers,) int32.

        `clusters` is `assign(X)`, `current_ids` what is published now, `since` when that began (microseconds).
        A customer moves when the distance (not squared) to the current centroid exceeds (1 + margin) times that to the
        nearest, and the dwell has passed; from an id that this version does not have at once; without a vote to
        NO_PURCHASES at once. Where a segment's name would be false of a customer it counts as not there, at once; where
        none is left, LAPSED. `recency` is days since the last order, (customers,): not needed where it is among
        the features.
        """
        ids = self.segment_ids
        voting = clusters >= 0
        by_id = np.argsort(ids)
        place = np.minimum(np.searchsorted(ids[by_id], current_ids), len(ids) - 1)
        own = by_id[place]
        held: Booleans = voting & (ids[own] == current_ids)
        forbidden = self._forbidden(X, clusters, own, held, recency)
        nearest, allowed, nowhere = clusters, held, np.zeros(len(X), np.bool_)
        if forbidden is not None:
            nearest = clusters.copy()
            squared = self.metric.squared_distances(X[forbidden.rows], self.centroids)
            nearest[forbidden.rows] = np.where(forbidden.segments, np.inf, squared).argmin(axis=1)
            nowhere[forbidden.rows] = forbidden.segments.all(axis=1)
            allowed = held.copy()
            allowed[forbidden.rows] &= ~forbidden.segments[np.arange(len(forbidden.rows)), own[forbidden.rows]]
        published: Labels = np.where(voting, ids[nearest], np.int32(NO_PURCHASES))
        unsure = np.flatnonzero(allowed & (current_ids != published))
        if unsure.size:
            squared = self.metric.squared_distances(X[unsure], self.centroids)
            rows = np.arange(len(unsure))
            clearly: Booleans = squared[rows, own[unsure]] > (1 + self.margin) ** 2 * squared[rows, nearest[unsure]]
            stay = unsure[~clearly | (since[unsure] > now - self.dwell)]
            published[stay] = current_ids[stay]
        published[nowhere] = LAPSED
        return published

    def _forbidden(
        self, X: Floats, clusters: Labels, own: Integers, held: Booleans, recency: Floats | None
    ) -> "_Forbidden | None":
        """Who must not be in a segment that is the nearest, or the present one; None where nobody is."""
        active = np.array([segment.active for segment in self.segments])
        if not active.any():
            return None
        rows = np.flatnonzero((clusters >= 0) & (active[clusters] | (held & active[own])))
        if recency is not None:
            days = recency[rows]
        elif RECENCY in self.features:
            place = self.features.index(RECENCY)
            days = self.feature_set.in_units(X[rows], self.order_value)[:, place]
        else:
            return None
        lapsed = days > self.lapse_days
        rows = rows[lapsed]
        return _Forbidden(rows, barred(days[lapsed], active, self.lapse_days)) if rows.size else None

    def to_document(self) -> ModelDocument:
        """The version as it is published; `from_document` gives exactly this back."""
        return ModelDocument(
            version=self.version,
            adopted_at=from_micros(self.adopted_at),
            reason=self.reason,
            gain=self.gain,
            features=self.features,
            columns=self.columns,
            requested=self.requested,
            order_value=self.order_value,
            means=tuple(self.metric.means.tolist()),
            deviations=tuple(self.metric.deviations.tolist()),
            segments=tuple(
                _document_of(one, centroid, size)
                for one, centroid, size in zip(self.segments, self.centroids.tolist(), self.sizes, strict=True)
            ),
            seed=self.seed,
            margin=self.margin,
            dwell_us=self.dwell,
            purchases=self.purchases,
            buyers=self.buyers,
            next_segment_id=self.next_segment_id,
            inertia=self.inertia,
            by_rule=self.by_rule,
            outliers={} if self.outliers is None else self.outliers.to_plain(),
            why=self.why,
            lineage=tuple(
                DescentDocument(
                    segment_id=one.segment_id, name=one.name, kind=one.kind, origins=one.origins, heirs=one.heirs
                )
                for one in self.lineage
            ),
            k_instead_of=self.k_instead_of,
            rolled_back_to=self.rolled_back_to,
            lapse_days=self.lapse_days,
            new_days=self.new_days,
        )

    @classmethod
    def from_document(cls, document: ModelDocument) -> "SegmentModel":
        """The version that a document describes."""
        return cls(
            version=document.version,
            features=document.features,
            columns=document.columns,
            requested=document.requested,
            order_value=document.order_value,
            metric=Metric(np.array(document.means), np.array(document.deviations)),
            centroids=np.array([segment.centroid for segment in document.segments]),
            segments=tuple(_segment_of(one) for one in document.segments),
            seed=document.seed,
            margin=document.margin,
            dwell=document.dwell_us,
            adopted_at=to_micros(document.adopted_at),
            reason=document.reason,
            gain=document.gain,
            purchases=document.purchases,
            buyers=document.buyers,
            next_segment_id=document.next_segment_id,
            sizes=tuple(segment.size for segment in document.segments),
            inertia=document.inertia,
            by_rule=document.by_rule,
            outliers=OutlierBounds.from_plain(document.outliers, document.features) if document.outliers else None,
            why=document.why,
            lineage=tuple(
                Descent(one.segment_id, one.name, one.kind, one.origins, one.heirs) for one in document.lineage
            ),
            k_instead_of=document.k_instead_of,
            rolled_back_to=document.rolled_back_to,
            lapse_days=document.lapse_days,
            new_days=document.new_days,
        )

    @classmethod
    def read(cls, document: bytes) -> "SegmentModel":
        """The version that a document, as it is published, describes."""
        return cls.from_document(ModelDocument.model_validate_json(document))


def _document_of(segment: Segment, centroid: list[float], size: int) -> SegmentDocument:
    return SegmentDocument(
        id=segment.id,
        name=segment.name,
        strategy=segment.strategy,
        centroid=tuple(centroid),
        size=size,
        flags=segment.flags,
        adjectives=tuple((one.word, one.share) for one in segment.adjectives),
        active=segment.active,
        lapsing=segment.lapsing,
    )


def _segment_of(document: SegmentDocument) -> Segment:
    return Segment(
        id=document.id,
        name=document.name,
        strategy=document.strategy,
        flags=document.flags,
        adjectives=tuple(Adjective(*one) for one in document.adjectives),
        active=document.active,
        lapsing=document.lapsing,
    )


def unlearned_ids(placeable: Booleans) -> Labels:
    """The segment ids before there is a model, (customers,) int32; `placeable` as by `FeatureSet.placeable`."""
    return np.where(placeable, np.int32(NOT_ENOUGH_DATA), np.int32(NO_PURCHASES))
