"""The campaigns of a deployment, as they are kept."""

import unicodedata
from dataclasses import dataclass

from pydantic import TypeAdapter, ValidationError

from consumer.state import State
from contracts.campaigns import Campaign, CampaignName
from livesegments.campaigns.errors import CampaignChangedError, CampaignError, NoSuchCampaignError
from livesegments.campaigns.members import Members
from livesegments.screen import plain

_NAME: TypeAdapter[str] = TypeAdapter(CampaignName)


def checked_name(name: str) -> str:
    """The name in its normal form. Raises CampaignError for what can be none."""
    try:
        return _NAME.validate_python(name)
    except ValidationError as error:
        reason = error.errors()[0]["msg"].removeprefix("Value error, ")
        raise CampaignError(f"a campaign can not be called {plain(name)!r}: {reason}") from None


@dataclass(frozen=True, slots=True)
class CampaignBook:
    """Reads and writes campaigns. Raises StateError."""

    state: State

    def all(self) -> list[Campaign]:
        """All campaigns, the newest first; what a newer version wrote and this one can not read is left out."""
        found = [one for stored in self.state.campaigns().values() if (one := _read(stored)) is not None]
        return sorted(found, key=lambda one: (one.created_at, one.name), reverse=True)

    def find(self, name: str) -> Campaign:
        """Raises NoSuchCampaignError."""
        name = checked_name(name)
        stored = self.state.campaigns()
        if name in stored:
            found = _read(stored[name])
            if found is None:
                raise CampaignError(f"campaign {plain(name)} was written by a newer version of livesegments: upgrade")
            return found
        there = ", ".join(plain(one) for one in sorted(stored)) or "none yet: livesegments campaign create"
        raise NoSuchCampaignError(f"there is no campaign {plain(name)!r}; there are {there}")

    def check_free(self, name: str) -> None:
        """Raises CampaignError where a campaign is called so, or in a way that people take for the same."""
        for taken in self.state.campaigns():
            if _told(taken) == _told(name):
                raise CampaignError(f"there is a campaign {plain(taken)!r} already: choose another name, or delete it")

    def add(self, campaign: Campaign, members: Members, seconds: int) -> None:
        """Keep a new campaign, its members for so many seconds. Raises CampaignError where the name is taken."""
        self.check_free(campaign.name)
        self.state.put_campaign_members(campaign.number, members.pieces(), seconds)
        if not self.state.put_campaign(campaign.name, campaign.encode(), None):
            self.state.put_campaign_members(campaign.number, {}, 0)
            self.check_free(campaign.name)
            raise CampaignChangedError(f"campaign {plain(campaign.name)} was made by somebody else just now")

    def replace(self, before: Campaign, after: Campaign) -> Campaign:
        """Put a campaign's new document in place of the one that was read. Raises CampaignChangedError."""
        stored = self.state.campaigns().get(before.name)
        if (
            stored is None
            or _read(stored) != before
            or not self.state.put_campaign(before.name, after.encode(), stored)
        ):
            raise _changed(before)
        return after

    def delete(self, campaign: Campaign) -> None:
        """Forget a campaign and its members. Raises CampaignChangedError where another one is called so by now."""
        stored = self.state.campaigns().get(campaign.name)
        self.state.put_campaign_members(campaign.number, {}, 0)
        now = None if stored is None else _read(stored)
        if stored is None:
            return
        if now is None or now.number != campaign.number or not self.state.put_campaign(campaign.name, None, stored):
            raise _changed(campaign)

    def members(self, campaign: Campaign) -> Members:
        """Raises CampaignError where they have expired."""
        pieces = self.state.campaign_members(campaign.number)
        if not pieces:
            raise CampaignError(
                f"the members of campaign {plain(campaign.name)} are no longer kept (campaign_retention): what was"
                " worked out before still stands in its results"
            )
        return Members.read(campaign.number, pieces)


def _read(stored: bytes) -> Campaign | None:
    try:
        return Campaign.model_validate_json(stored)
    except ValidationError:
        return None


def _changed(campaign: Campaign) -> CampaignChangedError:
    return CampaignChangedError(
        f"campaign {plain(campaign.name)} was changed by somebody else just now: look at it, and try again"
    )


def _told(name: str) -> str:
    return unicodedata.normalize("NFKC", name).casefold()
