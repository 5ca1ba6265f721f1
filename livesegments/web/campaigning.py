"""Campaigns for pages and HTTP API, from the state."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from contracts.campaigns import Campaign
from dashboard.campaigns import NoSuchCampaignHereError
from livesegments.app import Deployment
from livesegments.campaigns.errors import CampaignError
from livesegments.campaigns.freezing import freeze
from livesegments.campaigns.opening import open_campaigns
from livesegments.campaigns.running import Campaigns
from livesegments.campaigns.treated import TreatedRows, campaign_column
from livesegments.parts import consent


@dataclass(frozen=True, slots=True)
class StateCampaigns:
    """See dashboard.campaigns.CampaignDesk."""

    deployment: Deployment

    @property
    def _campaigns(self) -> Campaigns:
        return open_campaigns(self.deployment.settings, self.deployment.state, self.deployment.logs)

    def now(self) -> int:
        """See CampaignDesk."""
        return self._campaigns.now

    def all(self) -> Sequence[Campaign]:
        """See CampaignDesk."""
        return self._campaigns.book.all()

    def create(self, name: str, audience: str, control: float, days: int) -> Campaign:
        """See CampaignDesk."""
        settings, campaigns = self.deployment.settings, self._campaigns
        return freeze(
            self.deployment.state,
            name,
            audience,
            settings.audiences.get(audience, ""),
            consent(settings),
            control=control,
            days=days,
            now=campaigns.now,
            keep_seconds=campaigns.keep_seconds,
        )

    def start(self, name: str) -> Campaign:
        """See CampaignDesk."""
        return self._campaigns.start(name)

    def stop(self, name: str) -> Campaign:
        """See CampaignDesk."""
        return self._campaigns.stop(name)

    def results(self, name: str) -> Campaign:
        """See CampaignDesk."""
        return self._campaigns.results(name)

    def treated(self, name: str) -> tuple[dict[str, Any], Iterator[Any]]:
        """See CampaignDesk."""
        book = self._campaigns.book
        try:
            campaign = book.find(name)
            rows = TreatedRows.of(campaign, book, self.deployment.settings)
        except CampaignError as error:
            raise NoSuchCampaignHereError(str(error)) from error
        return campaign_column(campaign), iter(rows)
