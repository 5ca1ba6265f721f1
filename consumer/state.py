"""What the worker keeps outside its memory: rows and position in one atomic step, fenced by a claim.

Two implementations under one test suite: `redis_state` and `memory_state`.
"""

import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from hashlib import blake2b
from typing import Final, Protocol

from contracts.errors import LivesegmentsError
from contracts.keys import BUCKETS

MAX_ROWS = 2000
"""Rows in one checkpoint: Redis does nothing else meanwhile, 3 µs a row."""
MAX_ENTRIES = 1000
"""Items in one step of the catalogue's documents."""
MAX_BYTES = 2_000_000
"""Bytes of rows in one checkpoint."""


class StateError(LivesegmentsError):
    """The root of what can go wrong with the state."""


class StateUnavailableError(StateError):
    """The state's server does not answer, or takes no writes now; trying again later may help."""


class StateConflictError(StateError):
    """Somebody else has claimed the partition: nothing was written, and what is in memory is no longer true."""


class StateRolledBackError(StateConflictError):
    """The partition is still ours, but has lost checkpoints: another server took over and did not have them yet."""


class StateDivergedError(StateError):
    """The same checkpoint was written with another content: a fault of ours, found before it did harm."""


class StateLayoutError(StateError):
    """The state was written by a version of livesegments whose rows look different."""


class Written(StrEnum):
    """How a checkpoint ended."""

    NOW = "written"
    BEFORE = "already"
    """It had been written: the client repeated it because the reply was lost."""


@dataclass(frozen=True, slots=True)
class Meta:
    """What is known of a partition besides its rows."""

    claims: int
    """How often it was claimed; partition 0's is the leader's number."""
    seq: int
    """Number of the last checkpoint."""
    position: int | None
    """Where to read on; None: nothing was read yet."""
    log_identity: str
    log_partitions: int
    clock: int
    """Newest time of an event that counted."""
    purchases: int
    """Purchases that counted, ever."""
    heard: int
    """Log time of the newest record that was read, microseconds; 0: none."""
    views_seq: int
    """Views of all rows that were changed by this checkpoint or an earlier one are written."""
    layout: int
    owner: str = ""
    """Token of the last claim."""


NEW: Final = Meta(
    claims=0,
    seq=0,
    position=None,
    log_identity="",
    log_partitions=0,
    clock=0,
    purchases=0,
    heard=0,
    views_seq=0,
    layout=0,
)
"""A partition that nobody has claimed."""


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """One atomic step of a partition. All values are absolute, so that doing it twice is doing it once."""

    seq: int
    position: int
    log_identity: str
    log_partitions: int
    clock: int
    purchases: int
    heard: int
    views_seq: int
    layout: int
    rows: Sequence[tuple[str, bytes]] = ()
    removed: Sequence[str] = ()
    """Ids of erased customers."""
    markers: Mapping[bytes, bytes] = field(default_factory=dict)
    items: Mapping[int, str] = field(default_factory=dict)
    """New items of the partition's table."""
    outbox: Mapping[str, bytes] = field(default_factory=dict)
    """Segment changes to publish, by change id."""
    published: Sequence[str] = ()
    """Change ids that leave the outbox."""
    unviewed: Sequence[str] = ()
    """Customers whom this step erases: their view is to be deleted, also where `viewed` names them, too."""
    viewed: Sequence[str] = ()
    """Those erased before whose view is deleted, or who came back."""
    days: Mapping[int, bytes] = field(default_factory=dict)
    """Pages of the day book, by stream day."""
    old_days: Sequence[int] = ()
    """Stream days whose pages go."""
    feedback: Mapping[int, bytes] = field(default_factory=dict)
    """Pages of the feedback book, by day."""
    old_feedback: Sequence[int] = ()
    """Days whose pages go."""
    bonds: Mapping[str, bytes] = field(default_factory=dict)
    """Of ids that were joined, or that others are joined to."""
    dissolved: Sequence[str] = ()
    """Ids that have none any more."""


@dataclass(frozen=True, slots=True)
class CatalogueStep:
    """A part of the catalogue's public documents. All values are absolute, so that doing it twice is doing it once."""

    leader: int
    """Number of the leader that writes."""
    before: int
    """The version that it found."""
    version: int
    """The version there is to be; the same, while more parts are to come."""
    entries: Mapping[str, bytes | None] = field(default_factory=dict)
    """By item id; None takes it out. At most MAX_ENTRIES."""
    withdrawn: bytes | None = None
    """The document of what is withdrawn; None leaves it."""


