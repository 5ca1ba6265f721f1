"""How old news are when readers get them: from a record's log time until its customer's view is written.

Measured by batch, so that no event pays for it: a batch counts with its oldest record, and is there once no row that
was dirty by then still waits.
"""

from bisect import bisect_left
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import accumulate
from typing import Final

from consumer.held import Held

BOUNDS: Final = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 1800.0, 3600.0)
"""Upper bounds of the histogram's buckets in seconds; a last one has none."""
_MOST_AWAITED: Final = 1_000
"""Batches of a partition whose views are awaited; beyond, the oldest two count as one."""


@dataclass(slots=True)
class _Awaited:
    """A batch whose rows are written and whose views are not."""

    seq: int
    """The checkpoint that wrote it."""
    oldest: int
    """Log time of its first record, microseconds UTC."""
    records: int


class Freshness:
    """A histogram over records."""

    def __init__(self) -> None:
        self.seconds = 0.0
        """Summed over all records."""
        self._counts = [0] * (len(BOUNDS) + 1)
        self._awaited: dict[int, deque[_Awaited]] = {}

    @property
    def buckets(self) -> list[tuple[float, int]]:
        """Upper bound in seconds and how many records were at most so old, the last bound infinite."""
        return list(zip((*BOUNDS, float("inf")), accumulate(self._counts), strict=True))

    def note(self, partition: int, seq: int, oldest: int, records: int) -> None:
        """A checkpoint wrote a batch; `oldest` is the log time of its first record."""
        awaited = self._awaited.setdefault(partition, deque())
        if len(awaited) == _MOST_AWAITED:
            first = awaited.popleft()
            awaited[0].oldest = first.oldest
            awaited[0].records += first.records
        awaited.append(_Awaited(seq, oldest, records))

    def drop(self, partition: int) -> None:
        """The partition is another worker's: what becomes of its views is not seen here."""
        self._awaited.pop(partition, None)

    def observe(self, held: Mapping[int, Held], now: int) -> None:
        """Count the batches whose views are written by now; `now` in microseconds UTC by the wall clock."""
        for partition in list(self._awaited):
            awaited = self._awaited[partition]
            # Dirty rows are in the order in which they became so.
            dirty_since = next(iter(held[partition].dirty.values()), None)
            while awaited and (dirty_since is None or awaited[0].seq < dirty_since[0]):
                self._count(awaited.popleft(), now)
            if not awaited:
                del self._awaited[partition]

    def _count(self, batch: _Awaited, now: int) -> None:
        age = max(0.0, (now - batch.oldest) / 1e6)  # clocks of two machines
        self._counts[bisect_left(BOUNDS, age)] += batch.records
        self.seconds += age * batch.records
