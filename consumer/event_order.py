"""Decoded batches of several partitions in step with each other: for an event clock, which would run ahead otherwise.

Partitions are read at their own speed, a backlog in pieces of thousands of records. With an event clock the first piece
would take the time to its end, and what the other partitions hold would all be past. So a step takes from each only
what happened in the interval (a day, say) of the oldest event that waits.
"""

from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TypeVar

from consumer.batches import part_of
from consumer.event_columns import Decoded, Events
from logs.base import Batch

Value = TypeVar("Value")


class EventOrder:
    """What is decoded and not yet worked on, by partition, in the order of the log."""

    def __init__(self, interval: int) -> None:
        self._interval = interval
        self._waiting: dict[int, _Waiting] = {}

    def __len__(self) -> int:
        return sum(len(one.batch) - one.place for one in self._waiting.values())

    def __contains__(self, partition: object) -> bool:
        return partition in self._waiting

    def sizes(self) -> dict[int, int]:
        """Records that wait, by partition."""
        return {partition: len(one.batch) - one.place for partition, one in self._waiting.items()}

    def add(self, batch: Batch, decoded: Decoded) -> None:
        """The next batch of a partition of which nothing waits."""
        assert batch.partition not in self._waiting, "one batch of a partition waits at a time"
        self._waiting[batch.partition] = _Waiting(batch, decoded)

    def drop(self, partition: int) -> None:
        """Forget a partition."""
        self._waiting.pop(partition, None)

    def take(self) -> list[tuple[Batch, Decoded]]:
        """Of each partition the records before the first event that lies beyond the interval of the oldest one.

        Intervals are counted from the epoch: with one of a day, a step never crosses midnight (UTC).
        """
        nexts = [one.next_at for one in self._waiting.values()]
        oldest = min((at for at in nexts if at is not None), default=0)
        horizon = (oldest // self._interval + 1) * self._interval - 1
        taken = []
        for partition, one in list(self._waiting.items()):
            if one.reach(horizon):
                taken.append(one.cut())
            if one.empty:
                del self._waiting[partition]
        return taken


def _among(said: Mapping[int, Value], first: int, last: int) -> dict[int, Value]:
    """What is known of some events, by their places among those from `first` to `last`."""
    return {i - first: one for i, one in said.items() if first <= i < last}


@dataclass(slots=True)
class _Waiting:
    """A batch of which a beginning has been taken."""

    batch: Batch
    decoded: Decoded
    place: int = 0
    """The first record that waits."""
    event: int = 0
    """The first event that waits."""
    end: int = 0
    """Records before it are within reach."""

    @property
    def empty(self) -> bool:
        """Whether all is taken."""
        return self.place == len(self.batch)

    @property
    def next_at(self) -> int | None:
        """When the next event happened; None where no more events follow."""
        ats = self.decoded.events.ats
        return ats[self.event] if self.event < len(ats) else None

    def reach(self, horizon: int) -> bool:
        """Find how far the events up to a time go. Returns whether there is anything to take."""
        events = self.decoded.events
        beyond = self.event
        while beyond < len(events) and events.ats[beyond] <= horizon:
            beyond += 1
        self.end = events.places[beyond] if beyond < len(events) else len(self.batch)
        return self.end > self.place

    def cut(self) -> tuple[Batch, Decoded]:
        """Take the records within reach."""
        start, end, first = self.place, self.end, self.event
        events, refused = self.decoded.events, self.decoded.refused
        last = bisect_left(events.places, end)
        self.place, self.event = end, last
        if (start, end) == (0, len(self.batch)):
            return self.batch, self.decoded
        begin, stop = events.lines_from[first], events.lines_from[last]
        part = Events(
            partition=events.partition,
            places=[place - start for place in events.places[first:last]],
            kinds=events.kinds[first:last],
            event_hashes=events.event_hashes[first:last],
            customer_ids=events.customer_ids[first:last],
            ats=events.ats[first:last],
            attributes=_among(events.attributes, first, last),
            interactions=_among(events.interactions, first, last),
            lines_from=[place - begin for place in events.lines_from[first : last + 1]],
            items=events.items[begin:stop],
            quantities=events.quantities[begin:stop],
            amounts=events.amounts[first:last],
            unless_newer={i - first for i in events.unless_newer if first <= i < last},
            joined_to=_among(events.joined_to, first, last),
            aliases=_among(events.aliases, first, last),
            handed_over=_among(events.handed_over, first, last),
            positions=events.positions[first:last],
        )
        among = slice(*(bisect_left(refused, place, key=lambda one: one.place) for place in (start, end)))
        letters = [replace(one, place=one.place - start) for one in refused[among]]
        return part_of(self.batch, start, end), Decoded(part, letters)
