"""The next one is made while the last one is worked on."""

import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Final, TypeVar

Item = TypeVar("Item")
_SWITCH_SECONDS: Final = 0.0003


def ahead(items: Iterator[Item]) -> Iterator[Item]:
    """The same items; each is asked for in another thread, one ahead of the caller. Raises what making them raises."""
    # A thread that reads from a socket waits for the interpreter after each piece: by default 5 ms, too long to keep a
    # server busy.
    usual = sys.getswitchinterval()
    sys.setswitchinterval(_SWITCH_SECONDS)
    try:
        with ThreadPoolExecutor(1, thread_name_prefix="ahead") as thread:
            coming = thread.submit(_next, items)
            while found := coming.result():
                coming = thread.submit(_next, items)
                yield found[0]
    finally:
        sys.setswitchinterval(usual)


def _next(items: Iterator[Item]) -> tuple[Item] | None:
    for item in items:
        return (item,)
    return None
