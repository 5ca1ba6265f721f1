"""What stands at certain positions of a log: read again for a dead letter, of which no content is kept."""

import time
import uuid
from collections.abc import Iterable, Sequence
from typing import Final

from livesegments.webhooks.ledger import Letter
from logs.base import Batch, Logs, LogUnavailableError

PATIENCE_SECONDS: Final = 30.0
_POLL_SECONDS: Final = 0.5


def contents(logs: Logs, name: str, group: str, letters: Iterable[Letter]) -> dict[str, bytes]:
    """By id of the letter the record it refers to; without those that the log no longer holds.

    `group` begins the name of the reading group, which is another one each time. Raises LogError.
    """
    starts, ends = logs.starts(name), logs.ends(name)
    wanted: dict[int, list[int]] = {}
    for one in letters:
        if one.partition < len(starts) and starts[one.partition] <= one.position < ends[one.partition]:
            wanted.setdefault(one.partition, []).append(one.position)
    if not wanted:
        return {}
    reader = logs.reader(name, f"{group}-{uuid.uuid4().hex}")
    found: dict[str, bytes] = {}
    left = {partition: sorted(positions) for partition, positions in wanted.items()}
    deadline = time.monotonic() + PATIENCE_SECONDS
    try:
        while left:
            if time.monotonic() > deadline:
                raise LogUnavailableError(
                    f"the log {name!r} has brought nothing for {PATIENCE_SECONDS:.0f} s: try again"
                )
            polled = reader.poll(_POLL_SECONDS)
            for partition in polled.assigned:
                if partition in left:
                    reader.seek(partition, left[partition][0])
            for batch in polled.batches:
                rest = _picked(batch, left.get(batch.partition, []), found)
                deadline = time.monotonic() + PATIENCE_SECONDS
                reader.pause(batch.partition)
                if rest:
                    left[batch.partition] = rest
                    reader.seek(batch.partition, rest[0])
                else:
                    left.pop(batch.partition, None)
    finally:
        reader.close()
    return found


def _picked(batch: Batch, wanted: Sequence[int], found: dict[str, bytes]) -> list[int]:
    """Note what the batch has of these positions; those that lie behind it."""
    values = dict(zip(batch.positions, batch.values, strict=True))
    for position in wanted:
        if (value := values.get(position)) is not None:
            found[f"{batch.partition}:{position}"] = value
    return [position for position in wanted if position > batch.positions[-1]]
