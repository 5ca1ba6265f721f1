"""Records that are not applied here: dead letters, and events of other partitions. Both go back onto a log."""

import base64
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from consumer.dead_letters import Refused
from contracts.documents import DeadLetter
from contracts.keys import LogNames
from contracts.partitioning import partition_of
from logs.base import Batch, Headers, LogError, LogUnavailableError, LogWriter, RecordTooLargeError

REROUTED: Final = "livesegments-rerouted"
"""Header of an event that a worker published again because it stood in the wrong partition."""


@dataclass(frozen=True, slots=True)
class Aside:
    """A record to publish before the position passes the one that it was made from."""

    log: str
    key: bytes | None
    value: bytes
    partition: int | None = None
    headers: Headers = ()
    letter: DeadLetter | None = None
    """What the value encodes, if it is a dead letter."""

    def without_bytes(self) -> "Aside":
        """The same dead letter, where its log takes none so large. Raises ValueError for anything else."""
        if self.letter is None:
            raise ValueError("only a dead letter can do without its bytes")
        said = f"{self.letter.message} (left where it stands: it is too large for the log of dead letters)"
        letter = self.letter.model_copy(update={"bytes": b"", "message": said})
        return replace(self, value=letter.model_dump_json().encode(), letter=letter)


def dead_letter(names: LogNames, batch: Batch, refused: Refused) -> Aside:
    """The dead letter for a record: why, where it stood, and its bytes, so that nothing is lost."""
    letter = DeadLetter(
        log=names.events,
        partition=batch.partition,
        offset=batch.positions[refused.place],
        reason=refused.reason.value,
        message=refused.message,
        bytes=base64.b64encode(batch.values[refused.place] or b""),
    )
    return Aside(names.dead_letters, None, letter.model_dump_json().encode(), letter=letter)


def rerouted(names: LogNames, batch: Batch, place: int, customer_id: str, partitions: int) -> Aside:
    """The event unchanged, for the partition that its customer belongs to."""
    value = batch.values[place]
    assert value is not None, "what was decoded had a value"
    headers = [*batch.headers.get(place, ()), (REROUTED, b"1")]
    return Aside(names.events, customer_id.encode(), value, partition_of(customer_id, partitions), headers)


def told(names: LogNames, customer_id: str, value: bytes, partitions: int) -> Aside:
    """An event of our own, for the partition that its customer belongs to."""
    return Aside(names.events, customer_id.encode(), value, partition_of(customer_id, partitions))


def came_rerouted(batch: Batch) -> list[int]:
    """Places of the records that a worker has published again already."""
    return [place for place, headers in batch.headers.items() if any(name == REROUTED for name, _ in headers)]


def publish(writer: LogWriter, records: Sequence[Aside]) -> None:
    """Append them all and wait until the log has them. Raises LogUnavailableError: then all are to be sent again."""
    sent = [
        (one, writer.append(one.log, one.key, one.value, partition=one.partition, headers=one.headers))
        for one in records
    ]
    writer.flush(30.0)
    for one, future in sent:
        error = future.exception()
        if isinstance(error, RecordTooLargeError) and one.letter is not None and one.letter.bytes:
            publish(writer, [one.without_bytes()])
        elif isinstance(error, LogError):
            raise LogUnavailableError(f"{one.log} did not take a record: {error}") from error
