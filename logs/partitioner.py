"""Which partition a record goes to when its writer names none."""

import functools
import itertools

from contracts.partitioning import murmur2

# Shops have many events per customer: most keys were hashed a moment ago.
_positive_hash = functools.lru_cache(maxsize=1 << 17)(lambda key: murmur2(key) & 0x7FFFFFFF)


class Partitioner:
    """The key decides, by murmur2; records without a key go round in turn."""

    def __init__(self) -> None:
        self._turn = itertools.count()

    def partition(self, key: bytes | None, partitions: int) -> int:
        """The partition of a record on a log with so many partitions."""
        if key is None:
            return next(self._turn) % partitions
        hashed: int = _positive_hash(key)
        return hashed % partitions
