"""The columns of an export: what rows hold, attributes by name, features and cluster of the current model."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from consumer.columns import Columns as RowColumns
from consumer.event_columns import Attributes
from consumer.layout import MISSING_TIME
from consumer.ragged_columns import Categories, DecodedColumns, Lines
from contracts.documents import NO_SEGMENT
from contracts.money import MILLIONTHS
from livesegments.records import Records
from online_model.features import FEATURES
from online_model.forecasts.ahead_columns import FIGURES, LooksAhead, figure
from online_model.model import SegmentModel
from online_model.presets import FeatureRequest

_TIME: Final = pa.timestamp("us", tz="UTC")
ROW_FIELDS: Final = (
    pa.field("customer_id", pa.string(), nullable=False),
    pa.field("first_purchase_at", _TIME),
    pa.field("last_purchase_at", _TIME),
    pa.field("orders", pa.int64(), nullable=False),
    pa.field("returns", pa.int64(), nullable=False),
    pa.field("spend", pa.float64(), nullable=False),
    pa.field("refunds", pa.float64(), nullable=False),
    pa.field("units", pa.int64(), nullable=False),
    pa.field("segment_id", pa.int32()),
    pa.field("segment_name", pa.string()),
)
"""What every export begins with; `units` are those bought, money is in the deployment's currency."""
FEATURE_PREFIX: Final = "feature_"
CLUSTER: Final = "cluster"
ATTRIBUTE_PREFIX: Final = "attribute_"


@dataclass(slots=True)
class AttributeTypes:
    """Which attributes there are, and what type fits all values of each. Numbers of both kinds are floats."""

    types: dict[str, type] = field(default_factory=dict)

    def learn(self, attributes: Iterable[Attributes]) -> None:
        """Take some customers' attributes into account."""
        for one in attributes:
            for name, value in one.items():
                known, kind = self.types.get(name), type(value)
                if known is None or known is kind:
                    self.types[name] = kind
                else:
                    self.types[name] = float if {known, kind} == {int, float} else str


_ARROW: Final[Mapping[type, Any]] = {bool: pa.bool_(), int: pa.int64(), float: pa.float64(), str: pa.string()}


@dataclass(slots=True)
class Columns:
    """Makes record batches of one schema. `misfits` counts attribute values that appeared after the schema was made."""

    schema: pa.Schema
    model: SegmentModel | None
    now: int
    segment_name: Callable[[int], str | None]
    attributes: Mapping[str, tuple[str, type]]
    """By name of the attribute: column and type."""
    features: tuple[str, ...]
    items: Callable[[int], Sequence[str]]
    """The item names of a partition."""
    categories: Categories
    forecaster: LooksAhead
    misfits: int = 0

    def batch(self, records: Records) -> pa.RecordBatch:
        """Some customers as a record batch."""
        arrays = [
            *self._row(records),
            *self._ahead(records),
            *self._attributes(records.attributes),
            *self._learnt(records),
        ]
        return pa.RecordBatch.from_arrays(arrays, schema=self.schema)

    def _row(self, records: Records) -> list[pa.Array]:
        header = records.header
        segments = header["segment"]
        names = {one: self.segment_name(one) for one in np.unique(segments).tolist() if one != NO_SEGMENT}
        return [
            pa.array(records.customer_ids, pa.string()),
            _times(header["first_at"]),
            _times(header["last_at"]),
            pa.array(header["orders"].astype(np.int64)),
            pa.array(header["returns"].astype(np.int64)),
            pa.array(header["spend"] / MILLIONTHS),
            pa.array(header["refunds"] / MILLIONTHS),
            pa.array(header["units"].astype(np.int64)),
            pa.array(segments.astype(np.int32), mask=segments == NO_SEGMENT),
            pa.array([names.get(one) for one in segments.tolist()], pa.string()),
        ]

    def _ahead(self, records: Records) -> list[pa.Array]:
        ahead = self.forecaster.ahead(RowColumns(records.header), self.now)
        return [pa.array(figure(ahead, name), from_pandas=True) for name in FIGURES]

    def _attributes(self, attributes: Iterable[Attributes]) -> list[pa.Array]:
        values = list(attributes)
        arrays = []
        for name, (_, kind) in self.attributes.items():
            column = [self._fitting(one.get(name), kind) for one in values]
            arrays.append(pa.array(column, _ARROW[kind]))
        self.misfits += sum(1 for one in values for name in one if name not in self.attributes)
        return arrays

    def _fitting(self, value: object, kind: type) -> object:
        if value is None or type(value) is kind:
            return value
        if kind is float and type(value) is int:
            return float(value)
        if kind is str:
            return str(value).lower() if isinstance(value, bool) else str(value)
        self.misfits += 1
        return None

    def _learnt(self, records: Records) -> list[pa.Array]:
        if self.model is None:
            return [*(pa.nulls(len(records), pa.float64()) for _ in self.features), pa.nulls(len(records), pa.int32())]
        partitions = [records.partition] * len(records)
        kept = Lines(records.heads, records.lines, partitions, self.items, self.categories)
        rows = RowColumns(records.header, DecodedColumns(lambda: records.attributes, kept))
        X = self.model.features_of(rows, self.now)
        arrays = [pa.array(X[:, place], from_pandas=True) for place in range(X.shape[1])]
        clusters = self.model.assign(X)
        ids = np.where(clusters >= 0, self.model.segment_ids[clusters], 0).astype(np.int32)
        return [*arrays, pa.array(ids, mask=clusters < 0)]


def columns_of(
    attributes: AttributeTypes,
    model: SegmentModel | None,
    features: tuple[str, ...],
    now: int,
    segment_name: Callable[[int], str | None],
    *,
    items: Callable[[int], Sequence[str]],
    categories: Categories,
    forecaster: LooksAhead,
) -> Columns:
    """The columns of an export at `now`, for rows whose lines name `items` by partition.

    `features` are the settings', for a deployment without a model: its feature columns, and `cluster`, are null.
    """
    declared = tuple(name for name in FeatureRequest(names=features).terms() if name in FEATURES)
    chosen = model.features if model else declared
    learnt = [pa.field(FEATURE_PREFIX + name, pa.float64()) for name in chosen]
    learnt.append(pa.field(CLUSTER, pa.int32()))
    ahead = [pa.field(name, pa.float64()) for name in FIGURES]
    taken = {one.name for one in (*ROW_FIELDS, *ahead, *learnt)}
    named: dict[str, tuple[str, type]] = {}
    for name, kind in sorted(attributes.types.items()):
        column = name
        while column in taken:
            column = ATTRIBUTE_PREFIX + column
        taken.add(column)
        named[name] = (column, kind)
    own = [pa.field(column, _ARROW[kind]) for column, kind in named.values()]
    schema = pa.schema([*ROW_FIELDS, *ahead, *own, *learnt])
    return Columns(schema, model, now, segment_name, named, chosen, items, categories, forecaster)


def _times(moments: npt.NDArray[np.int64]) -> pa.Array:
    return pa.array(moments.astype(np.int64), pa.int64(), mask=moments == MISSING_TIME).cast(_TIME)
