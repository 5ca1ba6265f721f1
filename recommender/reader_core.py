"""What the two readers have in common: how they are put together, and everything but waiting for Redis."""

import time
from collections.abc import Collection
from typing import Final

import structlog

from contracts.keys import Keys
from recommender.answers import Shelf
from recommender.choosing import Choice
from recommender.circuit_breaker import CircuitBreaker
from recommender.last_documents import LastDocuments
from recommender.near_cache import NearCache
from recommender.questions import AS_IT_IS, NearAnswers, Questions
from recommender.reading import NearReading, PlainReading
from recommender.store import ViewsUnavailableError

NEAR_CACHE_ENTRIES: Final = 10_000
"""Where `near_cache` is True; about 4 KiB each."""
REMEMBERED_DOCUMENTS: Final = 10_000
"""For when Redis is down; below 1 KiB each."""
REMEMBERED_SECONDS: Final = 3600.0
"""An answer older than that is not given even then: the customer may have asked to be forgotten."""
PAUSE_SECONDS: Final = 1.0
"""After Redis did not answer, nobody waits for it for so long."""

_log = structlog.get_logger(__name__)


class ReaderCore:
    """The questions, the near-cache and the circuit breaker of one reader.

    Parameters:
        prefix: of the keys.
        one_round_trip: see ReadableViews.
        near_entries: most entries of the near-cache; 0: there is none.
    """

    def __init__(self, prefix: str, *, one_round_trip: bool, near_entries: int) -> None:
        self.keys = Keys(prefix)
        plain = PlainReading(
            self.keys,
            time.monotonic,
            LastDocuments(REMEMBERED_DOCUMENTS, REMEMBERED_SECONDS),
            one_round_trip=one_round_trip,
        )
        self.near: NearCache | None = None
        self.near_answers: NearAnswers | None = None
        self.questions = Questions(self.keys, plain)
        if near_entries:
            self.near = NearCache(near_entries)
            self.near_answers = NearAnswers(self.keys, self.near)
            self.questions = Questions(self.keys, NearReading(self.keys, time.monotonic, plain, self.near))
        self._breaker = CircuitBreaker(PAUSE_SECONDS)

    def may_ask(self) -> None:
        """Raises ViewsUnavailableError where Redis did not answer just now."""
        if not self._breaker.allows(time.monotonic()):
            raise ViewsUnavailableError(
                f"Redis did not answer within the last {PAUSE_SECONDS:g} s, and is asked again after that; "
                "the error before this one says what to look at"
            )

    def answered(self) -> None:
        """The store did."""
        self._breaker.succeeded()

    def unanswered(self) -> None:
        """The store did not."""
        self._breaker.failed(time.monotonic())


def entries_wanted(near_cache: "bool | int") -> int:
    """How many entries the near-cache may have; 0 for none."""
    return NEAR_CACHE_ENTRIES if near_cache is True else int(near_cache)


def no_near_cache(store: str) -> int:
    """Say that a store has none, and go without."""
    _log.warning("no near-cache: every answer is read from the store", store=store, advice="give the URL of one server")
    return 0


def choice_of(n: int | None, exclude: Collection[str], shelf: Shelf, category: str | None) -> Choice:
    """Which items are asked for; AS_IT_IS itself for all."""
    if n is None and not exclude and category is None and shelf == "recommendations":
        return AS_IT_IS
    return Choice(n, exclude, shelf, category)
