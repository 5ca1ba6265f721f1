"""What stands on the log `audit`, read back: who did what."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any, Final

_FIELDS: Final = ("at", "by", "act", "what")
_SECONDS: Final = len("2026-11-22T09:12:44")

Act = Mapping[str, Any]
"""A record of the log: at, by, act, what, and customer, a hash or None."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which acts are looked for; None: any."""

    by: str | None = None
    """The name of a key; empty: somebody on the server's own machine."""
    act: str | None = None
    customer: str | None = None
    """The hash of an id."""
    since: str | None = None
    """RFC 3339, as far as to the second."""
    until: str | None = None
    """The same; not included."""

    def takes(self, told: Act) -> bool:
        """Whether it is one of these."""
        at = str(told["at"])
        return (
            self.by in {None, told["by"]}
            and self.act in {None, told["act"]}
            and self.customer in {None, told.get("customer")}
            and (self.since is None or at[: min(_SECONDS, len(self.since))] >= self.since)
            and (self.until is None or at[: min(_SECONDS, len(self.until))] < self.until)
        )


def hash_of(customer_id: str) -> str:
    """What stands for a customer in the log."""
    return blake2b(customer_id.encode(errors="surrogatepass"), digest_size=16).hexdigest()


def acts_of(values: Iterable[bytes | None]) -> Sequence[Act]:
    """Records, without what is none of ours."""
    return [told for value in values if (told := _read(value)) is not None]


def _read(value: bytes | None) -> Act | None:
    try:
        told = json.loads(value or b"")
    except (ValueError, RecursionError):
        return None
    ours = isinstance(told, dict) and all(isinstance(told.get(name), str) for name in _FIELDS)
    return told if ours else None
