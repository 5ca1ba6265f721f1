"""Views from the dirty set: mostly newest first, within a share of the time, so that rows keep up with the log."""

from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from consumer.audiences import names_in
from consumer.held import Held
from consumer.items import ItemSums
from consumer.names import Names
from consumer.row_forecasts import RowForecasts
from consumer.row_store import Rows, RowStore
from contracts.keys import Keys
from online_model.model import SegmentModel
from recommender.item_model import ItemModel, NumberedItems
from recommender.list_rules import hashes
from recommender.popularity import Popular
from recommender.ranking import rank
from recommender.settings import RecommenderSettings
from recommender.store import ViewStore, ViewsUnavailableError
from recommender.view_forecasts import forecast_texts
from recommender.views import Members, Stamp, customer_views, joined_view

CHUNK: Final = 256
"""Views written in one round trip."""
_SMALL_CHUNK: Final = 64
"""Views written in one round trip while buyers come in: they wait for its end."""
LOST_SECONDS: Final = 60.0
"""When another server has taken over, views written in the last so many seconds are written again."""
_UNASKED: Final = 0.2
"""Share of the time for views that those get which no event asked for, while there are others: buyers come first."""
_UNASKED_MOST: Final = 0.05
"""Seconds that those may be behind their share; what they have missed beyond that is not made up for."""
_LONGEST: Final = 4
"""One view in so many is that of who has waited longest: else a few would wait until nobody new comes."""
POPULAR_AGE: Final = 1.0
"""Seconds for which what is popular is not worked out again ..."""
_POPULAR_COST: Final = 50
"""... or so many times as long as that takes: of a hundred thousand items, some 50 ms."""


_Rows = tuple[Held, list[int]]
"""Rows of one partition."""


@dataclass(slots=True)
class _Refresh:
    """A pass over all rows of a partition whose views are to be rewritten although no event asked for it."""

    rows: Rows
    place: int = 0
    urgent: bool = False
    """Everybody's view is out of date."""
    adopted: bool = False
    """After an adoption: everybody's view names an old model."""


@dataclass(frozen=True, slots=True)
class _Landing:
    """Views that are being written, and what is to be done once they are, or if they can not be."""

    wait: Callable[[], None]
    """Until they are written. Raises ViewsUnavailableError."""
    rows: Rows
    taken_out: list[tuple[Held, dict[int, tuple[int, float]], dict[int, None]]]
    """Of each partition what stood in `dirty` and in `asked`."""


@dataclass(slots=True)
class ViewFigures:
    """How views keep up."""

    written: int = 0
    deleted: int = 0
    oldest_dirty_s: float = 0.0
    highest_oldest_dirty_s: float = 0.0


