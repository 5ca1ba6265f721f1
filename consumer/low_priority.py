"""How a child process for background work begins. Imports nothing heavy: numpy reads its settings at import."""

import os
import signal


def begin() -> None:
    """Give way to the worker: low priority, one BLAS thread, and the parent alone hears the keyboard."""
    os.environ["OPENBLAS_NUM_THREADS"] = "1"
    os.environ["OMP_NUM_THREADS"] = "1"
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.nice(10)
