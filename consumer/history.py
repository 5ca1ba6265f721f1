"""The history that everybody may read: one document for each stream day, put together from all partitions' books."""

from collections import Counter
from collections.abc import Mapping
from datetime import date, timedelta
from typing import Final

from consumer.day_book import KEPT_DAYS, Page, read_page
from consumer.state import State
from contracts.documents import NO_SEGMENT, RULE_IDS, DayMoves, HistoryDay, SegmentDay
from contracts.keys import Keys
from contracts.money import from_millionths
from recommender.store import ViewStore

_LATE_DAYS: Final = 3
"""Days before the newest that are put together again: a worker's clock may be behind another's."""
_TTL_MS: Final = KEPT_DAYS * 86_400_000


class HistoryWriter:
    """Keeps the documents up to the books; the leader's. It knows nothing that it could not read again."""

    def __init__(self, state: State, views: ViewStore, keys: Keys) -> None:
        self._state = state
        self._views = views
        self._keys = keys
        self._books: list[dict[int, bytes]] | None = None
        self._shown: dict[int, bytes] = {}

    def forget(self) -> None:
        """Trust nothing that was read or written before: read and write all of it again."""
        self._books, self._shown = None, {}

    def show(self, partitions: int, day: int, names: Mapping[int, str]) -> None:
        """Write the days, up to `day` (days since the epoch), whose documents are no longer what the books say."""
        books = self._read(partitions, day)
        days = sorted({one for book in books for one in book})
        if not days:
            return
        settled = max(self._shown, default=days[0]) - _LATE_DAYS
        news: dict[int, bytes] = {}
        for one in days:
            if one < settled and one in self._shown:
                continue
            document = _document(one, [_page_of(book, one) for book in books], names).encode()
            if self._shown.get(one) != document:
                news[one] = document
        if news:
            documents = {self._keys.history(_date(one).isoformat()): document for one, document in news.items()}
            self._views.set_many(documents, _TTL_MS)
            self._shown.update(news)
        for one in [known for known in self._shown if known <= days[-1] - KEPT_DAYS]:
            del self._shown[one]

    def _read(self, partitions: int, day: int) -> list[dict[int, bytes]]:
        """Every partition's pages: all of them until there are some, then those that may have changed."""
        if self._books is None or len(self._books) != partitions or not any(self._books):
            self._books = [dict(book) for book in self._state.pages(partitions)]
            return self._books
        newest = max(max(book) for book in self._books if book)
        for book, pages in zip(
            self._books,
            self._state.pages(partitions, range(min(newest, day) - _LATE_DAYS, max(newest, day) + 1)),
            strict=True,
        ):
            book.update(pages)
            for old in [known for known in book if known <= max(newest, day) - KEPT_DAYS - _LATE_DAYS]:
                del book[old]
        return self._books


def _page_of(book: Mapping[int, bytes], day: int) -> Page:
    """A partition's page; where nothing happened on that day, the sizes of the last day before on which there did."""
    if day in book:
        return read_page(book[day])
    before = max((known for known in book if known < day), default=None)
    return Page() if before is None else Page(sizes=read_page(book[before]).sizes)


def _document(day: int, pages: list[Page], names: Mapping[int, str]) -> HistoryDay:
    sizes, net, orders = Counter[int](), Counter[int](), Counter[int]()
    moves: Counter[tuple[int, int, str]] = Counter()
    for page in pages:
        sizes.update(page.sizes)
        net.update(page.net)
        orders.update(page.orders)
        for before, after, cause, customers in page.moves:
            moves[before, after, cause] += customers
    there = sorted({*(one for one, size in sizes.items() if size), *net, *orders} - {NO_SEGMENT})
    return HistoryDay(
        day=_date(day),
        segments=tuple(
            SegmentDay(
                id=one,
                name=names.get(one, f"Segment {one}"),
                size=sizes[one],
                orders=orders[one],
                by_rule=one in RULE_IDS,
                net_revenue=from_millionths(net[one]),
            )
            for one in there
        ),
        moves=tuple(
            DayMoves(from_segment=_or_none(before), to_segment=_or_none(after), cause=cause, customers=customers)
            for (before, after, cause), customers in sorted(moves.items())
        ),
    )


def _or_none(segment: int) -> int | None:
    return None if segment == NO_SEGMENT else segment


def _date(day: int) -> date:
    return date(1970, 1, 1) + timedelta(days=day)
