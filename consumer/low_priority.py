"""How a child process for background work begins. Imports nothing heavy: numpy reads its settings at import."""

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable


def begin(last: Callable[[], None] = lambda: None) -> None:
    """Give way to the worker: low priority, one BLAS thread, and the parent alone hears the keyboard.

    End with the parent; `last` is what is done then.
    """
    os.environ["OPENBLAS_NUM_THREADS"] = "1"
    os.environ["OMP_NUM_THREADS"] = "1"
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    give_way(os.getpid(), os.getppid())
    threading.Thread(target=_end_with_parent, args=(last,), name="end-with-parent", daemon=True).start()


def give_way(process: int, to: int) -> None:
    """Let a process wait while another one works; once is enough, and where systems do not know of it nothing is done.

    A parent says it of its child at once: until `begin` a child imports for seconds of processor time.
    """
    if hasattr(os, "setpriority"):
        least = min(os.getpriority(os.PRIO_PROCESS, to) + 10, 19)
        if os.getpriority(os.PRIO_PROCESS, process) < least:
            os.setpriority(os.PRIO_PROCESS, process, least)


def _end_with_parent(last: Callable[[], None]) -> None:
    # It waits for work on a pipe of which it holds both ends: where the parent was killed, it would wait for ever.
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        last()
        os._exit(0)
