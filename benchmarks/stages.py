"""Processor seconds of a worker by stage: its methods are timed where they stand, in a process with nothing else in it.

A stage within another counts for itself alone. What the stages leave over is the rest of the loop and other threads.
"""

import functools
import threading
import time
from collections import defaultdict
from pathlib import Path
from typing import Any, Final

from consumer.applying import Applier
from consumer.changes import ChangePublisher
from consumer.checkpoints import Checkpoints
from consumer.deciding import Deciding
from consumer.decoding import Decoder
from consumer.items import ItemSums
from consumer.learning import Learner
from consumer.memory import Memory
from consumer.view_writer import ViewWriter
from logs.kafka_reader import KafkaLogReader
from recommender.store import RedisViews

STAGES: Final[dict[str, tuple[tuple[type, str], ...]]] = {
    "poll": ((KafkaLogReader, "poll"),),
    "decode": ((Decoder, "decode"),),
    "rows": ((Applier, "apply"), (Memory, "settle")),
    "segments": ((Learner, "update"),),
    "item sums": ((ItemSums, "revise"),),
    "sweep": ((Memory, "sweep"),),
    "forecasts": ((Memory, "look_ahead"),),
    "prepare checkpoint": ((Checkpoints, "prepare"),),
    "write checkpoint": ((Checkpoints, "write"),),
    "publish changes": ((ChangePublisher, "publish"),),
    "make views": ((ViewWriter, "write"),),
    "write views": ((RedisViews, "begin_set_many"), (RedisViews, "set_many")),
    "lead": ((Deciding, "decide_if_due"),),
}
KAFKA: Final = "kafka-python's thread"
REST: Final = "rest"


class _Thread(threading.local):
    """Where one thread is: the stages it is in, and since when its time is of the innermost."""

    def __init__(self) -> None:
        self.within: list[str] = []
        self.since = 0.0


class Stages:
    """Times all stages of all workers of this process from now on."""

    def __init__(self) -> None:
        self._seconds: defaultdict[str, float] = defaultdict(float)
        self._adding = threading.Lock()
        self._thread = _Thread()
        for stage, methods in STAGES.items():
            for owner, name in methods:
                setattr(owner, name, self._timed(stage, getattr(owner, name)))

    def _timed(self, stage: str, method: Any) -> Any:
        @functools.wraps(method)
        def timed(*args: Any, **kwargs: Any) -> Any:
            thread = self._thread
            self._charge()
            thread.within.append(stage)
            try:
                return method(*args, **kwargs)
            finally:
                self._charge()
                thread.within.pop()

        return timed

    def _charge(self) -> None:
        """What has passed since the last change is of the stage that this thread is in."""
        thread, now = self._thread, time.thread_time()
        if thread.within:
            with self._adding:
                self._seconds[thread.within[-1]] += now - thread.since
        thread.since = now

    def seconds(self) -> dict[str, float]:
        """Processor seconds of this process so far, by stage."""
        with self._adding:
            found = dict.fromkeys(STAGES, 0.0) | self._seconds
        found[KAFKA] = kafka_seconds()
        found[REST] = max(0.0, time.process_time() - sum(found.values()))
        return found


def kafka_seconds() -> float:
    """Processor seconds of the threads in which kafka-python talks to the broker; 0 where the system does not tell."""
    ticks = 0
    for thread in threading.enumerate():
        if thread.name.startswith("kafka-io"):
            try:
                said = Path(f"/proc/self/task/{thread.native_id}/stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            ticks += int(said[11]) + int(said[12])
    return ticks / 100
