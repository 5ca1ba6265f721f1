"""When people buy: hours of the day, days of the week, seasons of the year. Times are microseconds UTC."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from contracts.times import DAY, HOUR, MINUTE, SECOND

Ints = NDArray[np.int64]

_HOURS: Final = np.array([1, 1, 1, 1, 1, 2, 4, 8, 14, 20, 24, 25, 26, 24, 22, 20, 18, 16, 15, 16, 18, 14, 8, 3])
_HOUR_CUMULATIVE: Final = np.cumsum(_HOURS) / _HOURS.sum()
_PUT_OFF: Final = np.array([0.0, 0.0, 0.0, 0.0, 0.1, 0.2, 0.6])
"""By day of the week from Monday on: the share of orders that wait for the next day."""
_MONDAY: Final = 4
"""Days from 1970-01-01, a Thursday, to the first Monday."""


def activity(times: Ints) -> NDArray[np.float64]:
    """How much more often than usual people buy: up to 1.5 times in November and December, less in high summer."""
    of_year = (times / DAY % 365.2425).astype(np.float64)
    rate: NDArray[np.float64] = (
        1.0 + 0.5 * np.exp(-(((of_year - 335) / 22) ** 2)) - 0.15 * np.exp(-(((of_year - 210) / 25) ** 2))
    )
    return rate


def opening_times(times: Ints, rng: np.random.Generator) -> Ints:
    """Move times to days and hours at which people buy; whole seconds, in order with the day."""
    draws = rng.random((3, len(times)))
    day = times // DAY
    weekday = (day - _MONDAY) % 7
    day = day + (draws[0] < _PUT_OFF[weekday])
    hour = np.searchsorted(_HOUR_CUMULATIVE, draws[1], side="right")
    second = (draws[2] * (HOUR // SECOND)).astype(np.int64)
    moved: Ints = day * DAY + hour * HOUR + second * SECOND
    return moved


def following(times: Ints, gap_days: NDArray[np.float64], rng: np.random.Generator) -> Ints:
    """When the next order after each of these times is due: gamma gaps of shape 4, shorter in season."""
    gaps = gap_days * rng.gamma(4.0, 0.25, len(times)) / activity(times)
    due = opening_times(times + (gaps * DAY).astype(np.int64), rng)
    soonest = times + rng.integers(1, 180, len(times)) * MINUTE
    return np.where(due > times, due, soonest)
