"""Views from the dirty set: newest first, within a share of the time, so that rows keep up with the log."""

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
from consumer.row_store import Rows, RowStore
from contracts.keys import Keys
from online_model.model import SegmentModel
from recommender.item_model import ItemModel, NumberedItems
from recommender.list_rules import hashes
from recommender.popularity import Popular
from recommender.ranking import rank
from recommender.settings import RecommenderSettings
from recommender.store import ViewStore
from recommender.views import Members, Stamp, customer_views

CHUNK: Final = 256
"""Views written in one round trip."""
LOST_SECONDS: Final = 60.0
"""When another server has taken over, views written in the last so many seconds are written again."""
_REFRESHING: Final = 0.2
"""Share of the time for views that those get which no event asked for, while there are others: buyers come first."""
POPULAR_AGE: Final = 1.0
"""Seconds for which what is popular is not worked out again."""


_Rows = tuple[Held, list[int]]
"""Rows of one partition."""


@dataclass(slots=True)
class _Refresh:
    """A pass over all rows of a partition whose views are to be rewritten although no event asked for it."""

    rows: list[int]
    place: int = 0
    urgent: bool = False
    """After an adoption: everybody's view names an old model."""


@dataclass(slots=True)
class ViewFigures:
    """How views keep up."""

    written: int = 0
    deleted: int = 0
    oldest_dirty_s: float = 0.0
    highest_oldest_dirty_s: float = 0.0


