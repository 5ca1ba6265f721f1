"""Why a Redis can not be used: stage by stage, with what to do about it."""

import socket
import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from redis import Redis
from redis import exceptions as failures
from redis.backoff import NoBackoff
from redis.retry import Retry
from redis.sentinel import MasterNotFoundError

from contracts.redaction import without_password
from recommender.redis_cluster import ClusterClient, as_redis_error
from recommender.redis_open import open_redis
from recommender.redis_url import RedisUrl

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
        said = RedisUrl.read(url)
        _reach_any(said, timeout)
        # One try, and no health check of its own: every failure is to be seen as it is.
        with open_redis(
            url, attempts=1, socket_timeout=timeout, socket_connect_timeout=timeout, retry=Retry(NoBackoff(), 0)
        ) as client:
            abouts = _ask(client, said)
            _write(client, scratch_key)
    except _UnusableError as error:
        return RedisVerdict(ok=False, text=f"{server}: {error}")
    version = str(abouts[0].get("redis_version", "0"))
    if any(_version(about) < OLDEST for about in abouts):
        return RedisVerdict(ok=False, text=f"{server}: Redis {version} is too old; 6.2 or newer is needed")
    how = f" Cluster of {len(abouts)} masters" if said.kind == "cluster" else ""
    remarks = dict.fromkeys(remark for about in abouts for remark in _remarks(about, said))
    return RedisVerdict(ok=True, text=f"{server}: Redis {version}{how}, writable", remarks=tuple(remarks))


def _version(about: dict[str, Any]) -> tuple[int, ...]:
    return tuple(int(part) for part in str(about.get("redis_version", "0")).split(".")[:2])


def _reach_any(said: RedisUrl, timeout: float) -> None:
    """Of a cluster's nodes, or of Sentinels, one is enough."""
    for last, (host, port) in enumerate(said.servers, 1):
        try:
            _reach(host, port, timeout)
        except _UnusableError:
            if last == len(said.servers):
                raise
        else:
            return


def _reach(host: str, port: int, timeout: float) -> None:
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


def _ask(client: "Redis | ClusterClient", said: RedisUrl) -> list[dict[str, Any]]:
    """What the server says of itself, or every master of a cluster."""
    try:
        return _told(client, said)
    except failures.RedisClusterException as error:
        raise _UnusableError(str(as_redis_error(error))) from None
    except MasterNotFoundError as error:
        raise _UnusableError(f"{error}: are the service's name and the Sentinels' log-in right?") from None
    except failures.AuthenticationError as error:
        raise _UnusableError(
            f"log-in failed ({error}): set redis_username and redis_password, or put them into the URL"
        ) from None
    except failures.NoPermissionError as error:
        raise _UnusableError(f"this user may not do that ({error}): extend its ACL") from None
    except failures.BusyLoadingError:
        raise _UnusableError("it is still loading its data: wait a little") from None
    except (failures.ConnectionError, failures.TimeoutError) as error:
        encrypted = said.first.startswith("rediss:")
        hint = "is it a plaintext port? Use redis://" if encrypted else "does it expect TLS? Use rediss://"
        raise _UnusableError(_tls_fault(error) or f"it does not answer like Redis ({error}): {hint}") from None
    except failures.RedisError as error:
        raise _UnusableError(f"it refuses ({error})") from None


def _write(client: "Redis | ClusterClient", key: str) -> None:
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


def _told(client: "Redis | ClusterClient", said: RedisUrl) -> list[dict[str, Any]]:
    untyped: Any = client
    if said.kind == "cluster":
        return list(untyped.info(target_nodes="primaries").values())
    client.ping()
    about: dict[str, Any] = untyped.info()
    if about.get("redis_mode") == "cluster":
        raise _UnusableError("a node of a Redis Cluster: write redis+cluster://host:port,host:port")
    if about.get("redis_mode") == "sentinel":
        raise _UnusableError("a Sentinel: write redis+sentinel://host:port,host:port/service")
    return [about]


def _remarks(about: dict[str, Any], said: RedisUrl) -> Iterator[str]:
    if said.kind != "server" and not about.get("connected_slaves"):
        yield "a master without a replica: when it fails, customers whose rows or views it has must wait for it"
    if not about.get("aof_enabled"):
        yield "no append-only file: a restart loses rows; set `appendonly yes`"
    policy = about.get("maxmemory_policy", "noeviction")
    if policy != "noeviction":
        yield f"it evicts keys ({policy}) and may drop rows; set `maxmemory-policy noeviction`"
