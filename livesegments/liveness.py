"""Whether workers are alive, as seen from outside: they rewrite their sums every second."""

from typing import Any, Final

from redis import Redis
from redis.exceptions import RedisError

from livesegments.parts import keys
from livesegments.settings import Settings

_GRACE: Final = 5.0


def silent_for(client: Redis, settings: Settings) -> float | None:
    """Seconds since a worker last touched the sums; None where no worker ever did, or Redis does not say.

    Redis itself keeps that time, unless its eviction policy is one by frequency.
    """
    answers: Any = client
    try:
        idle = answers.object("idletime", keys(settings).sums())
    except RedisError:
        return None
    return None if idle is None else float(idle)


def seems_alive(client: Redis, settings: Settings) -> bool:
    """Whether some worker touched its sums as recently as it should have."""
    silent = silent_for(client, settings)
    return silent is not None and silent <= 3 * settings.figures_interval.seconds + _GRACE
