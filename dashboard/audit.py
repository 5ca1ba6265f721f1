"""Who took data out or in, erased a customer, named a segment, changed the model, sent dead letters, made a campaign.

Written on a log of its own before it happens.
"""

from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Final, Literal

import msgspec
from anyio import CapacityLimiter, to_thread

from contracts.times import rfc3339
from logs.base import LogUnavailableError, LogWriter

Act = Literal["export", "erase", "rename", "model", "webhook", "campaign", "import"]
ACKNOWLEDGED_SECONDS: Final = 30.0
AT_A_TIME: Final = 8


class AuditRecord(msgspec.Struct, frozen=True):
    """One act. It names no customer: `customer` is a hash of the id, as in the markers of erased customers."""

    at: str
    by: str
    """The name of a key; empty: no keys are set, it was somebody on this machine."""
    act: Act
    what: str
    """The path that was asked for, without ids; or what was named or changed."""
    customer: str | None = None
    v: int = 1


@dataclass(frozen=True, slots=True)
class AuditTrail:
    """Appends to the log `audit`; safe to use from several threads."""

    writer: LogWriter
    log: str
    limiter: CapacityLimiter = field(default_factory=lambda: CapacityLimiter(AT_A_TIME))
    """For whatever waits for `note`: that takes ACKNOWLEDGED_SECONDS with the log away, and all else needs threads."""

    async def noted(self, at: int, by: str, act: Act, what: str) -> None:
        """The same as `note`, from an event loop."""
        await to_thread.run_sync(self.note, at, by, act, what, limiter=self.limiter)

    def note(self, at: int, by: str, act: Act, what: str, customer_id: str | None = None) -> None:
        """Write down an act that is about to happen, at `at` microseconds UTC; blocks.

        Raises LogError: then it must not happen.
        """
        customer = customer_id and blake2b(customer_id.encode(), digest_size=16).hexdigest()
        record = AuditRecord(rfc3339(at), by, act, what, customer)
        try:
            self.writer.append(self.log, None, msgspec.json.encode(record)).result(ACKNOWLEDGED_SECONDS)
        except TimeoutError:
            raise LogUnavailableError(
                f"the audit log has not taken in what is about to happen within {ACKNOWLEDGED_SECONDS:.0f} s: nothing"
                " was done; try again"
            ) from None
