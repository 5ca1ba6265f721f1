"""Customer ids as those see them who may not know them: the same customer is the same mask, and nothing more."""

from dataclasses import dataclass
from hashlib import blake2b


@dataclass(frozen=True, slots=True)
class Masks:
    """Pseudonyms under a secret: without it, trying all ids that there can be leads nowhere."""

    secret: bytes
    """At most 64 bytes."""

    def token(self, customer_id: str) -> bytes:
        """16 bytes that stand for the id."""
        return blake2b(customer_id.encode(errors="surrogatepass"), digest_size=16, key=self.secret).digest()

    def mask(self, customer_id: str) -> str:
        """What is shown in place of the id.

        >>> Masks(b"secret").mask("17850") == Masks(b"secret").mask("17850") != Masks(b"other").mask("17850")
        True
        """
        return f"masked-{self.token(customer_id)[:8].hex()}"
