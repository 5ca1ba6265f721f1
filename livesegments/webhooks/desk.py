"""What an operator asks about webhooks: how endpoints are doing, their dead letters, having these tried again."""

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

from consumer.clock import wall_micros
from contracts.times import SECOND
from dashboard.webhooks import DeadChange, NoSuchWebhookError, State, WebhookState
from livesegments.app import Deployment
from livesegments.parts import endpoints, log_names
from livesegments.webhooks.ledger import Kept, Ledger, Letter, place_of
from livesegments.webhooks.lookup import contents
from logs.base import LogMissingError, count_between

STOPPED_SECONDS: Final = 30
"""Nobody who tells an endpoint has written anything for so long: nobody does."""


class Desk:
    """See dashboard.webhooks.Webhooks. Needs no secret of any endpoint."""

    def __init__(self, deployment: Deployment, ledger: Ledger) -> None:
        self._deployment = deployment
        self._ledger = ledger
        self._endpoints = endpoints(deployment.settings)
        self._log = log_names(deployment.settings).changes

    def states(self) -> Sequence[WebhookState]:
        """See Webhooks."""
        if not self._endpoints:
            return []
        try:
            ends: Sequence[int] = self._deployment.logs.ends(self._log)
        except LogMissingError:
            ends = ()
        now = wall_micros()
        found = []
        for name, endpoint in self._endpoints.items():
            kept = self._ledger.kept(name)
            waiting = None
            if kept.positions:
                waiting = sum(count_between(kept.positions.get(number, 0), end) for number, end in enumerate(ends))
            found.append(
                WebhookState(
                    name=name,
                    url=endpoint.shown_url,
                    state=self._state(kept, now),
                    delivered=kept.delivered,
                    delivered_at=kept.delivered_at,
                    waiting=waiting,
                    failing_since=kept.failing_since,
                    status=kept.status,
                    error=kept.error,
                    dead_letters=kept.letters,
                    trying_again=kept.again,
                    given_up=kept.given_up,
                    dropped=kept.dropped,
                    lost=kept.lost,
                )
            )
        return found

    def _state(self, kept: Kept, now: int) -> State:
        if kept.seen_at is None:
            return "never ran"
        if now - kept.seen_at > STOPPED_SECONDS * SECOND:
            return "stopped"
        if kept.failing_since is None:
            return "delivering"
        patience = int(self._deployment.settings.webhook_retry_for)
        return "giving up" if now - kept.failing_since >= patience else "failing"

    def dead_letters(self, name: str, start: int, count: int) -> Sequence[DeadChange]:
        """See Webhooks."""
        self._known(name)
        return [_told(letter) for letter in self._ledger.letters(name, start, count)]

    def find(self, name: str, letter_id: str) -> Letter | None:
        """A dead letter. Raises LetterIdError, NoSuchWebhookError."""
        self._known(name)
        place_of(letter_id)
        return self._ledger.find(name, letter_id)

    def content(self, name: str, letter_id: str) -> Mapping[str, Any] | None:
        """See Webhooks."""
        letter = self.find(name, letter_id)
        if letter is None:
            return None
        group = f"{self._deployment.settings.group}-webhook-letters"
        value = contents(self._deployment.logs, self._log, group, [letter]).get(letter_id)
        try:
            change = None if value is None else json.loads(value)
        except ValueError:
            return None
        return change if isinstance(change, dict) else None

    def ask_again(self, name: str, ids: Sequence[str] | None) -> int:
        """See Webhooks."""
        self._known(name, ids or ())
        return self._ledger.ask_again(name, ids)

    def drop(self, name: str, ids: Sequence[str] | None) -> int:
        """See Webhooks."""
        self._known(name, ids or ())
        return self._ledger.drop(name, ids)

    def _known(self, name: str, ids: Sequence[str] = ()) -> None:
        if name not in self._endpoints:
            known = ", ".join(self._endpoints) or "none"
            raise NoSuchWebhookError(f"there is no webhook {name!r}: the settings (`webhooks`) name {known}")
        for one in ids:
            place_of(one)


def _told(letter: Letter) -> DeadChange:
    return DeadChange(letter.id, letter.dead_at, letter.tries, letter.status, letter.error)
