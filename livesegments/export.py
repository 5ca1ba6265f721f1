"""All customers as a table: a row each, partition by partition."""

from dataclasses import dataclass
from functools import cache
from pathlib import Path

from consumer.clock import wall_micros
from consumer.ragged_columns import Categories
from consumer.state import State
from contracts.keys import BUCKETS
from livesegments.categories import CategorySource, no_categories
from livesegments.export_columns import AttributeTypes, Columns, columns_of
from livesegments.records import count_partitions, newest_time, read_document, read_forecaster, read_records
from livesegments.segment_names import SegmentNames
from livesegments.settings import Settings
from livesegments.table_file import write_table
from online_model.model import SegmentModel


@dataclass(frozen=True, slots=True)
class Exported:
    """What was written."""

    customers: int
    misfits: int
    """Attribute values left out because they changed their type, or appeared, while the table was written."""


def export_customers(
    file: Path, state: State, settings: Settings, categories: CategorySource = no_categories
) -> Exported:
    """Write every customer to a .parquet or .csv file. Raises TableFileError, StateError."""
    partitions = range(count_partitions(state) or 0)
    columns = customer_columns(state, settings, categories=categories)
    rows = write_table(file, columns.schema, (columns.batch(records) for records in read_records(state, partitions)))
    return Exported(rows, columns.misfits)


def customer_columns(
    state: State,
    settings: Settings,
    buckets: int = BUCKETS,
    categories: CategorySource = no_categories,
) -> Columns:
    """The columns of a table of the customers in the first so many buckets.

    Reads all of these: a table has to know its columns, and so all attributes, before its first row.
    """
    partitions = range(count_partitions(state) or 0)
    document = read_document(state)
    attributes = AttributeTypes()
    for records in read_records(state, partitions, buckets):
        attributes.learn(records.attributes)
    model = SegmentModel.from_document(document) if document else None
    needed = model is not None and model.feature_set.needs_categories
    return columns_of(
        attributes,
        model,
        settings.features,
        wall_micros() if settings.clock == "wall" else newest_time(state, len(partitions)),
        SegmentNames(state, document, settings.out_of_scope_name).name,
        items=cache(lambda partition: state.keep(partition).items),
        categories=Categories(categories() if needed else None),
        forecaster=read_forecaster(state, told=settings.forecasts),
    )
