"""The state in this process's memory: the twin for tests, and for machines without any Redis."""

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeVar

from consumer.state import (
    NEW,
    CatalogueStep,
    Checkpoint,
    Kept,
    Meta,
    StateConflictError,
    StateDivergedError,
    StateRolledBackError,
    Written,
    bucket_of,
    fingerprint,
    one_by_one,
)

Value = TypeVar("Value")


@dataclass(slots=True)
class _Partition:
    owner: str = ""
    content: str = ""
    meta: Meta = NEW
    rows: dict[str, bytes] = field(default_factory=dict)
    items: dict[int, str] = field(default_factory=dict)
    markers: dict[bytes, bytes] = field(default_factory=dict)
    outbox: dict[str, bytes] = field(default_factory=dict)
    unviewed: set[str] = field(default_factory=set)
    days: dict[int, bytes] = field(default_factory=dict)
    feedback: dict[int, bytes] = field(default_factory=dict)
    bonds: dict[str, bytes] = field(default_factory=dict)


class MemoryState:
    """Keeps everything as long as the object lives. Safe to share between workers in threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._partitions: dict[int, _Partition] = {}
        self._models: dict[int, bytes] = {}
        self._leader = 0
        self._item_model: tuple[int, int, bytes | None] = (0, 0, None)
        """The leader who published it, its version, the model."""
        self._forecast: tuple[int, int, bytes | None] = (0, 0, None)
        self._forecast_memory: bytes | None = None
        self._catalogue: dict[str, bytes] = {}
        self._withdrawn: bytes | None = None
        self._catalogue_version = 0
        self._catalogue_leader = 0
        self._review: bytes | None = None
        self._notes: dict[str, bytes] = {}
        self._requests: dict[str, bytes] = {}
        self._sums: dict[int, bytes] = {}
        self._popularity: dict[str, bytes] = {}
        self._audiences: dict[str, int] = {}
        self._segment_names: dict[str, bytes] = {}
        self._imports: dict[str, bytes] = {}
        self._ended_sessions: dict[str, int] = {}
        self._workers: dict[str, bytes] = {}
        self._campaigns: dict[str, bytes] = {}
        self._campaign_members: dict[str, dict[int, bytes]] = {}

    def meta(self, partition: int) -> Meta | None:
        """The partition's meta fields; None where nobody ever claimed it."""
        with self._lock:
            found = self._partitions.get(partition)
            return found.meta if found else None

    def claim(self, partition: int, token: str, claims: int, above: int = 0) -> Meta:
        """Make the token the owner."""
        with self._lock:
            part = self._partitions.setdefault(partition, _Partition())
            if part.owner != token:
                if part.meta.claims != claims:
                    raise StateConflictError(f"partition {partition} was claimed by another worker meanwhile")
                part.owner = token
                part.meta = replace(part.meta, claims=max(claims, above) + 1, owner=token)
            return part.meta

    def leader(self) -> int:
        """The highest number of a leader who was let in or has published anything."""
        with self._lock:
            return max(self._leader, self._item_model[0], self._forecast[0], self._catalogue_leader)

    def lead(self, leader: int) -> None:
        """Refuse from now on model versions of leaders with lower numbers."""
        with self._lock:
            self._leader = max(self._leader, leader)

    def keep(self, partition: int) -> Kept:
        """What the partition keeps besides rows."""
        with self._lock:
            part = self._partitions.setdefault(partition, _Partition())
            items = [part.items[number] for number in range(len(part.items))]
            return Kept(
                items,
                dict(part.markers),
                dict(part.outbox),
                frozenset(part.unviewed),
                dict(part.days),
                dict(part.feedback),
                dict(part.bonds),
            )

    def row_count(self, partition: int) -> int:
        """How many rows the partition has."""
        with self._lock:
            part = self._partitions.get(partition)
            return len(part.rows) if part else 0

    def rows(self, partition: int, buckets: Sequence[int] | None = None) -> Iterator[tuple[list[str], list[bytes]]]:
        """Customer ids and packed rows."""
        with self._lock:
            part = self._partitions.setdefault(partition, _Partition())
            wanted = None if buckets is None else set(buckets)
            chosen = [(who, row) for who, row in part.rows.items() if wanted is None or bucket_of(who) in wanted]
        yield [who for who, _ in chosen], [row for _, row in chosen]

    def row(self, partition: int, customer_id: str) -> bytes | None:
        """One packed row."""
        with self._lock:
            part = self._partitions.get(partition)
            return part.rows.get(customer_id) if part else None

    def pages(self, partitions: int, days: Sequence[int] | None = None) -> Sequence[Mapping[int, bytes]]:
        """By partition, the pages of the day book of these stream days, or all there are."""
        with self._lock:
            parts = [self._partitions.get(number) for number in range(partitions)]
            books = [part.days if part else {} for part in parts]
            if days is None:
                return [dict(book) for book in books]
            return [{day: book[day] for day in days if day in book} for book in books]

    def feedback_pages(self, partitions: int) -> Sequence[Mapping[int, bytes]]:
        """By partition, all pages of the feedback book."""
        with self._lock:
            parts = [self._partitions.get(number) for number in range(partitions)]
            return [dict(part.feedback) if part else {} for part in parts]

    def checkpoint(self, partition: int, token: str, step: Checkpoint) -> Written:
        """Write the step if the token owns the partition and its last checkpoint was seq - 1."""
        content = fingerprint(step)
        with self._lock:
            part = self._partitions.setdefault(partition, _Partition())
            if _is_written(part, partition, token, step, content):
                return Written.BEFORE
            for customer_id in step.removed:
                part.rows.pop(customer_id, None)
            part.rows.update(step.rows)
            part.markers.update(step.markers)
            part.items.update(step.items)
            part.outbox.update(step.outbox)
            for change_id in step.published:
                part.outbox.pop(change_id, None)
            part.unviewed.difference_update(step.viewed)
            part.unviewed.update(step.unviewed)
            part.days.update(step.days)
            for day in step.old_days:
                part.days.pop(day, None)
            part.feedback.update(step.feedback)
            for day in step.old_feedback:
                part.feedback.pop(day, None)
            part.bonds.update(step.bonds)
            for customer_id in step.dissolved:
                part.bonds.pop(customer_id, None)
            part.content = content
            part.meta = Meta(
                claims=part.meta.claims,
                seq=step.seq,
                position=step.position,
                log_identity=step.log_identity,
                log_partitions=step.log_partitions,
                clock=step.clock,
                purchases=step.purchases,
                heard=step.heard,
                views_seq=step.views_seq,
                layout=step.layout,
                owner=token,
            )
            return Written.NOW

    def begin_checkpoints(
        self, work: Sequence[tuple[int, str, Checkpoint]]
    ) -> Callable[[], list[Written | StateConflictError]]:
        """Steps of different partitions, each as by `checkpoint`; a conflict is an answer like others."""
        written = one_by_one(self.checkpoint, work)
        return lambda: written

    def model(self) -> bytes | None:
        """The current model document."""
        with self._lock:
            return self._models[max(self._models)] if self._models else None

    def old_model(self, version: int) -> bytes | None:
        """An earlier model document, or the current one."""
        with self._lock:
            return self._models.get(version)

    def publish_model(self, leader: int, version: int, document: bytes) -> bool:
        """Make it the current one if no later leader has published and version is the next one."""
        with self._lock:
            newest = max(self._models, default=0)
            if leader < self._leader:
                return False
            if version == newest and leader == self._leader:
                return self._models[newest] == document
            if version != newest + 1 and newest:
                return False
            self._leader = leader
            self._models[version] = document
            return True

    def publish_catalogue(self, step: CatalogueStep) -> bool:
        """Write the step if no later leader has written and the version is the one it found."""
        with self._lock:
            if step.leader < self._catalogue_leader or self._catalogue_version not in {step.before, step.version}:
                return False
            for item, entry in step.entries.items():
                _put(self._catalogue, item, entry)
            if step.withdrawn is not None:
                self._withdrawn = step.withdrawn
            self._catalogue_leader, self._catalogue_version = step.leader, step.version
            return True

    def catalogue_version(self) -> int:
        """Of the catalogue's public documents; 0: there are none."""
        with self._lock:
            return self._catalogue_version

    def withdrawn(self) -> bytes | None:
        """The document of what is withdrawn."""
        with self._lock:
            return self._withdrawn

    def catalogue(self) -> Iterator[Mapping[str, bytes]]:
        """All public entries of the catalogue by item id."""
        with self._lock:
            found = dict(self._catalogue)
        yield found

    def catalogue_entries(self, item_ids: Sequence[str]) -> Sequence[bytes | None]:
        """The public entries of these items."""
        with self._lock:
            return [self._catalogue.get(item) for item in item_ids]

    def drop_models(self, versions: Sequence[int]) -> None:
        """Delete these older model documents."""
        with self._lock:
            for version in versions:
                self._models.pop(version, None)

    def item_model_version(self) -> int:
        """The version of the current item model; 0 before the first."""
        with self._lock:
            return self._item_model[1]

    def item_model(self) -> bytes | None:
        """The current item model."""
        with self._lock:
            return self._item_model[2]

    def publish_item_model(self, leader: int, version: int, model: bytes) -> bool:
        """Make it the current one if no later leader has published and the version is newer."""
        with self._lock:
            new = (leader, version, model)
            published = _supersedes(new, self._item_model)
            self._item_model = new if published else self._item_model
            return published

    def forecast_version(self) -> int:
        """The version of the current forecast document; 0 before the first."""
        with self._lock:
            return self._forecast[1]

    def forecast(self) -> bytes | None:
        """The current forecast document."""
        with self._lock:
            return self._forecast[2]

    def forecast_memory(self) -> bytes | None:
        """What the next review of forecasts goes on from."""
        with self._lock:
            return self._forecast_memory

    def publish_forecast(self, leader: int, version: int, document: bytes, memory: bytes) -> bool:
        """Make it the current one if no later leader has published and the version is newer."""
        with self._lock:
            new = (leader, version, document)
            published = _supersedes(new, self._forecast)
            if published:
                self._forecast, self._forecast_memory = new, memory
            return published

    def amend_forecast(self, leader: int, version: int, memory: bytes | None) -> bool:
        """Replace what is gone on from, or take out all of it, if no later leader has published and it is in force."""
        with self._lock:
            before, present, document = self._forecast
            if leader < before or version != present:
                return False
            self._forecast = leader, present, None if memory is None else document
            self._forecast_memory = memory
            return True

    def put_review(self, document: bytes) -> None:
        """Replace the review document."""
        with self._lock:
            self._review = document

    def review(self) -> bytes | None:
        """The review document."""
        with self._lock:
            return self._review

    def put_note(self, name: str, note: bytes | None) -> None:
        """Replace what the leader keeps in mind under a name, or forget it."""
        with self._lock:
            _put(self._notes, name, note)

    def notes(self) -> Mapping[str, bytes]:
        """What the leader keeps in mind beside the model."""
        with self._lock:
            return dict(self._notes)

    def put_request(self, request_id: str, request: bytes | None) -> None:
        """Replace a request to the leader, or its answer; None takes it out."""
        with self._lock:
            _put(self._requests, request_id, request)

    def requests(self) -> Mapping[str, bytes]:
        """Requests to the leader, and answers that nobody has taken out."""
        with self._lock:
            return dict(self._requests)

    def number_audiences(self, names: Sequence[str]) -> Mapping[str, int]:
        """The numbers of all audiences that were ever named."""
        with self._lock:
            for name in names:
                self._audiences.setdefault(name, len(self._audiences))
            return dict(self._audiences)

    def put_segment_name(self, segment: int, name: bytes | None) -> None:
        """Replace what a user calls a segment, or take it out."""
        with self._lock:
            _put(self._segment_names, str(segment), name)

    def segment_names(self) -> Mapping[int, bytes]:
        """What users call segments, by id."""
        with self._lock:
            return {int(segment): name for segment, name in self._segment_names.items()}

    def campaigns(self) -> Mapping[str, bytes]:
        """The documents of all campaigns, by name."""
        with self._lock:
            return dict(self._campaigns)

    def put_campaign(self, name: str, document: bytes | None, before: bytes | None) -> bool:
        """Replace a campaign's document where it still is `before`; None: there is none."""
        with self._lock:
            stands = self._campaigns.get(name)
            if stands not in {before, document}:
                return False
            _put(self._campaigns, name, document)
            return True

    def put_campaign_members(self, number: str, pieces: Mapping[int, bytes], seconds: int) -> None:
        """Replace these pieces of a campaign's members; in memory they stay until they are told to go."""
        with self._lock:
            if seconds <= 0:
                self._campaign_members.pop(number, None)
            else:
                self._campaign_members.setdefault(number, {}).update(pieces)

    def campaign_members(self, number: str) -> Mapping[int, bytes]:
        """All pieces of a campaign's members."""
        with self._lock:
            return dict(self._campaign_members.get(number, {}))

    def put_import(self, name: str, report: bytes | None) -> None:
        """Replace what an import of some files came to, or take it out."""
        with self._lock:
            _put(self._imports, name, report)

    def imports(self) -> Mapping[str, bytes]:
        """What imports came to."""
        with self._lock:
            return dict(self._imports)

    def put_ended_session(self, nonce: str, until: int | None) -> None:
        """Remember that a session of the pages was ended, or forget it."""
        with self._lock:
            _put(self._ended_sessions, nonce, until)

    def ended_sessions(self) -> Mapping[str, int]:
        """Sessions of the pages that were ended, and when they would have been over."""
        with self._lock:
            return dict(self._ended_sessions)

    def put_sums(self, sums: Mapping[int, bytes]) -> None:
        """Replace the published sums of these partitions."""
        with self._lock:
            self._sums.update(sums)

    def sums(self) -> Mapping[int, bytes]:
        """The published sums of all partitions."""
        with self._lock:
            return dict(self._sums)

    def put_popularity(self, worker: str, popularity: bytes | None) -> None:
        """Replace a worker's published popularity, or take it out."""
        with self._lock:
            self._popularity.pop(worker, None)
            if popularity is not None:
                self._popularity[worker] = popularity

    def popularity(self) -> Mapping[str, bytes]:
        """The published popularity of all workers."""
        with self._lock:
            return dict(self._popularity)

    def put_worker(self, worker: str, status: bytes | None) -> None:
        """Replace what a worker says of itself, or take it out."""
        with self._lock:
            self._workers.pop(worker, None)
            if status is not None:
                self._workers[worker] = status

    def workers(self) -> Mapping[str, bytes]:
        """What all workers say of themselves."""
        with self._lock:
            return dict(self._workers)

    def warnings(self) -> Sequence[str]:
        """Memory is memory."""
        return ("rows are kept in memory only: they are gone when this process ends",)

    def close(self) -> None:
        """Nothing to let go of."""


