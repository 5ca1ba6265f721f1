"""Why a Redis can not be used: stage by stage, with what to do about it."""

import socket
import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

from redis import Redis
from redis import exceptions as failures
from redis.backoff import NoBackoff
from redis.retry import Retry

from contracts.redaction import without_password

TIMEOUT_SECONDS: Final = 5.0
OLDEST: Final = (6, 2)


@dataclass(frozen=True, slots=True)
class RedisVerdict:
    """How far a connection got; `remarks` are what an operator should know of a server that works."""

    ok: bool
    text: str
    remarks: tuple[str, ...] = ()


class _UnusableError(Exception):
    """Where it ended, in words."""


def probe(url: str, scratch_key: str, timeout: float = TIMEOUT_SECONDS) -> RedisVerdict:
    """Resolve, connect, log in, ask, write; each for at most so many seconds. `scratch_key` expires in a second."""
    server = without_password(url)
    try:
        _reach(url, timeout)
        # One try, and no health check of its own: every failure is to be seen as it is.
        with Redis.from_url(
            url, socket_timeout=timeout, socket_connect_timeout=timeout, retry=Retry(NoBackoff(), 0)
        ) as client:
            about: Any = _ask(client, url)
            _write(client, scratch_key)
    except _UnusableError as error:
        return RedisVerdict(ok=False, text=f"{server}: {error}")
    version = str(about.get("redis_version", "0"))
    if tuple(int(part) for part in version.split(".")[:2]) < OLDEST:
        return RedisVerdict(ok=False, text=f"{server}: Redis {version} is too old; 6.2 or newer is needed")
    return RedisVerdict(ok=True, text=f"{server}: Redis {version}, writable", remarks=tuple(_remarks(about)))


def _reach(url: str, timeout: float) -> None:
    parts = urlsplit(url)
    if parts.scheme == "unix":
        return
    host, port = parts.hostname or "localhost", parts.port or 6379
    try:
        socket.create_connection((host, port), timeout).close()
    except socket.gaierror:
        raise _UnusableError(f"the name {host!r} does not resolve: check its spelling and your DNS") from None
    except ConnectionRefusedError:
        raise _UnusableError("connection refused: nothing listens there; is Redis up?") from None
    except TimeoutError:
        raise _UnusableError(f"no answer within {timeout:.0f} s: a firewall, or a wrong address") from None
    except OSError as error:
        raise _UnusableError(f"no connection: {error.strerror or error}") from None


def _tls_fault(error: BaseException) -> str | None:
    """What is wrong with TLS, if that is what redis-py's error came from."""
    cause = error.__context__
    if isinstance(cause, ssl.SSLCertVerificationError):
        return f"the certificate is not trusted ({cause.verify_message}): name its authority by redis_ca_file"
    if isinstance(cause, ssl.SSLError):
        return f"no TLS there ({cause.reason}): the port is probably a plaintext one; use redis://"
    return None


def _ask(client: Redis, url: str) -> Any:
    try:
        client.ping()
        return client.info()
    except failures.AuthenticationError as error:
        raise _UnusableError(
            f"log-in failed ({error}): set redis_username and redis_password, or put them into the URL"
        ) from None
    except failures.NoPermissionError as error:
        raise _UnusableError(f"this user may not do that ({error}): extend its ACL") from None
    except failures.BusyLoadingError:
        raise _UnusableError("it is still loading its data: wait a little") from None
    except (failures.ConnectionError, failures.TimeoutError) as error:
        hint = (
            "is it a plaintext port? Use redis://" if url.startswith("rediss:") else "does it expect TLS? Use rediss://"
        )
        raise _UnusableError(_tls_fault(error) or f"it does not answer like Redis ({error}): {hint}") from None
    except failures.RedisError as error:
        raise _UnusableError(f"it refuses ({error})") from None


def _write(client: Redis, key: str) -> None:
    try:
        client.set(key, b"1", px=1000)
    except failures.ReadOnlyError:
        raise _UnusableError("it is a read-only replica: name the primary") from None
    except failures.NoPermissionError as error:
        raise _UnusableError(f"this user may not write ({error}): extend its ACL") from None
    except failures.OutOfMemoryError:
        raise _UnusableError("its memory is full: raise maxmemory") from None
    except failures.RedisError as error:
        raise _UnusableError(f"it takes no writes ({error})") from None


def _remarks(about: dict[str, Any]) -> Iterator[str]:
    if not about.get("aof_enabled"):
        yield "no append-only file: a restart loses rows; set `appendonly yes`"
    policy = about.get("maxmemory_policy", "noeviction")
    if policy != "noeviction":
        yield f"it evicts keys ({policy}) and may drop rows; set `maxmemory-policy noeviction`"
