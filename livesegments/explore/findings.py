"""What an exploration finds: plain numbers, the same for the JSON and for every figure of the report."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal


@dataclass(frozen=True, slots=True)
class Histogram:
    """Counts of values between edges. What lies beyond the first and last edge is counted apart."""

    edges: Sequence[float]
    counts: Sequence[int]
    below: int
    above: int
    log: bool
    """Bins are equally wide in log1p(value)."""


@dataclass(frozen=True, slots=True)
class NumberColumn:
    """A column of numbers."""

    name: str
    missing: int
    unusable: int
    """Values that are there and no number."""
    distinct: int
    mean: float
    deviation: float
    quantiles: Mapping[str, float]
    """`min`, `p05`, `p25`, `median`, `p75`, `p95`, `max`."""
    histogram: Histogram
    kind: Literal["number"] = "number"


@dataclass(frozen=True, slots=True)
class CategoryColumn:
    """A column of few different values."""

    name: str
    missing: int
    distinct: int
    levels: Sequence[tuple[str, int]]
    """The most frequent values, with the number of rows."""
    others: int
    """Rows with any other value."""
    kind: Literal["category"] = "category"


@dataclass(frozen=True, slots=True)
class TimeColumn:
    """A column of times."""

    name: str
    missing: int
    unusable: int
    first: str
    last: str
    step: Literal["day", "week", "month"]
    counts: Sequence[tuple[str, int]]
    """The first day of each step, with the number of rows."""
    kind: Literal["time"] = "time"


@dataclass(frozen=True, slots=True)
class TextColumn:
    """A column of ids or of free text: only counted."""

    name: str
    missing: int
    distinct: int
    kind: Literal["text"] = "text"


Column = NumberColumn | CategoryColumn | TimeColumn | TextColumn


@dataclass(frozen=True, slots=True)
class Correlations:
    """Spearman's rank correlation of each two columns, over the rows that have both."""

    names: Sequence[str]
    matrix: Sequence[Sequence[float | None]]
    """(columns, columns); None where there is none, such as of a constant column."""


@dataclass(frozen=True, slots=True)
class Pairs:
    """Some rows, to be drawn as points: each two of the columns against each other."""

    names: Sequence[str]
    points: Sequence[Sequence[float | None]]
    """(columns, rows)."""
    log: Sequence[bool]
    """By column: better drawn on a logarithmic scale."""
    spans: Sequence[tuple[float, float]]
    """By column: where nearly all values are, the ends of its histogram."""
    labels: Sequence[str] | None
    """By row: the group it is in."""
    labelled_by: str | None


@dataclass(frozen=True, slots=True)
class Group:
    """Rows that have something in common."""

    label: str
    rows: int
    medians: Mapping[str, float | None]
    """Of the number columns."""
    parts: Mapping[str, int]
    """Rows by level of a second column, where there is one."""


@dataclass(frozen=True, slots=True)
class Groups:
    """All rows, grouped by one column."""

    column: str
    by: str | None
    """The second column."""
    ranges: bool
    """Groups are ranges of the column's numbers, such as age groups."""
    groups: Sequence[Group]


@dataclass(frozen=True, slots=True)
class Outlier:
    """A row with at least one outlying value."""

    row: str
    """Its id, or its number from 1."""
    values: Mapping[str, float]
    """The outlying ones, by column."""
    z: Mapping[str, float]
    """Their robust z."""


@dataclass(frozen=True, slots=True)
class Outliers:
    """Rows whose robust |z| is above the threshold in some column, z on the scale on which the column is drawn."""

    threshold: float
    rows: int
    """With at least one outlying value."""
    low: Mapping[str, int]
    high: Mapping[str, int]
    farthest: Sequence[Outlier]
    """The most outlying rows."""


@dataclass(frozen=True, slots=True)
class Table:
    """What was found in one table."""

    title: str
    about: str
    """What a row is, in a sentence."""
    rows: int
    looked_at: int
    """Rows drawn at random for correlations, medians of groups and points, where the table has more."""
    columns: Sequence[Column]
    correlations: Correlations | None = None
    pairs: Pairs | None = None
    groups: Sequence[Groups] = ()
    outliers: Outliers | None = None


@dataclass(frozen=True, slots=True)
class Month:
    """A calendar month of orders, in the zone of the settings."""

    month: str
    orders: int
    returns: int
    customers: int
    spend: float
    refunds: float


@dataclass(frozen=True, slots=True)
class Item:
    """What was bought."""

    item_id: str
    name: str | None
    spend: float
    units: int
    buyers: int


@dataclass(frozen=True, slots=True)
class Orders:
    """What order lines tell besides columns. Money in the table's currency."""

    currency: str
    months: Sequence[Month]
    hours: Sequence[Sequence[int]]
    """Orders by weekday, Monday first, and hour of the day: (7, 24)."""
    items: Sequence[Item]
    """Those that brought most."""
    used: int
    """Rows that became order lines."""
    skipped: Mapping[str, int]
    """Rows that did not, by reason."""


@dataclass(frozen=True, slots=True)
class Exploration:
    """All that was found."""

    source: str
    explored_at: str
    facts: Sequence[tuple[str, str]]
    """What it is about in a few numbers, each with its name."""
    notes: Sequence[str]
    tables: Sequence[Table]
    orders: Orders | None = None
    v: int = field(default=1)
    """The version of this layout."""
