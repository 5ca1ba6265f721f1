"""Keeping a log that lets go of what was read for as long as a campaign is to be counted from it."""

from consumer.state import StateUnavailableError
from livesegments.campaigns.running import Campaigns, held_from


def trim_unneeded(campaigns: Campaigns, partition: int, position: int) -> None:
    """Drop a partition's records before a position, but for those that campaigns under way need.

    Without an answer of the state nothing is dropped: the next call makes up for it. Raises LogUnavailableError.
    """
    try:
        found = campaigns.book.all()
        # What time it is takes several questions, and most deployments have no campaign.
        needed = held_from(found, campaigns.now, campaigns.limits.lateness) if found else {}
    except StateUnavailableError:
        return
    campaigns.logs.trim(campaigns.log, partition, min(position, needed.get(partition, position)))
