"""What can go wrong with a campaign, in words that say what to do."""

from contracts.errors import LivesegmentsError


class CampaignError(LivesegmentsError):
    """The campaign can not be made, or not be taken a step further."""


class NoSuchCampaignError(CampaignError):
    """There is no campaign of that name."""


class CampaignChangedError(CampaignError):
    """Somebody else changed the campaign at the same time: nothing was done."""


class OutcomesGoneError(CampaignError):
    """The log no longer holds what happened in the campaign, or it is another log."""
