"""A group's answer to our joining is kept for the next poll.

kafka-python 3.0.12 joins in the background, but throws an answer away that came between two polls, and asks anew. Short
polls with work in between would ask for ever: the reader gets no partition, and when it leads the group, each time it
asks sends all others round again.
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
    if asked is not None and not isinstance(asked, _UnreadAnswer):
        coordinator._join_task = _UnreadAnswer(asked)  # noqa: SLF001
