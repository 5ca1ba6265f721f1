"""Python's memory, told that a worker holds millions of long-lived objects and makes hardly a cycle of its own."""

import ctypes
import gc


def calm() -> None:
    """Look for cycles among what is young, rarely among the rest, and never among what start-up made. For workers.

    With the default thresholds a fifth of a busy worker's time goes into walking rows that never die. kafka-python
    makes cycles with every poll that times out, traceback and all: 50,000 objects at once would take 60 ms.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000, 250, 1_000)


def give_back() -> None:
    """Give the memory of what was let go of back to the system: three quarters of a partition's rows, within 10 ms.

    The C library would keep it, in pieces too small for what comes next: workers to which partitions come and from
    which they go would grow for hours. Nothing happens where it is not glibc.
    """
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
