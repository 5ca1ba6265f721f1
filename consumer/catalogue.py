"""Following the log `catalog`: which items are not to be recommended."""

import time
from collections.abc import Callable, Iterable
from typing import Final, Protocol

import structlog
from pydantic import ValidationError

from contracts.catalog import parse_item
from logs.base import Batch, LogChangedError, LogMissingError, LogReader, Logs, PositionGoneError

LOOK_SECONDS: Final = 1.0
"""Between two looks at the log; a missing one is looked for as often."""

_log = structlog.get_logger("livesegments.catalogue")


class Shelf(Protocol):
    """Where items stand that may be recommended."""

    def withdraw(self, item_id: str, *, withdrawn: bool) -> None:
        """Take an item out, or back in."""


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
        self._withdrawn: set[str] = set()
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
        withdrawn: set[str] = set()
        _apply(batches, withdrawn)
        return self._settle(withdrawn, shelf)

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
        withdrawn = set(self._withdrawn)
        _apply(polled.batches, withdrawn)
        return self._settle(withdrawn, shelf)

    def _settle(self, withdrawn: set[str], shelf: Shelf) -> bool:
        changed = withdrawn ^ self._withdrawn
        for item_id in changed:
            shelf.withdraw(item_id, withdrawn=item_id in withdrawn)
        self._withdrawn = withdrawn
        if changed:
            _log.info("catalogue changed", items=len(changed), withdrawn=len(withdrawn))
        return bool(changed)


def _apply(batches: Iterable[Batch], withdrawn: set[str]) -> None:
    """Bring the set of withdrawn items up to some records."""
    for batch in batches:
        for position, key, value in zip(batch.positions, batch.keys, batch.values, strict=True):
            try:
                if value:
                    item = parse_item(value)
                    (withdrawn.discard if item.offered else withdrawn.add)(item.item_id)
                elif key is not None:
                    withdrawn.discard(key.decode())
            except (ValidationError, UnicodeDecodeError) as error:
                reason = str(error).splitlines()[0]
                _log.warning("catalogue entry ignored", partition=batch.partition, position=position, reason=reason)
