"""How many impressions of one partition were clicked and bought, by the day on which they were shown.

The book is written with the rows, in the same checkpoint: it says exactly what the rows say, whatever crashes.
"""

from collections.abc import Mapping
from typing import Final, Self

import msgspec

from consumer.exposures import Cell, Outcomes, Tally, add_to
from contracts.documents import NO_SEGMENT

KEPT_DAYS: Final = 400
"""Days that a book goes back from its newest."""
_UNPACKED_DAYS: Final = 16
"""Pages that are kept unpacked: what is shown is clicked and bought within days."""
MAX_CELLS: Final = 1_000
"""Kinds of impressions that are told apart on one day of a partition; of more only how many there are is known."""
OTHER: Final = "(other)"
"""The shelf and the reason of the others."""

_Line = tuple[str, str, int, int, int, int]
"""Shelf, reason, segment (NO_SEGMENT: none); shown, clicked, bought."""
_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(list[_Line]).decode


def read_tally(day: int, page: bytes) -> Tally:
    """What a page says."""
    return {Cell(day, source, reason, segment): Outcomes(*counts) for source, reason, segment, *counts in _decode(page)}


class FeedbackBook:
    """The pages of one partition. Days are counted from the epoch."""

    def __init__(self) -> None:
        self._written: dict[int, bytes] = {}
        """Pages as the last checkpoint that wrote them has them."""
        self._tallies: dict[int, Tally] = {}
        """Those that were looked at since, of the newest days."""
        self._changed: set[int] = set()
        self._newest: int | None = None

    @classmethod
    def load(cls, pages: Mapping[int, bytes]) -> Self:
        """Go on from what was written."""
        book = cls()
        book._written = dict(pages)
        book._newest = max(pages, default=None)
        return book

    def add(self, changes: Tally) -> None:
        """Count impressions, or take back how they were counted; not those of days before the oldest kept one."""
        for cell, counts in changes.items():
            self._newest = cell.day if self._newest is None else max(self._newest, cell.day)
            tally = self._tally(cell.day)
            known = cell if cell in tally or len(tally) < MAX_CELLS else Cell(cell.day, OTHER, OTHER, NO_SEGMENT)
            add_to(tally, {known: counts})
            self._changed.add(cell.day)

    def news(self) -> tuple[dict[int, bytes], list[int]]:
        """Pages that no checkpoint has written as they are, and days whose pages are to go."""
        pages = {day: _page(self._tallies[day]) for day in sorted(self._changed) if not self._too_old(day)}
        return pages, sorted(day for day in self._written if self._too_old(day))

    def noted(self) -> None:
        """All news is written."""
        if not self._changed:
            return
        pages, old = self.news()
        self._written.update(pages)
        for day in old:
            del self._written[day]
        # Unpacked, a year would take a hundred times the room of its pages; of most days nothing changes any more.
        recent = sorted(day for day in self._tallies if not self._too_old(day))[-_UNPACKED_DAYS:]
        self._tallies = {day: self._tallies[day] for day in recent}
        self._changed.clear()

    def _tally(self, day: int) -> Tally:
        tally = self._tallies.get(day)
        if tally is None:
            tally = self._tallies[day] = read_tally(day, self._written[day]) if day in self._written else {}
        return tally

    def _too_old(self, day: int) -> bool:
        return self._newest is not None and day <= self._newest - KEPT_DAYS


def _page(tally: Tally) -> bytes:
    return _encode(sorted((cell.source, cell.reason, cell.segment, *counts) for cell, counts in tally.items()))
