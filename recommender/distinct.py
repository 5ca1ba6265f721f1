"""The distinct ones of many integers, by sorting."""

from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

Integer = TypeVar("Integer", np.int32, np.int64)


def distinct(values: NDArray[Integer]) -> NDArray[Integer]:
    """Each value once, rising. Since numpy 2.3 `np.unique` hashes, which takes a hundred times as long."""
    rising = np.sort(values)
    return rising[begins_of(rising)]


def begins_of(rising: NDArray[Integer]) -> NDArray[np.int64]:
    """Where each of rising values begins, (distinct values,)."""
    changes = np.empty(len(rising), np.bool_)
    changes[:1] = True
    np.not_equal(rising[1:], rising[:-1], out=changes[1:])
    return np.flatnonzero(changes)


def sorted_order(keys: NDArray[np.int64]) -> NDArray[np.int64]:
    """The stable order of keys, which become rising, in place; they and their number must fit into 63 bits.

    Places are put beneath the keys, so that integers are sorted by themselves: a tenth of the time of a stable argsort.
    """
    bits = len(keys).bit_length()
    keys <<= bits
    keys |= np.arange(len(keys))
    keys.sort()
    order = keys & ((1 << bits) - 1)
    keys >>= bits
    return order
