"""Answers kept decoded in this process, for as long as Redis says that nothing has changed.

The cache itself does no I/O: whoever listens to Redis tells it of connections and invalidations, whoever reads tells it
before (`begin`) and after (`commit`) each read. ADR 20 says why it is not redis-py's.
"""

import itertools
import threading
from collections.abc import Iterable, Mapping

from recommender.answers import ColdStart, ItemList, Recommendations, Withdrawn

Cached = Recommendations | ColdStart | Withdrawn | ItemList | None
"""A decoded document; None: there is none."""


class Entry:
    """One document, and what was last made of it."""

    __slots__ = ("number", "shown", "used", "value")

    def __init__(self, value: Cached, number: int) -> None:
        self.value = value
        self.number = number
        """No other entry has it."""
        self.used = False
        """Asked for since it was last up for eviction."""
        self.shown: tuple[Recommendations, int] | None = None
        """The answer without what is withdrawn, and the number of the entry that says what is."""


class NearCache:
    """Bounded, by second chance: the oldest entry goes, unless it was used meanwhile. Safe to use from several threads.

    `entries` may be read by anybody at any time, without a lock; a hit sets the entry's `used`.

    A read that is under way when its key is invalidated may bring the old document, and nobody would invalidate it
    again. So a read is announced; an invalidation strikes out what was announced; and what was struck out is not kept.

    Parameters:
        limit: most entries.
    """

    def __init__(self, limit: int) -> None:
        self.entries: dict[str, Entry] = {}
        self._limit = max(limit, 1)
        self._announced: dict[str, object] = {}
        self._live = False
        self._numbers = itertools.count()
        self._lock = threading.Lock()

    @property
    def live(self) -> bool:
        """Whether invalidations arrive, without which nothing is kept."""
        return self._live

    def connected(self) -> None:
        """From now on, every change is told by `invalidate`."""
        with self._lock:
            self._clear()
            self._live = True

    def disconnected(self) -> None:
        """Changes may have been missed and will be."""
        with self._lock:
            self._live = False
            self._clear()

    def invalidate(self, keys: Iterable[str] | None) -> None:
        """These keys changed; None: any may have."""
        with self._lock:
            if keys is None:
                self._clear()
                return
            for key in keys:
                self.entries.pop(key, None)
                self._announced.pop(key, None)

    def begin(self, keys: Iterable[str]) -> object | None:
        """Announce that these keys are about to be read; the result is for `commit`. None: nothing will be kept."""
        if not self._live:
            return None
        read = object()
        with self._lock:
            if not self._live:
                return None
            # Of two reads of one key the later one counts: the earlier one finds itself replaced, and is not kept.
            self._announced.update(dict.fromkeys(keys, read))
        return read

    def commit(self, read: object | None, found: Mapping[str, Cached]) -> None:
        """Keep what an announced read has found, as far as it has not changed since."""
        if read is None:
            return
        with self._lock:
            for key, value in found.items():
                if self._announced.get(key) is read:
                    del self._announced[key]
                    self.entries.pop(key, None)
                    self._make_room()
                    self.entries[key] = Entry(value, next(self._numbers))

    def give_up(self, read: object | None, keys: Iterable[str]) -> None:
        """An announced read has ended, whatever became of it."""
        if read is None:
            return
        with self._lock:
            for key in keys:
                if self._announced.get(key) is read:
                    del self._announced[key]

    def after_fork(self) -> None:
        """In a child process: its parent's listener is not here, and a lock may be held by a thread that is not."""
        self._lock = threading.Lock()
        self.disconnected()

    def _clear(self) -> None:
        self.entries = {}
        self._announced = {}

    def _make_room(self) -> None:
        """For one more."""
        entries = self.entries
        chances = len(entries)
        while len(entries) >= self._limit:
            key = next(iter(entries))
            entry = entries.pop(key)
            # Once round is enough: other threads may go on using every one of them.
            if entry.used and chances > 0:
                chances -= 1
                entry.used = False
                entries[key] = entry
