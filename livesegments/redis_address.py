"""The URL that Redis clients are given: with the log-in and the certificates that stand in settings of their own."""

from pathlib import Path
from typing import Final
from urllib.parse import quote, urlencode

from livesegments.settings import Settings

_TLS: Final = {
    "ssl_ca_certs": "redis_ca_file",
    "ssl_certfile": "redis_certificate_file",
    "ssl_keyfile": "redis_key_file",
}
"""redis-py's names, and ours."""


def redis_address(url: str, settings: Settings) -> str:
    """A URL of Redis, completed. What the URL says itself wins; others are left as they are."""
    scheme, _, rest = url.partition("://")
    base, _, kind = scheme.partition("+")
    if base not in {"redis", "rediss", "unix"}:
        return url
    server, mark, query = rest.partition("?")
    if "@" not in server and settings.redis_password is not None:
        password = quote(settings.redis_password.get_secret_value(), safe="")
        server = f"{quote(settings.redis_username or '', safe='')}:{password}@{server}"
    files = {theirs: getattr(settings, ours) for theirs, ours in _TLS.items()} if base == "rediss" else {}
    more = {name: str(path) for name, path in files.items() if isinstance(path, Path) and name not in query}
    if kind == "sentinel" and settings.redis_sentinel_password is not None and "sentinel_password" not in query:
        more["sentinel_password"] = settings.redis_sentinel_password.get_secret_value()
        if settings.redis_sentinel_username is not None:
            more["sentinel_username"] = settings.redis_sentinel_username
    added = urlencode(more)
    joined = "&".join(part for part in (query, added) if part)
    return f"{scheme}://{server}{'?' if mark or added else ''}{joined}"
