"""What readers get: one frozen pydantic model per document, the authority on names and types (design §9).

The hot path writes and reads these documents with faster code; tests hold that code equal to these models.
"""

from datetime import date
from typing import Annotated, Final, Literal

from pydantic import Base64Bytes, BaseModel, ConfigDict, Field, TypeAdapter

from contracts.events import Identifier, Timestamp

VERSION: Final = 1
"""The newest document version that this code knows."""
MAX_VIEW_BYTES: Final = 4096
"""No customer view is ever larger: items are cut from the end."""
SHORT_ID_CHARACTERS: Final = 16
"""Where no id in a view is longer than this ..."""
SHORT_VIEW_BYTES: Final = 900
"""... the view is no larger than this."""

Cause = Literal["purchase", "return", "profile", "time", "model", "alias"]
CAUSES: Final[tuple[Cause, ...]] = ("purchase", "return", "profile", "time", "model", "alias")
"""Why a customer moved. The place in this tuple is the code in which the cause travels."""

NO_SEGMENT: Final = -(2**31)
"""Where segment ids travel as columns: there is none (yet). Documents say null."""

RULE_IDS: Final = range(-199, -100)
"""Ids kept free for segments by rule: the naming table applied to one customer, while there is little data."""


def _is_false(value: object) -> bool:
    return value is False


def _is_empty(value: tuple[object, ...]) -> bool:
    return not value


def _is_none(value: object) -> bool:
    return value is None


ByRule = Annotated[bool, Field(exclude_if=_is_false)]
"""Whether a segment is one by rule; left out of the JSON where it is not."""

Reason = str
"""Why an item is recommended: `again`, `because:<item id>`, `popular`, `trending`, `new`; a reader accepts any.

Where ids are so long that the view would be, its last items say `because` alone.
"""
RecommendedItem = tuple[Identifier, float, Reason]
"""Item id, score, reason. Scores compare within one list only."""


class _Document(BaseModel):
    """Frozen; unknown fields are ignored, so that writers may be newer than readers within one version."""

    model_config = ConfigDict(frozen=True, extra="ignore", populate_by_name=True, serialize_by_alias=True)

    v: Annotated[int, Field(ge=1)] = VERSION

    def encode(self) -> bytes:
        """The document as it is stored: compact JSON in UTF-8."""
        return self.model_dump_json().encode()


class Membership(BaseModel):
    """The segment a customer is in, since when, where from, and why the customer moved."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    id: int
    name: str
    since: Timestamp
    previous: int | None = None
    cause: Cause
    by_rule: ByRule = False
    """Given by the naming table to this one customer, not learnt: there is little data yet."""


class CustomerForecast(BaseModel):
    """What a customer will do within 30, 90 and 365 days, as of the beginning of a day (UTC).

    A figure that is not known is left out.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    as_of: date
    p_active: Annotated[float | None, Field(exclude_if=_is_none)] = None
    """Probability of still being a customer; left out where the data do not tell silence from leaving."""
    orders: Annotated[tuple[float, float, float] | None, Field(exclude_if=_is_none)] = None
    """Expected days with an order within 30, 90, 365 days."""
    spend: Annotated[tuple[float, float, float] | None, Field(exclude_if=_is_none)] = None
    """Expected net spend within the same, in the deployment's currency."""
    orders_90d: Annotated[tuple[int, int] | None, Field(exclude_if=_is_none)] = None
    """Between what the orders of 90 days lie with 90 %, both included."""
    spend_90d: Annotated[tuple[float, float] | None, Field(exclude_if=_is_none)] = None
    """The same of the net spend."""
    churn: Annotated[float | None, Field(exclude_if=_is_none)] = None
    """Probability of no order within 90 days, as learned from who stayed away."""


