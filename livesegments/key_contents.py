"""Everything that stands under a deployment's key prefix, piece by piece: what a proof of erasure reads through."""

from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from typing import Any, Final

from redis import Redis
from redis.exceptions import RedisClusterException, RedisError

from contracts.errors import LivesegmentsError
from contracts.keys import Keys

CUSTOMER_KEY: Final = "the name of a customer's key"
_AT_ONCE: Final = 1_000
_SPECIAL: Final = frozenset("*?[]^-\\")


class KeysUnreadableError(LivesegmentsError):
    """Redis did not let us read all keys."""


def contents(client: Redis, keys: Keys) -> Iterator[tuple[str, bytes]]:
    """Name of a key, and something that it holds: its value, a field, a field's value, a member.

    Customers' own keys give what stands behind their prefix, so that a key of the customer in question is seen by name.
    Keys that come and go meanwhile may be missing, as may be fields. Raises KeysUnreadableError.
    """
    server: Any = client
    pattern = "".join(f"\\{one}" if one in _SPECIAL else one for one in keys.prefix) + ":*"
    own = keys.customer("").encode()
    try:
        found = server.scan_iter(match=pattern, count=_AT_ONCE)
        while some := list(islice(found, _AT_ONCE)):
            for key in some:
                if key.startswith(own):
                    yield CUSTOMER_KEY, key[len(own) :]
            yield from _of(server, some)
    except (RedisError, RedisClusterException) as error:
        raise KeysUnreadableError(
            f"Redis did not let us read every key under {keys.prefix!r} ({error}): this takes a user who may SCAN,"
            " TYPE, GET, HSCAN, SSCAN and ZSCAN, which a worker's may not; set redis_username or redis_url for this"
            " command"
        ) from error


def _of(server: Any, names: Sequence[bytes]) -> Iterator[tuple[str, bytes]]:
    """What these keys hold; plain values, of which there are most, in one round trip."""
    kinds = _together(server, "type", names)
    plain = [key for key, kind in zip(names, kinds, strict=True) if kind == b"string"]
    for key, value in zip(plain, _together(server, "get", plain), strict=True):
        if value is not None:
            yield _shown(key), value
    for key, kind in zip(names, kinds, strict=True):
        if kind is not None and kind not in {b"string", b"none"}:
            for value in _READERS.get(kind, _unknown)(server, key):
                yield _shown(key), value


def _together(server: Any, command: str, names: Sequence[bytes]) -> list[bytes | None]:
    with server.pipeline(transaction=False) as pipe:
        for key in names:
            getattr(pipe, command)(key)
        answers: list[bytes | None] = pipe.execute()
    return answers


def _shown(key: bytes) -> str:
    return key.decode(errors="backslashreplace")


def _hash(server: Any, key: bytes) -> Iterator[bytes]:
    for field, value in server.hscan_iter(key, count=_AT_ONCE):
        yield field
        yield value


def _set(server: Any, key: bytes) -> Iterator[bytes]:
    yield from server.sscan_iter(key, count=_AT_ONCE)


def _sorted_set(server: Any, key: bytes) -> Iterator[bytes]:
    for member, _ in server.zscan_iter(key, count=_AT_ONCE):
        yield member


def _unknown(_server: Any, key: bytes) -> Iterator[bytes]:
    raise KeysUnreadableError(f"the key {key!r} is of a kind that no version of livesegments writes")


_READERS: Final[dict[bytes, Callable[[Any, bytes], Iterator[bytes]]]] = {
    b"hash": _hash,
    b"set": _set,
    b"zset": _sorted_set,
}
