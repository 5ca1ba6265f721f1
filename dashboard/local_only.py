"""Without keys only this machine is answered, and no page from elsewhere that has its name point here."""

from typing import Final
from urllib.parse import urlsplit

LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1"})


def is_from_here(host: str, origin: str | None) -> bool:
    """Whether the Host that was asked for is this machine's own, and the Origin, if there is one, the same.

    >>> is_from_here("localhost:8080", None), is_from_here("shop.example", None), is_from_here("[", None)
    (True, False, False)
    >>> is_from_here("localhost:8080", "http://shop.example")
    False
    """
    try:
        name = urlsplit(f"//{host}").hostname
    except ValueError:
        return False
    return name in LOOPBACK and (origin is None or origin.partition("://")[2] == host)
