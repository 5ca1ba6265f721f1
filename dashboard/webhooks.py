"""What the API tells and takes of webhooks: how endpoints are doing, and their dead letters."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from contracts.errors import LivesegmentsError

State = Literal["delivering", "failing", "giving up", "stopped", "never ran"]


class NoSuchWebhookError(LivesegmentsError):
    """No endpoint has that name."""


@dataclass(frozen=True, slots=True)
class WebhookState:
    """How one endpoint is doing. Times in microseconds UTC."""

    name: str
    url: str
    """Scheme and host."""
    state: State
    """failing: its changes wait on the log. giving up: it has failed for longer than webhook_retry_for, and gets
    each change once. stopped: no `livesegments webhooks run` has told it of anything lately."""
    delivered: int
    delivered_at: int | None
    waiting: int | None
    """Records of the log that were not dealt with; None: it was never told anything."""
    failing_since: int | None
    status: int | None
    error: str
    """Of the newest request that was not taken in, until one is."""
    dead_letters: int
    trying_again: int
    given_up: int
    dropped: int
    """Dead letters that were too many, or of a log that is no more."""
    lost: int
    """Records that the log let go of before they were sent."""


@dataclass(frozen=True, slots=True)
class DeadChange:
    """A change that was given up."""

    id: str
    dead_at: int
    tries: int
    status: int | None
    error: str


class Webhooks(Protocol):
    """Of one deployment; blocks. Raises NoSuchWebhookError and what means that a server does not answer."""

    def states(self) -> Sequence[WebhookState]:
        """How every endpoint is doing."""

    def dead_letters(self, name: str, start: int, count: int) -> Sequence[DeadChange]:
        """The newest first, from a place on."""

    def content(self, name: str, letter_id: str) -> Mapping[str, Any] | None:
        """The change that a dead letter stands for, read again; None: there is no such letter, or nothing to read."""

    def ask_again(self, name: str, ids: Sequence[str] | None) -> int:
        """Have these tried again, or all; how many there were."""

    def drop(self, name: str, ids: Sequence[str] | None) -> int:
        """Forget these, or all; how many there were."""


class NoWebhooks:
    """Where none are set."""

    def states(self) -> Sequence[WebhookState]:
        """See Webhooks."""
        return ()

    def dead_letters(self, name: str, start: int, count: int) -> Sequence[DeadChange]:  # noqa: ARG002
        """See Webhooks."""
        raise _none(name)

    def content(self, name: str, letter_id: str) -> Mapping[str, Any] | None:  # noqa: ARG002
        """See Webhooks."""
        raise _none(name)

    def ask_again(self, name: str, ids: Sequence[str] | None) -> int:  # noqa: ARG002
        """See Webhooks."""
        raise _none(name)

    def drop(self, name: str, ids: Sequence[str] | None) -> int:  # noqa: ARG002
        """See Webhooks."""
        raise _none(name)


def _none(name: str) -> NoSuchWebhookError:
    return NoSuchWebhookError(f"there is no webhook {name!r}: the settings (`webhooks`) name none")
