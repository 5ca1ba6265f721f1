"""Segment changes on their way out: from a row's move to a record on the log, under one id that never changes."""

from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from typing import Literal

import msgspec

from consumer.audiences import names_in
from consumer.held import Held
from consumer.row_store import RowStore
from contracts.documents import CAUSES, NO_SEGMENT, RULE_IDS, AudienceChange
from contracts.keys import LogNames
from contracts.times import from_micros
from logs.base import LogError, LogWriter, Placed


class _Moved(msgspec.Struct, gc=False, rename={"from_segment": "from", "to_segment": "to"}, kw_only=True):
    """What `SegmentChange` is written as, ten times as fast (`tests/unit/test_changes.py` holds the two equal)."""

    v: int = 1
    kind: str = "moved"
    change_id: str
    customer_id: str
    from_segment: int | None
    to_segment: int | None
    by_rule: Literal[True] | msgspec.UnsetType
    cause: str
    at: datetime
    model_version: int


_encode = msgspec.json.Encoder().encode


def new_changes(
    store: RowStore, held: Held, rows: Sequence[int], audiences: Mapping[int, str] = MappingProxyType({})
) -> dict[str, bytes]:
    """The changes that the next checkpoint writes with these rows, by change id; `audiences` are names by number.

    An id names the checkpoint (partition, owner's token, number) and the place in it: one id has one content.
    """
    changes: dict[str, bytes] = {}
    seq = held.seq + 1
    for row in rows:
        for change in held.changes.get(row, ()):
            change_id = f"{held.number}-{held.token}-{seq:012d}-{len(changes):05d}"
            changes[change_id] = _encode(
                _Moved(
                    change_id=change_id,
                    customer_id=store.ids[row],
                    from_segment=None if change.before == NO_SEGMENT else change.before,
                    to_segment=change.after,
                    by_rule=change.after in RULE_IDS or msgspec.UNSET,
                    cause=CAUSES[change.cause],
                    at=from_micros(change.at),
                    model_version=change.model_version,
                )
            )
        for told in held.audience_changes.get(row, ()):
            for kind, bits in (("entered", told.after & ~told.before), ("left", told.before & ~told.after)):
                for name in names_in(bits, audiences):
                    change_id = f"{held.number}-{held.token}-{seq:012d}-{len(changes):05d}"
                    changes[change_id] = AudienceChange.model_construct(
                        v=1,
                        kind=kind,
                        change_id=change_id,
                        customer_id=store.ids[row],
                        audience=name,
                        cause=CAUSES[told.cause],
                        at=from_micros(told.at),
                        model_version=told.model_version,
                    ).encode()
    return changes


class _Whose(msgspec.Struct):
    """The part of a change that decides its partition."""

    customer_id: str


_whose = msgspec.json.Decoder(_Whose).decode


@dataclass(frozen=True, slots=True)
class _Sent:
    partition: int
    token: str
    change_id: str
    future: Future[Placed]


class ChangePublisher:
    """Publishes what stands in outboxes, and tells which of it the log has acknowledged."""

    def __init__(self, writer: LogWriter, names: LogNames) -> None:
        self._writer = writer
        self._names = names
        self._sent: list[_Sent] = []

    def publish(self, held: Held, changes: dict[str, bytes]) -> None:
        """Send changes; `acknowledged` tells when they have arrived."""
        for change_id, change in sorted(changes.items()):
            future = self._send(change)
            self._sent.append(_Sent(held.number, held.token, change_id, future))

    def acknowledged(self, held: dict[int, Held]) -> None:
        """Note the changes that have arrived with the partitions they are of, and send again those that have not."""
        waiting: list[_Sent] = []
        for sent in self._sent:
            if not sent.future.done():
                waiting.append(sent)
                continue
            owner = held.get(sent.partition)
            if owner is None or owner.token != sent.token or sent.change_id not in owner.outbox:
                continue
            if isinstance(sent.future.exception(), LogError):
                again = self._send(owner.outbox[sent.change_id])
                waiting.append(_Sent(sent.partition, sent.token, sent.change_id, again))
            else:
                owner.published.append(sent.change_id)
        self._sent = waiting

    def _send(self, change: bytes) -> Future[Placed]:
        return self._writer.append(self._names.changes, _whose(change).customer_id.encode(), change)

    @property
    def waiting(self) -> int:
        """Changes sent and not acknowledged."""
        return len(self._sent)
