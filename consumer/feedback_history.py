"""The feedback that everybody may read: one document for each day, put together from all partitions' books."""

from collections.abc import Callable, Mapping
from datetime import date, timedelta
from typing import Final

from consumer.exposures import Cell, Outcomes, Tally, add_to
from consumer.feedback_book import KEPT_DAYS, read_tally
from consumer.state import State
from contracts.documents import NO_SEGMENT, FeedbackDay, ImpressionCounts
from contracts.keys import Keys
from recommender.store import ViewStore

_SECONDS: Final = 10.0
"""Books are read again after so long: any of their days may have changed."""
_TTL_MS: Final = KEPT_DAYS * 86_400_000


class FeedbackWriter:
    """Keeps the documents up to the books; the leader's. It knows nothing that it could not read again."""

    def __init__(self, state: State, views: ViewStore, keys: Keys, monotonic: Callable[[], float]) -> None:
        self._state = state
        self._views = views
        self._keys = keys
        self._monotonic = monotonic
        self._due_at = 0.0
        self._pages: dict[int, tuple[bytes, ...]] = {}
        """What the shown documents were made from, by day."""
        self._shown: dict[int, bytes] = {}

    def forget(self) -> None:
        """Trust nothing that was written before: write all of it again."""
        self._pages, self._shown = {}, {}
        self._due_at = 0.0

    def show(self, partitions: int, names: Mapping[int, str], *, at_rest: bool) -> None:
        """Write the days whose documents are no longer what the books say; not often, unless the log is at rest."""
        if not at_rest and self._monotonic() < self._due_at:
            return
        self._due_at = self._monotonic() + _SECONDS
        books = self._state.feedback_pages(partitions)
        days = sorted({day for book in books for day in book})
        news: dict[int, bytes] = {}
        changed: dict[int, tuple[bytes, ...]] = {}
        for day in days:
            pages = tuple(book.get(day, b"") for book in books)
            if self._pages.get(day) != pages:
                changed[day] = pages
                document = _document(day, pages, names).encode()
                if self._shown.get(day) != document:
                    news[day] = document
        if news:
            documents = {self._keys.feedback(_date(day).isoformat()): document for day, document in news.items()}
            self._views.set_many(documents, _TTL_MS)
        self._pages.update(changed)
        self._shown.update(news)
        for known in set(self._pages).difference(days):
            del self._pages[known], self._shown[known]


def _document(day: int, pages: tuple[bytes, ...], names: Mapping[int, str]) -> FeedbackDay:
    whole: Tally = {}
    for page in pages:
        if page:
            add_to(whole, read_tally(day, page))
    counted = sorted((cell, counts) for cell, counts in whole.items() if any(counts))
    return FeedbackDay(day=_date(day), counts=tuple(_counts(cell, counts, names) for cell, counts in counted))


def _counts(cell: Cell, counts: Outcomes, names: Mapping[int, str]) -> ImpressionCounts:
    known = cell.segment != NO_SEGMENT
    return ImpressionCounts(
        reason=cell.reason,
        shelf=cell.source,
        segment=cell.segment if known else None,
        segment_name=names.get(cell.segment, f"Segment {cell.segment}") if known else "",
        shown=counts.shown,
        clicked=counts.clicked,
        bought=counts.bought,
    )


def _date(day: int) -> date:
    return date(1970, 1, 1) + timedelta(days=day)
