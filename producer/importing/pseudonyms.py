"""Customers' ids made of e-mail addresses: a keyed hash, which nobody without the salt can search for an address."""

import hashlib
import hmac
import unicodedata
from typing import Final

from contracts.errors import LivesegmentsError

LEAST_SALT: Final = 16
"""Characters."""
_PREFIX: Final = "em-"
_BYTES: Final = 16


class SaltError(LivesegmentsError):
    """There is no salt, or another one than before; the text says what to do."""


class Pseudonyms:
    """Addresses to ids, the same for all ways of writing one address.

    >>> ids = Pseudonyms("0123456789abcdef")
    >>> ids.of(" Anna@Example.ORG ") == ids.of("anna@example.org"), ids.of("n/a")
    (True, None)
    """

    def __init__(self, salt: str) -> None:
        if len(salt) < LEAST_SALT:
            raise SaltError(f"customer_salt: expected {LEAST_SALT} characters at least")
        self._salt = salt.encode()
        self._known: dict[str, str | None] = {}

    def of(self, address: str) -> str | None:
        """The customer's id; None for what is no address."""
        found = self._known.get(address, "")
        if found == "":
            if len(self._known) >= 1_000_000:
                self._known.clear()
            found = self._known[address] = self._made(address)
        return found

    @property
    def check(self) -> str:
        """What tells this salt from another, and not what it is."""
        return self._hash("livesegments")[:8]

    def _made(self, address: str) -> str | None:
        name = normal_address(address)
        return None if name is None else _PREFIX + self._hash(name)

    def _hash(self, text: str) -> str:
        return hmac.new(self._salt, text.encode(), hashlib.sha256).digest()[:_BYTES].hex()


def normal_address(address: str) -> str | None:
    """An address as it is compared: without outer blanks, in small letters, composed; None where it is none.

    >>> normal_address("Müller@EXAMPLE.org "), normal_address("a@b, c@d"), normal_address("guest")
    ('müller@example.org', None, None)
    """
    text = unicodedata.normalize("NFC", unicodedata.normalize("NFC", address.strip()).casefold())
    local, at, domain = text.rpartition("@")
    fine = at and local and domain and "@" not in local and text.isprintable() and not any(map(str.isspace, text))
    try:
        text.encode()
    except UnicodeEncodeError:
        return None
    return text if fine and "," not in text and ";" not in text else None
