"""The public documents of the catalogue: its entries, what is withdrawn, and their version. The leader writes them."""

import time
from collections.abc import Callable, Mapping
from itertools import islice
from typing import Final, Protocol

import msgspec
import structlog

from consumer.catalogue_entry import Entry
from consumer.state import MAX_ENTRIES, CatalogueStep, State
from contracts.documents import VERSION

CHECK_SECONDS: Final = 1.0
"""Between two looks whether what was written is still there; as long to wait where somebody else wrote."""
_STEPS_AT_ONCE: Final = 5
"""A large catalogue is written in several turns of the worker."""

_log = structlog.get_logger("livesegments.catalogue")


class Catalogue(Protocol):
    """What is known of items: a CatalogueFollower."""

    entries: dict[str, Entry]

    def take_news(self) -> set[str]:
        """Ids of the items that have changed since this was asked last."""


class Withdrawals(Protocol):
    """Which items may not be recommended: the worker's Items."""

    withdrawals: int
    """Raised whenever `withdrawn` changes."""

    @property
    def withdrawn(self) -> list[str]:
        """Their ids, sorted."""


class _Entry(msgspec.Struct):
    """contracts.documents.CatalogueEntry; a test holds the two equal."""

    name: str | None
    category: str | None
    offered: bool


class _Withdrawn(msgspec.Struct):
    """contracts.documents.Withdrawn."""

    version: int
    items: list[str]
    v: int = VERSION


class CatalogueDocuments:
    """Keeps the documents as the catalogue and the items say: what differs is written, in steps that each are atomic.

    Nothing of what another leader, or this one before a restart, wrote is taken on trust: the first turn of a leader
    compares everything, and so does one that finds another version than it wrote (Redis has lost its memory). A leader
    that has been replaced without knowing is refused by the script.
    """

    def __init__(
        self, state: State, catalogue: Catalogue, items: Withdrawals, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._state = state
        self._catalogue = catalogue
        self._items = items
        self._monotonic = monotonic
        self._leader: int | None = None
        """The leader as whom the documents were compared; None: they are to be compared."""
        self._version = 0
        self._waiting: dict[str, None] = {}
        """Ids of items whose entries differ from what is written."""
        self._withdrawals: int | None = None
        """Of the list that is written."""
        self._unfinished = False
        """Entries were written after the version was raised: it has to be raised once more."""
        self._next_check = float("-inf")
        self._not_before = float("-inf")

    def write(self, leader: int, wall: int) -> None:
        """Write what has changed, at most some thousand items. `wall`: microseconds UTC; versions are times.

        Raises StateUnavailableError; what is not written then is at a later turn.
        """
        now = self._monotonic()
        self._waiting |= dict.fromkeys(self._catalogue.take_news())
        if now < self._not_before:
            return
        if now >= self._next_check:
            if self._leader is not None and self._state.catalogue_version() != self._version:
                _log.info("the catalogue's documents are not what was written: all are compared")
                self._leader = None
            self._next_check = now + CHECK_SECONDS
        if self._leader != leader:
            self._compare()
            self._leader = leader
        for _ in range(_STEPS_AT_ONCE):
            if not self.pending:
                return
            if not self._step(leader, wall):
                self._leader = None
                self._not_before = now + CHECK_SECONDS
                return

    @property
    def pending(self) -> bool:
        """Whether something is still to be written."""
        return bool(self._waiting) or self._unfinished or self._withdrawals != self._items.withdrawals

    def _step(self, leader: int, wall: int) -> bool:
        """One atomic step. What is withdrawn goes with the first one, since it is what is urgent."""
        chunk = list(islice(self._waiting, MAX_ENTRIES))
        withdrawals = self._items.withdrawals
        last = len(chunk) == len(self._waiting)
        raised = last or not self._unfinished or withdrawals != self._withdrawals
        # A time, so that it differs from all before even where Redis has forgotten those.
        version = max(self._version + 1, wall // 1000) if raised else self._version
        step = CatalogueStep(
            leader=leader,
            before=self._version,
            version=version,
            entries={item: encoded(self._catalogue.entries.get(item)) for item in chunk},
            withdrawn=msgspec.json.encode(_Withdrawn(version, self._items.withdrawn)) if raised else None,
        )
        if not self._state.publish_catalogue(step):
            return False
        for item in chunk:
            del self._waiting[item]
        self._version, self._withdrawals, self._unfinished = version, withdrawals, not last
        return True

    def _compare(self) -> None:
        """Find what differs from what is there."""
        version = self._state.catalogue_version()
        entries = self._catalogue.entries
        missing = set(entries)
        wrong: set[str] = set()
        for found in self._state.catalogue():
            wrong |= _differing(found, entries)
            missing.difference_update(found)
        self._waiting = dict.fromkeys(sorted(missing | wrong))
        there = self._state.withdrawn()
        withdrawals = self._items.withdrawals
        wanted = msgspec.json.encode(_Withdrawn(version, self._items.withdrawn))
        self._withdrawals = withdrawals if there == wanted and version else None
        self._unfinished = False
        self._version = version


def encoded(entry: Entry | None) -> bytes | None:
    """A public entry as JSON."""
    return None if entry is None else msgspec.json.encode(_Entry(entry.name, entry.category, entry.offered))


def _differing(found: Mapping[str, bytes], entries: Mapping[str, Entry]) -> set[str]:
    return {item for item, stored in found.items() if stored != encoded(entries.get(item))}
