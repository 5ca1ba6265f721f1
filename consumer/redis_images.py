"""Partitions in Redis, read whole in one atomic view and written whole while nobody works.

A partition is read in one transaction (`MULTI`): Redis does nothing else meanwhile, half a second for 100,000 customers
in one partition on two busy cores, and a worker's checkpoints come before it or after it. All its keys lie in one
cluster slot.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from consumer.image import Image, Rows, Shared
from consumer.layout import LAYOUT, UNFINISHED, in_layout
from consumer.redis_state import RedisState, meta_of, tried
from consumer.state import Kept, Meta, StateError, bucket_of
from contracts.keys import BUCKETS, Keys
from contracts.model import ModelDocument

if TYPE_CHECKING:
    from redis import Redis

_FIELDS_AT_ONCE: Final = 500
_ALL_BUT_CLAIMS: Final = (
    *("seq", "position", "log_identity", "log_partitions", "clock", "purchases", "heard", "views_seq", "layout"),
    *("owner", "content"),
)


class RedisImages:
    """The images under one key prefix. The client is made and closed by the caller."""

    def __init__(self, client: "Redis", keys: Keys) -> None:
        self._client = client
        self._keys = keys
        self._state = RedisState(client, keys)

    def read(self, partition: int) -> Image | None:
        """The partition as it stands at one moment. Raises StateError where it is not whole."""
        meta, image = self._read(partition)
        if meta.layout == UNFINISHED:
            raise StateError(
                f"partition {partition} under {self._keys.prefix!r} is not whole: `livesegments worker` says why"
            )
        return image

    def read_closed(self, partition: int) -> Image | None:
        """The partition as it stands, also where it is not whole."""
        return self._read(partition)[1]

    def _read(self, partition: int) -> tuple[Meta, Image | None]:
        names = self._keys

        def read() -> list[Any]:
            pipe = self._client.pipeline(transaction=True)
            pipe.hgetall(names.meta(partition))
            for key in (names.items, names.erased, names.outbox, names.days, names.feedback_days, names.bonds):
                pipe.hgetall(key(partition))
            pipe.smembers(names.unviewed(partition))
            for bucket in range(BUCKETS):
                pipe.hgetall(names.rows(partition, bucket))
            return pipe.execute()

        fields, items, markers, outbox, days, feedback, bonds, unviewed, *buckets = tried(read)
        meta = meta_of(fields)
        by_number = {int(number): name.decode() for number, name in items.items()}
        kept = Kept(
            items=[by_number[number] for number in range(len(by_number))],
            markers=markers,
            outbox={change_id.decode(): change for change_id, change in sorted(outbox.items())},
            unviewed=frozenset(customer_id.decode() for customer_id in unviewed),
            days={int(day): page for day, page in days.items()},
            feedback={int(day): page for day, page in feedback.items()},
            bonds={customer_id.decode(): bond for customer_id, bond in bonds.items()},
        )
        ids = [customer_id.decode() for bucket in buckets for customer_id in bucket]
        rows = [in_layout(row) for bucket in buckets for row in bucket.values()]
        return meta, Image(partition, meta, kept, ids, rows) if meta.seq or rows else None

    def read_shared(self) -> Shared:
        """What stands beside the partitions."""
        state = self._state
        current = state.model()
        models: dict[int, bytes] = {}
        if current is not None:
            version = ModelDocument.model_validate_json(current).version
            models[version] = current
            # Old ones are dropped from the oldest on, so there are no gaps.
            while (document := state.old_model(version := version - 1)) is not None:
                models[version] = document
        return Shared(
            models=models,
            item_version=state.item_model_version(),
            item_model=state.item_model(),
            forecast_version=state.forecast_version(),
            forecast=state.forecast(),
            forecast_memory=state.forecast_memory(),
            review=state.review(),
            notes=state.notes(),
            segment_names=state.segment_names(),
            audiences=state.number_audiences(()),
        )

    def close_partition(self, partition: int) -> None:
        """Mark the partition as not whole, and take it from whoever holds it."""
        key = self._keys.meta(partition)

        def write() -> None:
            pipe = self._client.pipeline(transaction=True)
            pipe.hincrby(key, "claims", 1)
            pipe.hset(key, "layout", str(UNFINISHED))
            pipe.hsetnx(key, "seq", 0)
            pipe.hdel(key, "owner", "content")
            pipe.execute()

        tried(write)

    def clear(self, partition: int) -> None:
        """Remove everything of a closed partition, the mark apart."""
        names = self._keys
        gone = [names.rows(partition, bucket) for bucket in range(BUCKETS)]
        gone += [
            key(partition)
            for key in (
                *(names.items, names.erased, names.outbox, names.unviewed, names.days, names.feedback_days),
                names.bonds,
            )
        ]
        tried(lambda: self._client.unlink(*gone))

    def clear_rows(self, partition: int) -> None:
        """Remove rows, bonds, items and markers of a closed partition, and nothing else."""
        names = self._keys
        gone = [names.rows(partition, bucket) for bucket in range(BUCKETS)]
        gone += [names.items(partition), names.erased(partition), names.bonds(partition)]
        tried(lambda: self._client.unlink(*gone))

    def forget(self, partitions: int) -> None:
        """Remove the whole deployment under this prefix: of a rebuild that is no longer wanted. Views it has none."""
        names = self._keys
        for number in range(partitions):
            self.clear(number)
            tried(lambda number=number: self._client.delete(names.meta(number)))  # type: ignore[misc]
        self.put_shared(Shared())
        for key in (names.sums(), names.workers(), names.model_requests()):
            tried(lambda key=key: self._client.delete(key))  # type: ignore[misc]

    def put_rows(self, partition: int, rows: Rows) -> None:
        """Write rows into a closed partition."""
        buckets: dict[int, dict[str, bytes]] = {}
        for customer_id, row in zip(*rows, strict=True):
            buckets.setdefault(bucket_of(customer_id), {})[customer_id] = row

        def write() -> None:
            pipe = self._client.pipeline(transaction=False)
            for bucket, fields in buckets.items():
                pipe.hset(self._keys.rows(partition, bucket), items=_flat(fields))
            pipe.execute()

        tried(write)

    def remove_rows(self, partition: int, customer_ids: Sequence[str]) -> None:
        """Take rows out of a closed partition."""
        buckets: dict[int, list[str]] = {}
        for customer_id in customer_ids:
            buckets.setdefault(bucket_of(customer_id), []).append(customer_id)

        def write() -> None:
            pipe = self._client.pipeline(transaction=False)
            for bucket, ids in buckets.items():
                pipe.hdel(self._keys.rows(partition, bucket), *ids)
            pipe.execute()

        tried(write)

    def remove_bonds(self, partition: int, customer_ids: Sequence[str]) -> None:
        """Take bonds out of a closed partition."""
        for start in range(0, len(customer_ids), _FIELDS_AT_ONCE):
            some = customer_ids[start : start + _FIELDS_AT_ONCE]
            tried(lambda some=some: self._client.hdel(self._keys.bonds(partition), *some))  # type: ignore[misc]

    def put_kept(self, partition: int, kept: Kept) -> None:
        """Write what a closed partition keeps besides rows."""
        names = self._keys
        self._put(names.items(partition), dict(enumerate(kept.items)))
        self._put(names.erased(partition), kept.markers)
        self._put(names.outbox(partition), kept.outbox)
        self._put(names.days(partition), kept.days)
        self._put(names.feedback_days(partition), kept.feedback)
        self._put(names.bonds(partition), kept.bonds)
        if kept.unviewed:
            tried(lambda: self._client.sadd(names.unviewed(partition), *kept.unviewed))

    def finish(self, partition: int, meta: Meta | None) -> None:
        """Open a closed partition. Its number of claims never falls: it is what leaders are known by."""
        key = self._keys.meta(partition)
        tried(lambda: self._client.hdel(self._keys.sums(), str(partition)))
        if meta is None:
            tried(lambda: self._client.hdel(key, *_ALL_BUT_CLAIMS))
            return
        fields: dict[str, Any] = {
            "seq": meta.seq,
            "position": meta.position,
            "log_identity": meta.log_identity,
            "log_partitions": meta.log_partitions,
            "clock": meta.clock,
            "purchases": meta.purchases,
            "heard": meta.heard,
            "views_seq": meta.views_seq,
            "layout": LAYOUT,
        }

        def write() -> None:
            known: Any = self._client.hget(key, "claims")
            self._client.hset(key, items=[*_flat(fields), "claims", max(int(known or 0), meta.claims)])

        tried(write)

    def put_shared(self, shared: Shared) -> None:
        """Replace what stands beside the partitions; the fences are of leader 0, so that any leader may go on."""
        names = self._keys
        old = self.read_shared()
        for version in set(old.models) - set(shared.models):
            tried(lambda version=version: self._client.delete(names.model_version(version)))  # type: ignore[misc]
        for key in (
            *(names.leader_notes(), names.segment_names(), names.audiences(), names.item_model(), names.model_fence()),
            names.forecast(),
            *(names.model(), names.review(), names.catalogue_fence(), names.popularity()),
        ):
            tried(lambda key=key: self._client.delete(key))  # type: ignore[misc]
        self._put(names.leader_notes(), shared.notes)
        self._put(names.segment_names(), shared.segment_names)
        self._put(names.audiences(), shared.audiences)
        if shared.item_model is not None:
            self._put(names.item_model(), {"leader": 0, "version": shared.item_version, "model": shared.item_model})
        if shared.forecast is not None and shared.forecast_memory is not None:
            learnt = {"version": shared.forecast_version, "model": shared.forecast, "memory": shared.forecast_memory}
            self._put(names.forecast(), {"leader": 0, **learnt})
        if shared.review is not None:
            self._state.put_review(shared.review)
        for version, document in sorted(shared.models.items()):
            tried(
                lambda version=version, document=document: self._client.set(  # type: ignore[misc]
                    names.model_version(version), document
                )
            )
        if shared.models:
            newest = max(shared.models)
            tried(lambda: self._client.set(names.model(), shared.models[newest]))
            self._put(names.model_fence(), {"leader": 0, "version": newest})

    def _put(self, key: str, fields: Mapping[Any, Any]) -> None:
        pairs = list(fields.items())
        for start in range(0, len(pairs), _FIELDS_AT_ONCE):
            some = _flat(dict(pairs[start : start + _FIELDS_AT_ONCE]))
            tried(lambda some=some: self._client.hset(key, items=some))  # type: ignore[misc]


def _flat(fields: Mapping[Any, Any]) -> list[Any]:
    return [part for pair in fields.items() for part in pair]
