"""What pages and HTTP API read of campaigns, and may do with them: chosen and opened by the composition root."""

from collections.abc import Iterator, Sequence
from typing import Any, Protocol

from contracts.campaigns import Campaign
from contracts.errors import LivesegmentsError


class NoSuchCampaignHereError(LivesegmentsError):
    """There is no campaign of that name."""


class CampaignDesk(Protocol):
    """The campaigns of a deployment. Everything here blocks, and raises LivesegmentsError in words."""

    def now(self) -> int:
        """By the deployment's clock, microseconds UTC."""

    def all(self) -> Sequence[Campaign]:
        """The newest first."""

    def create(self, name: str, audience: str, control: float, days: int) -> Campaign:
        """Freeze an audience of the settings."""

    def start(self, name: str) -> Campaign:
        """Have purchases count from now on."""

    def stop(self, name: str) -> Campaign:
        """End it before its days are over."""

    def results(self, name: str) -> Campaign:
        """Work out what came of it: reads the log from its start."""

    def treated(self, name: str) -> tuple[dict[str, Any], Iterator[Any]]:
        """A constant column, and record batches of `customer_rows.COLUMNS`: the treated who may be written to now.

        Raises NoSuchCampaignHereError.
        """


class NoCampaigns:
    """Of an app without a deployment behind it."""

    def now(self) -> int:
        """See CampaignDesk."""
        return 0

    def all(self) -> Sequence[Campaign]:
        """See CampaignDesk."""
        return ()

    def create(self, name: str, audience: str, control: float, days: int) -> Campaign:  # noqa: ARG002
        """See CampaignDesk."""
        raise NoSuchCampaignHereError("there is no deployment to make campaigns of")

    def start(self, name: str) -> Campaign:
        """See CampaignDesk."""
        raise NoSuchCampaignHereError(f"there is no campaign {name!r}")

    stop = results = start

    def treated(self, name: str) -> tuple[dict[str, Any], Iterator[Any]]:
        """See CampaignDesk."""
        raise NoSuchCampaignHereError(f"there is no campaign {name!r}")
