"""Reading the records of a batch in a third of the time that kafka-python 3.0.12 takes.

For each record it makes an object, asks it for each of its parts and calls a function for each number in it: that was a
quarter of all that a worker does with an event. Here all records of a batch are read in one loop, and are the same as
kafka-python's (`tests/unit/test_kafka_records.py`). So are checksums. What else may become of a batch stays with
kafka-python: old formats, aborted transactions, control records.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from kafka import KafkaConsumer
from kafka.consumer.fetcher import ConsumerRecord, Fetcher
from kafka.errors import CorruptRecordError
from kafka.record.default_records import DefaultRecordBatch

_new: Final = tuple.__new__
_LOG_APPEND_TIME: Final = 1
_NO_HEADERS: Final[list[tuple[str, bytes | None]]] = []
"""Of all records without any: a list for each would be one more thing for the garbage collector to look at."""


def read_quickly(consumer: KafkaConsumer) -> None:
    """From now on, if kafka-python is built as it was when this was written; else it goes on as it does."""
    fetcher: Any = getattr(consumer, "_fetcher", None)
    if getattr(fetcher, "PartitionRecords", None) is Fetcher.PartitionRecords:
        fetcher.PartitionRecords = _PartitionRecords


class _PartitionRecords(Fetcher.PartitionRecords):  # type: ignore[misc] # kafka-python is untyped
    """What came of one partition in one answer."""

    def _unpack_records(
        self, tp: Any, records: Any, key_deserializer: Any, value_deserializer: Any
    ) -> Iterator[ConsumerRecord]:
        if key_deserializer is not None or value_deserializer is not None:
            yield from super()._unpack_records(tp, records, key_deserializer, value_deserializer)
            return
        # Where few records come at a time, as many batches do: what is plain goes by kafka-python's loop, too.
        last = None
        while (batch := records.next_batch()) is not None:
            if not self._is_plain(batch):
                yield from self._go_on(tp, _Batches(records, batch))
                return
            if self.check_crcs and not batch.validate_crc():
                raise CorruptRecordError(
                    f"Record batch for partition {self.topic_partition} at offset {batch.base_offset} failed crc check"
                )
            last = batch
            self.leader_epoch = batch.leader_epoch
            self.bytes_read += batch.size_in_bytes
            yield from self._read(tp, batch)
        if last is not None:
            self.next_fetch_offset = last.next_offset
        self.drain()

    def take(self, n: int | None = None) -> list[ConsumerRecord]:
        """The next records. Raises CorruptRecordError; then the rest is fetched anew.

        kafka-python keeps what it can not read, and looks at it without end.
        """
        try:
            taken: list[ConsumerRecord] = super().take(n)
        except CorruptRecordError:
            self.drain()
            raise
        return taken

    def _is_plain(self, batch: Any) -> bool:
        """Whether all that is to be done with a batch is to read it: no transaction was aborted."""
        return (
            type(batch) is DefaultRecordBatch
            and not batch.attributes & DefaultRecordBatch.CONTROL_MASK
            and batch.records_count > 0
            and not (self.aborted_transactions or self.aborted_producer_ids)
        )

    def _go_on(self, tp: Any, batches: "_Batches") -> Iterator[ConsumerRecord]:
        """All other batches, as kafka-python decides."""
        # It takes a whole batch for one record; when it hands that on, the records in it are due.
        for one in super()._unpack_records(tp, batches, None, None):
            due, batches.due = batches.due, None
            if due is None:
                yield one
            else:
                self.records_read -= 1
                yield from self._read(tp, due)

    def _read(self, tp: Any, batch: Any) -> Iterator[ConsumerRecord]:
        """The records of a batch. Raises CorruptRecordError."""
        # Nothing of it is handed on where it can not be read: then it is where to go on.
        self.next_fetch_offset = max(self.fetch_offset, batch.base_offset)
        read = _read_batch(batch, (tp.topic, tp.partition, self.leader_epoch))
        self.records_read += len(read)
        for record in read:
            self.next_fetch_offset = record[3] + 1
            yield record


class _Batches:
    """Batches as kafka-python asks for them; one of records in the present format has a single record for it."""

    def __init__(self, records: Any, first: Any) -> None:
        self._records = records
        self._first = first
        self.due: Any = None
        """The batch whose record has just been taken."""

    def next_batch(self) -> Any:
        """None after the last one."""
        batch, self._first = self._first, None
        if batch is None:
            batch = self._records.next_batch()
        if batch is None or batch.magic != 2 or batch.is_control_batch or not batch.records_count:
            return batch
        return _Batch(batch, self)


@dataclass(frozen=True, slots=True)
class _Record:
    """What stands for all records of a batch."""

    offset: int
    timestamp: int
    size_in_bytes: int
    timestamp_type: int = 0
    key: None = None
    value: None = None
    headers: Sequence[Any] = ()
    checksum: None = None

    def validate_crc(self) -> bool:
        """Records of this format have none of their own."""
        return True


class _Batch:
    """A batch of kafka-python's, but for what is in it."""

    def __init__(self, batch: Any, batches: _Batches) -> None:
        self._batch = batch
        self._batches = batches

    def __getattr__(self, name: str) -> Any:
        return getattr(self._batch, name)

    def __iter__(self) -> Iterator[_Record]:
        self._batches.due = self._batch
        yield _Record(self._batch.last_offset, self._batch.max_timestamp, self._batch.size_in_bytes)


