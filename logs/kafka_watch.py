"""An eye on a topic from beside its reader: is it still the same one, and does the cluster answer?

kafka-python reads on silently when a topic was deleted and created again: at our offset, in the other topic.
"""

import contextlib
import threading
import time
from typing import Final

from logs.base import LogChangedError, LogError, LogInfo, LogMissingError
from logs.kafka_client import CLIENT_ERRORS, KafkaCluster
from logs.kafka_topics import describe

INTERVAL_SECONDS: Final = 1.0
PATIENCE_SECONDS: Final = 3.0
"""How long an answer may take before the cluster counts as failing."""


class KafkaWatch:
    """Asks the cluster for the topic every second, on a thread of its own. Raises LogUnavailableError at first."""

    def __init__(self, cluster: KafkaCluster, info: LogInfo) -> None:
        self._failing_since: float | None = None
        self._asked: float | None = None
        """The monotonic time of the question that is not answered yet."""
        self._info = info
        self._changed: str | None = None
        self._missed = False
        self._asking = threading.Lock()
        self._closed = threading.Event()
        self._admin = cluster.admin()
        self._thread = threading.Thread(target=self._run, name=f"kafka-watch-{info.name}", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while not self._closed.wait(INTERVAL_SECONDS):
            self.look()

    @property
    def failing_since(self) -> float | None:
        """The monotonic time since when the cluster has not answered; None while it does."""
        since, asked = self._failing_since, self._asked  # each once: the thread that asks changes them meanwhile
        if since is None and asked is not None and time.monotonic() - asked > PATIENCE_SECONDS:
            return asked
        return since

    def look(self) -> None:
        """Ask now. Never raises: `check` does."""
        with self._asking:
            if self._closed.is_set():
                return
            asked = self._asked = time.monotonic()
            try:
                self._compare(describe(self._admin, self._info.name))
            except LogMissingError:
                # A broker that has just started may not know of a topic yet: believe the second time.
                if self._missed:
                    self._changed = "was deleted"
                self._missed = True
                self._failing_since = None
            except (*CLIENT_ERRORS, LogError):
                self._failing_since = self._failing_since or asked
            else:
                self._missed = False
                self._failing_since = None
            finally:
                self._asked = None

    def _compare(self, found: LogInfo) -> None:
        if found.identity != self._info.identity:
            self._changed = "was deleted and created again"
        elif found.partitions != self._info.partitions:
            self._changed = f"had {self._info.partitions} partitions and now has {found.partitions}"

    def check(self) -> None:
        """Raises LogChangedError where the topic is not what it was."""
        if self._changed is not None:
            raise LogChangedError(
                f"the topic {self._info.name!r} {self._changed} while it was read: what was counted so far no longer "
                "belongs to it; clear this deployment's state, or read a new topic under a new key prefix"
            )

    def close(self) -> None:
        """Stop asking."""
        self._closed.set()
        with contextlib.suppress(*CLIENT_ERRORS):
            self._admin.close()
