"""The published model document: one version of all segments, everything needed to place a customer in them."""

from typing import Annotated, Final, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from contracts.events import Timestamp

MODEL_VERSION: Final = 1
"""The newest layout of the document that this code knows."""

Finite = Annotated[float, Field(allow_inf_nan=False)]
NotNegative = Annotated[float, Field(allow_inf_nan=False, ge=0)]
Share = Annotated[float, Field(ge=0, le=1)]
Count = Annotated[int, Field(ge=0)]


class _Document(BaseModel):
    """Frozen; unknown fields are ignored, so that the writer may be newer than the reader."""

    model_config = ConfigDict(frozen=True, strict=True, extra="ignore")


class SegmentDocument(_Document):
    """One segment of a model."""

    id: Annotated[int, Field(ge=1)]
    name: str
    strategy: str
    centroid: tuple[Finite, ...]
    """By feature, in the order of `features`, unscaled."""
    size: Count
    """Customers nearest to it when the version was adopted."""
    flags: tuple[str, ...] = ()
    """`high value`, `upsell`, `suppress`."""
    adjectives: tuple[tuple[str, Share], ...] = ()
    """Words of the name, and the shares of members for whom each was true when the version was adopted."""
    active: bool = False
    """Whether the name is false of a customer without an order for longer than `lapse_days`."""
    lapsing: bool = False
    """Whether the name is about silence: false of a seasonal customer whose season has not come."""


Transform = Literal["none", "log1p", "sqrt"]


class FeatureColumn(_Document):
    """How one column of the feature matrix is made of a customer's row.

    Made of no attribute and no category it is the declared feature of its name. Else it is made of a profile attribute,
    as a number or as one of its levels, or it is the share of one category.
    """

    name: str
    attribute: str | None = None
    """The profile attribute that it is made of."""
    level: str | None = None
    """1 where the attribute has this value, 0 where it has that of another column, missing elsewhere."""
    category: str | None = None
    """The share of this category of the catalogue in the kept lines."""
    transform: Transform = "none"
    bins: tuple[Finite, ...] = ()
    """Edges: the value is the number of edges at or below it."""
    low: Finite | None = None
    """What lies below counts as this, before the transform."""
    high: Finite | None = None
    span: NotNegative | None = None
    """What distances divide by, in place of the standard deviation."""


class DescentDocument(BaseModel):
    """Where one segment comes from, or, of one that ended, where its members went."""

    model_config = ConfigDict(frozen=True, extra="ignore", populate_by_name=True, serialize_by_alias=True)

    segment_id: Annotated[int, Field(ge=1)]
    name: str
    kind: Literal["continued", "split", "born", "restored", "merged", "gone"]
    origins: Annotated[tuple[tuple[int, Share], ...], Field(alias="from")] = ()
    """Old segment ids and the shares of its members that come from them."""
    heirs: Annotated[tuple[tuple[int, Share], ...], Field(alias="to")] = ()
    """Of a segment that ended: new segment ids and the shares of its members that are there now."""


class ModelDocument(_Document):
    """One version. Distances divide each feature by its deviation; a deviation of 0 leaves the feature out."""

    v: Annotated[int, Field(ge=1, le=MODEL_VERSION)] = MODEL_VERSION
    version: Annotated[int, Field(ge=1)]
    adopted_at: Timestamp
    """By the deployment's clock."""
    reason: str
    gain: Finite
    """The share of the inertia that this version saved."""
    features: tuple[str, ...]
    columns: tuple[FeatureColumn, ...] = ()
    """How each of `features` is made; empty where all are declared ones."""
    requested: tuple[str, ...] = ()
    """Features and presets as the settings named them; empty where that was `features`."""
    order_value: Annotated[float, Field(gt=0, allow_inf_nan=False)]
    means: tuple[Finite, ...]
    deviations: tuple[NotNegative, ...]
    segments: Annotated[tuple[SegmentDocument, ...], Field(min_length=1)]
    seed: Count
    margin: NotNegative
    dwell_us: Count
    purchases: Count
    """Purchases counted when the version was adopted."""
    buyers: Count
    """Customers who had bought at the last refit."""
    next_segment_id: Annotated[int, Field(ge=2)]
    inertia: NotNegative
    by_rule: bool = False
    """Whether customers are still in segments by rule, since there is too little data for these to be published."""
    outliers: dict[str, tuple[Finite, NotNegative]] = {}
    """Median and spread by feature: 3.5 spreads from the median a customer is marked as an outlier."""
    why: str = ""
    """The reason in a sentence."""
    lineage: tuple[DescentDocument, ...] = ()
    """What became of the segments of the version before; empty where all of them continue."""
    k_instead_of: str = ""
    """The setting `k` that somebody overruled by adopting another number; what the setting says later wins again."""
    rolled_back_to: Count | None = None
    """The version that this one brings back."""
    lapse_days: Annotated[int, Field(ge=1)] = 90
    """Without an order for longer, a customer has lapsed: as settings say, or as measured."""
    new_days: Annotated[int, Field(ge=1)] = 60
    """First seen at most so long ago, a customer is new."""

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        width = len(self.features)
        if any(len(row) != width for row in (self.means, self.deviations, *(one.centroid for one in self.segments))):
            raise ValueError("means, deviations and centroids need one number for each feature")
        if self.columns and tuple(column.name for column in self.columns) != self.features:
            raise ValueError("columns describe the features, one each, in their order")
        ids = [segment.id for segment in self.segments]
        if len(set(ids)) < len(ids) or max(ids) >= self.next_segment_id:
            raise ValueError("segment ids must differ and lie below next_segment_id")
        return self