class ViewWriter:
    """Writes customers' views, deletes those of erased ones, and lets those of joined ids point to their customer."""

    def __init__(
        self,
        store: RowStore,
        item_sums: ItemSums,
        views: ViewStore,
        *,
        keys: Keys,
        settings: RecommenderSettings,
        names: Names,
        forecasts: RowForecasts,
        monotonic: Callable[[], float],
    ) -> None:
        self.figures = ViewFigures()
        self.names = names
        """Every segment name known, also of versions before."""
        self.audiences: dict[int, str] = {}
        """Names of audiences by number."""
        self._store = store
        self._item_sums = item_sums
        self._views = views
        self._keys = keys
        self._settings = settings
        self._forecasts = forecasts
        self._monotonic = monotonic
        self._popular: tuple[float, Popular] | None = None
        """Until when it holds."""
        self._item_model = NumberedItems.none(settings.blend)
        self._old_items = np.empty(0, np.int32)
        """Items of which other workers' customers tell that they are not new."""
        self._written_at = np.empty(0)
        """Monotonic seconds, by row."""
        self._refreshes: dict[int, _Refresh] = {}
        self._again: set[int] = set()
        """Partitions whose refresh began too early for what has changed since."""
        self._refresh_from: dict[int, float] = {}
        self._promotions: dict[int, int] = {}
        """How many were known of when we last wrote views of a partition."""
        self._unasked_owed = 0.0
        """Seconds of their share that views have not had which no event asked for; below 0 where they had more."""
        self._deleted: deque[tuple[float, int, str]] = deque()
        """When, partition, customer: of the last LOST_SECONDS."""
        self._landing: _Landing | None = None
        """What Redis writes while we rank the next views; None between two calls of `write`."""

    def adopt(self, model: SegmentModel, held: Iterable[Held]) -> None:
        """A new model version: names may be new, and everybody's view is to be rewritten soon."""
        self.names.learn({segment.id: segment.name for segment in model.segments})
        self._popular = None
        for one in held:
            self._begin_refresh(one, urgent=True, adopted=True)

    def adopt_items(self, model: ItemModel, held: Iterable[Held]) -> None:
        """More is known of items: everybody's view is to be rewritten soon."""
        items = self._item_sums.items
        numbers = items.number(model.ids)
        self._item_model = model.numbered(numbers)
        self._old_items = np.setdiff1d(numbers, items.number(model.new))
        self.rewrite_all(held)

    def rewrite_all(self, held: Iterable[Held]) -> None:
        """What may be recommended has changed: everybody's view is to be rewritten soon."""
        self._popular = None
        for one in held:
            if one.number in self._refreshes:
                # Not from the start now: where news never end, the last would wait for ever.
                self._again.add(one.number)
            else:
                self._begin_refresh(one, urgent=True)

    def forget(self, partition: int) -> None:
        """The partition went to another worker."""
        self._again.discard(partition)
        self._promotions.pop(partition, None)
        self._refreshes.pop(partition, None)
        self._refresh_from.pop(partition, None)

    def pending(self, held: Iterable[Held]) -> bool:
        """Whether any view is dirty, to be deleted, or of an older model."""
        return any(
            one.dirty
            or one.unviewed
            or one.number in self._again
            or (one.number in self._refreshes and self._refreshes[one.number].urgent)
            for one in held
        )

    @property
    def adopting(self) -> bool:
        """Whether views still name a segment version before the last."""
        return any(refresh.adopted for refresh in self._refreshes.values())

    @property
    def late(self) -> bool:
        """Whether a view was dirty for longer than `view_interval` when that was looked at last."""
        return self.figures.oldest_dirty_s > self._settings.view_interval / 1e6

    def wants(self, held: Held) -> bool:
        """Whether any view of the partition is to be written or deleted now, dirty or due for a refresh."""
        return self.pending((held,)) or held.number in self._refreshes or self._refresh_due(held)

    def observe(self, held: Iterable[Held]) -> None:
        """Take the age of the oldest dirty view."""
        now = self._monotonic()
        since = [next(iter(one.dirty.values()))[1] for one in held if one.dirty]
        age = now - min(since) if since else 0.0
        self.figures.oldest_dirty_s = age
        self.figures.highest_oldest_dirty_s = max(self.figures.highest_oldest_dirty_s, age)

    def write(
        self,
        held: Mapping[int, Held],
        model: SegmentModel | None,
        now: int,
        seconds: float,
        *,
        lagging: bool = False,
        waited_for: bool = False,
    ) -> None:
        """Rewrite views until none is left or so many seconds have passed.

        First of customers of whom events came, newest first and a quarter of those who have waited longest; then all
        other dirty ones; then those that are due for a refresh. While events wait, a view is rewritten at most once in
        `view_interval`: newest first alone, but once any are `late`, those that have waited longest come first. Where
        events that come now would be waiting for the end of it, batches are small. Raises ViewsUnavailableError; what
        is not written then is dirty.
        """
        try:
            self._write_some(held, model, now, seconds, lagging=lagging, waited_for=waited_for)
        finally:
            self._land()

    def _write_some(
        self,
        held: Mapping[int, Held],
        model: SegmentModel | None,
        now: int,
        seconds: float,
        *,
        lagging: bool,
        waited_for: bool,
    ) -> None:
        """Begin to write them; the last ones have to `_land` yet."""
        end = self._monotonic() + seconds
        version = model.version if model else 0
        promotions = self._views.promotions
        for one in held.values():
            if self._promotions.setdefault(one.number, promotions) != promotions:
                self._promotions[one.number] = promotions
                self._doubt(one)
            self._delete(one)
        late = lagging and self.late
        asked = {one.number: one.asked for one in held.values() if one.asked and not late}
        self._write_newest(held, asked, version, now, end, lagging=lagging)
        if not asked:
            self._unasked_owed = 0.0
            chunk = _SMALL_CHUNK if waited_for else CHUNK
            self._write_unasked(held, version, now, end, lagging=lagging, chunk=chunk)
            return
        # Even a small batch takes longer than their share of a short step: that is held against the steps after it.
        self._unasked_owed = min(self._unasked_owed + _UNASKED * seconds, _UNASKED_MOST)
        if self._unasked_owed > 0:
            began = self._monotonic()
            self._write_unasked(held, version, now, began + self._unasked_owed, lagging=lagging, chunk=_SMALL_CHUNK)
            self._unasked_owed -= self._monotonic() - began

    def _write_unasked(
        self, held: Mapping[int, Held], version: int, now: int, end: float, *, lagging: bool, chunk: int
    ) -> None:
        """Write views that no event asked for: what is dirty, then what is due for a refresh."""
        dirty = {one.number: one.dirty for one in held.values()}
        self._write_newest(held, dirty, version, now, end, lagging=lagging, chunk=chunk)
        for one in held.values():
            if self._monotonic() >= end:
                return
            self._refresh(one, version, now, end, chunk)

    def _doubt(self, held: Held) -> None:
        """A server took over that may lack what the one before it acknowledged last: do that again."""
        now = self._monotonic()
        recent = set(np.flatnonzero(self._written_at >= now - LOST_SECONDS).tolist())
        for row in held.rows.index.values():
            if row in recent and not self._store.guest[row]:
                held.dirty.setdefault(row, (held.seq, now))
        held.unviewed.update(
            customer_id
            for deleted_at, partition, customer_id in self._deleted
            if deleted_at >= now - LOST_SECONDS and partition == held.number
        )

    def _write_newest(
        self,
        held: Mapping[int, Held],
        waiting: Mapping[int, dict[int, Any]],
        version: int,
        now: int,
        end: float,
        *,
        lagging: bool,
        chunk: int = CHUNK,
    ) -> None:
        """Write views of the rows that wait, by partition and newest last, until none is left or it is `end`.

        About `chunk` at a time, of every partition that has any, as many of each: together, because a batch of a few
        rows costs nearly as much as one of many.
        """
        while self._monotonic() < end:
            most = -(-chunk // max(sum(map(bool, waiting.values())), 1))
            chosen = [(held[number], self._newest(rows, most, lagging=lagging)) for number, rows in waiting.items()]
            chosen = [(one, rows) for one, rows in chosen if rows]
            if not chosen:
                return
            self._write(chosen, version, now)

    def _newest(self, waiting: dict[int, Any], most: int, *, lagging: bool) -> list[int]:
        if not lagging:
            if len(waiting) <= most:
                return list(reversed(waiting))
            longest = list(islice(waiting, -(-most // _LONGEST)))
            return [*longest, *islice(reversed(waiting), most - len(longest))]
        since = self._monotonic() - self._settings.view_interval / 1e6
        recent = self._written_at
        order = waiting if self.late else reversed(waiting)
        rows = (row for row in islice(order, 8 * most) if row >= len(recent) or recent[row] < since)
        return list(islice(rows, most))

    def _note_written(self, rows: Rows) -> None:
        if len(self._store.header) > len(self._written_at):
            grown = np.full(len(self._store.header), -np.inf)
            grown[: len(self._written_at)] = self._written_at
            self._written_at = grown
        self._written_at[rows] = self._monotonic()

    def _delete(self, held: Held) -> None:
        if not held.unviewed:
            return
        gone = sorted(held.unviewed)
        absent = [customer_id for customer_id in gone if customer_id not in held.rows.index]
        bonds = held.rows.bonds
        joined = {one: bonds[one].shown for one in absent if one in bonds and bonds[one].shown}
        self._views.set_many({self._keys.customer(one): joined_view(one, to) for one, to in joined.items()})
        self._views.delete_many([self._keys.customer(one) for one in absent if one not in joined])
        self.figures.deleted += len(absent) - len(joined)
        now = self._monotonic()
        self._deleted += ((now, held.number, customer_id) for customer_id in absent)
        while self._deleted and self._deleted[0][0] < now - LOST_SECONDS:
            self._deleted.popleft()
        held.viewed += [customer_id for customer_id in gone if customer_id not in held.viewed]
        held.unviewed.clear()

    def _refresh(self, held: Held, version: int, now: int, end: float, chunk: int) -> None:
        refresh = self._refreshes.get(held.number)
        if refresh is None:
            if not self._refresh_due(held):
                return
            self._begin_refresh(held, urgent=False)
            refresh = self._refreshes.get(held.number)
            if refresh is None:
                return
        try:
            while refresh.place < len(refresh.rows) and self._monotonic() < end:
                some = refresh.rows[refresh.place : refresh.place + chunk]
                # A row may have become another customer's since, or a guest's, who has no view.
                rows = self._store.customers_of(some[self._store.partition[some] == held.number]).tolist()
                if rows:
                    self._write([(held, rows)], version, now)
                refresh.place += chunk
            if refresh.place >= len(refresh.rows):
                self._land()
        except ViewsUnavailableError:
            refresh.place = max(0, refresh.place - chunk)  # what was begun last is not written
            raise
        if refresh.place >= len(refresh.rows):
            del self._refreshes[held.number]
            if held.number in self._again:
                self._again.discard(held.number)
                self._begin_refresh(held, urgent=True)

    def _refresh_due(self, held: Held) -> bool:
        """Views expire after twice `view_refresh`, so everybody's is renewed after half of it."""
        now = self._monotonic()
        return now - self._refresh_from.setdefault(held.number, now) >= self._settings.view_refresh / 2e6

    def _begin_refresh(self, held: Held, *, urgent: bool, adopted: bool = False) -> None:
        self._refresh_from[held.number] = self._monotonic()
        # A partition without a record is not written to, so a refresh of nobody would never end.
        rows = self._store.customers_of(np.fromiter(held.rows.index.values(), np.int64))
        if len(rows):
            self._refreshes[held.number] = _Refresh(rows, urgent=urgent, adopted=adopted)
        else:
            self._refreshes.pop(held.number, None)

    def _audiences_of(self, header: npt.NDArray[Any]) -> list[list[str]]:
        bits = header["audiences"].tolist()
        lists = {one: names_in(one, self.audiences) for one in set(bits)}
        return [lists[one] for one in bits] if any(lists.values()) else []

    def popular(self, now: int) -> Popular:
        """What is popular, a second old or some seconds, where there are so many items."""
        if self._popular is None or self._monotonic() > self._popular[0]:
            began = self._monotonic()
            new = np.setdiff1d(self._item_sums.items.new(now, self._settings.new_item_age), self._old_items)
            self._item_model = replace(self._item_model, fresh=new)
            popular = self._item_sums.popular(now, self._item_model)
            ended = self._monotonic()
            self._popular = (ended + max(POPULAR_AGE, _POPULAR_COST * (ended - began)), popular)
        return self._popular[1]

    def _write(self, chosen: Sequence[_Rows], version: int, now: int) -> None:
        """Write the views of rows, which are not dirty then: ranked as one batch, each stamped by its partition."""
        numbers = [row for _, some in chosen for row in some]
        rows: Rows = np.array(numbers, np.int64)
        settings = self._settings
        popular = self.popular(now)
        items = self._item_sums.items
        ids = [self._store.ids[row] for row in numbers]
        ranked = rank(
            self._item_sums.history(rows),
            self._item_sums.slots(rows),
            popular,
            items.allowed,
            now,
            n=settings.list_length,
            model=self._item_model,
            rules=settings.rules,
            categories=items.category_codes if items.category_names else None,
            hashes=hashes(ids) if len(self._item_model.fresh) else None,
            popular_only=self._store.held_out[rows] if self._store.holdout is not None else None,
        )
        stamps = [(Stamp(now, version, held.seq, held.token), len(some)) for held, some in chosen]
        ahead = forecast_texts(self._forecasts.of(rows, now), now) if self._forecasts.version else ()
        documents = customer_views(self._members(rows), ranked, items.texts, self.names, stamps, forecasts=ahead)
        views = dict(zip(map(self._keys.customer, ids), documents, strict=True))
        self._land()
        end = self._views.begin_set_many(views, settings.view_ttl_ms)
        self._landing = _Landing(end, rows, [_taken_out(one, some, self._monotonic()) for one, some in chosen])

    def _land(self) -> None:
        """Wait for the views that were begun last; where they are not written, they are dirty as they were."""
        landing, self._landing = self._landing, None
        if landing is None:
            return
        try:
            landing.wait()
        except ViewsUnavailableError:
            for held, dirty, asked in landing.taken_out:
                waiting = sorted((held.dirty | dirty).items(), key=_dirty_since)
                held.dirty.clear()
                held.dirty.update(waiting)
                held.asked.update(asked)
            raise
        self.figures.written += len(landing.rows)
        self._forecasts.note_shown(landing.rows)
        self._note_written(landing.rows)

    def _members(self, rows: Rows) -> Members:
        header = self._store.header[rows]
        return Members(
            [self._store.ids[row] for row in rows.tolist()],
            header["segment"],
            header["since"],
            header["previous"],
            header["cause"],
            self._audiences_of(header),
        )


def _taken_out(
    held: Held, rows: Iterable[int], now: float
) -> tuple[Held, dict[int, tuple[int, float]], dict[int, None]]:
    """Take rows out of what waits; what stood there, and would for those of which nothing does."""
    since = (held.seq, now)
    dirty = {row: held.dirty.pop(row, since) for row in rows}
    asked = {row: held.asked.pop(row) for row in rows if row in held.asked}
    return held, dirty, asked


def _dirty_since(entry: tuple[int, tuple[int, float]]) -> float:
    return entry[1][1]
