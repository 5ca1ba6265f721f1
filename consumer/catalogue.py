"""Following the log `catalog`: which items are not to be recommended, and which category each is in."""

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Final, Protocol

import structlog
from pydantic import ValidationError

from contracts.catalog import CatalogItem, parse_item
from logs.base import Batch, LogChangedError, LogMissingError, LogReader, Logs, PositionGoneError

LOOK_SECONDS: Final = 1.0
"""Between two looks at the log; a missing one is looked for as often."""

_log = structlog.get_logger("livesegments.catalogue")


class Shelf(Protocol):
    """Where items stand that may be recommended."""

    def withdraw(self, item_id: str, *, withdrawn: bool) -> None:
        """Take an item out, or back in."""

    def categorise(self, item_id: str, category: str | None) -> None:
        """Put an item into a category, or into none."""


@dataclass(slots=True)
class Known:
    """What the catalogue says of items."""

    withdrawn: set[str] = field(default_factory=set)
    categories: dict[str, str] = field(default_factory=dict)

    def copy(self) -> "Known":
        """Another one that can be changed."""
        return Known(set(self.withdrawn), dict(self.categories))

    def take(self, item: CatalogItem) -> None:
        """What a record says now."""
        (self.withdrawn.discard if item.offered else self.withdrawn.add)(item.item_id)
        if item.category is None:
            self.categories.pop(item.item_id, None)
        else:
            self.categories[item.item_id] = item.category

    def forget(self, item_id: str) -> None:
        """A record was taken back."""
        self.withdrawn.discard(item_id)
        self.categories.pop(item_id, None)


class CatalogueFollower:
    """Reads the catalogue to its end at the first look, and what is new at later ones.

    Args:
        logs: Stays open.
        log: The catalogue's name.
        group: A reader's group of its own, since every worker reads everything.
    """

    def __init__(self, logs: Logs, log: str, group: str, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._logs = logs
        self._name = log
        self._group = group
        self._monotonic = monotonic
        self._reader: LogReader | None = None
        self._from: dict[int, int] = {}
        """By partition, where to go on after what was read without a group."""
        self._known = Known()
        self._next = float("-inf")

    def follow(self, shelf: Shelf) -> bool:
        """Take over what is new; whether it changed what may be recommended. Looks at most once a second.

        Raises LogUnavailableError at the first look; later on the reader survives that.
        """
        now = self._monotonic()
        if now < self._next:
            return False
        changed = self._read_whole(shelf) if self._reader is None else self._read_on(self._reader, shelf)
        self._next = now + LOOK_SECONDS
        return changed

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
        known = Known()
        _apply(batches, known)
        return self._settle(known, shelf)

    def _read_on(self, reader: LogReader, shelf: Shelf) -> bool:
        try:
            polled = reader.poll(0.0)
        except (LogChangedError, PositionGoneError) as error:
            _log.warning("the catalogue is read anew", error=str(error))
            self.close()
            return self._read_whole(shelf)
        for partition in polled.assigned:
            reader.seek(partition, self._from.get(partition))
        if not polled.batches:
            return False
        for batch in polled.batches:
            self._from[batch.partition] = batch.positions[-1] + 1
        known = self._known.copy()
        _apply(polled.batches, known)
        return self._settle(known, shelf)

    def _settle(self, known: Known, shelf: Shelf) -> bool:
        before, self._known = self._known, known
        for item_id in before.categories.keys() | known.categories.keys():
            category = known.categories.get(item_id)
            if category != before.categories.get(item_id):
                shelf.categorise(item_id, category)
        changed = known.withdrawn ^ before.withdrawn
        for item_id in changed:
            shelf.withdraw(item_id, withdrawn=item_id in known.withdrawn)
        if changed:
            _log.info("catalogue changed", items=len(changed), withdrawn=len(known.withdrawn))
        return bool(changed)


def read_categories(logs: Logs, log: str) -> dict[str, str]:
    """The category of each item that has one, from the whole catalogue; of no item where there is no such log."""
    known = Known()
    try:
        _apply(logs.read_all(log), known)
    except LogMissingError:
        return {}
    return known.categories


def _apply(batches: Iterable[Batch], known: Known) -> None:
    """Bring what is known up to some records."""
    for batch in batches:
        for position, key, value in zip(batch.positions, batch.keys, batch.values, strict=True):
            try:
                if value:
                    known.take(parse_item(value))
                elif key is not None:
                    known.forget(key.decode())
            except (ValidationError, UnicodeDecodeError) as error:
                reason = str(error).splitlines()[0]
                _log.warning("catalogue entry ignored", partition=batch.partition, position=position, reason=reason)
