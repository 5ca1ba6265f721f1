"""After how many days without an order a customer counts as lapsed: read off the gaps between purchase days."""

from typing import Final

import numpy as np
import numpy.typing as npt

from contracts.times import DAY
from online_model.arrays import Integers
from online_model.settings import ModelSettings

GAP_QUANTILE: Final = 0.875
"""So many of the gaps between a customer's purchase days are shorter: whoever is silent for longer may well be gone."""
HISTORY_DAYS: Final = 180
"""A shorter history can not hold the long gaps."""
_GAPS: Final = 200
_LEAST_DAYS: Final = 14
_MOST_DAYS: Final = 365
"""Whatever the gaps: a baker's customers are not lost within the week, and a year's silence says something anywhere."""
_CLEARLY: Final = 0.2
"""By what share a measured number must differ before it takes over."""


def usual_gap(owners: npt.NDArray[np.integer], times: Integers) -> float | None:
    """The 87.5 % quantile of days from one purchase day to the customer's next.

    `owners` says whose purchase each of `times` (microseconds UTC) is; both (purchases,), by customer and time. Several
    purchases on one UTC day are one. None where the purchases span fewer than 180 days, or are too few.
    """
    if not len(times) or int(times.max() - times.min()) < HISTORY_DAYS * DAY:
        return None
    gaps = np.diff(times // DAY)[owners[1:] == owners[:-1]]
    gaps = gaps[gaps > 0]
    return float(np.quantile(gaps, GAP_QUANTILE)) if len(gaps) >= _GAPS else None


def settled_lapse_days(present: int, measured: float | None, settings: ModelSettings) -> int:
    """After how many days customers count as lapsed from now on.

    What settings say; with "auto" what is in force, until the measured number is more than 20 % away from it: names and
    campaigns are not to tremble with a quantile. What is measured counts from 14 to 365 days.
    """
    if settings.lapse_days != "auto":
        return settings.lapse_days
    if measured is None or abs(measured - present) <= _CLEARLY * present:
        return present
    return min(max(round(measured), _LEAST_DAYS), _MOST_DAYS)
