"""Lines of client libraries, held to so many a minute: a server that is down must not fill a disk."""

import logging
import threading
import time
from collections.abc import Callable
from typing import Final

MOST_A_MINUTE: Final = 10
"""Of one kind."""
OURS: Final = ("livesegments", "logs")
"""Loggers that are counted by nobody: they speak once per change."""
_MINUTE: Final = 60.0
_MOST_KINDS: Final = 1_000


class Noise(logging.Filter):
    """Lets through so many lines a minute of each kind: logger and line of its source.

    The first line after a minute in which some were held back says how many.
    """

    def __init__(self, most: int = MOST_A_MINUTE, monotonic: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._most = most
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._kinds: dict[tuple[str, str, int], tuple[float, int]] = {}
        """When the minute began, and lines since."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether the line is let through."""
        if record.name.split(".")[0] in OURS:
            return True
        kind, now = (record.name, record.pathname, record.lineno), self._monotonic()
        with self._lock:
            began, lines = self._kinds.get(kind, (now, 0))
            held_back = 0
            if now - began >= _MINUTE:
                held_back, began, lines = max(0, lines - self._most), now, 0
            if len(self._kinds) >= _MOST_KINDS and kind not in self._kinds:
                self._kinds.clear()
            self._kinds[kind] = (began, lines + 1)
        if held_back:
            record.msg, record.args = f"{record.getMessage()} (and {held_back} more like this)", ()
        return lines < self._most
