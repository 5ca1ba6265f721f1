"""What an application imports to read segments and recommendations."""

from collections.abc import Collection, Mapping, Sequence
from types import TracebackType
from typing import Any, Self, TypeVar

import redis
from redis.cluster import RedisCluster

from contracts.documents import SegmentCard, SegmentList
from recommender.answers import ItemList, Recommendations, Shelf
from recommender.reader_core import ReaderCore, choice_of, entries_wanted, no_near_cache
from recommender.reader_invalidations import InvalidationListener
from recommender.reader_url import ReaderUrlError, open_for_reader
from recommender.reading import Reading, Wanted
from recommender.store import ReadableViews, RedisViews, ViewsUnavailableError

__all__ = ["CustomerReader", "ReaderUrlError"]

R = TypeVar("R")


class CustomerReader:
    """Reads what the workers keep in Redis: one round trip per question. Safe to use from several threads.

    Example:
        ```python
        from livesegments import CustomerReader

        with CustomerReader("redis://localhost:6379/0") as reader:
            answer = reader.get("17850", n=5, exclude=basket)
            print(answer.segment.name if answer.segment else "unknown", [item.item_id for item in answer.items])
            reader.get("17850", shelf="buy_again")
        ```

    Parameters:
        source: a Redis URL (redis://host:6379/0, redis+cluster://host:6379,host:6379,
            redis+sentinel://host:26379,host:26379/service), a Redis or Redis Cluster client, or a store of views.
            Connects at the first question.
        prefix: of the keys, as the workers have it.
        timeout: seconds to wait for Redis before giving up; only where `source` is a URL.
        near_cache: keep answers in this process for as long as they are unchanged: True, or how many.

    Where Redis does not answer, questions about customers and items give the last answer there was, marked `stale`,
    and Redis is asked again after a second. Every question raises ViewsUnavailableError where there is none,
    BrokenDocumentError and NewerDocumentError where a stored document can not be used. Raises ReaderUrlError for a URL
    that can not be one.
    """

    def __init__(
        self,
        source: "str | redis.Redis | RedisCluster | ReadableViews",
        prefix: str = "livesegments",
        *,
        timeout: float = 1.0,
        near_cache: "bool | int" = False,
    ) -> None:
        near_entries = entries_wanted(near_cache)
        pool: redis.ConnectionPool | None = None
        self._store: ReadableViews
        if isinstance(source, str):
            self._store, pool = open_for_reader(source, timeout)
        elif isinstance(source, redis.Redis | RedisCluster):
            self._store = RedisViews(source)
            pool = source.connection_pool if isinstance(source, redis.Redis) else None
        else:
            self._store = source
        if near_entries and pool is None:
            near_entries = no_near_cache(type(self._store if isinstance(source, str) else source).__name__)
        self._core = ReaderCore(prefix, one_round_trip=self._store.one_round_trip, near_entries=near_entries)
        self._questions, self._near_answers = self._core.questions, self._core.near_answers
        self._listener: InvalidationListener | None = None
        if pool is not None and self._core.near is not None:
            self._listener = InvalidationListener(pool, self._core.near, self._core.keys)

    def get(
        self,
        customer_id: str,
        *,
        n: int | None = None,
        exclude: Collection[str] = (),
        shelf: Shelf = "recommendations",
        category: str | None = None,
    ) -> Recommendations:
        """Segment and recommendations of one customer; for somebody unknown what everybody buys, `known` False.

        Parameters:
            customer_id: as in the events.
            n: at most so many items.
            exclude: items to leave out, such as what is in the basket already.
            shelf: all items, those never bought (`discover`), or those bought before (`buy_again`).
            category: only items of this category of the catalogue: the customer's, then what sells best in it, up to
                n (20 where that is not given). Two more round trips.
        """
        choice = choice_of(n, exclude, shelf, category)
        if self._near_answers is not None:
            answer = self._near_answers.get(customer_id, choice)
            if answer is not None:
                return answer
        return self._ask(self._questions.get(customer_id, choice))

    def get_many(
        self,
        customer_ids: Sequence[str],
        *,
        n: int | None = None,
        exclude: Collection[str] = (),
        shelf: Shelf = "recommendations",
        category: str | None = None,
    ) -> dict[str, Recommendations]:
        """`get` of many customers in one round trip: an answer for every id asked for, in that order."""
        return self._ask(self._questions.get_many(customer_ids, choice_of(n, exclude, shelf, category)))

    def similar_items(self, item_id: str, n: int | None = None, *, exclude: Collection[str] = ()) -> ItemList:
        """What is bought together with an item, the most telling first; empty where nothing is known of it."""
        return self._ask(self._questions.similar_items(item_id, n, exclude))

    def popular(self, n: int | None = None, category: str | None = None, *, exclude: Collection[str] = ()) -> ItemList:
        """What sells best now, in all or in a category of the catalogue; empty for one that is unknown."""
        return self._ask(self._questions.popular(n, category, exclude))

    def segment(self, segment_id: int) -> SegmentCard | None:
        """What there is to say about a segment; None where there is no such segment."""
        return self._ask(self._questions.segment(segment_id))

    def segments(self) -> SegmentList | None:
        """Every segment with its size; None before there are any."""
        return self._ask(self._questions.segments())

    def model(self) -> Mapping[str, Any] | None:
        """The current model document; None before there is one."""
        return self._ask(self._questions.model())

    def close(self) -> None:
        """Let go of the connections."""
        if self._listener is not None:
            self._listener.close()
        self._store.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _ask(self, question: Reading[R]) -> R:
        """Read what the question wants until it has its answer."""
        if self._listener is not None:
            self._listener.start()
        try:
            wanted = next(question)
            while True:
                try:
                    found = self._read(wanted)
                except ViewsUnavailableError as error:
                    wanted = question.throw(error)
                else:
                    wanted = question.send(found)
        except StopIteration as done:
            answer: R = done.value
            return answer

    def _read(self, wanted: Wanted) -> list[bytes | None]:
        self._core.may_ask()
        names, hash_key = wanted
        try:
            found = self._store.get_many(names) if hash_key is None else self._store.get_fields(hash_key, names)
        except ViewsUnavailableError:
            self._core.unanswered()
            raise
        self._core.answered()
        return found
