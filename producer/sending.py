"""Messages on their way to the log."""

import time
from collections.abc import Callable, Iterable
from typing import Final

from contracts.keys import LogNames
from logs.base import LogWriter
from producer.deliveries import Deliveries
from producer.message import Message

TELL_EVERY: Final = 0.1
"""Seconds between two calls of `on_progress`, at least."""


def send(
    messages: Iterable[Message],
    writer: LogWriter,
    *,
    log: str = LogNames().events,
    on_progress: Callable[[int, int], None] | None = None,
    monotonic: Callable[[], float] = time.monotonic,
) -> int:
    """Append messages in the order given, and wait until the log has them; how many there were.

    Args:
        messages: A customer's keep their order.
        writer: Stays open.
        log: The log's name.
        on_progress: Called now and then, and at the end, with the events sent and the time of the last, in µs.
        monotonic: Seconds; says when to call on_progress.

    Raises PublishError with every event that failed; it stops at the first that it hears of.
    """
    deliveries = Deliveries()
    sent = 0
    occurred_at = 0
    told = monotonic()
    try:
        for occurred_at, event_id, key, value in messages:
            deliveries.track(event_id, key.decode(), writer.append(log, key, value))
            sent += 1
            if deliveries.failed:
                break
            if on_progress is not None and monotonic() - told >= TELL_EVERY:
                told = monotonic()
                on_progress(sent, occurred_at)
    finally:
        # Also after an interrupt: what was appended is on its way, and may still fail.
        writer.flush()
        deliveries.settle()
        if on_progress is not None and sent:
            on_progress(sent, occurred_at)
    return sent
