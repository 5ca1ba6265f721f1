"""How documents are read, without I/O: what else is read along, what is kept of it, what there is when Redis is down.

A reading is a generator. It yields a `Wanted` and is sent what was found; where the store does not answer,
ViewsUnavailableError is thrown into it. So the sync and the asyncio reader share every line.
"""

from collections.abc import Callable, Generator, Mapping, Sequence
from typing import Any, Final, NamedTuple, Protocol, TypeVar

from contracts.keys import Keys
from recommender.answers import Withdrawn, decode_withdrawn
from recommender.last_documents import LastDocuments
from recommender.near_cache import NearCache
from recommender.store import ViewsUnavailableError

COLD_START_EVERY: Final = 10.0
"""Seconds after which the cold start is read along with something else, so that there is one when Redis goes down."""
LOOK_EVERY: Final = 0.05
"""Seconds between looks at the catalogue where each would cost a round trip of its own."""
NOTHING_WITHDRAWN: Final = Withdrawn(-1, frozenset())

R = TypeVar("R")
Decoder = Callable[[str, bytes], Any]
"""Makes a value of a key's document."""
Decoders = Mapping[str, Decoder]
"""Keys to read, and how to decode each one's document."""


class Wanted(NamedTuple):
    """One read: documents by their keys, or fields of one hash."""

    names: Sequence[str]
    hash_key: str | None = None


Reading = Generator[Wanted, "list[bytes | None]", R]


class Documents(NamedTuple):
    """What a reading has found."""

    values: Mapping[str, Any]
    """By key, decoded; None where there is none."""
    withdrawn: frozenset[str]
    """Items that may not be recommended now."""
    error: ViewsUnavailableError | None = None
    """Why this is only what was found last."""


class DocumentReading(Protocol):
    """Reads documents, and what is withdrawn with them."""

    def read(self, wanted: Decoders) -> Reading[Documents]:
        """Documents by key. Raises BrokenDocumentError, NewerDocumentError; a silent store is a value: `error`."""


class PlainReading:
    """Asks the store each time. Safe to use from several threads.

    Parameters:
        keys: of the deployment.
        clock: gives monotonic seconds.
        one_round_trip: whether any keys can be read together; not so in a Redis Cluster.
        last: remembers what was read.
    """

    def __init__(self, keys: Keys, clock: Callable[[], float], last: LastDocuments, *, one_round_trip: bool) -> None:
        self._clock = clock
        self._one_round_trip = one_round_trip
        self._last = last
        self._last_cold_start = LastDocuments(1, float("inf"))
        self._cold_start_key = keys.cold_start()
        self._version_key = keys.catalogue_version()
        self._withdrawn_key = keys.withdrawn()
        self._withdrawn = NOTHING_WITHDRAWN
        self._seen_version: bytes | None = None
        self._version_at = self._cold_start_at = float("-inf")

    def read(self, wanted: Decoders) -> Reading[Documents]:
        """See DocumentReading: in one round trip, and in a second one where the catalogue has changed."""
        now = self._clock()
        # Reading the version along costs nothing measurable where it is the same round trip, and what is withdrawn is
        # gone from the very next answer.
        looks = self._one_round_trip or now - self._version_at >= LOOK_EVERY
        names = [*wanted, self._version_key] if looks else [*wanted]
        if now - self._cold_start_at >= COLD_START_EVERY:
            names += self.due(now)
        try:
            found = dict(zip(names, (yield Wanted(names)), strict=True))
            if looks:
                version = found.pop(self._version_key)
                if version != self._seen_version:
                    yield from self._follow_catalogue(version)
                self._version_at = now
        except ViewsUnavailableError as error:
            return self.remembered(wanted, error)
        self.remember(found, now)
        return Documents(_decoded(wanted, found), self._withdrawn.items)

    def due(self, now: float) -> list[str]:
        """What should be read along at this moment, for bad times."""
        if now - self._cold_start_at < COLD_START_EVERY:
            return []
        self._cold_start_at = now
        return [self._cold_start_key]

    def remember(self, found: Mapping[str, bytes | None], now: float) -> None:
        """For when the store does not answer."""
        for key, document in found.items():
            self._memory(key).put(key, document, now)

    def remembered(self, wanted: Decoders, error: ViewsUnavailableError) -> Documents:
        """What was found last."""
        now = self._clock()
        found = {key: self._memory(key).get(key, now) for key in wanted}
        return Documents(_decoded(wanted, found), self._withdrawn.items, error)

    def _memory(self, key: str) -> LastDocuments:
        # Customers by the thousand must not push out what somebody never asked for before will get.
        return self._last_cold_start if key == self._cold_start_key else self._last

    def keep_withdrawn(self, withdrawn: Withdrawn) -> None:
        """What is withdrawn as it was read otherwise."""
        self._withdrawn = withdrawn

    def _follow_catalogue(self, version: bytes | None) -> Reading[None]:
        """Read what is withdrawn anew: the catalogue's version is not the one seen last."""
        document: bytes | None = None
        # Without a version there is no catalogue, or an older worker: nothing is held back.
        if version is not None:
            # Both are written in one atomic step: what is read now is as new as the version, or newer.
            (document,) = yield Wanted([self._withdrawn_key])
        self._withdrawn = NOTHING_WITHDRAWN if document is None else decode_withdrawn(self._withdrawn_key, document)
        self._seen_version = version


class NearReading:
    """Asks the store only for what the near-cache does not have. Safe to use from several threads."""

    def __init__(self, keys: Keys, clock: Callable[[], float], plain: PlainReading, near: NearCache) -> None:
        self._clock = clock
        self._plain = plain
        self._near = near
        self._withdrawn_key = keys.withdrawn()

    def read(self, wanted: Decoders) -> Reading[Documents]:
        """See DocumentReading: in no round trip, or in one; plainly while no invalidations arrive."""
        near, plain, now = self._near, self._plain, self._clock()
        wanted = {**wanted, self._withdrawn_key: decode_withdrawn}
        entries = near.entries
        cached = {key: entry for key in wanted if (entry := entries.get(key)) is not None}
        missing = {key: decode for key, decode in wanted.items() if key not in cached}
        values: dict[str, Any] = {}
        if missing:
            announced = near.begin(missing)
            if announced is None:
                del wanted[self._withdrawn_key]
                return (yield from plain.read(wanted))
            try:
                names = [*missing, *(key for key in plain.due(now) if key not in missing)]
                found = dict(zip(names, (yield Wanted(names)), strict=True))
                values = _decoded(missing, found)
                near.commit(announced, values)
            except ViewsUnavailableError as error:
                return plain.remembered(wanted, error)
            finally:
                near.give_up(announced, missing)
            found.pop(self._withdrawn_key, None)
            plain.remember(found, now)
        for key, entry in cached.items():
            entry.used = True
            values[key] = entry.value
        withdrawn = values.pop(self._withdrawn_key) or NOTHING_WITHDRAWN
        plain.keep_withdrawn(withdrawn)
        return Documents(values, withdrawn.items)


def _decoded(wanted: Decoders, found: Mapping[str, bytes | None]) -> dict[str, Any]:
    return {key: None if (document := found[key]) is None else decode(key, document) for key, decode in wanted.items()}
