"""Which changes an endpoint is told of."""

import time
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Final

from livesegments.webhooks.endpoints import Endpoint
from livesegments.webhooks.messages import TYPES, Message

REFRESH_SECONDS: Final = 10.0
ANEW_SECONDS: Final = 1.0
"""After so long a segment whose name is not known is looked for again."""


class SegmentNames:
    """What segments are called, as of a few seconds ago.

    Parameters:
        read: what they are called now, by id; blocks.
    """

    def __init__(self, read: Callable[[], Mapping[int, str]], monotonic: Callable[[], float] = time.monotonic) -> None:
        self._read = read
        self._monotonic = monotonic
        self._read_at = float("-inf")
        self._names: Mapping[int, str] = {}

    def is_old(self, segments: Iterable[int]) -> bool:
        """Whether to `refresh` before these are asked about."""
        age = self._monotonic() - self._read_at
        return age >= REFRESH_SECONDS or (age >= ANEW_SECONDS and any(one not in self._names for one in segments))

    def refresh(self) -> None:
        """Read anew; blocks."""
        self._names, self._read_at = self._read(), self._monotonic()

    def of(self, segments: Iterable[int]) -> set[str]:
        """What those of them are called that have a name."""
        return {self._names[one] for one in segments if one in self._names}


class Filter:
    """What one endpoint wants."""

    def __init__(self, endpoint: Endpoint, names: SegmentNames) -> None:
        self._types = frozenset(TYPES[kind] for kind in endpoint.kinds)
        self._ids = frozenset(one for one in endpoint.segments if isinstance(one, int))
        self._wanted_names = frozenset(one for one in endpoint.segments if isinstance(one, str))
        self._audiences = endpoint.audiences
        self._any = not (endpoint.segments or endpoint.audiences)
        self._names = names

    def is_old(self, messages: Collection[Message]) -> bool:
        """Whether to `refresh` before these are judged."""
        return bool(self._wanted_names) and self._names.is_old({one for told in messages for one in told.segments})

    def refresh(self) -> None:
        """Read anew what segments are called; blocks."""
        self._names.refresh()

    def wants(self, message: Message) -> bool:
        """Whether the endpoint is told. Where it names segments or audiences, only what is about one of these."""
        if message.type not in self._types:
            return False
        if self._any or message.audience in self._audiences or message.segments & self._ids:
            return True
        return bool(self._wanted_names) and not self._wanted_names.isdisjoint(self._names.of(message.segments))