@dataclass(frozen=True, slots=True)
class Kept:
    """What a partition keeps besides rows."""

    items: Sequence[str]
    markers: Mapping[bytes, bytes]
    outbox: Mapping[str, bytes]
    unviewed: frozenset[str]
    days: Mapping[int, bytes]
    """Pages of the day book."""
    feedback: Mapping[int, bytes] = field(default_factory=dict)
    """Pages of the feedback book."""
    bonds: Mapping[str, bytes] = field(default_factory=dict)
    """Of ids that were joined, or that others are joined to."""


class State(Protocol):
    """Rows, positions, the model and the sums of one deployment."""

    def meta(self, partition: int) -> Meta | None:
        """The partition's meta fields; None where nobody ever claimed it."""

    def claim(self, partition: int, token: str, claims: int, above: int = 0) -> Meta:
        """Make the token the owner, if the partition was claimed `claims` times before, or by this token already.

        The number keeps a repeated, late claim from taking the partition back. That of this claim is `above` another
        one, too. Raises StateConflictError, StateLayoutError.
        """

    def leader(self) -> int:
        """The highest number of a leader who was let in or has published anything."""

    def lead(self, leader: int) -> None:
        """Refuse from now on model versions of leaders with lower numbers."""

    def keep(self, partition: int) -> Kept:
        """What the partition keeps besides rows."""

    def row_count(self, partition: int) -> int:
        """How many rows the partition has."""

    def rows(self, partition: int, buckets: Sequence[int] | None = None) -> Iterator[tuple[list[str], list[bytes]]]:
        """Customer ids and packed rows, some at a time, of these buckets or of all."""

    def row(self, partition: int, customer_id: str) -> bytes | None:
        """One packed row."""

    def pages(self, partitions: int, days: Sequence[int] | None = None) -> Sequence[Mapping[int, bytes]]:
        """By partition, the pages of the day book of these stream days, or all there are."""

    def feedback_pages(self, partitions: int) -> Sequence[Mapping[int, bytes]]:
        """By partition, all pages of the feedback book."""

    def checkpoint(self, partition: int, token: str, step: Checkpoint) -> Written:
        """Write the step if the token owns the partition and its last checkpoint was seq - 1.

        Raises StateConflictError, StateDivergedError.
        """

    def begin_checkpoints(
        self, work: Sequence[tuple[int, str, Checkpoint]]
    ) -> Callable[[], list[Written | StateConflictError]]:
        """Begin steps of different partitions, each as by `checkpoint`: partition, token, step.

        What is returned is called once, waits until they are written and tells of each what became of it. A conflict is
        an answer like others: the steps beside it are written. Either of both raises what `checkpoint` does else.
        Nothing else may be asked of these partitions in between.
        """

    def model(self) -> bytes | None:
        """The current model document."""

    def old_model(self, version: int) -> bytes | None:
        """An earlier model document, or the current one."""

    def publish_model(self, leader: int, version: int, document: bytes) -> bool:
        """Make it the current one if no later leader has published and version is the next one. False: it was not."""

    def publish_catalogue(self, step: CatalogueStep) -> bool:
        """Write the step if no later leader has written and the version is the one it found. False: it was not."""

    def catalogue_version(self) -> int:
        """Of the catalogue's public documents; 0: there are none."""

    def withdrawn(self) -> bytes | None:
        """The document of what is withdrawn."""

    def catalogue(self) -> Iterator[Mapping[str, bytes]]:
        """All public entries of the catalogue by item id, some at a time; one may come twice."""

    def catalogue_entries(self, item_ids: Sequence[str]) -> Sequence[bytes | None]:
        """The public entries of these items."""

    def drop_models(self, versions: Sequence[int]) -> None:
        """Delete these older model documents."""

    def item_model_version(self) -> int:
        """The version of the current item model; 0 before the first."""

    def item_model(self) -> bytes | None:
        """The current item model."""

    def publish_item_model(self, leader: int, version: int, model: bytes) -> bool:
        """Make it the current one if no later leader has published and the version is newer. False: it was not."""

    def forecast_version(self) -> int:
        """The version of the current forecast document; 0 before the first."""

    def forecast(self) -> bytes | None:
        """The current forecast document."""

    def forecast_memory(self) -> bytes | None:
        """What the next review of forecasts goes on from."""

    def publish_forecast(self, leader: int, version: int, document: bytes, memory: bytes) -> bool:
        """Make both the current ones if no later leader has published and the version is newer. False: it was not."""

    def amend_forecast(self, leader: int, version: int, memory: bytes | None) -> bool:
        """Replace what is gone on from, or with None take out that and the document; the version stays.

        False: a later leader has published, or another version is in force.
        """

    def put_review(self, document: bytes) -> None:
        """Replace the review document."""

    def review(self) -> bytes | None:
        """The review document."""

    def put_note(self, name: str, note: bytes | None) -> None:
        """Replace what the leader keeps in mind under a name, or forget it."""

    def notes(self) -> Mapping[str, bytes]:
        """What the leader keeps in mind beside the model."""

    def put_request(self, request_id: str, request: bytes | None) -> None:
        """Replace a request to the leader, or its answer; None takes it out."""

    def requests(self) -> Mapping[str, bytes]:
        """Requests to the leader, and answers that nobody has taken out."""

    def number_audiences(self, names: Sequence[str]) -> Mapping[str, int]:
        """The numbers of all audiences that were ever named: 0, 1, … in the order in which names came up, for ever."""

    def put_segment_name(self, segment: int, name: bytes | None) -> None:
        """Replace what a user calls a segment, or take it out."""

    def segment_names(self) -> Mapping[int, bytes]:
        """What users call segments, by id."""

    def campaigns(self) -> Mapping[str, bytes]:
        """The documents of all campaigns, by name."""

    def put_campaign(self, name: str, document: bytes | None, before: bytes | None) -> bool:
        """Replace a campaign's document where it still is `before`; None: there is none. False: it is another."""

    def put_campaign_members(self, number: str, pieces: Mapping[int, bytes], seconds: int) -> None:
        """Replace these pieces of a campaign's members, all of which expire in so many seconds; 0: they go now."""

    def campaign_members(self, number: str) -> Mapping[int, bytes]:
        """All pieces of a campaign's members; none where they have expired."""

    def put_import(self, name: str, report: bytes | None) -> None:
        """Replace what an import of some files came to, or take it out."""

    def imports(self) -> Mapping[str, bytes]:
        """What imports came to."""

    def put_ended_session(self, nonce: str, until: int | None) -> None:
        """Remember that a session of the pages was ended, and when it would have been over; or forget it."""

    def ended_sessions(self) -> Mapping[str, int]:
        """Sessions of the pages that were ended, and when they would have been over, microseconds UTC."""

    def put_sums(self, sums: Mapping[int, bytes]) -> None:
        """Replace the published sums of these partitions."""

    def sums(self) -> Mapping[int, bytes]:
        """The published sums of all partitions."""

    def put_popularity(self, worker: str, popularity: bytes | None) -> None:
        """Replace a worker's published popularity, or take it out."""

    def popularity(self) -> Mapping[str, bytes]:
        """The published popularity of all workers."""

    def put_worker(self, worker: str, status: bytes | None) -> None:
        """Replace what a worker says of itself, or take it out."""

    def workers(self) -> Mapping[str, bytes]:
        """What all workers say of themselves."""

    def warnings(self) -> Sequence[str]:
        """What an operator should know about how the server is set up, in sentences."""

    def close(self) -> None:
        """Let go of connections."""


