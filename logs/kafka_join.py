"""A group's answer to our joining is kept, and read by the next poll.

kafka-python 3.0.12 joins in the background. An answer that comes between two polls is lost, in one of two ways:
- It is thrown away, and the next poll asks anew. Short polls with work in between would ask for ever, get no partition,
  and as the group's leader send all others round again each time.
- Where a leader joined anew because of changed metadata, the reason is gone with the assignment that it made, and no
  poll looks for the answer: heartbeats stay off until the group drops the member.
"""

from typing import Any

from kafka import KafkaConsumer


class _UnreadAnswer:
    """A future that is never found done, so that the coordinator awaits it instead of asking again."""

    is_done = False

    def __init__(self, future: Any) -> None:
        self._future = future

    def __await__(self) -> Any:
        return self._future.__await__()

    def add_callback(self, *arguments: Any) -> Any:
        return self._future.add_callback(*arguments)

    def add_errback(self, *arguments: Any) -> Any:
        return self._future.add_errback(*arguments)


def keep_answer(consumer: KafkaConsumer) -> None:
    """To be called before each poll, from the thread that polls."""
    coordinator = consumer._coordinator  # noqa: SLF001
    asked = coordinator._join_task  # noqa: SLF001
    if asked is None:
        return
    coordinator.request_rejoin()  # else the poll may not look; reading the answer takes it back
    if not isinstance(asked, _UnreadAnswer):
        coordinator._join_task = _UnreadAnswer(asked)  # noqa: SLF001
