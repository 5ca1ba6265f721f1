"""The state in Redis: every write of a partition's keys passes one script that knows who owns the partition."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from redis import exceptions as failures

from consumer.layout import LAYOUT, READ_LAYOUTS, UNFINISHED, in_layout
from consumer.state import (
    MAX_ENTRIES,
    CatalogueStep,
    Checkpoint,
    Kept,
    Meta,
    StateConflictError,
    StateDivergedError,
    StateError,
    StateLayoutError,
    StateRolledBackError,
    StateUnavailableError,
    Written,
    bucket_of,
    fingerprint,
    one_by_one,
)
from contracts.keys import BUCKETS, Keys
from logs.redis_errors import may_pass
from recommender.redis_cluster import ClusterClient
from recommender.redis_script import RedisScript

if TYPE_CHECKING:
    from redis import Redis

_ARGUMENTS_AT_ONCE: Final = 2000
"""Lua's `unpack` fails somewhere above 4,000."""
_BUCKETS_AT_ONCE: Final = 64


class RedisState:
    """Rows, positions, model and sums under one key prefix. The client is made and closed by the caller."""

    def __init__(self, client: "Redis", keys: Keys) -> None:
        self._client = client
        self._keys = keys
        self._claim = RedisScript(client, "consumer", "claim.lua")
        self._lead = RedisScript(client, "consumer", "lead.lua")
        self._checkpoint = RedisScript(client, "consumer", "checkpoint.lua")
        self._number_audiences = RedisScript(client, "consumer", "number_audiences.lua")
        self._publish_catalogue = RedisScript(client, "consumer", "publish_catalogue.lua")
        self._put_campaign = RedisScript(client, "consumer", "put_campaign.lua")
        self._publish_model = RedisScript(client, "consumer", "publish_model.lua")
        self._publish_learnt = RedisScript(client, "consumer", "publish_learnt.lua")
        self._amend_forecast = RedisScript(client, "consumer", "amend_forecast.lua")

    def meta(self, partition: int) -> Meta | None:
        """The partition's meta fields; None where nobody ever claimed it."""
        fields = tried(lambda: self._client.hgetall(self._keys.meta(partition)))
        return meta_of(fields) if fields else None

    def claim(self, partition: int, token: str, claims: int, above: int = 0) -> Meta:
        """Make the token the owner."""
        reply = tried(lambda: self._claim(keys=[self._keys.meta(partition)], args=[token, claims, above]))
        if not reply:
            raise StateConflictError(f"partition {partition} was claimed by another worker meanwhile")
        fields = reply if isinstance(reply, dict) else dict(zip(reply[::2], reply[1::2], strict=True))
        meta = meta_of(fields)
        if meta.layout == UNFINISHED:
            raise StateLayoutError(
                f"the rows under {self._keys.prefix!r} are not whole: `livesegments snapshot restore`,"
                " `repartition` or `rebuild` is at work or was interrupted; let it end, or run the same command again"
            )
        if meta.seq and meta.layout not in READ_LAYOUTS:
            raise StateLayoutError(
                f"the rows under {self._keys.prefix!r} have layout {meta.layout}, this version writes {LAYOUT}:"
                " run the version that wrote them, or start with another prefix and read the log again"
            )
        return meta

    def leader(self) -> int:
        """The highest number of a leader who was let in or has published anything."""
        names = self._keys
        numbers = (
            tried(lambda: self._client.hget(names.model_fence(), "leader")),
            tried(lambda: self._client.hget(names.item_model(), "leader")),
            tried(lambda: self._client.hget(names.forecast(), "leader")),
            tried(lambda: self._client.get(names.catalogue_fence())),
        )
        return max(int(number or 0) for number in numbers)

    def lead(self, leader: int) -> None:
        """Refuse from now on model versions of leaders with lower numbers."""
        tried(lambda: self._lead(keys=[self._keys.model_fence()], args=[leader]))

    def keep(self, partition: int) -> Kept:
        """What the partition keeps besides rows."""
        keys = self._keys

        def read() -> list[Any]:
            pipe = self._client.pipeline(transaction=False)
            pipe.hgetall(keys.items(partition))
            pipe.hgetall(keys.erased(partition))
            pipe.hgetall(keys.outbox(partition))
            pipe.smembers(keys.unviewed(partition))
            pipe.hgetall(keys.days(partition))
            pipe.hgetall(keys.feedback_days(partition))
            pipe.hgetall(keys.bonds(partition))
            return pipe.execute()

        items, markers, outbox, unviewed, days, feedback, bonds = tried(read)
        names = {int(number): name.decode() for number, name in items.items()}
        return Kept(
            items=[names[number] for number in range(len(names))],
            markers=markers,
            outbox={change_id.decode(): change for change_id, change in sorted(outbox.items())},
            unviewed=frozenset(customer_id.decode() for customer_id in unviewed),
            days={int(day): page for day, page in days.items()},
            feedback={int(day): page for day, page in feedback.items()},
            bonds={customer_id.decode(): bond for customer_id, bond in bonds.items()},
        )

    def row_count(self, partition: int) -> int:
        """How many rows the partition has."""

        def read() -> list[int]:
            pipe = self._client.pipeline(transaction=False)
            for bucket in range(BUCKETS):
                pipe.hlen(self._keys.rows(partition, bucket))
            return pipe.execute()

        return sum(tried(read))

    def rows(self, partition: int, buckets: Sequence[int] | None = None) -> Iterator[tuple[list[str], list[bytes]]]:
        """Customer ids and packed rows, 64 buckets at a time."""
        wanted = range(BUCKETS) if buckets is None else buckets
        for start in range(0, len(wanted), _BUCKETS_AT_ONCE):
            some = wanted[start : start + _BUCKETS_AT_ONCE]

            def read(some: Sequence[int] = some) -> list[Any]:
                pipe = self._client.pipeline(transaction=False)
                for bucket in some:
                    pipe.hgetall(self._keys.rows(partition, bucket))
                return pipe.execute()

            ids: list[str] = []
            rows: list[bytes] = []
            for found in tried(read):
                ids += [customer_id.decode() for customer_id in found]
                rows += map(in_layout, found.values())
            yield ids, rows

    def row(self, partition: int, customer_id: str) -> bytes | None:
        """One packed row."""
        key = self._keys.rows(partition, bucket_of(customer_id))
        found: bytes | None = tried(lambda: self._client.hget(key, customer_id))
        return None if found is None else in_layout(found)

    def pages(self, partitions: int, days: Sequence[int] | None = None) -> Sequence[Mapping[int, bytes]]:
        """By partition, the pages of the day book of these stream days, or all there are."""
        if days is not None and not days:
            return [{} for _ in range(partitions)]

        def read() -> list[Any]:
            pipe = self._client.pipeline(transaction=False)
            for partition in range(partitions):
                key = self._keys.days(partition)
                pipe.hgetall(key) if days is None else pipe.hmget(key, [str(day) for day in days])
            return pipe.execute()

        found = tried(read)
        if days is None:
            return [{int(day): page for day, page in book.items()} for book in found]
        return [{day: page for day, page in zip(days, book, strict=True) if page is not None} for book in found]

    def feedback_pages(self, partitions: int) -> Sequence[Mapping[int, bytes]]:
        """By partition, all pages of the feedback book."""

        def read() -> list[Any]:
            pipe = self._client.pipeline(transaction=False)
            for partition in range(partitions):
                pipe.hgetall(self._keys.feedback_days(partition))
            return pipe.execute()

        return [{int(day): page for day, page in book.items()} for book in tried(read)]

    def checkpoint(self, partition: int, token: str, step: Checkpoint) -> Written:
        """Write the step if the token owns the partition and its last checkpoint was seq - 1."""
        keys, arguments = self._commands(partition, token, step)
        written = _verdict(partition, step, tried(lambda: self._checkpoint(keys=keys, args=arguments)))
        if isinstance(written, StateConflictError):
            raise written
        return written

    def begin_checkpoints(
        self, work: Sequence[tuple[int, str, Checkpoint]]
    ) -> Callable[[], list[Written | StateConflictError]]:
        """Begin steps of different partitions, each as by `checkpoint`; what is returned waits for them.

        They go out together, and are written while the caller goes on, where one server has them all.
        """
        if isinstance(self._client, ClusterClient):
            return partial(one_by_one, self.checkpoint, work)
        answers = self._checkpoint.begin([self._commands(*one) for one in work])
        return lambda: [
            _verdict(partition, step, reply) for (partition, _, step), reply in zip(work, tried(answers), strict=True)
        ]

    def _commands(self, partition: int, token: str, step: Checkpoint) -> tuple[list[str], list[Any]]:
        names = self._keys
        keys = [names.meta(partition)]
        content = fingerprint(step)
        arguments: list[Any] = [token, step.seq, content]

        def command(name: str, key: str, values: Sequence[Any], together: int = 1) -> None:
            if not values:
                return
            keys.append(key)
            most = _ARGUMENTS_AT_ONCE // together * together
            for start in range(0, len(values), most):
                part = values[start : start + most]
                arguments.extend((name, len(keys), len(part), *part))

        removed: dict[int, list[str]] = {}
        for customer_id in step.removed:
            removed.setdefault(bucket_of(customer_id), []).append(customer_id)
        for bucket, ids in removed.items():
            command("HDEL", names.rows(partition, bucket), ids)
        rows: dict[int, list[Any]] = {}
        for customer_id, row in step.rows:
            rows.setdefault(bucket_of(customer_id), []).extend((customer_id, row))
        for bucket, pairs in rows.items():
            command("HSET", names.rows(partition, bucket), pairs, 2)
        command("HSET", names.items(partition), _flat(step.items), 2)
        command("HSET", names.erased(partition), _flat(step.markers), 2)
        command("HSET", names.outbox(partition), _flat(step.outbox), 2)
        command("HDEL", names.outbox(partition), list(step.published))
        command("SREM", names.unviewed(partition), list(step.viewed))
        command("SADD", names.unviewed(partition), list(step.unviewed))
        command("HSET", names.days(partition), _flat(step.days), 2)
        command("HDEL", names.days(partition), list(step.old_days))
        command("HSET", names.feedback_days(partition), _flat(step.feedback), 2)
        command("HDEL", names.feedback_days(partition), list(step.old_feedback))
        command("HSET", names.bonds(partition), _flat(step.bonds), 2)
        command("HDEL", names.bonds(partition), list(step.dissolved))
        meta = {
            "position": step.position,
            "log_identity": step.log_identity,
            "log_partitions": step.log_partitions,
            "clock": step.clock,
            "purchases": step.purchases,
            "heard": step.heard,
            "views_seq": step.views_seq,
            "layout": step.layout,
            "content": content,
            "seq": step.seq,
        }
        pairs = _flat(meta)
        arguments.extend(("HSET", 1, len(pairs), *pairs))
        return keys, arguments

    def model(self) -> bytes | None:
        """The current model document."""
        found: bytes | None = tried(lambda: self._client.get(self._keys.model()))
        return found

    def old_model(self, version: int) -> bytes | None:
        """An earlier model document, or the current one."""
        found: bytes | None = tried(lambda: self._client.get(self._keys.model_version(version)))
        if found is None and self._is_current(version):
            return self.model()  # whoever published it died before the copy
        return found

    def _is_current(self, version: int) -> bool:
        return int(tried(lambda: self._client.hget(self._keys.model_fence(), "version")) or 0) == version

    def publish_model(self, leader: int, version: int, document: bytes) -> bool:
        """Make it the current one if no later leader has published and version is the next one."""
        names = self._keys
        before = self.model()
        keys = [names.model_fence(), names.model()]
        if not tried(lambda: self._publish_model(keys=keys, args=[leader, version, document])):
            return False
        # Copies, in other slots: whoever publishes the next version makes up for one that is missing.
        if before not in {None, document}:
            tried(lambda: self._client.set(names.model_version(version - 1), before, nx=True))
        tried(lambda: self._client.set(names.model_version(version), document))
        return True

    def publish_catalogue(self, step: CatalogueStep) -> bool:
        """Write the step if no later leader has written and the version is the one it found."""
        names = self._keys
        keys = [names.catalogue_fence(), names.catalogue(), names.withdrawn(), names.catalogue_version()]
        sets = _flat({item: entry for item, entry in step.entries.items() if entry is not None})
        gone = [item for item, entry in step.entries.items() if entry is None]
        head: list[Any] = [step.leader, step.before, step.version, step.withdrawn or b"", len(sets)]
        return bool(tried(lambda: self._publish_catalogue(keys=keys, args=[*head, *sets, *gone])))

    def catalogue_version(self) -> int:
        """Of the catalogue's public documents; 0: there are none."""
        return int(tried(lambda: self._client.get(self._keys.catalogue_version())) or 0)

    def withdrawn(self) -> bytes | None:
        """The document of what is withdrawn."""
        found: bytes | None = tried(lambda: self._client.get(self._keys.withdrawn()))
        return found

    def catalogue(self) -> Iterator[Mapping[str, bytes]]:
        """All public entries of the catalogue by item id, some at a time; one may come twice."""
        key, cursor = self._keys.catalogue(), 0
        while True:
            cursor, found = tried(partial(self._client.hscan, key, cursor, count=MAX_ENTRIES))
            yield {item.decode(): entry for item, entry in found.items()}
            if not cursor:
                return

    def catalogue_entries(self, item_ids: Sequence[str]) -> Sequence[bytes | None]:
        """The public entries of these items."""
        if not item_ids:
            return []
        found: Sequence[bytes | None] = tried(lambda: self._client.hmget(self._keys.catalogue(), list(item_ids)))
        return found

    def drop_models(self, versions: Sequence[int]) -> None:
        """Delete these older model documents."""
        for version in versions:  # one by one: in a cluster they lie in different slots
            tried(lambda version=version: self._client.delete(self._keys.model_version(version)))  # type: ignore[misc]

    def item_model_version(self) -> int:
        """The version of the current item model; 0 before the first."""
        return int(tried(lambda: self._client.hget(self._keys.item_model(), "version")) or 0)

    def item_model(self) -> bytes | None:
        """The current item model."""
        found: bytes | None = tried(lambda: self._client.hget(self._keys.item_model(), "model"))
        return found

    def publish_item_model(self, leader: int, version: int, model: bytes) -> bool:
        """Make it the current one if no later leader has published and the version is newer."""
        keys = [self._keys.item_model()]
        return bool(tried(lambda: self._publish_learnt(keys=keys, args=[leader, version, model])))

    def forecast_version(self) -> int:
        """The version of the current forecast document; 0 before the first."""
        return int(tried(lambda: self._client.hget(self._keys.forecast(), "version")) or 0)

    def forecast(self) -> bytes | None:
        """The current forecast document."""
        found: bytes | None = tried(lambda: self._client.hget(self._keys.forecast(), "model"))
        return found

    def forecast_memory(self) -> bytes | None:
        """What the next review of forecasts goes on from."""
        found: bytes | None = tried(lambda: self._client.hget(self._keys.forecast(), "memory"))
        return found

    def publish_forecast(self, leader: int, version: int, document: bytes, memory: bytes) -> bool:
        """Make it the current one if no later leader has published and the version is newer."""
        keys = [self._keys.forecast()]
        return bool(tried(lambda: self._publish_learnt(keys=keys, args=[leader, version, document, memory])))

    def amend_forecast(self, leader: int, version: int, memory: bytes | None) -> bool:
        """Replace what is gone on from, or take out all of it, if no later leader has published and it is in force."""
        more = [] if memory is None else [memory]
        return bool(tried(lambda: self._amend_forecast(keys=[self._keys.forecast()], args=[leader, version, *more])))

    def put_review(self, document: bytes) -> None:
        """Replace the review document."""
        tried(lambda: self._client.set(self._keys.review(), document))

    def review(self) -> bytes | None:
        """The review document."""
        found: bytes | None = tried(lambda: self._client.get(self._keys.review()))
        return found

    def put_note(self, name: str, note: bytes | None) -> None:
        """Replace what the leader keeps in mind under a name, or forget it."""
        self._put_field(self._keys.leader_notes(), name, note)

    def notes(self) -> Mapping[str, bytes]:
        """What the leader keeps in mind beside the model."""
        return self._fields(self._keys.leader_notes())

    def put_request(self, request_id: str, request: bytes | None) -> None:
        """Replace a request to the leader, or its answer; None takes it out."""
        self._put_field(self._keys.model_requests(), request_id, request)

    def requests(self) -> Mapping[str, bytes]:
        """Requests to the leader, and answers that nobody has taken out."""
        return self._fields(self._keys.model_requests())

    def _put_field(self, key: str, name: str, value: bytes | None) -> None:
        if value is None:
            tried(lambda: self._client.hdel(key, name))
        else:
            tried(lambda: self._client.hset(key, name, value))

    def _fields(self, key: str) -> dict[str, bytes]:
        return {name.decode(): value for name, value in tried(lambda: self._client.hgetall(key)).items()}

    def number_audiences(self, names: Sequence[str]) -> Mapping[str, int]:
        """The numbers of all audiences that were ever named."""
        if not names:
            # Who may only read may not run scripts.
            return {name: int(number) for name, number in self._fields(self._keys.audiences()).items()}
        found = tried(lambda: self._number_audiences(keys=[self._keys.audiences()], args=list(names)))
        return {name.decode(): int(number) for name, number in zip(found[::2], found[1::2], strict=True)}

    def put_segment_name(self, segment: int, name: bytes | None) -> None:
        """Replace what a user calls a segment, or take it out."""
        self._put_field(self._keys.segment_names(), str(segment), name)

    def segment_names(self) -> Mapping[int, bytes]:
        """What users call segments, by id."""
        return {int(segment): name for segment, name in self._fields(self._keys.segment_names()).items()}

    def campaigns(self) -> Mapping[str, bytes]:
        """The documents of all campaigns, by name."""
        return self._fields(self._keys.campaigns())

    def put_campaign(self, name: str, document: bytes | None, before: bytes | None) -> bool:
        """Replace a campaign's document where it still is `before`; None: there is none."""
        args = [name, document or b"", before or b""]
        return bool(tried(lambda: self._put_campaign(keys=[self._keys.campaigns()], args=args)))

    def put_campaign_members(self, number: str, pieces: Mapping[int, bytes], seconds: int) -> None:
        """Replace these pieces of a campaign's members."""
        key = self._keys.campaign_members(number)
        if seconds <= 0:
            tried(lambda: self._client.delete(key))
            return
        for piece, members in pieces.items():
            tried(partial(self._client.hset, key, str(piece), members))
            tried(lambda: self._client.expire(key, seconds))

    def campaign_members(self, number: str) -> Mapping[int, bytes]:
        """All pieces of a campaign's members; none where they have expired."""
        return {int(piece): members for piece, members in self._fields(self._keys.campaign_members(number)).items()}

    def put_import(self, name: str, report: bytes | None) -> None:
        """Replace what an import of some files came to, or take it out."""
        self._put_field(self._keys.imports(), name, report)

    def imports(self) -> Mapping[str, bytes]:
        """What imports came to."""
        return self._fields(self._keys.imports())

    def put_ended_session(self, nonce: str, until: int | None) -> None:
        """Remember that a session of the pages was ended, or forget it."""
        self._put_field(self._keys.ended_sessions(), nonce, None if until is None else str(until).encode())

    def ended_sessions(self) -> Mapping[str, int]:
        """Sessions of the pages that were ended, and when they would have been over."""
        return {nonce: int(until) for nonce, until in self._fields(self._keys.ended_sessions()).items()}

    def put_sums(self, sums: Mapping[int, bytes]) -> None:
        """Replace the published sums of these partitions."""
        if sums:
            tried(lambda: self._client.hset(self._keys.sums(), items=_flat(sums)))

    def sums(self) -> Mapping[int, bytes]:
        """The published sums of all partitions."""
        found = tried(lambda: self._client.hgetall(self._keys.sums()))
        return {int(partition): sums for partition, sums in found.items()}

    def put_popularity(self, worker: str, popularity: bytes | None) -> None:
        """Replace a worker's published popularity, or take it out."""
        key = self._keys.popularity()
        if popularity is None:
            tried(lambda: self._client.hdel(key, worker))
        else:
            tried(lambda: self._client.hset(key, worker, popularity))

    def popularity(self) -> Mapping[str, bytes]:
        """The published popularity of all workers."""
        found = tried(lambda: self._client.hgetall(self._keys.popularity()))
        return {worker.decode(): popularity for worker, popularity in found.items()}

    def put_worker(self, worker: str, status: bytes | None) -> None:
        """Replace what a worker says of itself, or take it out."""
        key = self._keys.workers()
        if status is None:
            tried(lambda: self._client.hdel(key, worker))
        else:
            tried(lambda: self._client.hset(key, worker, status))

    def workers(self) -> Mapping[str, bytes]:
        """What all workers say of themselves."""
        found = tried(lambda: self._client.hgetall(self._keys.workers()))
        return {worker.decode(): status for worker, status in found.items()}

    def warnings(self) -> Sequence[str]:
        """What an operator should know about how the server is set up."""
        said = []
        client: Any = self._client
        try:
            # INFO, not CONFIG GET: that shows passwords, and is closed to our users
            if isinstance(client, ClusterClient):
                abouts = list(client.info(target_nodes="primaries").values())
            else:
                abouts = [client.info()]
        except failures.RedisError:
            return ()  # not everybody may look
        if not all(about.get("aof_enabled") for about in abouts):
            said.append("Redis writes no append-only file: a restart loses rows; set `appendonly yes`")
        policies = {about.get("maxmemory_policy", "noeviction") for about in abouts} - {"noeviction"}
        said += [
            f"Redis evicts keys ({policy}) and may drop rows; set `maxmemory-policy noeviction`"
            for policy in sorted(policies)
        ]
        return said

    def close(self) -> None:
        """The client is the caller's."""


