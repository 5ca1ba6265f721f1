"""Which partitions a reader holds, and what of that it has not been told yet."""

from collections.abc import Iterable


class Assignment:
    """Partitions held, with gains and losses collected until the next poll hands them out.

    Not thread-safe: the owner locks.
    """

    def __init__(self) -> None:
        self.held: set[int] = set()
        self._gained: set[int] = set()
        self._lost: set[int] = set()

    def gain(self, partitions: Iterable[int]) -> None:
        """Partitions were given to us."""
        for partition in partitions:
            self.held.add(partition)
            self._gained.add(partition)

    def lose(self, partitions: Iterable[int]) -> None:
        """Partitions were taken from us. One whose gain nobody was told of leaves no trace."""
        for partition in partitions:
            if partition not in self.held:
                continue
            self.held.discard(partition)
            if partition in self._gained:
                self._gained.discard(partition)
            else:
                self._lost.add(partition)

    def ready(self, partition: int) -> bool:
        """Whether the partition is ours, and our user knows of this very gain: a seek for an older one is void."""
        return partition in self.held and partition not in self._gained

    @property
    def changed(self) -> bool:
        """Whether there is something to tell."""
        return bool(self._gained or self._lost)

    def take(self) -> tuple[frozenset[int], frozenset[int]]:
        """What was gained and what was lost since the last call; one that came back is in both."""
        gained, lost = frozenset(self._gained), frozenset(self._lost)
        self._gained.clear()
        self._lost.clear()
        return gained, lost


def share_out(members: int, partitions: int, before: dict[int, int]) -> dict[int, int]:
    """Owner, 0 … members - 1, of every partition: evenly, and moving no more partitions than that needs.

    `before` has the owners so far, as far as they are still members.

    >>> share_out(2, 4, {0: 0, 1: 0, 2: 0, 3: 0})
    {0: 0, 1: 0, 2: 1, 3: 1}
    """
    if members == 0:
        return {}
    kept: list[list[int]] = [[] for _ in range(members)]
    for partition, owner in sorted(before.items()):
        kept[owner].append(partition)
    share, larger = divmod(partitions, members)
    owners: dict[int, int] = {}
    room: list[int] = []
    # Who holds most keeps the larger shares, so that least moves.
    for place, member in enumerate(sorted(range(members), key=lambda m: -len(kept[m]))):
        quota = share + (place < larger)
        owners.update(dict.fromkeys(kept[member][:quota], member))
        room += [member] * (quota - len(kept[member][:quota]))
    unowned = [partition for partition in range(partitions) if partition not in owners]
    owners.update(zip(unowned, sorted(room), strict=True))
    return dict(sorted(owners.items()))
