"""The same for applications that run in an asyncio event loop."""

from collections.abc import Collection, Mapping, Sequence
from types import TracebackType
from typing import Any, Final, Self, TypeVar

import redis
from redis.asyncio import Redis, RedisCluster
from redis.exceptions import RedisClusterException

from contracts.documents import SegmentCard, SegmentList
from recommender.answers import ItemList, Recommendations, Shelf
from recommender.reader_core import ReaderCore, choice_of, entries_wanted, no_near_cache
from recommender.reader_invalidations import AsyncInvalidationListener
from recommender.reader_url import open_for_async_reader
from recommender.reading import Reading, Wanted
from recommender.redis_cluster import as_redis_error
from recommender.store import MemoryViews, ViewsUnavailableError, as_bytes, unavailable

R = TypeVar("R")

CONNECTIONS: Final = 50
"""Most to each server of several; one server is asked over a single one."""


class AsyncCustomerReader:
    """Reads what the workers keep in Redis: one round trip per question. For use in one event loop.

    Example:
        ```python
        from livesegments import AsyncCustomerReader

        async with AsyncCustomerReader("redis://localhost:6379/0") as reader:
            answer = await reader.get("17850", n=5)
        ```

    Parameters and answers are those of CustomerReader; clients are those of `redis.asyncio`.
    """

    def __init__(
        self,
        source: "str | Redis | RedisCluster | MemoryViews",
        prefix: str = "livesegments",
        *,
        timeout: float = 1.0,
        near_cache: "bool | int" = False,
    ) -> None:
        near_entries = entries_wanted(near_cache)
        self._source: Any = source
        one_server = isinstance(source, Redis)
        if isinstance(source, str):
            self._source, one_server = open_for_async_reader(source, timeout, CONNECTIONS)
        if near_entries and not one_server:
            near_entries = no_near_cache(type(self._source).__name__)
        is_cluster = isinstance(self._source, RedisCluster)
        self._mget: Any = getattr(self._source, "mget_nonatomic" if is_cluster else "mget", None)
        self._core = ReaderCore(prefix, one_round_trip=not is_cluster, near_entries=near_entries)
        self._questions, self._near_answers = self._core.questions, self._core.near_answers
        self._listener: AsyncInvalidationListener | None = None
        if self._core.near is not None:
            self._listener = AsyncInvalidationListener(self._source.connection_pool, self._core.near, self._core.keys)

    async def get(
        self,
        customer_id: str,
        *,
        n: int | None = None,
        exclude: Collection[str] = (),
        shelf: Shelf = "recommendations",
        category: str | None = None,
    ) -> Recommendations:
        """See CustomerReader.get."""
        choice = choice_of(n, exclude, shelf, category)
        if self._near_answers is not None:
            answer = self._near_answers.get(customer_id, choice)
            if answer is not None:
                return answer
        return await self._ask(self._questions.get(customer_id, choice))

    async def get_many(
        self,
        customer_ids: Sequence[str],
        *,
        n: int | None = None,
        exclude: Collection[str] = (),
        shelf: Shelf = "recommendations",
        category: str | None = None,
    ) -> dict[str, Recommendations]:
        """See CustomerReader.get_many."""
        return await self._ask(self._questions.get_many(customer_ids, choice_of(n, exclude, shelf, category)))

    async def similar_items(self, item_id: str, n: int | None = None, *, exclude: Collection[str] = ()) -> ItemList:
        """See CustomerReader.similar_items."""
        return await self._ask(self._questions.similar_items(item_id, n, exclude))

    async def popular(
        self, n: int | None = None, category: str | None = None, *, exclude: Collection[str] = ()
    ) -> ItemList:
        """See CustomerReader.popular."""
        return await self._ask(self._questions.popular(n, category, exclude))

    async def segment(self, segment_id: int) -> SegmentCard | None:
        """See CustomerReader.segment."""
        return await self._ask(self._questions.segment(segment_id))

    async def segments(self) -> SegmentList | None:
        """See CustomerReader.segments."""
        return await self._ask(self._questions.segments())

    async def model(self) -> Mapping[str, Any] | None:
        """See CustomerReader.model."""
        return await self._ask(self._questions.model())

    async def close(self) -> None:
        """Let go of the connections."""
        if self._listener is not None:
            await self._listener.close()
        if isinstance(self._source, MemoryViews):
            self._source.close()
        else:
            await self._source.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def _ask(self, question: Reading[R]) -> R:
        """Read what the question wants until it has its answer."""
        if self._listener is not None:
            self._listener.start()
        try:
            wanted = next(question)
            while True:
                try:
                    found = await self._read(wanted)
                except ViewsUnavailableError as error:
                    wanted = question.throw(error)
                else:
                    wanted = question.send(found)
        except StopIteration as done:
            answer: R = done.value
            return answer
        finally:
            # A question whose caller went away must not leave its read announced.
            question.close()

    async def _read(self, wanted: Wanted) -> list[bytes | None]:
        names, hash_key = wanted
        if isinstance(self._source, MemoryViews):
            return self._source.get_many(names) if hash_key is None else self._source.get_fields(hash_key, names)
        self._core.may_ask()
        try:
            if not names:
                return []
            found = await (self._mget(names) if hash_key is None else self._source.hmget(hash_key, list(names)))
        except (redis.RedisError, RedisClusterException) as error:
            self._core.unanswered()
            raise unavailable(error if isinstance(error, redis.RedisError) else as_redis_error(error)) from error
        self._core.answered()
        return [as_bytes(document) for document in found]
