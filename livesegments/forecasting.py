"""Forecasts from the rows as they are stored now: fit to those whose first purchase was seen, look ahead, add up."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from consumer.state import State
from contracts.money import MILLIONTHS
from livesegments.parts import history_begins
from livesegments.records import Records, clock_now, count_partitions, read_records
from livesegments.settings import Settings
from online_model.arrays import Booleans, Floats, Integers, Labels
from online_model.customer_since import ATTRIBUTE, moment
from online_model.features import MISSING_TIME
from online_model.forecasts.ahead_columns import HORIZONS, at_risk
from online_model.forecasts.fitting import Fitted, NotEnoughDataError, fit_lifetime, fit_value
from online_model.forecasts.forecast import Forecast, forecast
from online_model.forecasts.lifetime import LifetimeModel
from online_model.forecasts.purchases import Purchases, first_was_seen
from online_model.forecasts.value import Amounts, ValueModel

_COLUMNS: Final = ("first_at", "last_at", "purchase_days", "spend", "refunds", "segment")


@dataclass(frozen=True, eq=False, slots=True)
class Buyers:
    """Everybody who has bought, columns of one length (customers,)."""

    customers: Sequence[str]
    segments: Labels
    """Published segment ids."""
    purchases: Purchases
    amounts: Amounts
    seen: Booleans
    """Whose first purchase is the first there was."""


@dataclass(frozen=True, slots=True)
class SegmentForecast:
    """What the customers of one segment will do within a horizon."""

    segment: int
    customers: int
    orders: float
    value: float
    """Net spend to expect, in currency units."""
    active: float | None = None
    """Customers to expect among them who have not left; None where the purchases do not tell silence from leaving."""
    at_risk: float | None = None
    """What those who are not likely to be gone would spend beyond that if none of them had left; None as well."""


@dataclass(frozen=True, eq=False, slots=True)
class ShopForecast:
    """Models fitted to a shop, and what they say of each customer."""

    now: int
    """Microseconds UTC, by the deployment's clock."""
    buyers: Buyers
    lifetime: Fitted[LifetimeModel]
    value: Fitted[ValueModel]
    ahead: Forecast

    @property
    def active(self) -> Floats | None:
        """P(active), (customers,); None where the purchases do not tell silence from leaving."""
        return self.ahead.active if self.lifetime.model.tells_leaving else None

    @property
    def left_censored(self) -> int:
        """Customers whose first purchase was not seen: they are not fitted."""
        return int(np.count_nonzero(~self.buyers.seen))

    def by_segment(self, days: int) -> list[SegmentForecast]:
        """Sums over customers by segment, the most value first."""
        within = self.ahead.ahead[days]
        ids, places = np.unique(self.buyers.segments, return_inverse=True)

        def summed(column: Floats) -> list[float]:
            return [float(one) for one in np.bincount(places, column, minlength=len(ids))]

        columns = [within.orders.expected, within.value.expected]
        if self.active is not None:
            columns += [self.active, at_risk(within.value.expected, self.active)]
        sizes = np.bincount(places, minlength=len(ids)).tolist()
        found = [
            SegmentForecast(segment, size, *sums)
            for segment, size, *sums in zip(ids.tolist(), sizes, *map(summed, columns), strict=True)
        ]
        return sorted(found, key=lambda one: (-one.value, one.segment))


def forecast_shop(state: State, settings: Settings, days: Sequence[int] = HORIZONS) -> ShopForecast:
    """Fit MBG/NBD and Gamma-Gamma to all rows and look so many days ahead, as of the deployment's clock.

    Raises NotEnoughDataError, NotConvergedError, StateError.
    """
    partitions = count_partitions(state)
    if partitions is None:
        raise NotEnoughDataError("no forecasts yet: there are no customers; start a worker, publish or replay events")
    now = clock_now(state, partitions, settings.clock)
    buyers = _buyers(list(read_records(state, range(partitions))), now, history_begins(settings))
    lifetime = fit_lifetime(buyers.purchases.select(buyers.seen))
    value = fit_value(buyers.amounts.select(buyers.seen))
    ahead = forecast(lifetime.model, value.model, buyers.purchases, buyers.amounts, days)
    return ShopForecast(now, buyers, lifetime, value, ahead)


def _buyers(records: Sequence[Records], now: int, seen_from: int) -> Buyers:
    columns: dict[str, Integers] = {
        name: np.concatenate([np.zeros(0, np.int64), *(part.header[name] for part in records)]) for name in _COLUMNS
    }
    since = np.fromiter((_since(one) for part in records for one in part.attributes), np.int64)
    purchases, bought = Purchases.of_rows(columns["first_at"], columns["last_at"], columns["purchase_days"], now)
    kept = {name: column[bought] for name, column in columns.items()}
    customers = [customer for part in records for customer in part.customer_ids]
    return Buyers(
        customers=[customers[place] for place in np.flatnonzero(bought).tolist()],
        segments=kept["segment"].astype(np.int32),
        purchases=purchases,
        amounts=Amounts.of_rows(kept["spend"] / MILLIONTHS, kept["refunds"] / MILLIONTHS, kept["purchase_days"]),
        seen=first_was_seen(kept["first_at"], since[bought], seen_from),
    )


def _since(attributes: object) -> int:
    told = attributes.get(ATTRIBUTE) if isinstance(attributes, dict) else None
    return MISSING_TIME if told is None else moment(str(told))