class CustomerView(_Document):
    """`<prefix>:customer:<id>`: all that an application shows one customer, in one GET."""

    customer_id: Identifier
    segment: Membership | None
    audiences: tuple[str, ...] = ()
    """The audiences that the customer is in."""
    items: tuple[RecommendedItem, ...]
    forecast: CustomerForecast | None = None
    """None: not enough data yet; the forecast document says what is missing."""
    as_of: Timestamp
    model_version: int
    written_by: tuple[int, str]
    """Sequence number and owner token of the checkpoint that this view was computed after."""


class JoinedView(_Document):
    """`<prefix>:customer:<id>` of an id that is joined to a customer: whose it is. The customer's view has the rest."""

    customer_id: Identifier
    joined_to: Identifier
    """May be joined to another in its turn."""
    items: tuple[RecommendedItem, ...] = ()
    """None: a reader that knows nothing of joined ids recommends nothing."""


class ColdStart(_Document):
    """`<prefix>:cold-start`: what to recommend to somebody unknown."""

    items: tuple[RecommendedItem, ...]
    as_of: Timestamp
    model_version: int


class SimilarItems(_Document):
    """`<prefix>:similar:<item id>`: what customers of an item buy as well, the most telling first."""

    item_id: Identifier
    items: tuple[tuple[Identifier, float], ...]
    """Item ids and scores, which compare within one document only."""
    as_of: Timestamp


class PopularItems(_Document):
    """`<prefix>:popular` and `<prefix>:popular:<category>`: what sells best now, in all or in one category."""

    category: str | None = None
    items: tuple[RecommendedItem, ...]
    as_of: Timestamp
    categories: Annotated[tuple[str, ...], Field(exclude_if=_is_empty)] = ()
    """In the list of all items: the categories that have a list of their own."""


class CatalogueEntry(BaseModel):
    """A field of the hash `<prefix>:{catalogue}:items`: what the catalogue says of one item."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    name: str | None = None
    category: str | None = None
    offered: bool = True
    """Whether it may be recommended: in stock, and not marked as no product."""


class Withdrawn(_Document):
    """`<prefix>:{catalogue}:withdrawn`: what may not be recommended now, whatever a view says."""

    version: Annotated[int, Field(ge=0)]
    """As in `<prefix>:{catalogue}:version` since this was written."""
    items: tuple[Identifier, ...]


class SegmentForecast(BaseModel):
    """What the members of a segment will do, added up; money in the deployment's currency."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    customers: Annotated[int, Field(ge=0)]
    """Members of whom there is a forecast: who has bought."""
    active: float | None = None
    """Members to expect who are still customers; None where the data do not tell silence from leaving."""
    orders_90d: float
    """Expected days with an order within 90 days."""
    revenue_30d: float
    """Expected net spend within 30 days, ..."""
    revenue_90d: float
    revenue_365d: float
    at_risk_90d: float | None = None
    """What they would spend within 90 days beyond that if none of them had left, without whoever is likely to be gone
    for good (P(active) below 0.2): that is lost. None where leaving is not told."""


class SegmentCard(_Document):
    """`<prefix>:segment:<id>`: what there is to say about one segment."""

    id: int
    name: str
    by_rule: ByRule = False
    size: Annotated[int, Field(ge=0)]
    share_of_customers: float
    share_of_revenue: float
    profile: dict[str, float]
    """Mean of each feature and numeric attribute, in its own unit."""
    strategy: str = ""
    flags: tuple[str, ...] = ()
    """What to mind: `high value`, `upsell`, `suppress`."""
    adjectives: tuple[tuple[str, float], ...] = ()
    """Words of the name, and the share of members of whom each was true when it was given."""
    sets_apart: tuple[str, ...] = ()
    """In what it differs most from the shop, in sentences."""
    active: float | None = None
    """Share of members with an order within `lapse_days`; None where nothing is known."""
    lapsed: float | None = None
    """Share of those without."""
    new: float | None = None
    """Share first seen within `new_days`."""
    one_order: float | None = None
    """Share with exactly one order."""
    forecast: SegmentForecast | None = None
    """None: not enough data yet."""
    items: tuple[tuple[Identifier, float], ...]
    """Item id and lift: how many times its share of all purchases it has of this segment's purchases."""
    as_of: Timestamp
    model_version: int


