"""All customers as a pandas DataFrame: the columns of `livesegments export`, from a notebook."""

from pathlib import Path
from typing import Any, Final

import pandas as pd
import pyarrow as pa

from consumer.redis_state import RedisState
from consumer.state import State
from contracts.keys import BUCKETS
from livesegments.app import open_logs, open_redis
from livesegments.categories import CategorySource, catalogue_categories, no_categories
from livesegments.export import customer_columns
from livesegments.parts import keys
from livesegments.records import count_partitions, read_records
from livesegments.settings import Settings
from livesegments.sources import load_settings

_TYPES: Final = {pa.int32(): pd.Int32Dtype()}
"""Segment and cluster may be missing, and are whole numbers all the same."""


def load_customers(config: Path | str | None = None, *, shop: str | None = None, **settings: Any) -> pd.DataFrame:
    """Every customer of the deployment, a row each, as the workers last checkpointed them.

    Settings come from where the command line has them: `config` or ./livesegments.toml (of it one `shop`, where it has
    several), the environment variables LIVESEGMENTS_…, and, as flags would, the keyword arguments, which win.

    Columns: customer_id, first_purchase_at and last_purchase_at (UTC), orders, returns, spend, refunds, units (bought),
    segment_id and segment_name, every attribute by its name, the model's features as `feature_…`, and `cluster`.

    Raises SettingsError, StateUnavailableError where Redis does not answer, and, where segments are made of shares of
    categories, NoCategoriesError or LogUnavailableError without their catalogue.

    Example:
        ```python
        import livesegments

        customers = livesegments.load_customers(redis_url="redis://localhost:6379/0")
        customers.groupby("segment_name")["spend"].describe()
        ```
    """
    loaded = load_settings(None if config is None else Path(config), settings, shop)
    client = open_redis(loaded.settings)
    try:
        state = RedisState(client, keys(loaded.settings))
        return read_customers(state, loaded.settings, categories=lambda: _categories(loaded.settings))
    finally:
        client.close()


def _categories(settings: Settings) -> dict[str, str]:
    logs = open_logs(settings)
    try:
        return catalogue_categories(logs, settings)
    finally:
        logs.close()


def read_customers(
    state: State,
    settings: Settings,
    buckets: int = BUCKETS,
    categories: CategorySource = no_categories,
) -> pd.DataFrame:
    """The customers of the first so many buckets, a uniform sample of all: see load_customers."""
    partitions = range(count_partitions(state) or 0)
    columns = customer_columns(state, settings, buckets, categories)
    batches = [columns.batch(records) for records in read_records(state, partitions, buckets)]
    table = pa.Table.from_batches(batches, columns.schema)
    frame: pd.DataFrame = table.to_pandas(types_mapper=_TYPES.get)
    return frame
