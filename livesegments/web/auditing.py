"""The audit log for its page: read once, and from then on only what has come since."""

import threading
from collections import deque
from collections.abc import Sequence
from typing import Final

from dashboard.audit_reading import Act, acts_of
from logs.base import Logs

KEPT: Final = 100_000
"""Newest acts; `livesegments audit` looks at all."""


class AuditBook:
    """The newest acts on a log. Safe to use from several threads."""

    def __init__(self, logs: Logs, log: str) -> None:
        self._logs = logs
        self._log = log
        self._lock = threading.Lock()
        self._acts: deque[Act] = deque(maxlen=KEPT)
        self._positions: dict[int, int] = {}

    def read(self) -> Sequence[Act]:
        """The newest first; blocks. Raises LogError."""
        with self._lock:
            for batch in self._logs.scan(self._log, positions=dict(self._positions)):
                self._acts.extend(acts_of(batch.values))
                self._positions[batch.partition] = batch.positions[-1] + 1
            return list(reversed(self._acts))
