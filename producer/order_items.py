"""What order lines say of items: their names and categories, which are no products, and when each was first sold."""

from collections.abc import Sequence
from typing import Final

import numpy as np
import pandas as pd

from contracts.catalog import CatalogItem, clean_text
from contracts.times import from_micros
from producer.cleaning import Ints
from producer.lines import Reading
from producer.mapping import AMOUNT_ITEM, ColumnMapping
from recommender.non_products import NonProducts

_NOTHING: Final = -1


def order_items(frame: pd.DataFrame, mapping: ColumnMapping, reading: Reading) -> list[CatalogItem]:
    """Every item that the table's events name, by id.

    Of several names the latest that a purchase gave counts, or a return where no purchase gave any: what shops write
    beside stock corrections is no name. Likewise the category. The time of the first line is when the item came.
    """
    rows = np.flatnonzero(reading.kept & (reading.items.codes >= 0))
    rows = rows[np.lexsort((rows, reading.times[rows], ~reading.returned[rows]))]
    items = reading.items.codes[rows]
    first: Ints = np.full(len(reading.items.texts), np.iinfo(np.int64).max)
    np.minimum.at(first, items, reading.times[rows])
    names = _latest(frame, mapping.columns.get("name"), rows, items, len(first))
    categories = _latest(frame, mapping.columns.get("category"), rows, items, len(first))
    non_products = NonProducts(mapping.non_products)
    return [
        CatalogItem(
            item_id=item_id,
            name=names[item],
            category=categories[item],
            recommendable=False if non_products.matches(item_id) else None,
            since=from_micros(int(first[item])),
            from_orders=True,
        )
        for item, item_id in sorted(((item, reading.items.texts[item]) for item in set(items.tolist())), key=_by_id)
        if item_id != AMOUNT_ITEM
    ]


def _latest(frame: pd.DataFrame, column: str | None, rows: Ints, items: Ints, count: int) -> Sequence[str | None]:
    """By item, the last text of a column that is not empty; `rows` in order of rising weight."""
    if column is None:
        return [None] * count
    codes, uniques = pd.factorize(frame[column], use_na_sentinel=True)
    texts = [clean_text(str(unique)) for unique in uniques]
    said = np.array([text is not None for text in texts] + [False])[codes][rows]
    latest = np.full(count, _NOTHING, np.int64)
    latest[items[said]] = codes[rows][said]  # of several values for one place numpy keeps the last
    return [None if code == _NOTHING else texts[code] for code in latest.tolist()]


def _by_id(pair: tuple[int, str]) -> str:
    return pair[1]
