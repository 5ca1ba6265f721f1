"""Profile attributes and kept lines of the rows in memory as columns: decoded anew only where a row has changed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypeVar

import numpy as np
import numpy.typing as npt

from consumer.bodies import Fresh, Part
from consumer.ragged import attribute_reader, attributes_of
from consumer.ragged_columns import (
    Categories,
    Codes,
    Floats,
    Integers,
    Lines,
    Texts,
    category_shares,
    count_attributes,
    count_categories,
    kept_purchases,
    number_of,
    text_of,
)
from online_model.features import MISSING_TIME, AttributeCount, TextColumn
from online_model.rhythm import Rhythm

Rows = npt.NDArray[np.int64]
Scalar = TypeVar("Scalar", bound=np.generic)
_MISSING: Final = -1


def _fitting(column: npt.NDArray[Scalar], rows: int, empty: float) -> npt.NDArray[Scalar]:
    """The column, or a copy with room for so many rows."""
    if len(column) >= rows:
        return column
    grown = np.full((rows * 5 // 4, *column.shape[1:]), empty, column.dtype)
    grown[: len(column)] = column
    return grown


class RowCache:
    """Columns of attributes and category shares that somebody asked for, by row number."""

    def __init__(self, attributes: Part, heads: Part, lines: Part, categories: Categories) -> None:
        self.attributes = attributes
        self.heads = heads
        self.lines = lines
        self.categories = categories
        self._attributes = Fresh(attributes)
        self._numbers: dict[str, Floats] = {}
        self._codes: dict[str, Codes] = {}
        self._texts: dict[str, Texts] = {}
        self._lines = Fresh(lines)
        self._chosen: tuple[str, ...] = ()
        self._version = -1
        self._shares: Floats = np.empty((0, 0))
        self._item_codes: dict[int, tuple[Sequence[str], Codes]] = {}
        self._seasonal_lines = Fresh(lines)
        self._season_begins: Integers = np.empty(0, np.int64)

    def numbers(self, rows: Rows, attribute: str) -> Floats:
        """An attribute of rows as numbers; NaN where it is none."""
        if attribute not in self._numbers:
            self._numbers[attribute] = np.empty(0)
            self._attributes.forget()
        self._decode(rows)
        return self._numbers[attribute][rows]

    def labels(self, rows: Rows, attribute: str) -> TextColumn:
        """An attribute of rows as text."""
        if attribute not in self._codes:
            self._codes[attribute] = np.empty(0, np.int32)
            self._texts[attribute] = Texts()
            self._attributes.forget()
        self._decode(rows)
        return TextColumn(self._codes[attribute][rows], self._texts[attribute].values)

    def shares(
        self, rows: Rows, partitions: Sequence[int], items: Mapping[int, Sequence[str]], categories: Sequence[str]
    ) -> Floats:
        """Shares of categories in the kept lines of rows, which are of these partitions."""
        if tuple(categories) != self._chosen or self._version != self.categories.version:
            self._chosen, self._version = tuple(categories), self.categories.version
            self._shares = np.empty((0, len(self._chosen)))
            self._item_codes.clear()
            self._lines.forget()
        self._shares = _fitting(self._shares, len(self.lines), np.nan)
        stale = self._lines.stale(rows)
        if stale:
            of = dict(zip(rows.tolist(), partitions, strict=True))
            self._shares[stale] = category_shares(
                self.heads.of(stale),
                self.lines.of(stale),
                [self._codes_of(of[row], items) for row in stale],
                len(self._chosen),
            )
        return self._shares[rows]

    def season_begins(self, rows: Rows) -> Integers:
        """When the season of each row's newest purchase began, as by `Rhythm`."""
        self._season_begins = _fitting(self._season_begins, len(self.lines), MISSING_TIME)
        stale = self._seasonal_lines.stale(rows)
        if stale:
            purchases = kept_purchases(self.heads.of(stale), self.lines.of(stale))
            self._season_begins[stale] = Rhythm.of(*purchases, len(stale)).season_begins
        return self._season_begins[rows]

    def _codes_of(self, partition: int, items: Mapping[int, Sequence[str]]) -> Codes:
        names = items[partition]
        known, codes = self._item_codes.get(partition, (names, np.empty(0, np.int32)))
        if known is not names:
            codes = np.empty(0, np.int32)
        if len(codes) < len(names):
            codes = np.concatenate((codes, self.categories.codes(names[len(codes) :], self._chosen)))
            self._item_codes[partition] = (names, codes)
        return codes

    def _decode(self, rows: Rows) -> None:
        for name, numbers in self._numbers.items():
            self._numbers[name] = _fitting(numbers, len(self.attributes), np.nan)
        for name, codes in self._codes.items():
            self._codes[name] = _fitting(codes, len(self.attributes), _MISSING)
        stale = self._attributes.stale(rows)
        if not stale:
            return
        names = sorted({*self._numbers, *self._codes})
        read = attribute_reader(tuple(names))
        found = zip(*map(read, self.attributes.of(stale)), strict=True)
        for name, values in zip(names, found, strict=True):
            if name in self._numbers:
                self._numbers[name][stale] = [number_of(value) for value in values]
            if name in self._codes:
                place = self._texts[name].place
                self._codes[name][stale] = [_MISSING if value is None else place(text_of(value)) for value in values]


@dataclass(frozen=True, slots=True)
class CachedColumns:
    """`RaggedColumns` of rows in memory."""

    cache: RowCache
    rows: Rows
    partitions: npt.NDArray[np.int32]
    """By row."""
    items: Mapping[int, Sequence[str]]
    """Item names by partition."""

    def numbers(self, attribute: str) -> Floats:
        """A profile attribute as numbers."""
        return self.cache.numbers(self.rows, attribute)

    def labels(self, attribute: str) -> TextColumn:
        """A profile attribute as text."""
        return self.cache.labels(self.rows, attribute)

    def attribute_counts(self) -> Mapping[str, AttributeCount]:
        """Which profile attributes there are."""
        return count_attributes([attributes_of(stored) for stored in self.cache.attributes.of(self.rows.tolist())])

    def category_shares(self, categories: Sequence[str]) -> Floats:
        """Shares of categories in the kept lines."""
        return self.cache.shares(self.rows, self.partitions.tolist(), self.items, categories)

    def category_counts(self) -> Mapping[str, int]:
        """Kept purchase lines by category."""
        cache, rows = self.cache, self.rows.tolist()
        heads, lines = cache.heads.of(rows), cache.lines.of(rows)
        return count_categories(Lines(heads, lines, self.partitions.tolist(), self.items.__getitem__, cache.categories))

    def season_begins(self, places: Integers) -> Integers:
        """When the season of the newest purchase of rows at these places began; MISSING_TIME: no season."""
        return self.cache.season_begins(self.rows[places])

    def kept_purchases(self) -> tuple[Integers, Integers]:
        """Kept purchases: the row's place, and when."""
        rows = self.rows.tolist()
        return kept_purchases(self.cache.heads.of(rows), self.cache.lines.of(rows))