def _flat(mapping: Mapping[Any, Any]) -> list[Any]:
    return [part for pair in mapping.items() for part in pair]


def meta_of(fields: Mapping[bytes, bytes]) -> Meta:
    """The meta fields of a partition as Redis keeps them."""

    def number(name: bytes) -> int:
        return int(fields.get(name, b"0"))

    return Meta(
        claims=number(b"claims"),
        seq=number(b"seq"),
        position=int(fields[b"position"]) if b"position" in fields else None,
        log_identity=fields.get(b"log_identity", b"").decode(),
        log_partitions=number(b"log_partitions"),
        clock=number(b"clock"),
        purchases=number(b"purchases"),
        heard=number(b"heard"),
        views_seq=number(b"views_seq"),
        layout=number(b"layout"),
        owner=fields.get(b"owner", b"").decode(),
    )


def _verdict(partition: int, step: Checkpoint, reply: bytes | str) -> Written | StateConflictError:
    """What the script said of a step. Raises StateDivergedError."""
    verdict = reply.decode() if isinstance(reply, bytes) else reply
    if verdict == "conflict":
        return StateConflictError(f"partition {partition} belongs to another worker")
    if verdict == "behind":
        return StateRolledBackError(f"partition {partition} has lost checkpoints before {step.seq}")
    if verdict == "diverged":
        raise StateDivergedError(f"checkpoint {step.seq} of partition {partition} has two contents")
    return Written(verdict)


def tried(call: Callable[[], Any]) -> Any:
    """The call's answer, with Redis' errors told apart into those that may pass and those that will not."""
    try:
        return call()
    except failures.AskError as error:  # MOVED, too
        raise StateError(
            "this Redis is a node of a Redis Cluster: write its URL as redis+cluster://host:port,host:port"
        ) from error
    except failures.ResponseError as error:
        if may_pass(error):
            raise StateUnavailableError(f"Redis: {error}") from error
        raise StateError(f"Redis refused a command: {error}") from error
    except failures.RedisError as error:
        raise StateUnavailableError(f"Redis: {error}") from error
