"""Where deliveries go: what a folder and an endpoint have in common."""

from dataclasses import dataclass
from typing import Any, Protocol

from livesegments.audience_sync.ledger import Delivery, SyncLedger


@dataclass(frozen=True, slots=True)
class Known:
    """The last delivery that can be seen at the receiver's."""

    stream: str | None
    """None: there is none."""
    sequence: int


class Target(Protocol):
    """A receiver."""

    def known(self) -> Known | None:
        """What can be seen of what was handed on; None where nothing can ever be seen. Raises LivesegmentsError."""

    def hand_on(self, delivery: Delivery, ledger: SyncLedger) -> dict[str, Any]:
        """Hand on what is pending in the ledger, and say what is to be told of it.

        Doing it again, wholly or from the middle, changes nothing. Raises LivesegmentsError.
        """
