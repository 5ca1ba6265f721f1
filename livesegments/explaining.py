"""What is worked out of one customer when somebody asks: reasons, rhythm, outliers, audiences."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache, partial

import numpy as np

from consumer.audiences import names_in
from consumer.columns import Columns
from consumer.layout import MISSING_TIME
from consumer.ragged_columns import Categories, DecodedColumns, Lines
from consumer.state import State
from contracts.documents import NO_SEGMENT, RuleThresholds
from contracts.times import from_micros
from livesegments.records import Records
from livesegments.segment_names import SegmentNames
from online_model.forecasts.ahead_columns import Blind, LooksAhead
from online_model.forecasts.words import TURNED_OFF, sentences
from online_model.model import SegmentModel
from online_model.next_move import Subject
from online_model.reasons import Reasons, outlying, reasons
from online_model.rhythm import Rhythm


@dataclass(frozen=True, slots=True)
class Explanation:
    """One customer as of a moment, in words and in figures."""

    reasons: Reasons | None
    """None for somebody whom no worker has put anywhere yet."""
    usual_gap_days: float | None
    """Median days between purchase days; None below two."""
    overdue: float | None
    """Days since the last purchase over that; None below four purchase days."""
    next_expected_at: datetime | None
    seasonal: bool
    audiences: tuple[str, ...]
    expected: tuple[str, ...]
    """What the customer will do, in sentences."""
    outliers: tuple[str, ...]
    """The features in which the customer is an outlier."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Explainer:
    """Works out of packed rows what views do not hold."""

    state: State
    names: SegmentNames
    model: SegmentModel | None
    now: int
    """Microseconds UTC, by the deployment's clock."""
    currency: str
    categories: Callable[[], Mapping[str, str]] = dict
    """Categories of items; asked for where a feature is made of them."""
    forecaster: LooksAhead = field(default_factory=Blind)
    tells_forecasts: bool = True
    """Whether the deployment makes any."""
    rules: RuleThresholds | None = None
    """By what customers are placed while segments go by rule, as the leader last said."""

    def explain(self, record: Records) -> Explanation:
        """The explanation of one customer's row."""
        row = self.columns(record)
        places, times = row.kept_purchases()
        rhythm = Rhythm.of(places, times, 1)
        header = record.header[0]
        numbers = {number: name for name, number in self.state.number_audiences(()).items()}
        audiences = tuple(names_in(int(header["audiences"]), numbers))
        segment, why = int(header["segment"]), None
        if segment != NO_SEGMENT:
            subject = Subject(
                customer_id=record.customer_ids[0],
                row=row,
                segment=segment,
                since=int(header["since"]),
                purchases=times,
                audiences=audiences,
                rhythm=rhythm,
            )
            why = reasons(subject, self.model, self.now, self.names.told, self.currency, rules=self.rules)
        expected = int(rhythm.next_expected()[0])
        far = [] if self.model is None else outlying(row, self.model, self.now)
        return Explanation(
            reasons=why,
            usual_gap_days=_known(rhythm.median_gap[0]),
            overdue=_known(rhythm.overdue(self.now)[0]),
            next_expected_at=None if expected == MISSING_TIME else from_micros(expected),
            seasonal=bool(rhythm.seasonal[0]),
            audiences=audiences,
            expected=self._expected(row),
            outliers=tuple(self.model.features[place] for place in far) if self.model else (),
        )

    def _expected(self, row: Columns) -> tuple[str, ...]:
        if not self.tells_forecasts:
            return (TURNED_OFF,)
        looks = self.forecaster
        ahead, between = looks.ahead(row, self.now), looks.spend_between(row, self.now)
        return sentences(ahead, looks.document, self.currency, between)

    def columns(self, records: Records) -> Columns:
        """Rows as features read them."""
        needed = self.model is not None and any(column.category is not None for column in self.model.columns)
        kept = Lines(
            records.heads,
            records.lines,
            [records.partition] * len(records),
            cache(lambda partition: self.state.keep(partition).items),
            Categories(self.categories() if needed else None),
        )
        bare = Columns(records.header)
        ahead = cache(partial(self.forecaster.ahead, bare))
        return Columns(records.header, DecodedColumns(lambda: records.attributes, kept), ahead)


def _known(value: np.floating) -> float | None:
    return None if np.isnan(value) else round(float(value), 2)
