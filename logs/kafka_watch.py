"""An eye on a topic from beside its reader: is it still the same one, and does the cluster answer?

kafka-python reads on silently when a topic was deleted and created again: at our offset, in the other topic.
"""

import contextlib
import threading
import time
from typing import Final

from kafka.errors import KafkaError

from logs.base import LogChangedError, LogError, LogInfo, LogMissingError
from logs.kafka_client import KafkaCluster, meaning
from logs.kafka_topics import describe

INTERVAL_SECONDS: Final = 1.0


class KafkaWatch:
    """Asks the cluster for the topic every second, on a thread of its own. Raises LogUnavailableError at first."""

    def __init__(self, cluster: KafkaCluster, info: LogInfo) -> None:
        self.failing_since: float | None = None
        """The monotonic time since when the cluster has not answered; None while it does."""
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

    def look(self) -> None:
        """Ask now. Never raises: `check` does."""
        with self._asking:
            if self._closed.is_set():
                return
            asked = time.monotonic()
            try:
                found = describe(self._admin, self._info.name)
            except LogMissingError:
                # A broker that has just started may not know of a topic yet: believe the second time.
                if self._missed:
                    self._changed = "was deleted"
                self._missed = True
            except (KafkaError, LogError) as error:
                _ = meaning(error)
                if self.failing_since is None:
                    self.failing_since = asked
                return
            else:
                self._missed = False
                if found.identity != self._info.identity:
                    self._changed = "was deleted and created again"
                elif found.partitions != self._info.partitions:
                    self._changed = f"had {self._info.partitions} partitions and now has {found.partitions}"
            self.failing_since = None

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
        with contextlib.suppress(KafkaError):
            self._admin.close()
