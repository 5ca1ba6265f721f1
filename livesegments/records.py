"""Reading customers' rows from the state, beside the workers that write them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from consumer.clock import wall_micros
from consumer.event_columns import Attributes
from consumer.layout import HEADER, UNFINISHED
from consumer.ragged import attributes_of
from consumer.state import State
from contracts.forecasts import ForecastDocument
from contracts.guests import is_guest
from contracts.keys import BUCKETS
from contracts.model import ModelDocument
from contracts.partitioning import partition_of
from online_model.forecasts.ahead_columns import Blind, LooksAhead

BUCKETS_AT_ONCE: Final = 64
LOOKED_AT: Final = 256
"""Partitions of which one is expected to have a customer."""


@dataclass(frozen=True, slots=True)
class Records:
    """Some customers' rows: the fixed columns of all in one array, attributes apart."""

    customer_ids: Sequence[str]
    header: npt.NDArray[Any]
    """(customers,), dtype HEADER."""
    attributes: Sequence[Attributes]
    heads: Sequence[bytes]
    lines: Sequence[bytes]
    """Kept lines, packed, with their heads."""
    partition: int
    """Of all of them."""
    moves: Sequence[bytes] = ()
    """The last moves, packed; the oldest first."""

    def __len__(self) -> int:
        return len(self.customer_ids)


def unpack(customer_ids: Sequence[str], rows: Sequence[bytes], partition: int) -> Records:
    """Packed rows of a partition as records."""
    size = HEADER.itemsize
    header = np.frombuffer(b"".join([row[:size] for row in rows]), HEADER)
    parts = np.stack([header[name] for name in ("heads", "lines", "ids", "attributes")], axis=1)
    ends = (size + np.cumsum(parts, axis=1, dtype=np.int64)).tolist()
    return Records(
        customer_ids,
        header,
        [attributes_of(row[c:d]) for row, (_, _, c, d) in zip(rows, ends, strict=True)],
        [row[size:a] for row, (a, _, _, _) in zip(rows, ends, strict=True)],
        [row[a:b] for row, (a, b, _, _) in zip(rows, ends, strict=True)],
        partition,
        [row[end[3] : end[3] + int(size)] for row, end, size in zip(rows, ends, header["moves"], strict=True)],
    )


def count_partitions(state: State) -> int | None:
    """How many partitions the log has that the rows were made from; None where no row was ever written."""
    # A partition that never had a customer says nothing, so it may take a look at several.
    for number in range(LOOKED_AT):
        meta = state.meta(number)
        if meta is not None and meta.log_partitions:
            return meta.log_partitions
    return None


def are_whole(state: State, partitions: int) -> bool:
    """Whether nothing writes rows as a whole now (restore, repartition, rebuild), or has ended in the middle of it."""
    return all(meta is None or meta.layout != UNFINISHED for meta in map(state.meta, range(partitions)))


def read_record(state: State, customer_id: str, partitions: int) -> Records | None:
    """One customer's row; None where there is none."""
    partition = partition_of(customer_id, partitions)
    row = state.row(partition, customer_id)
    return None if row is None else unpack([customer_id], [row], partition)


def read_records(state: State, partitions: Sequence[int], buckets: int = BUCKETS) -> Iterator[Records]:
    """The customers of these partitions' first buckets, all by default, some at a time, partition by partition.

    Orders of guests are nobody's, and left out.
    """
    for partition in partitions:
        for start in range(0, buckets, BUCKETS_AT_ONCE):
            for customer_ids, rows in state.rows(partition, range(start, min(buckets, start + BUCKETS_AT_ONCE))):
                pairs = [pair for pair in zip(customer_ids, rows, strict=True) if not is_guest(pair[0])]
                if pairs:
                    yield unpack([who for who, _ in pairs], [row for _, row in pairs], partition)


def newest_time(state: State, partitions: int) -> int:
    """The event clock, in microseconds UTC: the newest time of an event that counted; 0 before there is any."""
    metas = [state.meta(number) for number in range(partitions)]
    return max((meta.clock for meta in metas if meta is not None and meta.seq), default=0)


def clock_now(state: State, partitions: int, kind: str) -> int:
    """Now by a deployment's clock (`wall` or `event`), microseconds UTC."""
    return wall_micros() if kind == "wall" else newest_time(state, partitions)


def read_forecaster(state: State, *, told: bool) -> LooksAhead:
    """What looks ahead by the forecast document; nothing does where forecasts are not `told`.

    Raises ForecastDocumentError.
    """
    stored = state.forecast() if told else None
    if stored is None:
        return Blind()
    from online_model.forecasts.ahead import Forecaster  # noqa: PLC0415 - scipy takes its time, most commands need none

    return Forecaster(ForecastDocument.read(stored))


def read_document(state: State) -> ModelDocument | None:
    """The current model document; None before there is one."""
    document = state.model()
    return None if document is None else ModelDocument.model_validate_json(document)