def _read_batch(batch: Any, head: tuple[str, int, int]) -> list[ConsumerRecord]:
    """The records of a batch. Raises CorruptRecordError."""
    iter(batch)  # decompresses it
    appended = batch.max_timestamp if batch.timestamp_type == _LOG_APPEND_TIME else None
    buffer, place = bytes(batch._buffer), batch._pos  # noqa: SLF001
    base = (batch.base_offset, batch.first_timestamp, appended)
    try:
        return _records(buffer, place, batch.records_count, head, base)
    except (IndexError, UnicodeDecodeError) as error:
        raise CorruptRecordError(f"a record batch at offset {batch.base_offset} ends within a record") from error


def _records(  # noqa: C901, PLR0912, PLR0915 - calls are what took the time
    buffer: bytes, place: int, count: int, head: tuple[str, int, int], base: tuple[int, int, int | None]
) -> list[ConsumerRecord]:
    """`count` records from `place` to the buffer's end.

    The layout is in https://kafka.apache.org/documentation/#record. Numbers of a byte or two, which nearly all are, are
    read where they stand: a call for each would take as long as all the rest.
    """
    base_offset, base_timestamp, appended = base
    timestamp_type = int(appended is not None)
    found = []
    for _ in range(count):
        length, place = _varint(buffer, place)
        end = place + length
        place += 1  # attributes, of which none are in use
        delta = buffer[place]
        place += 1
        if delta & 0x80:
            delta, place = _varint(buffer, place - 1)
        else:
            delta = (delta >> 1) ^ -(delta & 1)
        timestamp = base_timestamp + delta if appended is None else appended
        delta = buffer[place]
        place += 1
        if delta & 0x80:
            delta, place = _varint(buffer, place - 1)
        else:
            delta = (delta >> 1) ^ -(delta & 1)
        size = buffer[place]
        place += 1
        if size & 0x80:
            size, place = _varint(buffer, place - 1)
        else:
            size = (size >> 1) ^ -(size & 1)
        key = None
        if size >= 0:
            key = buffer[place : place + size]
            place += size
        value_size = buffer[place]
        place += 1
        if value_size & 0x80:
            more = buffer[place]
            if more & 0x80:
                value_size, place = _varint(buffer, place - 1)
            else:
                place += 1
                value_size = value_size & 0x7F | more << 7
                value_size = (value_size >> 1) ^ -(value_size & 1)
        else:
            value_size = (value_size >> 1) ^ -(value_size & 1)
        value = None
        if value_size >= 0:
            value = buffer[place : place + value_size]
            place += value_size
        headers, header_size = _NO_HEADERS, -1
        if buffer[place]:
            headers, place = _headers(buffer, place)
            header_size = sum(len(name.encode()) + len(said or b"") for name, said in headers)
        else:
            place += 1
        if place != end:
            raise CorruptRecordError(f"a record of {length} bytes holds {length + place - end}")
        found.append(
            _new(
                ConsumerRecord,
                (
                    *head,
                    base_offset + delta,
                    timestamp,
                    timestamp_type,
                    key,
                    value,
                    headers,
                    None,
                    -1 if key is None else size,
                    -1 if value is None else value_size,
                    header_size,
                ),
            )
        )
    if place != len(buffer):
        raise CorruptRecordError(f"{len(buffer) - place} bytes are left after the last record")
    return found


def _varint(buffer: bytes, place: int) -> tuple[int, int]:
    """A zigzag number of any size, and where the next thing stands."""
    result = shift = 0
    while True:
        part = buffer[place]
        place += 1
        result |= (part & 0x7F) << shift
        if part < 0x80:
            return (result >> 1) ^ -(result & 1), place
        shift += 7
        if shift >= 64:
            raise CorruptRecordError("a number in a record has more than 64 bits")


def _headers(buffer: bytes, place: int) -> tuple[list[tuple[str, bytes | None]], int]:
    count, place = _varint(buffer, place)
    if count < 0:
        raise CorruptRecordError(f"a record has {count} headers")
    found: list[tuple[str, bytes | None]] = []
    for _ in range(count):
        size, place = _varint(buffer, place)
        if size < 0:
            raise CorruptRecordError(f"the name of a header has {size} bytes")
        name = buffer[place : place + size].decode(errors="replace")  # nobody has checked that it is UTF-8
        place += size
        size, place = _varint(buffer, place)
        value = None
        if size >= 0:
            value = buffer[place : place + size]
            place += size
        found.append((name, value))
    return found, place
