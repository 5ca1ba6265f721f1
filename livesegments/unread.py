"""How much of a log lies behind positions, without touching anybody's group."""

import time
import uuid
from collections.abc import Mapping
from contextlib import closing
from typing import Final

from logs.base import Logs, LogUnavailableError

_POLL: Final = 0.2


def unread(logs: Logs, name: str, positions: Mapping[int, int | None], timeout: float = 30.0) -> dict[int, int]:
    """Records from these positions on, by partition; None is the log's beginning.

    Raises PositionGoneError where the log no longer holds a position, LogUnavailableError where it does not answer.
    """
    deadline = time.monotonic() + timeout
    delivered = dict.fromkeys(positions, 0)
    with closing(logs.reader(name, f"look-{uuid.uuid4().hex}")) as reader:
        while time.monotonic() < deadline:
            polled = reader.poll(_POLL)
            for partition in polled.assigned:
                reader.seek(partition, positions.get(partition))
            for batch in polled.batches:
                if batch.partition in delivered:
                    delivered[batch.partition] += len(batch)
            lag = reader.lag()
            if lag is not None and positions.keys() <= lag.keys():
                return {partition: delivered[partition] + lag[partition] for partition in positions}
    raise LogUnavailableError(f"the log {name!r} did not say within {timeout:.0f} s how far it goes: try again")
