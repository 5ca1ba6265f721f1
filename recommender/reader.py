"""What an application imports to read segments and recommendations."""

from collections.abc import Collection, Mapping, Sequence
from types import TracebackType
from typing import Any, Self, TypeVar

import msgspec
import pydantic
import redis
from redis.backoff import ExponentialBackoff
from redis.cluster import RedisCluster
from redis.retry import Retry

from contracts.documents import VERSION, SegmentCard, SegmentList
from contracts.errors import LivesegmentsError
from contracts.keys import Keys
from recommender.answers import Recommendations, Shelf, decode_cold_start, decode_view, unusable
from recommender.store import RedisViews, ViewStore

_Document = TypeVar("_Document", SegmentCard, SegmentList)


class ReaderUrlError(LivesegmentsError):
    """The URL given to CustomerReader is not one of Redis."""


class CustomerReader:
    """Reads what the workers keep in Redis: one GET per customer. Safe to use from several threads.

    Example:
        ```python
        from livesegments import CustomerReader

        with CustomerReader("redis://localhost:6379/0") as reader:
            answer = reader.get("17850", n=5, exclude=basket)
            print(answer.segment.name if answer.segment else "unknown", [item.item_id for item in answer.items])
            reader.get("17850", shelf="buy_again")
        ```

    Parameters:
        source: a Redis URL, a Redis or Redis Cluster client, or a ViewStore. Connects at the first question.
        prefix: of the keys, as the workers have it.
        timeout: seconds to wait for Redis before giving up; only where `source` is a URL.

    Every question raises ViewsUnavailableError where Redis does not answer, BrokenDocumentError and
    NewerDocumentError where a stored document can not be used. Raises ReaderUrlError for a URL that can not be one.
    """

    def __init__(
        self,
        source: "str | redis.Redis | RedisCluster | ViewStore",
        prefix: str = "livesegments",
        *,
        timeout: float = 1.0,
    ) -> None:
        self._keys = Keys(prefix)
        self._store = _store(source, timeout)

    def get(
        self,
        customer_id: str,
        *,
        n: int | None = None,
        exclude: Collection[str] = (),
        shelf: Shelf = "recommendations",
    ) -> Recommendations:
        """Segment and recommendations of one customer; for somebody unknown what everybody buys, `known` False.

        Parameters:
            customer_id: as in the events.
            n: at most so many items.
            exclude: items to leave out, such as what is in the basket already.
            shelf: all items, those never bought (`discover`), or those bought before (`buy_again`).
        """
        key = self._keys.customer(customer_id)
        document = self._store.get(key)
        if document is None:
            cold_key = self._keys.cold_start()
            answer = decode_cold_start(cold_key, self._store.get(cold_key), customer_id)
        else:
            answer = decode_view(key, document)
        return _select(answer, n, exclude, shelf)

    def get_many(
        self,
        customer_ids: Sequence[str],
        *,
        n: int | None = None,
        exclude: Collection[str] = (),
        shelf: Shelf = "recommendations",
    ) -> dict[str, Recommendations]:
        """`get` of many customers in one round trip: an answer for every id asked for, in that order."""
        keys = [self._keys.customer(customer_id) for customer_id in customer_ids]
        cold_key = self._keys.cold_start()
        *documents, cold = self._store.get_many([*keys, cold_key])
        return {
            customer_id: _select(
                decode_cold_start(cold_key, cold, customer_id) if document is None else decode_view(key, document),
                n,
                exclude,
                shelf,
            )
            for customer_id, key, document in zip(customer_ids, keys, documents, strict=True)
        }

    def segment(self, segment_id: int) -> SegmentCard | None:
        """What there is to say about a segment; None where there is no such segment."""
        return self._document(self._keys.segment(segment_id), SegmentCard)

    def segments(self) -> SegmentList | None:
        """Every segment with its size; None before there are any."""
        return self._document(self._keys.segments(), SegmentList)

    def model(self) -> Mapping[str, Any] | None:
        """The current model document; None before there is one."""
        key = self._keys.model()
        document = self._store.get(key)
        if document is None:
            return None
        try:
            return msgspec.json.decode(document, type=dict[str, Any])
        except msgspec.DecodeError as error:
            raise unusable(key, document, error) from error

    def close(self) -> None:
        """Let go of the connections."""
        self._store.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _document(self, key: str, model: type[_Document]) -> _Document | None:
        document = self._store.get(key)
        if document is None:
            return None
        try:
            decoded = model.model_validate_json(document)
        except pydantic.ValidationError as error:
            raise unusable(key, document, error) from error
        if decoded.v > VERSION:
            raise unusable(key, document, None)
        return decoded


def _select(answer: Recommendations, n: int | None, exclude: Collection[str], shelf: Shelf) -> Recommendations:
    """The answer with the items asked for."""
    if n is None and not exclude and shelf == "recommendations":
        return answer
    items = answer.shelf(shelf)
    if exclude:
        without = frozenset(exclude)
        items = tuple(item for item in items if item.item_id not in without)
    return msgspec.structs.replace(answer, items=items if n is None else items[:n])


def _store(source: "str | redis.Redis | RedisCluster | ViewStore", timeout: float) -> ViewStore:
    if isinstance(source, redis.Redis | RedisCluster):
        return RedisViews(source)
    if not isinstance(source, str):
        return source
    try:
        client = redis.Redis.from_url(
            source,
            socket_timeout=timeout,
            socket_connect_timeout=timeout,
            # A connection that sat idle behind a firewall is found dead before a question is lost on it.
            health_check_interval=15,
            # redis-py's ten tries keep a shop's page waiting for seconds; reading twice harms nothing.
            retry=Retry(ExponentialBackoff(cap=0.1, base=0.01), 2),
        )
    except ValueError as error:
        raise ReaderUrlError(
            f"{source!r} is not a Redis URL ({error}); it looks like redis://host:6379/0, rediss://… or unix://…"
        ) from None
    return RedisViews(client)
