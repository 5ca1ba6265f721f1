"""A worker that makes rows anew under a second prefix, and nothing else: no views, no segments, no word on any log."""

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from consumer.clock import Clock
from consumer.quiet_parts import QuietViews, QuietWriter
from consumer.redis_state import RedisState
from consumer.worker import Parts, Worker
from contracts.keys import Keys
from contracts.times import DAY
from livesegments.parts import log_names, worker_settings
from livesegments.settings import Settings
from logs.base import Logs

if TYPE_CHECKING:
    from redis import Redis

_NEVER: Final = 1_000_000 * DAY


def rebuild_worker(client: "Redis", logs: Logs, settings: Settings, keys: Keys) -> Worker:
    """A worker of a group of its own, which it leaves when it ends. Raises LogError."""
    events = log_names(settings).events
    usual = worker_settings(settings)
    quiet = replace(
        usual,
        keys=keys,
        known_as=settings.key_prefix,  # what the live workers hand over is on the log; this one says nothing
        group=f"{settings.group}-rebuild",
        audiences=(),
        forget_idle=0,
        forecasts=False,
        model=replace(usual.model, first_model_buyers=10**12, by_rule_buyers=0, by_rule_days=0),
        recommender=replace(usual.recommender, item_review_interval=_NEVER, item_review_growth=1e9, tuning=False),
    )
    parts = Parts(
        log=logs.describe(events),
        describe=lambda: logs.describe(events),
        reader=logs.reader(events, quiet.group),
        writer=QuietWriter(),
        state=RedisState(client, keys),
        views=QuietViews(),
    )
    return Worker(parts, quiet, Clock(settings.clock))
