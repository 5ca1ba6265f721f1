"""kafka-python's own log lines: while a broker is down hundreds of ERRORs a minute, at DEBUG passwords in clear."""

import logging
import threading
import time
from collections.abc import Callable
from typing import Final

QUIET_SECONDS: Final = 30.0


class OncePerInterval(logging.Handler):
    """Passes each kind of line on to the root logger's handlers once per interval, and never anything below INFO."""

    def __init__(self, interval: float = QUIET_SECONDS, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__(logging.INFO)
        self._interval = interval
        self._clock = clock
        self._lock = threading.Lock()
        self._seen: dict[tuple[str, int], tuple[float, int]] = {}
        """By logger and line of its source: when it last passed, and how many were held back since."""

    def emit(self, record: logging.LogRecord) -> None:
        """Pass the record on, or count it."""
        kind, now = (record.name, record.lineno), self._clock()
        with self._lock:
            last, held_back = self._seen.get(kind, (-self._interval, 0))
            if now - last < self._interval:
                self._seen[kind] = (last, held_back + 1)
                return
            self._seen[kind] = (now, 0)
        if held_back:
            record.msg = f"{record.msg} (and {held_back} more like this)"
        # Without a traceback: these are connection failures, and our own errors say what to do about them.
        record.exc_info = record.exc_text = None
        logging.getLogger().handle(record)


def quieten() -> None:
    """Put kafka-python's loggers behind OncePerInterval, at WARNING. Safe to call again."""
    kafka = logging.getLogger("kafka")
    if not any(isinstance(handler, OncePerInterval) for handler in kafka.handlers):
        kafka.addHandler(OncePerInterval())
    kafka.propagate = False
    kafka.setLevel(logging.WARNING)
    # Its event loop remarks on every busy tenth of a second; nobody can do anything about that.
    logging.getLogger("kafka.net.selector").setLevel(logging.ERROR)
