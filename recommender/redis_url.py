"""What a URL of Redis names: one server, a Redis Cluster, or a server that Sentinels watch over."""

from dataclasses import dataclass
from typing import Any, Final, Literal
from urllib.parse import parse_qsl, unquote, urlencode, urlsplit

EXPECTED: Final = (
    "expected redis://host:port/db, unix:///path, redis+cluster://host:port,host:port"
    " or redis+sentinel://host:port,host:port/service/db; rediss for TLS"
)
_PORT: Final = 6379
_SENTINEL_PORT: Final = 26379
_SENTINEL_LOGIN: Final = {"sentinel_username": "username", "sentinel_password": "password"}


@dataclass(frozen=True, slots=True)
class RedisUrl:
    """A URL, taken apart."""

    kind: Literal["server", "cluster", "sentinel"]
    servers: tuple[tuple[str, int], ...]
    """Host and port: of nodes of the cluster, or of Sentinels; empty for a socket."""
    first: str
    """The URL of the first server as redis-py understands it. Its log-in is that of the server that Sentinels name."""
    service: str = ""
    """The name under which Sentinels know the server."""
    sentinel_login: tuple[tuple[str, str], ...] = ()

    @classmethod
    def read(cls, url: str) -> "RedisUrl":
        """Take a URL apart. Raises ValueError, with a text that quotes nothing of it."""
        scheme, mark, rest = url.partition("://")
        base, plus, kind = scheme.partition("+")
        if not mark or base not in {"redis", "rediss", "unix"}:
            raise ValueError(EXPECTED)
        if not plus:
            return cls("server", _servers(rest, _PORT)[:1] if base != "unix" else (), url)
        if base == "unix" or kind not in {"cluster", "sentinel"}:
            raise ValueError(EXPECTED)
        place, _, query = rest.partition("?")
        login, at, place = place.rpartition("@")
        hosts, _, path = place.partition("/")
        servers = _servers(hosts, _PORT if kind == "cluster" else _SENTINEL_PORT)
        said = dict(parse_qsl(query))
        of_sentinels = tuple((ours, said.pop(name)) for name, ours in _SENTINEL_LOGIN.items() if name in said)
        service = ""
        if kind == "sentinel":
            service, _, path = path.partition("/")
            if not service:
                raise ValueError(
                    "expected the name of a service after the Sentinels: redis+sentinel://host:port/service"
                )
        elif path not in {"", "0"}:
            raise ValueError("a Redis Cluster has no databases but 0: leave the number out")
        if path and not path.isdecimal():
            raise ValueError(EXPECTED)
        host, port = servers[0]
        server = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        first = f"{base}://{login}{at}{server}/{path or 0}" + (f"?{urlencode(said)}" if said else "")
        return cls("cluster" if kind == "cluster" else "sentinel", servers, first, unquote(service), of_sentinels)

    def options(self) -> dict[str, Any]:
        """What the URL says of connections, host and port apart: redis-py's arguments. Raises ValueError."""
        from redis.connection import SSLConnection, parse_url  # noqa: PLC0415 - settings are read without redis-py

        untyped: Any = parse_url
        said: dict[str, Any] = dict(untyped(self.first))
        for name in ("host", "port", "path"):
            said.pop(name, None)
        if said.pop("connection_class", None) is SSLConnection:
            said["ssl"] = True
        return said


def _servers(hosts: str, port: int) -> tuple[tuple[str, int], ...]:
    """Hosts and ports; what may stand before and after them is left out."""
    hosts = hosts.rpartition("@")[2].partition("?")[0].partition("/")[0]
    found = []
    for one in hosts.split(","):
        try:
            parts = urlsplit(f"//{one}")
            host, number = parts.hostname, parts.port
        except ValueError:
            raise ValueError(EXPECTED) from None
        found.append((host or "localhost", number or port))
    if not hosts and len(found) == 1:
        return tuple(found)
    if not all(one.strip() for one in hosts.split(",")):
        raise ValueError(EXPECTED)
    return tuple(found)
