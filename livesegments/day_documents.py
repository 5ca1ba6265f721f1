"""The public documents of the newest stream days, one a day."""

from collections.abc import Callable
from datetime import timedelta
from typing import TypeVar

from pydantic import BaseModel

from contracts.keys import Keys
from contracts.times import from_micros
from livesegments.app import Deployment
from livesegments.parts import keys
from livesegments.records import clock_now, count_partitions

_Day = TypeVar("_Day", bound=BaseModel)


def read_days(deployment: Deployment, days: int, model: type[_Day], key: Callable[[Keys, str], str]) -> list[_Day]:
    """The documents of the newest so many stream days, the oldest first; days on which nothing was written are missing.

    `key` names a day's document, by its date as YYYY-MM-DD. Raises ViewsUnavailableError.
    """
    settings = deployment.settings
    now = clock_now(deployment.state, count_partitions(deployment.state) or 0, settings.clock)
    wanted = [from_micros(now).date() - timedelta(days=ago) for ago in reversed(range(days))]
    stored = deployment.views.get_many([key(keys(settings), day.isoformat()) for day in wanted])
    return [model.model_validate_json(one) for one in stored if one is not None]
