"""How far behind the log a worker is, in seconds: as close as can be told without reading what it has not read."""

from collections.abc import Mapping


class LagSeconds:
    """Looks at the lag now and then.

    A record that is not read yet came after the newest one that is, and after the partition was last seen without lag:
    the later of the two bounds its age from above.
    """

    def __init__(self) -> None:
        self._at_rest: dict[int, int] = {}
        """By partition when it was last seen without lag, microseconds UTC."""

    def observe(self, lags: Mapping[int, int], heard: Mapping[int, int], now: int) -> float:
        """The greatest age in seconds of a record that waits, 0 where none does.

        Args:
            lags: Records that wait, by partition held.
            heard: Log time of the newest record read, by partition, microseconds UTC; 0: none.
            now: Microseconds UTC by the wall clock.
        """
        self._at_rest = {partition: at for partition, at in self._at_rest.items() if partition in lags}
        longest = 0.0
        for partition, records in lags.items():
            if not records:
                self._at_rest[partition] = now
                continue
            since = max(heard.get(partition, 0), self._at_rest.get(partition, 0))
            if not since:  # nothing is known: from now on, then
                since = self._at_rest[partition] = now
            longest = max(longest, (now - since) / 1e6)
        return longest
