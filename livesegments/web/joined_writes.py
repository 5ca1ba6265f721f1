"""What is written to a client within one turn of the event loop goes out together.

uvicorn writes the head of an answer, then its body: two system calls, and to whoever waits two packets.
"""

import asyncio
from typing import Any, Final

MOST_HELD: Final = 65_536
"""Bytes; more go out at once, so that whoever writes without end is told to wait."""


class JoinedWrites:
    """A transport in whose place it stands; all but writing and closing is the transport's."""

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self._loop = asyncio.get_running_loop()
        self._held: list[bytes] = []
        self._size = 0

    def write(self, data: bytes) -> None:
        """Write by the end of this turn of the loop."""
        if not self._held:
            self._loop.call_soon(self._flush)
        self._held.append(data)
        self._size += len(data)
        if self._size > MOST_HELD:
            self._flush()

    def close(self) -> None:
        """Write what is held, and close."""
        self._flush()
        self._transport.close()

    def bare(self) -> asyncio.Transport:
        """The transport itself, which nothing is held back from any more."""
        self._flush()
        return self._transport

    def _flush(self) -> None:
        held, self._held, self._size = self._held, [], 0
        if held and not self._transport.is_closing():
            self._transport.write(b"".join(held) if len(held) > 1 else held[0])

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)
