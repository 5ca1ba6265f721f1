"""How a log lies in Redis: its keys, its entries, and what redis-py's errors mean to us."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import msgspec
from redis import Redis
from redis.backoff import ConstantBackoff
from redis.exceptions import RedisError, ResponseError
from redis.retry import Retry

from contracts.redaction import without_password
from logs.base import Batch, Headers, LogError, LogInfo, LogUnavailableError
from logs.redis_errors import may_pass

SEQUENCE_BITS: Final = 64

Entry = tuple[bytes, dict[bytes, bytes]]

_encode_headers = msgspec.msgpack.Encoder().encode
_decode_headers = msgspec.msgpack.Decoder(list[tuple[str, bytes]]).decode


@dataclass(frozen=True, slots=True)
class StreamKeys:
    """The keys of one log, all in one slot of a Redis Cluster."""

    name: str

    @property
    def stream(self) -> str:
        """Stream: the records."""
        return f"livesegments-log:{{{self.name}}}"

    @property
    def meta(self) -> str:
        """Hash: identity, max_message_bytes, retention_ms."""
        return f"{self.stream}:meta"

    def producer(self, producer: str) -> str:
        """Hash: number and place of a producer's last write."""
        return f"{self.stream}:producer:{producer}"

    def lease(self, group: str) -> str:
        """String: token of the group's only reader."""
        return f"{self.stream}:lease:{group}"


def script(name: str) -> str:
    """The text of one of our Lua scripts."""
    return Path(__file__).with_name(name).read_text()


def connect(url: str) -> "Redis":
    """A client that gives up soon: its users retry themselves, and say so. Connects when it is used."""
    # health checks: a connection that a firewall dropped silently costs a timeout otherwise.
    return Redis.from_url(url, socket_timeout=5, health_check_interval=30, retry=Retry(ConstantBackoff(0.05), 1))


def meaning(error: RedisError, url: str) -> LogError:
    """Our error for one of redis-py's."""
    if may_pass(error):
        fails = "refuses for now" if isinstance(error, ResponseError) else "does not answer"
        return LogUnavailableError(f"Redis at {shown(url)} {fails}: {error}")
    return LogError(f"Redis at {shown(url)} refused: {error}")


def shown(url: str) -> str:
    """The URL without its log-in."""
    scheme, _, rest = url.partition("://")
    return without_password(f"{scheme}://{rest.rpartition('@')[2]}")


def info_of(name: str, meta: dict[bytes, bytes]) -> LogInfo:
    """A log from its meta hash."""
    return LogInfo(name, meta[b"identity"].decode(), 1)


def position_of(entry_id: bytes) -> int:
    """An entry id, ms-n, as one integer.

    >>> position_of(b"1-2") == (1 << 64) + 2
    True
    """
    ms, _, n = entry_id.partition(b"-")
    return int(ms) << SEQUENCE_BITS | int(n)


def entry_id_of(position: int) -> str:
    """The entry id that a position stands for.

    >>> entry_id_of((1 << 64) + 2)
    '1-2'
    """
    return f"{position >> SEQUENCE_BITS}-{count_of(position)}"


def count_of(position: int) -> int:
    """How many records the log took in before the one at this position."""
    return position & ((1 << SEQUENCE_BITS) - 1)


def pack_headers(headers: Headers) -> bytes:
    """Headers as bytes; none as no bytes."""
    return _encode_headers([(name, value) for name, value in headers]) if headers else b""


def batch_of(entries: list[Entry]) -> Batch:
    """Entries of a stream as columns. An entry that is not ours has None for a value."""
    positions = [position_of(entry_id) for entry_id, _ in entries]
    fields: list[dict[bytes, bytes]] = [fields for _, fields in entries]
    headers: dict[int, Any] = {
        place: tuple(_decode_headers(entry[b"h"])) for place, entry in enumerate(fields) if b"h" in entry
    }
    return Batch(
        0,
        positions,
        [entry.get(b"v") for entry in fields],
        [entry.get(b"k") for entry in fields],
        [(position >> SEQUENCE_BITS) * 1000 for position in positions],
        headers,
    )
