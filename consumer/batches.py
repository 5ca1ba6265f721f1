"""Batches that were polled and not yet worked on, cut so that each step fits into one checkpoint."""

from collections import deque
from collections.abc import Container, Mapping, Sequence
from itertools import islice

from consumer.state import MAX_BYTES, MAX_ROWS
from logs.base import Batch


def part_of(batch: Batch, start: int, end: int) -> Batch:
    """Some consecutive records of a batch."""
    return Batch(
        batch.partition,
        batch.positions[start:end],
        batch.values[start:end],
        batch.keys[start:end],
        batch.log_times[start:end],
        {place - start: headers for place, headers in batch.headers.items() if start <= place < end},
    )


def joined(first: Batch, second: Batch) -> Batch:
    """The records of one partition of two batches, of which the second goes on where the first ends."""
    return Batch(
        first.partition,
        [*first.positions, *second.positions],
        [*first.values, *second.values],
        [*first.keys, *second.keys],
        [*first.log_times, *second.log_times],
        {**first.headers, **{len(first) + place: headers for place, headers in second.headers.items()}},
    )


def _within_rows(keys: Sequence[bytes | None], most: int) -> int:
    """So many of the first `most` records that no more than MAX_ROWS customers are among them, going by their keys."""
    if most <= MAX_ROWS:
        return most
    seen: set[bytes] = set()
    nameless = 0
    for place, key in enumerate(islice(keys, most)):
        if key is None:  # anybody's
            nameless += 1
        else:
            seen.add(key)
        if len(seen) + nameless > MAX_ROWS:
            return place
    return most


class Backlog:
    """Per partition, in order."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._waiting: dict[int, deque[Batch]] = {}

    def __len__(self) -> int:
        return sum(len(batch) for waiting in self._waiting.values() for batch in waiting)

    def sizes(self) -> dict[int, int]:
        """Records that wait, by partition."""
        return {partition: sum(len(batch) for batch in waiting) for partition, waiting in self._waiting.items()}

    def add(self, batch: Batch) -> None:
        """Append records: to those that wait, as long as they fit into one step."""
        if not len(batch):
            return
        waiting = self._waiting.setdefault(batch.partition, deque())
        if waiting and len(waiting[-1]) + len(batch) <= self._most:
            batch = joined(waiting.pop(), batch)
        waiting.append(batch)

    def drop(self, partition: int) -> None:
        """Forget a partition's records; they are read again by whoever holds it next."""
        self._waiting.pop(partition, None)

    def __contains__(self, partition: int) -> bool:
        return partition in self._waiting

    def take(self, event_bytes: Mapping[int, float], busy: Container[int] = ()) -> list[Batch]:
        """One batch of each partition that has any and is not busy.

        So many records at most that their rows fit into one checkpoint, going by their keys and by the bytes that a
        record of each partition made last.
        """
        taken = []
        for partition, waiting in [pair for pair in self._waiting.items() if pair[0] not in busy]:
            batch = waiting.popleft()
            most = min(self._most, max(1, int(MAX_BYTES / max(1.0, event_bytes.get(partition, 0.0)))))
            most = _within_rows(batch.keys, min(most, len(batch)))
            if most < len(batch):
                waiting.appendleft(part_of(batch, most, len(batch)))
                batch = part_of(batch, 0, most)
            if not waiting:
                del self._waiting[partition]
            taken.append(batch)
        return taken
