"""Seasonal buyers between their seasons: silence says nothing, so no name that is about silence is true of them."""

from typing import Final

import numpy as np

from online_model.arrays import Integers, Labels
from online_model.by_rule import RULE_SEGMENTS
from online_model.model import OUT_OF_SEASON, SegmentModel
from online_model.rhythm import season_to_come

REMIND: Final = "Remind them when their season begins"
"""What to do about those who are out of season."""


def lapsing_segments(model: SegmentModel | None) -> Labels:
    """Ids of the segments whose names are about silence: those by rule, and those of a learned version."""
    learned = () if model is None or model.by_rule else model.segments
    by_rule = [one for one, name in RULE_SEGMENTS.items() if name.lapsing]
    return np.array([*by_rule, *(one.id for one in learned if one.lapsing)], np.int32)


def spared(ids: Labels, lapsing: Labels, season_begins: Integers, now: int | Integers) -> Labels:
    """Segment ids, (customers,), with OUT_OF_SEASON in the place of `lapsing` ones where a season is still to come.

    `season_begins` is as by `Rhythm`, (customers,); `now` microseconds UTC, one or (customers,).
    """
    away = np.isin(ids, lapsing) & season_to_come(season_begins, now)
    return np.where(away, np.int32(OUT_OF_SEASON), ids)
