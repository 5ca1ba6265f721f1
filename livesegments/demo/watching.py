"""What there is to see of a demo, looked at a few times a second."""

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from contracts.documents import SegmentCard, SegmentChange, parse_change
from livesegments.app import Deployment
from livesegments.commands.segments import read_cards
from livesegments.demo.background import WorkerInBackground
from livesegments.parts import log_names
from livesegments.records import read_document
from livesegments.segment_names import SegmentNames
from recommender.answers import Recommendations

if TYPE_CHECKING:
    from consumer.worker import Worker
    from logs.base import LogReader

FEED: Final = 8
TREND_SECONDS: Final = 20.0
CUSTOMER_SECONDS: Final = 6.0
"""How long one customer is shown."""


@dataclass(frozen=True, slots=True)
class Move:
    """A customer who changed segment."""

    customer_id: str
    before: str
    after: str
    cause: str


@dataclass(slots=True)
class Snapshot:
    """One look."""

    seconds: float = 0.0
    """Since the demo began."""
    events: int = 0
    events_per_s: float = 0.0
    lag: int | None = None
    customers: int = 0
    model_version: int = 0
    cards: list[SegmentCard] = field(default_factory=list)
    trend: dict[int, int] = field(default_factory=dict)
    """By segment id: customers more than some seconds ago."""
    moves: list[Move] = field(default_factory=list)
    """The newest last."""
    customer: Recommendations | None = None
    first_segments_after: float | None = None


class Watcher:
    """Looks at a demo from outside, as an application would; only speed and lag come from the worker itself."""

    def __init__(self, deployment: Deployment, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._logs = deployment.logs
        self._changes_log = log_names(deployment.settings).changes
        self._reader = deployment.reader()
        self._state = deployment.state
        self._out_of_scope = deployment.settings.out_of_scope_name
        self._names = SegmentNames(deployment.state, None, self._out_of_scope)
        self._names_of = 0
        self._monotonic = monotonic
        self._began = monotonic()
        self._changes: LogReader | None = None
        self._newest: deque[SegmentChange] = deque(maxlen=FEED)
        self._sizes: deque[tuple[float, dict[int, int]]] = deque()
        self._speeds: deque[tuple[float, int]] = deque(maxlen=20)
        self._customer: tuple[float, str] | None = None
        self._first: float | None = None

    def look(self, working: WorkerInBackground) -> Snapshot:
        """What there is now."""
        seconds = self._monotonic() - self._began
        seen = Snapshot(seconds=seconds)
        if working.worker is None:
            return seen
        self._speed(seen, working.worker)
        seen.lag = working.lag
        seen.cards = read_cards(self._reader)
        if self._first is None and any(card.id > 0 and card.size for card in seen.cards):
            self._first = seconds
        seen.first_segments_after = self._first
        seen.model_version = max((card.model_version for card in seen.cards), default=0)
        if seen.model_version != self._names_of:
            self._names = SegmentNames(self._state, read_document(self._state), self._out_of_scope)
            self._names_of = seen.model_version
        self._trend(seen)
        self._feed()
        seen.moves = [self._move(change) for change in self._newest]
        seen.customer = self._one_customer(seconds)
        return seen

    def close(self) -> None:
        """Leave the log of changes."""
        if self._changes is not None:
            self._changes.close()

    def _speed(self, seen: Snapshot, worker: "Worker") -> None:
        seen.events = worker.figures.records
        seen.customers = len(worker.memory.store)
        self._speeds.append((seen.seconds, seen.events))
        (then, before), (now, events) = self._speeds[0], self._speeds[-1]
        seen.events_per_s = (events - before) / (now - then) if now > then else 0.0

    def _trend(self, seen: Snapshot) -> None:
        sizes = {card.id: card.size for card in seen.cards}
        self._sizes.append((seen.seconds, sizes))
        while self._sizes[0][0] < seen.seconds - TREND_SECONDS:
            self._sizes.popleft()
        before = self._sizes[0][1]
        seen.trend = {one: size - before[one] for one, size in sizes.items() if one in before}

    def _feed(self) -> None:
        if self._changes is None:
            # A group of its own for every look: nobody else's place is moved.
            self._changes = self._logs.reader(self._changes_log, f"demo-{time.time_ns()}")
        polled = self._changes.poll(0.0)
        for partition in polled.assigned:
            self._changes.seek(partition, None)
        for batch in polled.batches:
            for value in list(batch.values)[-FEED:]:
                change = None if value is None else parse_change(value)
                if isinstance(change, SegmentChange):
                    self._newest.append(change)

    def _move(self, change: SegmentChange) -> Move:
        before, after = (
            "new" if segment is None else self._names.name(segment) or f"segment {segment}"
            for segment in (change.from_segment, change.to_segment)
        )
        return Move(change.customer_id, before, after, change.cause)

    def _one_customer(self, seconds: float) -> Recommendations | None:
        if self._newest and (self._customer is None or seconds - self._customer[0] > CUSTOMER_SECONDS):
            self._customer = (seconds, self._newest[-1].customer_id)
        return None if self._customer is None else self._reader.get(self._customer[1])