class SegmentSize(BaseModel):
    """One line of the list of segments."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    id: int
    name: str
    size: Annotated[int, Field(ge=0)]
    by_rule: ByRule = False


class RuleThresholds(BaseModel):
    """What the naming table asks of one customer, while segments go by rule: its percentiles as figures.

    Orders and net spend are halved every 365 days. None: nobody reaches it.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    loyal_orders: float | None
    champion_orders: float | None
    champion_net: float | None
    valuable_net: float | None
    """Of those who have lapsed."""
    lapse_days: Annotated[float, Field(ge=0)]
    """Without an order for longer, a customer has lapsed."""
    new_days: Annotated[float, Field(ge=0)]
    """First seen at most so long ago, a customer is new ..."""
    new_from: Timestamp | None
    """... from this moment on: before, the history may simply begin there. None: nothing was bought yet."""


class SegmentList(_Document):
    """`<prefix>:segments`: every segment there is, with its size."""

    segments: tuple[SegmentSize, ...]
    history_start: Timestamp | None = None
    """The first purchase of all; None before there is one."""
    held_back: Annotated[int, Field(ge=0)] = 0
    """Customers nearer to another segment than to theirs: margin, dwell or a quiet feed keeps them where they are."""
    quiet_since: Timestamp | None = None
    """When the last event came, while that is so long ago that the feed seems broken: time alone moves nobody then."""
    rules: RuleThresholds | None = None
    """By what customers are placed while segments go by rule; None once they are learnt."""
    guest_orders: Annotated[int, Field(ge=0)] = 0
    """Orders of nobody known, which make no customer."""
    guest_net_spend: float = 0.0
    guest_share_of_revenue: float | None = None
    """Of the net spend of customers and guests together; None where there is none."""
    as_of: Timestamp
    model_version: int


class AudienceChange(_Document):
    """On the log `segment-changes`: a customer entered or left an audience. At least once, always with the same id."""

    kind: Literal["entered", "left"]
    change_id: str
    customer_id: Identifier
    audience: str
    cause: Cause
    at: Timestamp
    model_version: int


class SegmentChange(_Document):
    """On the log `segment-changes`: a customer moved. Delivered at least once, always with the same id."""

    kind: Literal["moved"] = "moved"
    change_id: str
    customer_id: Identifier
    from_segment: Annotated[int | None, Field(alias="from")] = None
    """None: the customer was in no segment before."""
    to_segment: Annotated[int | None, Field(alias="to")] = None
    by_rule: ByRule = False
    """Whether `to` is a segment by rule."""
    cause: Cause
    at: Timestamp
    model_version: int


class WorkerStatus(_Document):
    """In the hash `<prefix>:workers`: how one worker is doing. Internal; one that stands still is of a worker gone."""

    worker: str
    """Host and process."""
    started_at: Timestamp
    at: Timestamp
    """By the worker's wall clock."""
    interval_s: float
    """The next one is due after so long."""
    records: int
    """Taken from the log since the start."""
    events_per_s: float
    lag: int | None
    """Records that the log still has for this worker; None while that is unknown."""
    partitions: int
    customers: int
    model_version: int | None
    oldest_dirty_view_s: float
    moves: dict[str, int]
    """Customers who changed segment since the start, by cause."""
    audiences: dict[str, int] = {}
    """Customers of its partitions in each audience, as of the last count."""
    freshness: tuple[tuple[float | None, int], ...] = ()
    """How many records since the start were in their customer's view within so many seconds; None: however late."""
    events: dict[str, int] = {}
    """Events that counted since the start, by type."""
    ignored: dict[str, int] = {}
    """Valid events that changed nothing since the start, by reason: repeated, late, …"""
    dead_letters: dict[str, int] = {}
    """Events that could not be used since the start, by reason."""


