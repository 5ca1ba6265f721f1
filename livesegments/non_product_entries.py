"""What a known table sells that is no product, as entries of the catalogue: its preset has the patterns."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from contracts.catalog import CatalogItem
from logs.base import Logs
from producer.cleaning import clean_ids
from producer.mapping import MappingRequest, resolve
from producer.table import TableFile, open_table
from recommender.non_products import NonProducts

if TYPE_CHECKING:
    import pandas as pd


def non_product_entries(path: Path, request: MappingRequest) -> list[CatalogItem]:
    """An entry for every item code of the table that is no product; none where the table is not a known one.

    Raises TableError, MappingError.
    """
    table = open_table(path, request.sheet)
    mapping = resolve(table.columns, request)
    column = mapping.columns.get("item_id")
    if not mapping.non_products or column is None:
        return []
    codes, names = _read(table, column, mapping.columns.get("name"))
    products = NonProducts(mapping.non_products)
    ids = clean_ids(codes)
    numbers = {number: text for number, text in enumerate(ids.texts) if products.matches(text)}
    return [
        CatalogItem(item_id=text, name=_usual(names, ids.codes == number), recommendable=False)
        for number, text in numbers.items()
    ]


def publish_entries(entries: Sequence[CatalogItem], logs: Logs, log: str) -> None:
    """Put entries onto the catalogue, and wait until it has them. Raises LogError."""
    writer = logs.writer()
    try:
        placed = [writer.append(log, entry.item_id.encode(), entry.encode()) for entry in entries]
        writer.flush(30.0)
        for one in placed:
            one.result()
    finally:
        writer.close(10.0)


def _read(table: TableFile, item: str, name: str | None) -> tuple["pd.Series[Any]", "pd.Series[Any] | None"]:
    frame = table.read({item, name} if name else {item})
    return frame[item], frame[name] if name else None


def _usual(names: "pd.Series[Any] | None", rows: Any) -> str | None:
    """The name that most of these rows give; None where none does."""
    if names is None:
        return None
    counts = names[rows].dropna().astype(str).str.strip().value_counts()
    return str(counts.index[0]) if len(counts) else None