def _put(kept: dict[str, Value], name: str, value: Value | None) -> None:
    kept.pop(name, None)
    if value is not None:
        kept[name] = value


def _is_written(part: _Partition, partition: int, token: str, step: Checkpoint, content: str) -> bool:
    """Whether this very step was written before. Raises where it may not be."""
    if not part.meta.claims:
        raise StateRolledBackError(f"nothing is known of partition {partition} any more")
    if part.owner != token:
        raise StateConflictError(f"partition {partition} belongs to another worker")
    if part.meta.seq == step.seq:
        if part.content == content:
            return True
        raise StateDivergedError(f"checkpoint {step.seq} of partition {partition} has two contents")
    if part.meta.seq + 1 < step.seq:
        raise StateRolledBackError(f"partition {partition} has lost checkpoints before {step.seq}")
    if part.meta.seq + 1 != step.seq:
        raise StateConflictError(f"partition {partition} is at checkpoint {part.meta.seq}, not {step.seq - 1}")
    return False


def _supersedes(new: tuple[int, int, bytes | None], known: tuple[int, int, bytes | None]) -> bool:
    """Whether what a leader publishes takes the place of what is known, or is just that again."""
    if new[:2] == known[:2]:
        return new[2] == known[2]
    return new[0] >= known[0] and new[1] > known[1]