class LeftOut(BaseModel):
    """Rows of files that became no part of any event, for one reason; nothing of what stands in them."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    reason: str
    rows: Annotated[int, Field(ge=1)]
    file: str | None = None
    """Where the first of them stands; None where they are not rows of their own."""
    row: int | None = None
    """Its number there; 1 is the first below the names of the columns."""


class ImportReport(_Document):
    """In the hash `<prefix>:imports`: what the newest import or replay of some files came to. Internal."""

    command: Literal["import", "replay"]
    files: tuple[str, ...]
    """Names without folders; of very many the first."""
    more_files: Annotated[int, Field(ge=0)] = 0
    who: str | None = None
    """The name of the key, of an import by page, empty where there are none; None: on the command line."""
    started_at: Timestamp
    at: Timestamp
    """When this was written."""
    outcome: Literal["publishing", "done", "stopped"]
    """`publishing` for good: it was killed."""
    rows: Annotated[int, Field(ge=0)]
    events: Annotated[int, Field(ge=0)]
    """That the files tell of."""
    published: Annotated[int, Field(ge=0)]
    left_out: tuple[LeftOut, ...] = ()
    refused: Annotated[int, Field(ge=0)] = 0
    """Orders that no event can be, since the contract does not allow them."""


class SegmentDay(BaseModel):
    """One segment on one stream day."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    id: int
    name: str
    size: int
    """Customers at the end of the day."""
    orders: Annotated[int, Field(ge=0)]
    by_rule: ByRule = False
    net_revenue: float
    """Spend less refunds of the day, by the segment that each customer was in after it."""


class DayMoves(BaseModel):
    """So many customers who went one way for one cause. `from` null: new; `to` null: erased, or joined to another."""

    model_config = ConfigDict(frozen=True, extra="ignore", populate_by_name=True, serialize_by_alias=True)

    from_segment: Annotated[int | None, Field(alias="from")] = None
    to_segment: Annotated[int | None, Field(alias="to")] = None
    cause: str
    """A `Cause`, or `erased`."""
    customers: Annotated[int, Field(ge=1)]


class HistoryDay(_Document):
    """`<prefix>:history:<day>`: what happened on one stream day; kept 400 days."""

    day: date
    segments: tuple[SegmentDay, ...]
    moves: tuple[DayMoves, ...]


class AudienceSize(BaseModel):
    """One audience on one stream day."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    name: str
    size: Annotated[int, Field(ge=0)]


class AudienceDay(_Document):
    """`<prefix>:audience-sizes:<day>`: how many customers were in each audience when it was counted last; 400 days."""

    day: date
    audiences: tuple[AudienceSize, ...]


class ImpressionCounts(BaseModel):
    """Items shown for one reason, on one shelf, to customers of one segment, and what became of it.

    An impression is one item shown to one customer on one shelf at one time.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    reason: str
    """As the showing said, without the item that `because` names; empty where it said none."""
    shelf: str
    """The `source` of the showing."""
    segment: int | None = None
    """Of the customer then; None where there was none yet."""
    segment_name: str = ""
    shown: Annotated[int, Field(ge=0)]
    """Impressions."""
    clicked: Annotated[int, Field(ge=0)]
    """Those of them with a click on the item, on that shelf, within the attribution window."""
    bought: Annotated[int, Field(ge=0)]
    """Those of them whose item the customer bought within the attribution window."""


class FeedbackDay(_Document):
    """`<prefix>:feedback:<day>`: what became of what was shown on one UTC day; kept 400 days."""

    day: date
    counts: tuple[ImpressionCounts, ...]


class TrialGroup(BaseModel):
    """One of the two groups of the experiment with a hold-out: everybody drawn into it, whatever they saw."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    customers: Annotated[int, Field(ge=0)]
    buyers: Annotated[int, Field(ge=0)]
    """Those who ordered since the experiment began."""
    orders: Annotated[int, Field(ge=0)]
    net_spend: float
    """Spend less refunds, in the deployment's currency."""