class ViewWriter:
    """Writes customers' views, and deletes those of erased ones."""

    def __init__(
        self,
        store: RowStore,
        item_sums: ItemSums,
        views: ViewStore,
        *,
        keys: Keys,
        settings: RecommenderSettings,
        names: Names,
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
        self._monotonic = monotonic
        self._popular: tuple[float, Popular] | None = None
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
        self._deleted: deque[tuple[float, int, str]] = deque()
        """When, partition, customer: of the last LOST_SECONDS."""

    def adopt(self, model: SegmentModel, held: Iterable[Held]) -> None:
        """A new model version: names may be new, and everybody's view is to be rewritten soon."""
        self.names.learn({segment.id: segment.name for segment in model.segments})
        self._popular = None
        for one in held:
            self._begin_refresh(one, urgent=True)

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
                self._again.add(
                    one.number
                )  # not from the start now: where news never end, the last would wait for ever
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
        self, held: Mapping[int, Held], model: SegmentModel | None, now: int, seconds: float, *, lagging: bool = False
    ) -> None:
        """Rewrite dirty views until none is left or so many seconds have passed; then views due for a refresh.

        While events wait, a view is rewritten at most once in `view_interval`.
        """
        end = self._monotonic() + seconds
        version = model.version if model else 0
        promotions = self._views.promotions
        for one in held.values():
            if self._promotions.setdefault(one.number, promotions) != promotions:
                self._promotions[one.number] = promotions
                self._doubt(one)
            self._delete(one)
        asked = any(one.dirty for one in held.values())
        while self._monotonic() < end:
            newest = self._newest(held.values(), lagging=lagging)
            if not newest:
                break
            self._write(newest, version, now)
        if asked:
            end = min(end, self._monotonic() + _REFRESHING * seconds)
        for one in held.values():
            if self._monotonic() >= end:
                return
            self._refresh(one, version, now, end)

    def _doubt(self, held: Held) -> None:
        """A server took over that may lack what the one before it acknowledged last: do that again."""
        now = self._monotonic()
        recent = set(np.flatnonzero(self._written_at >= now - LOST_SECONDS).tolist())
        for row in held.rows.index.values():
            if row in recent:
                held.dirty.setdefault(row, (held.seq, now))
        held.unviewed.update(
            customer_id
            for deleted_at, partition, customer_id in self._deleted
            if deleted_at >= now - LOST_SECONDS and partition == held.number
        )

    def _newest(self, held: Iterable[Held], *, lagging: bool) -> list[_Rows]:
        """About CHUNK rows whose views are to be written next: of every partition that has any, as many of each.

        Together, because a batch of a few rows costs nearly as much as one of many.
        """
        dirty = [one for one in held if one.dirty]
        most = -(-CHUNK // max(len(dirty), 1))
        chosen = [(one, self._newest_of(one, most, lagging=lagging)) for one in dirty]
        return [(one, rows) for one, rows in chosen if rows]

    def _newest_of(self, held: Held, most: int, *, lagging: bool) -> list[int]:
        if not lagging:
            return list(islice(reversed(held.dirty), most))
        since = self._monotonic() - self._settings.view_interval / 1e6
        recent = self._written_at
        rows = (row for row in islice(reversed(held.dirty), 8 * most) if row >= len(recent) or recent[row] < since)
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
        self._views.delete_many([self._keys.customer(customer_id) for customer_id in absent])
        self.figures.deleted += len(absent)
        now = self._monotonic()
        self._deleted += ((now, held.number, customer_id) for customer_id in absent)
        while self._deleted and self._deleted[0][0] < now - LOST_SECONDS:
            self._deleted.popleft()
        held.viewed += [customer_id for customer_id in gone if customer_id not in held.viewed]
        held.unviewed.clear()

    def _refresh(self, held: Held, version: int, now: int, end: float) -> None:
        refresh = self._refreshes.get(held.number)
        if refresh is None:
            if not self._refresh_due(held):
                return
            self._begin_refresh(held, urgent=False)
            refresh = self._refreshes.get(held.number)
            if refresh is None:
                return
        while refresh.place < len(refresh.rows) and self._monotonic() < end:
            some = refresh.rows[refresh.place : refresh.place + CHUNK]
            refresh.place += CHUNK
            rows = [row for row in some if self._store.partition[row] == held.number]
            if rows:
                self._write([(held, rows)], version, now)
        if refresh.place >= len(refresh.rows):
            del self._refreshes[held.number]
            if held.number in self._again:
                self._again.discard(held.number)
                self._begin_refresh(held, urgent=True)

    def _refresh_due(self, held: Held) -> bool:
        """Views expire after twice `view_refresh`, so everybody's is renewed after half of it."""
        now = self._monotonic()
        return now - self._refresh_from.setdefault(held.number, now) >= self._settings.view_refresh / 2e6

    def _begin_refresh(self, held: Held, *, urgent: bool) -> None:
        self._refresh_from[held.number] = self._monotonic()
        # A partition without a record is not written to, so a refresh of nobody would never end.
        if held.rows.index:
            self._refreshes[held.number] = _Refresh(list(held.rows.index.values()), urgent=urgent)
        else:
            self._refreshes.pop(held.number, None)

    def _audiences_of(self, header: npt.NDArray[Any]) -> list[list[str]]:
        bits = header["audiences"].tolist()
        lists = {one: names_in(one, self.audiences) for one in set(bits)}
        return [lists[one] for one in bits] if any(lists.values()) else []

    def popular(self, now: int) -> Popular:
        """What is popular, at most a second old."""
        if self._popular is None or self._monotonic() - self._popular[0] > POPULAR_AGE:
            new = np.setdiff1d(self._item_sums.items.new(now, self._settings.new_item_age), self._old_items)
            self._item_model = replace(self._item_model, fresh=new)
            self._popular = (self._monotonic(), self._item_sums.popular(now, self._item_model))
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
            categories=items.category_codes,
            hashes=hashes(ids) if len(self._item_model.fresh) else None,
            popular_only=self._store.held_out[rows] if self._store.holdout is not None else None,
        )
        views: dict[str, bytes] = {}
        start = 0
        for held, some in chosen:
            part = slice(start, start + len(some))
            start = part.stop
            stamp = Stamp(now, version, held.seq, held.token)
            documents = customer_views(self._members(rows[part]), ranked.of(part), items.texts, self.names, stamp)
            views |= zip(map(self._keys.customer, ids[part]), documents, strict=True)
        self._views.set_many(views, settings.view_ttl_ms)
        for held, some in chosen:
            for row in some:
                held.dirty.pop(row, None)
        self.figures.written += len(views)
        self._note_written(rows)

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
