"""Reading customers' rows from the state, beside the workers that write them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from consumer.decoding import Attributes
from consumer.layout import HEADER
from consumer.ragged import attributes_of
from consumer.state import Meta, State
from contracts.errors import LivesegmentsError
from contracts.keys import BUCKETS
from contracts.partitioning import partition_of
from online_model.model import SPECIAL_SEGMENTS
from contracts.model import ModelDocument

BUCKETS_AT_ONCE: Final = 64


class NothingCountedError(LivesegmentsError):
    """The state holds no row of any customer."""


@dataclass(frozen=True, slots=True)
class Records:
    """Some customers' rows: the fixed columns of all in one array, attributes apart."""

    customer_ids: Sequence[str]
    header: npt.NDArray[Any]
    """(customers,), dtype HEADER."""
    attributes: Sequence[Attributes]

    def __len__(self) -> int:
        return len(self.customer_ids)


def unpack(customer_ids: Sequence[str], rows: Sequence[bytes]) -> Records:
    """Packed rows as records."""
    size = HEADER.itemsize
    header = np.frombuffer(b"".join([row[:size] for row in rows]), HEADER)
    starts = size + sum(header[name].astype(np.int64) for name in ("heads", "lines", "ids"))
    ends = starts + header["attributes"]
    places = zip(rows, starts.tolist(), ends.tolist(), strict=True)
    return Records(customer_ids, header, [attributes_of(row[start:end]) for row, start, end in places])


def metas(state: State, partitions: int) -> dict[int, Meta]:
    """What is known of each partition that has anything; `partitions` is how many there are on the log."""
    found = {number: state.meta(number) for number in range(partitions)}
    return {number: meta for number, meta in found.items() if meta is not None and meta.seq}


def count_partitions(state: State, at_most: int) -> int | None:
    """How many partitions the log has that the rows were made from; None where no row was ever written.

    `at_most` is how many to look at: a partition without customers says nothing.
    """
    for number in range(at_most):
        meta = state.meta(number)
        if meta is not None and meta.log_partitions:
            return meta.log_partitions
    return None


def read_record(state: State, customer_id: str, partitions: int) -> Records | None:
    """One customer's row; None where there is none."""
    row = state.row(partition_of(customer_id, partitions), customer_id)
    return None if row is None else unpack([customer_id], [row])


def read_records(state: State, partitions: Sequence[int]) -> Iterator[Records]:
    """All rows of these partitions, some buckets at a time, partition by partition."""
    for partition in partitions:
        for start in range(0, BUCKETS, BUCKETS_AT_ONCE):
            for customer_ids, rows in state.rows(partition, range(start, start + BUCKETS_AT_ONCE)):
                if customer_ids:
                    yield unpack(customer_ids, rows)


class SegmentNames:
    """The names of segments by id, also of those that older model versions had."""

    def __init__(self, state: State, model: ModelDocument | None) -> None:
        self._state = state
        self._names = dict(SPECIAL_SEGMENTS)
        self._oldest = model.version if model else 0
        if model:
            self._take(model)

    def name(self, segment_id: int) -> str | None:
        """The name; None for an id that no stored version has."""
        while segment_id not in self._names and self._oldest > 1:
            self._oldest -= 1
            document = self._state.old_model(self._oldest)
            if document is not None:
                self._take(ModelDocument.model_validate_json(document))
        return self._names.get(segment_id)

    def _take(self, model: ModelDocument) -> None:
        for segment in model.segments:
            self._names.setdefault(segment.id, segment.name)


def read_document(state: State) -> ModelDocument | None:
    """The current model document; None before there is one."""
    document = state.model()
    return None if document is None else ModelDocument.model_validate_json(document)
