"""Who is in an audience now, as the receiver knows them: read from customers' rows, some at a time."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from consumer.layout import MISSING_TIME, UNFINISHED
from consumer.state import Meta, State
from contracts.documents import NO_SEGMENT
from contracts.errors import LivesegmentsError
from contracts.money import MILLIONTHS
from contracts.times import rfc3339
from livesegments.audience_sync.shapes import ATTRIBUTE, CUSTOMER, Shape, address
from livesegments.campaigns.consent import Consent, Given
from livesegments.records import Records, count_partitions, read_records

_CENTS: Final = MILLIONTHS // 100


class RowsMovingError(LivesegmentsError):
    """Rows are being moved or were replaced while they were read: some may be missing."""


class NobodyThereError(LivesegmentsError):
    """There are no customers at all."""


@dataclass(frozen=True, slots=True)
class Contact:
    """Somebody in an audience."""

    key: str
    """By what the receiver knows them."""
    customer_id: str
    cells: tuple[str, ...]
    """Of the columns beside."""


@dataclass(frozen=True, slots=True)
class LeftOut:
    """Members of an audience who are not handed on, by why."""

    refused: int = 0
    """They do not want to be written to."""
    unknown: int = 0
    """It is not known whether they agreed."""
    no_contact: int = 0
    """The receiver could not know them by anything."""


@dataclass(slots=True)
class Roll:
    """Reads who is in an audience and is to be handed on. `left_out` is counted once `read` has ended.

    Parameters:
        bit: of the audience in rows.
        name: of the audience.
        segment_name: what segments are called.
        consent: who may be written to; None: everybody is handed on.
    """

    state: State
    bit: int
    name: str
    shape: Shape
    segment_name: Callable[[int], str | None]
    consent: Consent | None
    left_out: LeftOut = LeftOut()

    def read(self) -> Iterator[Contact]:
        """All members who may be handed on. Two customers may have one contact.

        Raises RowsMovingError, NobodyThereError, StateError.
        """
        partitions = count_partitions(self.state)
        if partitions is None:
            # A Redis that lost everything would have every member leave, in every tool.
            raise NobodyThereError(
                "there are no customers in Redis at all, so nothing is handed on: start a worker, or correct redis_url"
                " and key_prefix"
            )
        left_out: Counter[str] = Counter()
        wanted = np.uint64(1) << np.uint64(self.bit)
        for partition in range(partitions):
            before = self._whole(partition, partitions)
            for records in read_records(self.state, [partition]):
                for row in np.flatnonzero(records.header["audiences"] & wanted).tolist():
                    why = self._held_back(records, row)
                    contact = None if why else self._contact(records, row)
                    if contact is None:
                        left_out[why or "no_contact"] += 1
                    else:
                        yield contact
            after = self._whole(partition, partitions)
            if before is not None and (after is None or _was_replaced(before, after)):
                raise RowsMovingError("customers' rows were replaced while they were read: run this again")
        self.left_out = LeftOut(**left_out)

    def _held_back(self, records: Records, row: int) -> str | None:
        """Why this member may not be written to."""
        if self.consent is None or self.consent.allows(records.attributes[row]):
            return None
        return "refused" if self.consent.given(records.attributes[row]) is Given.NO else "unknown"

    def _whole(self, partition: int, partitions: int) -> Meta | None:
        meta = self.state.meta(partition)
        if meta is None:
            return None
        if meta.layout == UNFINISHED or (meta.log_partitions and meta.log_partitions != partitions):
            raise RowsMovingError(
                "customers' rows are being written whole (snapshot restore, repartition or rebuild): run this again"
                " when that has ended"
            )
        return meta

    def _contact(self, records: Records, row: int) -> Contact | None:
        cell = _Cells(records, row, self.name, self.segment_name)
        told = cell.of(self.shape.source)
        key = address(told) if self.shape.is_address else told
        if not key:
            return None
        return Contact(key, records.customer_ids[row], tuple(cell.of(source) for _, source in self.shape.columns))


def _was_replaced(before: Meta, after: Meta) -> bool:
    return after.seq < before.seq or after.log_identity != before.log_identity


@dataclass(frozen=True, slots=True)
class _Cells:
    records: Records
    row: int
    audience: str
    segment_name: Callable[[int], str | None]

    def of(self, source: str) -> str:
        """The text of a column."""
        if source.startswith(ATTRIBUTE):
            return _text(self.records.attributes[self.row].get(source.removeprefix(ATTRIBUTE)))
        return _READERS[source](self)


def _text(value: object) -> str:
    if value is None:
        return ""
    return str(value).lower() if isinstance(value, bool) else str(value)


def _number(field: str) -> Callable[[_Cells], str]:
    return lambda cells: str(int(cells.records.header[field][cells.row]))


def _time(field: str) -> Callable[[_Cells], str]:
    def told(cells: _Cells) -> str:
        moment = int(cells.records.header[field][cells.row])
        return "" if moment == MISSING_TIME else rfc3339(moment)

    return told


def _net_spend(cells: _Cells) -> str:
    header: Any = cells.records.header
    cents = round((int(header["spend"][cells.row]) - int(header["refunds"][cells.row])) / _CENTS)
    return f"{'-' if cents < 0 else ''}{abs(cents) // 100}.{abs(cents) % 100:02}"


def _segment(cells: _Cells) -> str:
    segment = int(cells.records.header["segment"][cells.row])
    return "" if segment == NO_SEGMENT else cells.segment_name(segment) or str(segment)


_READERS: Final[Mapping[str, Callable[[_Cells], str]]] = {
    CUSTOMER: lambda cells: cells.records.customer_ids[cells.row],
    "audience": lambda cells: cells.audience,
    "segment": _segment,
    "orders": _number("orders"),
    "net_spend": _net_spend,
    "first_order_at": _time("first_at"),
    "last_order_at": _time("last_at"),
}
