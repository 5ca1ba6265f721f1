"""Memory, told that a worker holds millions of long-lived objects, makes few cycles, and needs large arrays again."""

import ctypes
import gc
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

_M_TRIM_THRESHOLD: Final = -1
_M_MMAP_THRESHOLD: Final = -3
"""Of glibc's <malloc.h>."""
_ARRAY_BYTES: Final = 16 << 20
"""Arrays up to that size are made and let go of all the time."""


def calm() -> None:
    """Look for cycles among what is young, rarely among the rest, and never among what start-up made. For workers.

    With the default thresholds a fifth of a busy worker's time goes into walking rows that never die. kafka-python
    makes cycles with every poll that times out, traceback and all: 50,000 objects at once would take 60 ms.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000, 250, 1_000)
    _keep_arrays()


@contextmanager
def later() -> Iterator[None]:
    """Look for cycles among what is young afterwards, when most of it is gone. For a step of a worker.

    Amid one there are records by the ten thousand: looking at them again and again took a twentieth of the time.
    """
    looks = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if looks:
            gc.enable()


def _keep_arrays() -> None:
    """Have the C library keep the memory of arrays, some megabytes each, for those that come next.

    By default it asks the system for each and gives it back, which clears every page anew: of ranking a batch of
    customers that was two fifths of the time.
    """
    tune = getattr(ctypes.CDLL(None), "mallopt", None)
    if tune is not None:
        tune(_M_MMAP_THRESHOLD, _ARRAY_BYTES)
        tune(_M_TRIM_THRESHOLD, 2 * _ARRAY_BYTES)


def give_back() -> None:
    """Give the memory of what was let go of back to the system: three quarters of a partition's rows, within 10 ms.

    The C library would keep it, in pieces too small for what comes next: workers to which partitions come and from
    which they go would grow for hours. Nothing happens where it is not glibc.
    """
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
