"""The eye on a topic is read from one thread while another one asks."""

import itertools

from logs.kafka_watch import PATIENCE_SECONDS, KafkaWatch


class Answered(KafkaWatch):
    """The answer comes right after anybody has seen that there was none."""

    def __init__(self, asked: float) -> None:
        self._failing_since = None
        self._values = itertools.chain([asked], itertools.repeat(None))

    @property
    def _asked(self) -> float | None:
        return next(self._values)


def test_an_answer_that_comes_while_somebody_looks_is_no_error(monkeypatch):
    monkeypatch.setattr("logs.kafka_watch.time.monotonic", lambda: 100.0)
    assert Answered(99.9).failing_since is None
    assert Answered(100.0 - 2 * PATIENCE_SECONDS).failing_since == 100.0 - 2 * PATIENCE_SECONDS
