"""Following the log `catalog`: which items are not to be recommended, their names, and since when there are such."""

import time
from collections.abc import Callable, Iterable, Mapping
from typing import Final, Protocol

import structlog

from consumer.catalogue_entry import Entry
from contracts.catalog import read_records
from logs.base import Batch, LogChangedError, LogMissingError, LogReader, Logs, PositionGoneError

LOOK_SECONDS: Final = 0.2
"""Between two looks at the log; a missing one is looked for as often."""

_log = structlog.get_logger("livesegments.catalogue")


class Shelf(Protocol):
    """Where items stand that may be recommended."""

    def put(self, item_id: str, entry: Entry | None) -> None:
        """What the catalogue says of an item from now on; None: nothing any more."""


class CatalogueFollower:
    """Reads the catalogue to its end at the first look, and what is new at later ones.

    Args:
        logs: Stays open.
        log: The catalogue's name.
        group: A reader's group of its own, since every worker reads everything.
    """

    def __init__(self, logs: Logs, log: str, group: str, monotonic: Callable[[], float] = time.monotonic) -> None:
        self.entries: dict[str, Entry] = {}
        """By item id; to be read only."""
        self._logs = logs
        self._name = log
        self._group = group
        self._monotonic = monotonic
        self._reader: LogReader | None = None
        self._from: dict[int, int] = {}
        """By partition, where to go on after what was read without a group."""
        self._news: set[str] = set()
        self._next = float("-inf")

    def follow(self, shelf: Shelf) -> bool:
        """Take over what is new; whether it changed what may be recommended. Looks five times a second at most.

        Raises LogUnavailableError at the first look; later on the reader survives that.
        """
        now = self._monotonic()
        if now < self._next:
            return False
        changed = self._read_whole(shelf) if self._reader is None else self._read_on(self._reader, shelf)
        self._next = now + LOOK_SECONDS
        return changed

    def take_news(self) -> set[str]:
        """Ids of the items that have changed since this was asked last."""
        news, self._news = self._news, set()
        return news

    def close(self) -> None:
        """Leave the log."""
        if self._reader is not None:
            self._reader.close()
            self._reader = None

    def _read_whole(self, shelf: Shelf) -> bool:
        try:
            batches = self._logs.read_all(self._name)
            self._reader = self._logs.reader(self._name, self._group)
        except LogMissingError:
            batches = ()
        self._from = {batch.partition: batch.positions[-1] + 1 for batch in batches if len(batch)}
        said = _said(batches)
        return self._settle({**dict.fromkeys(self.entries), **said}, shelf)

    def _read_on(self, reader: LogReader, shelf: Shelf) -> bool:
        try:
            polled = reader.poll(0.0)
        except (LogChangedError, PositionGoneError) as error:
            _log.warning("the catalogue is read anew", error=str(error))
            self.close()
            return self._read_whole(shelf)
        for partition in polled.assigned:
            reader.seek(partition, self._from.get(partition))
        for batch in polled.batches:
            self._from[batch.partition] = batch.positions[-1] + 1
        return self._settle(_said(polled.batches), shelf)

    def _settle(self, said: Mapping[str, Entry | None], shelf: Shelf) -> bool:
        moved = 0
        for item_id, entry in said.items():
            before = self.entries.get(item_id)
            if entry == before:
                continue
            if entry is None:
                del self.entries[item_id]
            else:
                self.entries[item_id] = entry
            self._news.add(item_id)
            shelf.put(item_id, entry)
            moved += (before is None or before.offered) is not (entry is None or entry.offered)
        if moved:
            _log.info("catalogue changed what may be recommended", items=moved)
        return moved > 0


def read_categories(logs: Logs, log: str) -> dict[str, str]:
    """The category of each item that has one, from the whole catalogue; of no item where there is no such log."""
    try:
        said = _said(logs.read_all(log))
    except LogMissingError:
        return {}
    return {item_id: entry.category for item_id, entry in said.items() if entry is not None and entry.category}


def _said(batches: Iterable[Batch]) -> dict[str, Entry | None]:
    """What records say last of each item that they name."""
    found: dict[str, Entry | None] = {}
    for batch in batches:

        def ignored(place: int, reason: str, batch: Batch = batch) -> None:
            position = batch.positions[place]
            _log.warning("catalogue entry ignored", partition=batch.partition, position=position, reason=reason)

        for item_id, item in read_records(batch.keys, batch.values, ignored):
            found[item_id] = None if item is None else Entry.of(item)
    return found
