"""Just enough of Kafka's protocol, over one socket, to see how far a connection gets.

Source: https://kafka.apache.org/protocol.
"""

import socket
import struct
from dataclasses import dataclass
from typing import Final

MAX_RESPONSE: Final = 16 * 1024 * 1024
TLS_ALERT: Final = 0x15

_API_VERSIONS: Final = (18, 0)
_METADATA: Final = (3, 1)
_SASL_HANDSHAKE: Final = (17, 1)
_SASL_AUTHENTICATE: Final = (36, 0)


class SpeaksTlsError(Exception):
    """The server answered a plaintext request with a TLS alert."""


class ClosedError(Exception):
    """The server closed the connection instead of answering."""


@dataclass
class KafkaWire:
    """Requests and responses on a connected socket. Raises ClosedError, SpeaksTlsError, OSError."""

    socket: socket.socket
    _requests: int = 0

    def _ask(self, api: tuple[int, int], body: bytes = b"") -> "_Fields":
        key, version = api
        self._requests += 1
        request = struct.pack(">hhih", key, version, self._requests, -1) + body
        self.socket.sendall(struct.pack(">i", len(request)) + request)
        head = self._read(4)
        if head[0] == TLS_ALERT:
            raise SpeaksTlsError
        (size,) = struct.unpack(">i", head)
        if not 4 <= size <= MAX_RESPONSE:
            raise ClosedError(f"it does not speak Kafka's protocol: it answered {head!r}")
        return _Fields(self._read(size)[4:])

    def _read(self, size: int) -> bytes:
        received = b""
        while len(received) < size:
            part = self.socket.recv(size - len(received))
            if not part:
                if received[:1] == bytes([TLS_ALERT]):
                    raise SpeaksTlsError
                raise ClosedError("it closed the connection")
            received += part
        return received

    def api_versions(self) -> int:
        """Kafka's error code; any answer at all says that this is a Kafka broker."""
        return self._ask(_API_VERSIONS).int16()

    def sasl_handshake(self, mechanism: str) -> tuple[int, list[str]]:
        """Kafka's error code, and the mechanisms that the broker has."""
        fields = self._ask(_SASL_HANDSHAKE, _string(mechanism))
        return fields.int16(), [fields.string() for _ in range(fields.int32())]

    def sasl_authenticate(self, message: bytes) -> tuple[int, str, bytes]:
        """Kafka's error code, the broker's words, and its answer to our message."""
        fields = self._ask(_SASL_AUTHENTICATE, struct.pack(">i", len(message)) + message)
        return fields.int16(), fields.string(), fields.bytes()

    def brokers(self) -> list[tuple[str, int]]:
        """Host and port under which each broker of the cluster says that it is reached."""
        fields = self._ask(_METADATA, struct.pack(">i", 0))
        found: list[tuple[str, int]] = []
        for _ in range(fields.int32()):
            fields.int32()  # node id
            found.append((fields.string(), fields.int32()))
            fields.string()  # rack
        return found


def _string(text: str) -> bytes:
    return struct.pack(">h", len(text.encode())) + text.encode()


@dataclass
class _Fields:
    """Reads the fields of a response, one after the other."""

    data: bytes
    at: int = 0

    def _take(self, size: int) -> bytes:
        self.at += size
        return self.data[self.at - size : self.at]

    def int16(self) -> int:
        return int(struct.unpack(">h", self._take(2))[0])

    def int32(self) -> int:
        return int(struct.unpack(">i", self._take(4))[0])

    def string(self) -> str:
        """Nullable; null is empty here."""
        return self._take(max(0, self.int16())).decode()

    def bytes(self) -> bytes:
        """Nullable; null is empty here."""
        return self._take(max(0, self.int32()))
