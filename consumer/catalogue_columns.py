"""What the catalogue and sales say of items, as columns by item number: category, and since when there is the item."""

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from consumer.catalogue_entry import Entry

LONG_AGO: Final = np.iinfo(np.int64).min
"""Of an item that was there before anything is known of when."""
_NEVER: Final = np.iinfo(np.int64).max
NO_CATEGORY: Final = -1


class CatalogueColumns:
    """Columns (items,) that grow with the items; the first one ever gets number 0."""

    def __init__(self) -> None:
        self.category_names: list[str] = []
        """Every category that was ever heard of: their places are the codes."""
        self._places: dict[str, int] = {}
        self._codes: npt.NDArray[np.int32] = np.empty(0, np.int32)
        self._since: npt.NDArray[np.int64] = np.empty(0, np.int64)
        self._first_sale: npt.NDArray[np.int64] = np.empty(0, np.int64)
        self._items = 0

    def extend(self, entries: Sequence[Entry | None]) -> None:
        """Append items: what the catalogue says of each, None for nothing."""
        start, self._items = self._items, self._items + len(entries)
        if self._items > len(self._codes):
            room = max(self._items, 2 * len(self._codes), 256)
            self._codes = _grown(self._codes, room, NO_CATEGORY)
            self._since = _grown(self._since, room, _NEVER)
            self._first_sale = _grown(self._first_sale, room, _NEVER)
        for number, entry in enumerate(entries, start):
            if entry is not None:
                self.put(number, entry)

    def put(self, number: int, entry: Entry | None) -> None:
        """What the catalogue says of an item from now on."""
        category = None if entry is None else entry.category
        self._codes[number] = NO_CATEGORY if category is None else self._code(category)
        since = _NEVER if entry is None else entry.since
        self._since[number] = LONG_AGO if since is None else since

    def sold(self, items: npt.NDArray[np.int32], at: npt.NDArray[np.int64]) -> None:
        """Purchases: item numbers and times (microseconds UTC), both (lines,)."""
        np.minimum.at(self._first_sale, items, at)

    @property
    def category_codes(self) -> npt.NDArray[np.int32]:
        """Places in `category_names`, (items,); NO_CATEGORY for none. A view."""
        return self._codes[: self._items]

    @property
    def first_seen(self) -> npt.NDArray[np.int64]:
        """Since when there is the item, microseconds UTC, (items,).

        The earlier of what the catalogue says and the first sale; LONG_AGO where the catalogue had it from the start,
        or where neither says anything.
        """
        seen = np.minimum(self._since[: self._items], self._first_sale[: self._items])
        seen[seen == _NEVER] = LONG_AGO
        return seen

    @property
    def history_start(self) -> int | None:
        """The first sale of all that is known; None before there is one."""
        first = int(self._first_sale[: self._items].min(initial=_NEVER))
        return None if first == _NEVER else first

    def _code(self, category: str) -> int:
        code = self._places.setdefault(category, len(self.category_names))
        if code == len(self.category_names):
            self.category_names.append(category)
        return code


def _grown(column: npt.NDArray[Any], room: int, fill: int) -> npt.NDArray[Any]:
    grown = np.full(room, fill, column.dtype)
    grown[: len(column)] = column
    return grown