def bucket_of(customer_id: str) -> int:
    """The bucket of a customer's row: uniform, and independent of the partition."""
    return zlib.crc32(customer_id.encode()) % BUCKETS


def fingerprint(step: Checkpoint) -> str:
    """A hash of all that a checkpoint writes, by which a repeated one is known from a different one."""
    digest = blake2b(digest_size=16)
    digest.update(
        repr((step.position, step.clock, step.views_seq, step.purchases, *step.removed, *step.published)).encode()
    )
    digest.update(repr(step.dissolved).encode())
    # In one piece: of that much it is made while other threads go on.
    digest.update(b"".join([part for who, row in (*step.rows, *step.bonds.items()) for part in (who.encode(), row)]))
    for change_id, change in step.outbox.items():
        digest.update(change_id.encode())
        digest.update(change)
    for pages in (step.days, step.feedback):
        for day, page in pages.items():
            digest.update(str(day).encode())
            digest.update(page)
    return digest.hexdigest()


def one_by_one(
    checkpoint: Callable[[int, str, Checkpoint], Written], work: Sequence[tuple[int, str, Checkpoint]]
) -> list[Written | StateConflictError]:
    """Steps written one after the other, as `State.begin_checkpoints` answers in the end."""
    written: list[Written | StateConflictError] = []
    for one in work:
        try:
            written.append(checkpoint(*one))
        except StateConflictError as error:
            written.append(error)
    return written
