"""A segment's customers page by page, without reading them all.

Customers stand in buckets by a hash of their ids. Pages go through partitions and buckets in order, and within a bucket
in the order of masks: so who stays in the segment is on exactly one page, however many others come and go meanwhile,
and a cursor gives no id away.
"""

import base64
import binascii
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgspec
import pyarrow as pa

from contracts.errors import LivesegmentsError
from contracts.keys import BUCKETS
from dashboard.customer_rows import COLUMNS, CustomerRows, Slice
from dashboard.masking import Masks

ROWS_AT_ONCE: Final = 2_000
"""Customers that are read together, about."""
MAX_LOOKED_AT: Final = 50_000
"""Customers that are read for one page: of a rare segment a page may hold fewer than were asked for, and none."""
MAX_EMPTY: Final = 20_000
"""Buckets without anybody, likewise: in a small shop most are."""
_FIRST_BUCKETS: Final = 16
_ALL_AT_ONCE: Final = 64


class CursorError(LivesegmentsError, ValueError):
    """The cursor is not one of ours, or not of this deployment as it is now."""


class Cursor(msgspec.Struct, array_like=True, frozen=True):
    """Where the next page begins."""

    keys: bytes
    """By which cursors of other secrets are told apart."""
    partitions: int
    partition: int
    bucket: int
    after: bytes = b""
    """The mask of the last customer of this bucket that was shown; empty: none was."""

    def __str__(self) -> str:
        return base64.urlsafe_b64encode(msgspec.msgpack.encode(self)).rstrip(b"=").decode()

    @classmethod
    def read(cls, text: str) -> "Cursor":
        """What `str` wrote. Raises CursorError."""
        try:
            return msgspec.msgpack.decode(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)), type=cls)
        except (binascii.Error, ValueError, msgspec.MsgspecError):
            raise CursorError("this is no cursor: take `next` of the page before as it is") from None


@dataclass(frozen=True, slots=True)
class Page:
    """Some of a segment's customers."""

    table: Any
    """(customers,), of COLUMNS."""
    next: Cursor | None
    """None: this was the last page."""


@dataclass(slots=True)
class MemberPages:
    """Reads pages; blocks."""

    rows: CustomerRows
    masks: Masks

    def page(self, segment_id: int | None, limit: int, cursor: Cursor | None) -> Page:
        """At most so many customers of a segment, or of all of them, `limit` from 1 on. Raises CursorError."""
        partitions = self.rows.partitions()
        keys = self.masks.token("")[:4]
        at = cursor or Cursor(keys, partitions, 0, 0)
        if at.keys != keys or at.partitions != partitions or not 0 <= at.bucket < BUCKETS or at.partition < 0:
            raise CursorError(
                "this cursor is of another deployment, or of one with other keys: begin at the first page"
            )
        found: list[Any] = []
        room, looked_at, empty = limit, 0, 0
        for partition, buckets, read in _walk(self.rows, at, partitions, segment_id):
            looked_at += read.looked_at
            empty += len(buckets) - len(set(read.buckets))
            ordered, order = self._ordered(read, at if partition == at.partition else None)
            found.append(ordered.slice(0, room))
            if len(order) > room:
                bucket, after = order[room - 1]
                return Page(_joined(found), Cursor(keys, partitions, partition, bucket, after))
            room -= len(order)
            if room == 0 or looked_at >= MAX_LOOKED_AT or empty >= MAX_EMPTY:
                return Page(_joined(found), _following(keys, partitions, partition, buckets[-1]))
        return Page(_joined(found), None)

    def _ordered(self, read: Slice, at: Cursor | None) -> tuple[Any, list[tuple[int, bytes]]]:
        """Rows by bucket and mask, without those that were shown; and these two of each."""
        ids = read.batch.column("customer_id").to_pylist()
        marks = [(bucket, self.masks.token(one)) for bucket, one in zip(read.buckets, ids, strict=True)]
        shown = (at.bucket, at.after) if at is not None else (-1, b"")
        places = sorted(
            (place for place, mark in enumerate(marks) if not at or mark[0] != at.bucket or mark > shown),
            key=marks.__getitem__,
        )
        return read.batch.take(pa.array(places, pa.int64())), [marks[place] for place in places]


def _walk(
    rows: CustomerRows, at: Cursor, partitions: int, segment_id: int | None
) -> Iterator[tuple[int, Sequence[int], Slice]]:
    """Slices from a cursor on, as many buckets at a time as hold about ROWS_AT_ONCE customers."""
    step, bucket = _FIRST_BUCKETS, at.bucket
    for partition in range(at.partition, partitions):
        while bucket < BUCKETS:
            buckets = range(bucket, min(bucket + step, BUCKETS))
            read = rows.read(partition, buckets, segment_id)
            yield partition, buckets, read
            bucket = buckets.stop
            fitting = len(buckets) * ROWS_AT_ONCE // max(1, read.looked_at)
            step = max(1, min(fitting, 4 * step, BUCKETS))
        bucket = 0


def _following(keys: bytes, partitions: int, partition: int, bucket: int) -> Cursor | None:
    """The first place after a bucket; None: there is nothing more."""
    if bucket + 1 < BUCKETS:
        return Cursor(keys, partitions, partition, bucket + 1)
    return Cursor(keys, partitions, partition + 1, 0) if partition + 1 < partitions else None


def _joined(found: list[Any]) -> Any:
    return pa.Table.from_batches(found, COLUMNS)


def all_rows(rows: CustomerRows, segment_id: int | None = None) -> Iterator[Any]:
    """Every customer, of all segments or of one, as record batches."""
    for partition in range(rows.partitions()):
        for start in range(0, BUCKETS, _ALL_AT_ONCE):
            batch = rows.read(partition, range(start, min(BUCKETS, start + _ALL_AT_ONCE)), segment_id).batch
            if batch.num_rows:
                yield batch