class RelativeLift(BaseModel):
    """By what share the treated group's mean per customer exceeds that of the group held out."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    value: float
    low: float
    """Where its 95 % interval begins ..."""
    high: float
    """... and ends."""


class LiftDocument(_Document):
    """`<prefix>:lift`: what recommendations bring, by intention to treat."""

    since: Timestamp
    share: float
    """Of customers that is held out."""
    treated: TrialGroup
    held_out: TrialGroup
    orders: RelativeLift | None
    """None: not enough data yet."""
    net_spend: RelativeLift | None
    missing: tuple[str, ...] = ()
    """What is missing for a lift that is not there, in words."""
    as_of: Timestamp


class SegmentEvent(_Document):
    """On the log `segment-changes`: what became of a segment with a model version. At least once, with the same id."""

    change_id: str
    """Of the version and what happened: a repeat has the same one."""
    kind: Literal["born", "split", "restored", "merged", "gone"]
    segment_id: int
    name: str
    from_segments: Annotated[tuple[tuple[int, float], ...], Field(alias="from")] = ()
    """Where the members of a new segment come from: segment ids and shares of its members."""
    to_segments: Annotated[tuple[tuple[int, float], ...], Field(alias="to")] = ()
    """Where the members of one that ended are now."""
    at: Timestamp
    model_version: int


_Told = SegmentChange | AudienceChange | SegmentEvent
_told: Final[TypeAdapter[_Told]] = TypeAdapter(Annotated[_Told, Field(discriminator="kind")])


def parse_change(value: bytes) -> SegmentChange | AudienceChange | SegmentEvent:
    """A record of the log `segment-changes`, told apart by `kind`. Raises pydantic.ValidationError."""
    return _told.validate_json(value)


Band = tuple[float, float, float]
"""A figure, and between what it lies in 80 % of the resamples."""


class KFigures(BaseModel):
    """What k segments would be like."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    k: int
    inertia: Band
    """Mean squared distance to the nearest centroid, in units of the metric."""
    silhouette: Band
    smallest_share: float
    stability: float
    """Mean adjusted Rand index against clusterings of resampled customers."""


class KLook(BaseModel):
    """The last look at the number of segments."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    at: Timestamp
    customers: int
    """In the sample; curves are of at most 2,000 of them."""
    curves: tuple[KFigures, ...]
    chosen: int
    """What the curves speak for."""
    natural: bool
    """Whether customers fall into that many groups by themselves."""
    reason: str
    agreeing_reviews: int
    """How many looks in a row have chosen that."""
    needed_reviews: int
    verdict: str
    """What was made of it, in words."""


class ShadowLook(BaseModel):
    """How the version does that learns beside the live one."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    k: int
    features: tuple[str, ...]
    segments: tuple[SegmentSize, ...]
    """In the sample."""
    inertia: float
    live_inertia: float
    comparable: bool
    """Whether the two inertias are of the same features."""
    silhouette: float
    live_silhouette: float
    would_move: float
    """Share of the sample's customers."""


class ReviewDocument(_Document):
    """`<prefix>:review`: what the leader's last review found."""

    at: Timestamp
    model_version: int
    """That it looked at."""
    customers: int
    outcome: str
    """What came of it, in words."""
    k: int
    """Segments in force when it began."""
    look: KLook | None = None
    """None before the first look at the number of segments."""
    shadow: ShadowLook | None = None


class DeadLetter(_Document):
    """On the log `dead-letters`: a record that could not be used, where it stood, and why."""

    log: str
    partition: int
    offset: int
    reason: str
    """A short code, such as `invalid`, `newer-version`, `future`, `too-large`."""
    message: str
    bytes: Base64Bytes
    """The record's value; base64 in JSON."""


class SettledLetters(_Document):
    """On the log `dead-letters`, under a key of its own: letters of the same partition that are dealt with."""

    fate: Literal["replayed", "dropped"]
    letters: tuple[tuple[int, int], ...]
    """Positions of the first and the last letter of each run."""
    at: Timestamp
