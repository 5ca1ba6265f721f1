"""Changes that wait to be sent: one after the other for each customer, side by side for different ones."""

import heapq
import itertools
from collections import deque
from dataclasses import dataclass, field

from livesegments.webhooks.ledger import Letter
from livesegments.webhooks.messages import Message
from livesegments.webhooks.window import Window


@dataclass(slots=True, eq=False)
class Item:
    """A change on its way."""

    message: Message
    partition: int
    position: int
    window: Window | None
    """Where it is ticked off, once; one that is closed takes nothing any more. Of a dead letter only that is asked."""
    letter: Letter | None = None
    tries: int = 0
    failed_at: float = 0.0
    """When it failed first."""
    delivered_before: int = 0
    """How many changes the endpoint had taken in then ..."""
    failures_before: int = 0
    """... and how many requests had failed, with that one."""

    @property
    def void(self) -> bool:
        """Whether its partition was taken away: whoever has it now sends it."""
        return self.window is not None and self.window.closed


@dataclass(slots=True)
class _Lane:
    items: deque[Item] = field(default_factory=deque)
    """Empty while all that there is of the customer is on its way."""


class Lanes:
    """A lane for each customer of whom something waits. What is taken comes back by `done` or `again`."""

    def __init__(self) -> None:
        self._lanes: dict[str, _Lane] = {}
        self._free: deque[str] = deque()
        """Lanes whose first item may go now, in the order in which they came to that."""
        self._later: list[tuple[float, int, str]] = []
        self._number = itertools.count()

    def add(self, item: Item) -> None:
        """Behind what its customer has there already."""
        lane = self._lanes.get(item.message.whom)
        if lane is None:
            lane = self._lanes[item.message.whom] = _Lane()
            self._free.append(item.message.whom)
        lane.items.append(item)

    def take(self, now: float, most: int) -> list[Item]:
        """What the next request may hold: up to so many, those of a customer in order. What has failed goes alone."""
        while self._later and self._later[0][0] <= now:
            self._free.append(heapq.heappop(self._later)[2])
        taken: list[Item] = []
        for _ in range(len(self._free)):
            if len(taken) >= most:
                break
            whom = self._free.popleft()
            lane = self._lanes[whom]
            while lane.items and lane.items[0].void:
                lane.items.popleft()
            if not lane.items:
                del self._lanes[whom]
            elif lane.items[0].tries and taken:
                self._free.append(whom)
            else:
                alone = lane.items[0].tries > 0
                taken.append(lane.items.popleft())
                if alone:
                    break
                while lane.items and len(taken) < most and not lane.items[0].void:
                    taken.append(lane.items.popleft())
        return taken

    def done(self, items: list[Item]) -> None:
        """They were delivered or given up: what waits behind them may go."""
        for whom in dict.fromkeys(item.message.whom for item in items):
            if self._lanes[whom].items:
                self._free.append(whom)
            else:
                del self._lanes[whom]

    def again(self, items: list[Item], not_before: float) -> None:
        """They are to be tried again, before what waits behind them."""
        for item in reversed(items):
            self._lanes[item.message.whom].items.appendleft(item)
        for whom in dict.fromkeys(item.message.whom for item in items):
            heapq.heappush(self._later, (not_before, next(self._number), whom))

    def next_at(self, now: float) -> float | None:
        """When something may go, `now` or later; None: nothing waits."""
        if self._free:
            return now
        return max(now, self._later[0][0]) if self._later else None

    def __len__(self) -> int:
        return sum(len(lane.items) for lane in self._lanes.values())
