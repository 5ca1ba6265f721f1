"""How far a partition has got: before which position everything was delivered, given up, or not asked for."""

from collections import deque


class Window:
    """Of one partition as long as it is ours.

    Parameters:
        position: where reading begins.
    """

    def __init__(self, position: int | None) -> None:
        self.closed = False
        """The partition was taken away: what becomes of its items is no longer ours to say."""
        self.next = position
        """Where to read on; None: the beginning."""
        self._open: deque[int] = deque()
        self._done: set[int] = set()

    def pass_over(self, position: int) -> None:
        """The record there was read, and is not to be sent."""
        self.next = position + 1

    def await_(self, position: int) -> None:
        """The record there was read, and is to be sent."""
        self.next = position + 1
        self._open.append(position)

    def tick(self, position: int) -> None:
        """The record there was delivered or given up."""
        self._done.add(position)
        while self._open and self._open[0] in self._done:
            self._done.discard(self._open.popleft())

    @property
    def reached(self) -> int | None:
        """The position to go on from after a restart; None: nothing was read."""
        return self._open[0] if self._open else self.next

    def __len__(self) -> int:
        """Records that were read and are not ticked off, and those behind them that are."""
        return len(self._open)
