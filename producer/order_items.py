"""What order lines say of items: their names and categories, which are no products, and when each was first sold."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import pandas as pd

from contracts.catalog import CatalogItem, clean_text
from contracts.times import from_micros
from producer.cleaning import Ints
from producer.lines import Reading
from producer.mapping import AMOUNT_ITEM, ColumnMapping
from recommender.non_products import NonProducts

_Weight = tuple[bool, int, int]
"""Whether it was a purchase, its time, its row: the greatest counts."""
_Said = tuple[_Weight, str]
_FIELDS: Final = ("name", "category")


def order_items(frame: pd.DataFrame, mapping: ColumnMapping, reading: Reading) -> list[CatalogItem]:
    """Every item that the table's events name, by id: see ItemBook."""
    book = ItemBook()
    book.add(frame, mapping, reading, np.arange(len(frame)))
    return book.items(mapping.non_products)


@dataclass(slots=True)
class ItemBook:
    """What parts of a table say of items, whatever the order of the parts.

    Of several names the latest that a purchase gave counts, or a return where no purchase gave any: what shops write
    beside stock corrections is no name. Likewise the category. The time of the first line is when the item came.
    """

    _first: dict[str, int] = field(default_factory=dict)
    _said: dict[str, dict[str, _Said]] = field(default_factory=lambda: {name: {} for name in _FIELDS})

    def add(self, frame: pd.DataFrame, mapping: ColumnMapping, reading: Reading, places: Ints) -> None:
        """Take in a part; `places` are its rows' numbers in the whole table, (rows,)."""
        rows = np.flatnonzero(reading.kept & (reading.items.codes >= 0))
        rows = rows[np.lexsort((places[rows], reading.times[rows], ~reading.returned[rows]))]
        items = reading.items.codes[rows]
        first: Ints = np.full(len(reading.items.texts), np.iinfo(np.int64).max)
        np.minimum.at(first, items, reading.times[rows])
        for item in set(items.tolist()):
            text, at = reading.items.texts[item], int(first[item])
            self._first[text] = min(at, self._first.get(text, at))
        for name in _FIELDS:
            if name not in mapping.columns:
                continue
            known = self._said[name]
            for item, row, said in _latest(frame[mapping.columns[name]], rows, items):
                weight = (not bool(reading.returned[row]), int(reading.times[row]), int(places[row]))
                text = reading.items.texts[item]
                if text not in known or weight > known[text][0]:
                    known[text] = (weight, said)

    def items(self, non_products: Sequence[str] = ()) -> list[CatalogItem]:
        """Every item, by id; those that match a pattern are no products."""
        patterns = NonProducts(tuple(non_products))
        return [
            CatalogItem(
                item_id=item_id,
                name=self._text("name", item_id),
                category=self._text("category", item_id),
                recommendable=False if patterns.matches(item_id) else None,
                since=from_micros(first),
                from_orders=True,
            )
            for item_id, first in sorted(self._first.items())
            if item_id != AMOUNT_ITEM
        ]

    def _text(self, name: str, item_id: str) -> str | None:
        said = self._said[name].get(item_id)
        return None if said is None else said[1]


def _latest(column: "pd.Series[str]", rows: Ints, items: Ints) -> list[tuple[int, int, str]]:
    """By item its last row whose text is not empty, and the text; `rows` in order of rising weight."""
    codes, uniques = pd.factorize(column, use_na_sentinel=True)
    texts = [clean_text(str(unique)) for unique in uniques]
    said = np.array([text is not None for text in texts] + [False])[codes][rows]
    last = dict(zip(items[said].tolist(), rows[said].tolist(), strict=True))
    return [(item, row, text) for item, row in last.items() if (text := texts[codes[row]]) is not None]
