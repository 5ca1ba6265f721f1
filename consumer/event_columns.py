"""Valid events as columns: what decoding makes of a batch, and what is applied to rows."""

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from enum import IntEnum
from itertools import chain, islice
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from consumer.dead_letters import Refused
from consumer.hand_over import HandOver


class Kind(IntEnum):
    """The type of an event, as a small number."""

    PURCHASE = 1
    RETURN = 2
    PROFILE = 3
    ERASE = 4
    INTERACTION = 5
    ALIAS = 6
    HAND_OVER = 7
    """What a worker tells another of an id that is joined to a customer; producers publish none."""


_Value = TypeVar("_Value")

Attributes = dict[str, bool | int | float | str]


@dataclass(frozen=True, slots=True)
class Interaction:
    """What an interaction says."""

    clicked: bool
    """False: shown."""
    source: str
    items: Sequence[str]
    reasons: Sequence[str]
    """As many as items, or none."""


@dataclass(slots=True)
class Events:
    """The valid events of one batch, as columns.

    `lines_from[i]:lines_from[i + 1]` are the lines of event i (none for other than purchases and returns).
    """

    partition: int
    places: list[int]
    """Place of each event in its batch, rising."""
    kinds: Sequence[int]
    event_hashes: npt.NDArray[np.uint64]
    customer_ids: list[str]
    ats: list[int]
    """When it happened, in microseconds UTC."""
    attributes: dict[int, Attributes]
    """Of profile events, by place among the events."""
    interactions: dict[int, Interaction]
    """Likewise."""
    lines_from: list[int]
    items: list[str]
    quantities: npt.NDArray[np.int32]
    amounts: npt.NDArray[np.int64]
    """Value of each event in millionths of the deployment's currency."""
    unless_newer: AbstractSet[int] = frozenset()
    """Erasures, by place among the events, that are void where the customer has anything newer."""
    joined_to: Mapping[int, str] = field(default_factory=dict)
    """Of erasures, by place among the events: void unless the id was joined to this one."""
    aliases: Mapping[int, str] = field(default_factory=dict)
    """Likewise: whom an alias joins its id to; empty: nobody."""
    handed_over: Mapping[int, HandOver] = field(default_factory=dict)
    """Likewise."""
    positions: Sequence[int] = ()
    """Of each event on the log; empty where that does not matter."""

    def __len__(self) -> int:
        return len(self.places)


@dataclass(frozen=True, slots=True)
class Decoded:
    """A batch after decoding: every record is in exactly one of the two."""

    events: Events
    refused: list[Refused]


def joined(partition: int, parts: Sequence[Events], places_from: Sequence[int]) -> Events:
    """The events of several pieces of a batch; each begins at a place of its own."""
    starts = np.cumsum([0, *map(len, parts)]).tolist()
    lines_from, line = [0], 0
    for part in parts:
        lines_from += map(line.__add__, islice(part.lines_from, 1, None))
        line = lines_from[-1]

    def all_of(name: str) -> list[Any]:
        return list(chain.from_iterable(getattr(part, name) for part in parts))

    def of_all(name: str) -> dict[int, Any]:
        found: dict[int, Any] = {}
        for part, start in zip(parts, starts, strict=False):
            found |= {start + i: value for i, value in getattr(part, name).items()}
        return found

    return Events(
        partition=partition,
        places=list(
            chain.from_iterable(map(start.__add__, part.places) for part, start in zip(parts, places_from, strict=True))
        ),
        kinds=all_of("kinds"),
        event_hashes=np.concatenate([part.event_hashes for part in parts]),
        customer_ids=all_of("customer_ids"),
        ats=all_of("ats"),
        attributes=of_all("attributes"),
        interactions=of_all("interactions"),
        lines_from=lines_from,
        items=all_of("items"),
        quantities=np.concatenate([part.quantities for part in parts]),
        amounts=np.concatenate([part.amounts for part in parts]),
        unless_newer={start + i for part, start in zip(parts, starts, strict=False) for i in part.unless_newer},
        joined_to=of_all("joined_to"),
        aliases=of_all("aliases"),
        handed_over=of_all("handed_over"),
        positions=all_of("positions"),
    )


def apart(decoded: Decoded, partitions: Sequence[int], edges: Sequence[int]) -> list[Decoded]:
    """What was decoded together, partition by partition; the records of one begin at its edge, and end at the next."""
    events, refused = decoded.events, decoded.refused
    cuts = [bisect_left(events.places, edge) for edge in edges]
    return [
        Decoded(
            _part(events, partition, start, slice(first, last)),
            [Refused(one.place - start, one.reason, one.message) for one in refused if start <= one.place < end],
        )
        for partition, start, end, first, last in zip(partitions, edges, edges[1:], cuts, cuts[1:], strict=False)
    ]


def _part(events: Events, partition: int, start: int, some: slice) -> Events:
    """Some of the events, of a batch whose records begin at place `start`."""
    first, last = some.start, some.stop
    line, last_line = events.lines_from[first], events.lines_from[last]

    def of(columns: Mapping[int, _Value]) -> dict[int, _Value]:
        # Mostly there are none.
        return {i - first: value for i, value in columns.items() if first <= i < last} if columns else {}

    return Events(
        partition=partition,
        places=[place - start for place in events.places[some]],
        kinds=events.kinds[some],
        event_hashes=events.event_hashes[some],
        customer_ids=events.customer_ids[some],
        ats=events.ats[some],
        attributes=of(events.attributes),
        interactions=of(events.interactions),
        lines_from=[number - line for number in events.lines_from[first : last + 1]],
        items=events.items[line:last_line],
        quantities=events.quantities[line:last_line],
        amounts=events.amounts[some],
        unless_newer={i - first for i in events.unless_newer if first <= i < last},
        joined_to=of(events.joined_to),
        aliases=of(events.aliases),
        handed_over=of(events.handed_over),
        positions=events.positions[some],
    )
