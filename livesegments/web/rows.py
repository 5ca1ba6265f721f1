"""Customers' rows as the tables of the HTTP API."""

import threading
import time
from collections.abc import Iterator, Sequence
from typing import Any, Final

import msgspec
import numpy as np
import numpy.typing as npt
import pandas as pd  # noqa: F401 - pyarrow would import it with the first array: half a second for whoever asks first
import pyarrow as pa

from consumer.audiences import names_in
from consumer.columns import Columns
from consumer.layout import HEADER, MISSING_TIME
from consumer.state import State, bucket_of
from contracts.documents import CAUSES, NO_SEGMENT
from contracts.guests import is_guest
from contracts.money import MILLIONTHS
from dashboard.customer_rows import COLUMNS, Slice
from livesegments.records import Records, clock_now, count_partitions, read_document, read_forecaster, unpack
from livesegments.segment_names import SegmentNames
from online_model.forecasts.ahead_columns import FIGURES, figure

FRESH_SECONDS: Final = 5.0
"""Names of segments and audiences are read again after so long."""
_TIME: Final = pa.timestamp("us", tz="UTC")


class _Names:
    """What segments and audiences are called, and what is expected of customers, as of one moment."""

    def __init__(self, state: State, out_of_scope: str, clock: str, *, forecasts: bool) -> None:
        self.forecaster = read_forecaster(state, told=forecasts)
        known = self.forecaster.document is not None
        self.now = clock_now(state, count_partitions(state) or 0, clock) if known else 0
        self._segments = SegmentNames(state, read_document(state), out_of_scope)
        self._audiences = {number: name for name, number in state.number_audiences(()).items()}
        self._known: dict[int, str | None] = {}
        self._bits: dict[int, str] = {}

    def segment(self, segment_id: int) -> str | None:
        """A segment's name."""
        if segment_id not in self._known:
            self._known[segment_id] = self._segments.name(segment_id)
        return self._known[segment_id]

    def audiences(self, bits: int) -> str:
        """Names of audiences as a JSON array."""
        if bits not in self._bits:
            self._bits[bits] = msgspec.json.encode(list(names_in(bits, self._audiences))).decode()
        return self._bits[bits]


class StateRows:
    """See dashboard.customer_rows.CustomerRows. Safe to use from several threads."""

    def __init__(self, state: State, out_of_scope: str, clock: str = "wall", *, forecasts: bool = True) -> None:
        self._state = state
        self._forecasts = forecasts
        self._out_of_scope = out_of_scope
        self._clock = clock
        self._lock = threading.Lock()
        self._names: _Names | None = None
        self._until = 0.0

    def partitions(self) -> int:
        """See CustomerRows."""
        return count_partitions(self._state) or 0

    def read(self, partition: int, buckets: Sequence[int], segment_id: int | None = None) -> Slice:
        """See CustomerRows."""
        ids: list[str] = []
        rows: list[bytes] = []
        looked_at = 0
        for some_ids, some_rows in self._state.rows(partition, buckets):
            looked_at += len(some_ids)
            for place in _places(some_ids, some_rows, segment_id):
                ids.append(some_ids[place])
                rows.append(some_rows[place])
        if not rows:
            return Slice(looked_at, [], pa.RecordBatch.from_pylist([], COLUMNS))
        return Slice(looked_at, [bucket_of(one) for one in ids], self.table(unpack(ids, rows, partition)))

    def table(self, records: Records) -> Any:
        """Records as a record batch of COLUMNS."""
        return _table(records, self._fresh_names())

    def _fresh_names(self) -> _Names:
        with self._lock:
            if self._names is None or time.monotonic() >= self._until:
                self._names = _Names(self._state, self._out_of_scope, self._clock, forecasts=self._forecasts)
                self._until = time.monotonic() + FRESH_SECONDS
            return self._names


def _places(ids: Sequence[str], rows: Sequence[bytes], segment_id: int | None) -> Iterator[int]:
    """Those of customers; a guest has no segment."""
    if segment_id is None or not rows:
        yield from (place for place, who in enumerate(ids) if not is_guest(who))
        return
    header = np.frombuffer(b"".join([row[: HEADER.itemsize] for row in rows]), HEADER)
    yield from np.flatnonzero(header["segment"] == segment_id).tolist()


def _table(records: Records, names: _Names) -> Any:
    header = records.header
    segments, previous = header["segment"].astype(np.int32), header["previous"].astype(np.int32)
    somewhere = segments != NO_SEGMENT
    causes = [
        CAUSES[cause] if placed and cause < len(CAUSES) else None
        for cause, placed in zip(header["cause"].tolist(), somewhere.tolist(), strict=True)
    ]
    ahead = names.forecaster.ahead(Columns(header), names.now)
    names_of = [names.segment(one) if one != NO_SEGMENT else None for one in segments.tolist()]
    return pa.RecordBatch.from_arrays(
        [
            pa.array(records.customer_ids, pa.string()),
            pa.array(segments, mask=~somewhere),
            pa.array(names_of, pa.string()),
            _times(header["since"]),
            pa.array(previous, mask=previous == NO_SEGMENT),
            pa.array(causes, pa.string()),
            pa.array([names.audiences(bits) for bits in header["audiences"].tolist()], pa.string()),
            _times(header["first_at"]),
            _times(header["last_at"]),
            pa.array(header["orders"].astype(np.int64)),
            pa.array(header["returns"].astype(np.int64)),
            pa.array(header["units"].astype(np.int64)),
            pa.array(header["spend"] / MILLIONTHS),
            pa.array(header["refunds"] / MILLIONTHS),
            *(pa.array(figure(ahead, name), from_pandas=True) for name in FIGURES),
            pa.array([msgspec.json.encode(one).decode() for one in records.attributes], pa.string()),
        ],
        schema=COLUMNS,
    )


def _times(moments: npt.NDArray[np.int64]) -> Any:
    return pa.array(moments.astype(np.int64), pa.int64(), mask=moments == MISSING_TIME).cast(_TIME)
