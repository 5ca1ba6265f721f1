"""Signatures by which a receiver knows that a request is ours and unchanged: Standard Webhooks, scheme v1."""

import base64
import binascii
import hmac
import os
import secrets
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

from contracts.errors import LivesegmentsError
from livesegments.webhooks.endpoints import Endpoint

PREFIX: Final = "whsec_"
SHORTEST: Final = 24
LONGEST: Final = 64
"""Bytes of a secret, as the standard has them."""


class SecretError(LivesegmentsError):
    """A signing secret is missing, or is none."""


def new_secret() -> str:
    """A secret that nobody has yet."""
    return PREFIX + base64.b64encode(secrets.token_bytes(32)).decode()


def read_secret(text: str) -> bytes:
    """The key that a text `whsec_<base64>` stands for. Raises SecretError, whose text quotes nothing of it."""
    try:
        key = base64.b64decode(text.removeprefix(PREFIX), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if not text.startswith(PREFIX) or not SHORTEST <= len(key) <= LONGEST:
        raise SecretError(
            f"expected {PREFIX} and {SHORTEST} to {LONGEST} bytes in base64: `livesegments webhooks secret` makes one"
        )
    return key


def secret_texts(endpoint: Endpoint, table: str = "webhooks") -> list[str]:
    """The secrets of an endpoint from where they stand, the newest first as the settings name them.

    Each place may hold several, with spaces or lines between. `table` is that of the settings which names the endpoint.
    Raises SecretError.
    """
    found: list[str] = []
    for place in endpoint.secrets:
        kind, _, where = place.partition(":")
        try:
            text = os.environ[where] if kind == "env" else Path(where).read_text()
            told = text.split()
            for one in told:
                read_secret(one)
        except KeyError:
            raise SecretError(f"{table}.{endpoint.name}: the environment variable {where} is not set") from None
        except (OSError, UnicodeDecodeError) as error:
            why = error.strerror if isinstance(error, OSError) else "it is no text"
            raise SecretError(f"{table}.{endpoint.name}: {where} can not be read ({why})") from None
        except SecretError as error:
            raise SecretError(f"{table}.{endpoint.name}: {place}: {error}") from None
        if not told:
            raise SecretError(f"{table}.{endpoint.name}: {place} is empty: `livesegments webhooks secret` makes one")
        found += told
    return found


def keys_of(texts: Iterable[str]) -> tuple[bytes, ...]:
    """The keys of several secrets. Raises SecretError."""
    return tuple(read_secret(text) for text in texts)


def signed(keys: Sequence[bytes], message_id: str, seconds: int, body: bytes) -> dict[str, str]:
    """The headers of a request: id, time in seconds since 1970, and a signature by each key, for rotation.

    >>> signed([b"k" * 24], "m-1", 1_700_000_000, b"{}")["webhook-signature"]
    'v1,56qP92BORZb8mSgQ4xQ7Ipo4CRSmq8m2vqptXNfG9BE='
    """
    text = b"%b.%d.%b" % (message_id.encode(), seconds, body)
    signatures = (base64.b64encode(hmac.digest(key, text, "sha256")).decode() for key in keys)
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(seconds),
        "webhook-signature": " ".join(f"v1,{signature}" for signature in signatures),
    }
