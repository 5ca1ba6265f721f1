"""The garbage collector, told that a worker holds millions of long-lived objects and makes no cycles of its own."""

import gc


def calm() -> None:
    """Look for cycles rarely, and never among what start-up made. For processes that run a worker.

    With the default thresholds a fifth of a busy worker's time goes into walking rows that never die.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 50, 1_000)
