"""What happened in one partition on each stream day: who moved where and why, what was sold to whom, who is where.

The book is written with the rows, in the same checkpoint, and counts a move when the row that moved is written: so it
says exactly what the rows and the published changes say, whatever crashes.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Final, Self

import msgspec

from contracts.documents import NO_SEGMENT
from contracts.money import MAX_TOTAL_MILLIONTHS

KEPT_DAYS: Final = 400
"""Stream days that a book goes back."""
ERASED: Final = "erased"
"""The cause of a move to nowhere: the customer was forgotten."""

Move = tuple[int, int, str]
"""Segment before (NO_SEGMENT: none), segment after (NO_SEGMENT: erased), cause."""


class Page(msgspec.Struct):
    """One stream day of one partition. Amounts are millionths of the deployment's currency, 9e12 of it at most."""

    sizes: dict[int, int] = msgspec.field(default_factory=dict)
    """Customers by segment at the end of the day."""
    net: dict[int, int] = msgspec.field(default_factory=dict)
    """Spend less refunds of the day, by the segment that the customer is in after it."""
    orders: dict[int, int] = msgspec.field(default_factory=dict)
    """Purchases of the day, likewise."""
    moves: list[tuple[int, int, str, int]] = msgspec.field(default_factory=list)
    """Before, after, cause, customers; sorted."""


_encode = msgspec.msgpack.Encoder().encode
read_page = msgspec.msgpack.Decoder(Page).decode
"""The page that `DayBook.news` gave."""


class DayBook:
    """The pages of one partition; only the newest still changes. Days are counted from the epoch."""

    def __init__(self) -> None:
        self.days: set[int] = set()
        """Days that have a page."""
        self.day: int | None = None
        """The newest of them."""
        self._page = Page()
        self._moves: Counter[Move] = Counter()
        self._changed: set[int] = set()
        self._forgotten: list[int] = []
        self._closed: dict[int, bytes] = {}

    @classmethod
    def load(cls, pages: Mapping[int, bytes], sizes: Mapping[int, int]) -> Self:
        """Go on from what was written; `sizes` are those of the rows that were written with it."""
        book = cls()
        book.days = set(pages)
        if pages:
            book.day = max(pages)
            book._page = read_page(pages[book.day])
            book._moves = Counter({(before, after, cause): n for before, after, cause, n in book._page.moves})
        book._page.sizes = {segment: size for segment, size in sizes.items() if segment != NO_SEGMENT}
        return book

    def note(self, day: int, moves: Iterable[Move], sales: Mapping[int, tuple[int, int]] | None = None) -> None:
        """Count moves, and (net amount, purchases) by segment. A day before the newest counts as the newest."""
        moved = Counter(moves)
        if not moved and not sales:
            return
        self._turn_to(day)
        self._moves.update(moved)
        sizes = self._page.sizes
        for (before, after, _), n in moved.items():
            for segment, change in ((before, -n), (after, n)):
                if segment != NO_SEGMENT:
                    sizes[segment] = sizes.get(segment, 0) + change
        for segment, (net, orders) in (sales or {}).items():
            total = self._page.net.get(segment, 0) + net
            self._page.net[segment] = max(-MAX_TOTAL_MILLIONTHS, min(total, MAX_TOTAL_MILLIONTHS))
            self._page.orders[segment] = self._page.orders.get(segment, 0) + orders

    def _turn_to(self, day: int) -> None:
        if self.day is not None and day <= self.day:
            self._changed.add(self.day)
            return
        if self.day is not None and self.day in self._changed:
            self._closed[self.day] = self._encoded()
        self.day = day
        self.days.add(day)
        self._changed.add(day)
        self._page = Page(sizes={segment: size for segment, size in self._page.sizes.items() if size})
        self._moves = Counter()
        old = sorted(known for known in self.days if known <= day - KEPT_DAYS)
        self.days.difference_update(old)
        self._forgotten += old

    def _encoded(self) -> bytes:
        self._page.moves = sorted((*move, n) for move, n in self._moves.items())
        return _encode(self._page)

    def news(self) -> tuple[dict[int, bytes], list[int]]:
        """Pages that no checkpoint has written as they are, and days whose pages are to go."""
        pages = {day: self._closed[day] if day in self._closed else self._encoded() for day in sorted(self._changed)}
        return {day: page for day, page in pages.items() if day in self.days}, list(self._forgotten)

    def noted(self) -> None:
        """All news is written."""
        self._changed.clear()
        self._closed.clear()
        self._forgotten.clear()
