"""Events on the log at a steady rate, from a thread of its own, until told to stop."""

import threading
import time
from typing import Self

from logs.base import LogWriter
from tests.soak.stream import Record, Stream


class Feeding(threading.Thread):
    """The paced part of a stream. Whatever was published is on the log when the block is left."""

    def __init__(self, writer: LogWriter, log: str, stream: Stream, rate: float) -> None:
        super().__init__(daemon=True, name="feeding")
        self._writer = writer
        self._log = log
        self._stream = stream
        self._rate = rate
        self._stopped = threading.Event()
        self.published = 0

    def history(self) -> None:
        """Publish what comes before."""
        for record in self._stream.history():
            self._publish(record)
        self._writer.flush(60)

    def run(self) -> None:
        began = time.monotonic()
        for paced, record in enumerate(self._stream.paced(), 1):
            self._publish(record)
            wait = began + paced / self._rate - time.monotonic()
            if (wait > 0.02 and self._stopped.wait(wait)) or self._stopped.is_set():
                return

    def _publish(self, record: Record) -> None:
        self._writer.append(self._log, record.key, record.value, partition=record.partition)
        self.published += 1

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        self.join(60)
        self._writer.flush(60)
