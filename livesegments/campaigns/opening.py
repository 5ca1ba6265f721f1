"""Campaigns of a deployment, as its settings say."""

from typing import Final

from consumer.state import State
from contracts.times import SECOND
from livesegments.campaigns.running import Campaigns
from livesegments.parts import limits, log_names, rates
from livesegments.settings import Settings
from logs.base import Logs

_NOT_STARTED: Final = 90 * 86_400
"""Seconds more that members are kept which nobody has started anything with."""


def open_campaigns(settings: Settings, state: State, logs: Logs) -> Campaigns:
    """What campaigns are read and worked out by. Connects to nothing."""
    kept_after = int(settings.allowed_lateness) + int(settings.campaign_retention)
    return Campaigns(
        state=state,
        logs=logs,
        log=log_names(settings).events,
        clock=settings.clock,
        rates=rates(settings),
        limits=limits(settings),
        keep_seconds=lambda needed: (needed + kept_after) // SECOND + _NOT_STARTED,
    )
