"""Events sorted on disk: runs, each sorted, that are merged as they are read."""

import heapq
from collections.abc import Iterable, Iterator
from operator import itemgetter
from pathlib import Path
from typing import Final

import msgspec

from producer.message import Message

_Entry = tuple[int, int, str, bytes, bytes]
"""Time, place of the first line, event id, key, value."""
_LENGTH: Final = 4
_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(_Entry).decode


class Runs:
    """Sorted runs in files of a folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._paths: list[Path] = []

    def add(self, messages: Iterable[tuple[int, Message]]) -> int:
        """Write a run: places of first lines with their events, by time and then place. How many there were."""
        path = self._folder / f"run-{len(self._paths):03d}"
        self._paths.append(path)
        count = 0
        with path.open("wb") as file:
            for place, message in messages:
                data = _encode((message.occurred_at, place, message.event_id, message.key, message.value))
                file.write(len(data).to_bytes(_LENGTH, "big") + data)
                count += 1
        return count

    def merged(self) -> Iterator[Message]:
        """All events by time; of one moment, as their first lines stand in the files."""
        for at, _, event_id, key, value in heapq.merge(*map(_read, self._paths), key=itemgetter(0, 1)):
            yield Message(at, event_id, key, value)


def _read(path: Path) -> Iterator[_Entry]:
    with path.open("rb") as file:
        while length := file.read(_LENGTH):
            yield _decode(file.read(int.from_bytes(length, "big")))
