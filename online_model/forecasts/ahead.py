"""What lies ahead of customers by a forecast document."""

import numpy as np

from contracts.forecasts import ForecastDocument
from contracts.times import DAY
from online_model.arrays import Floats, Integers
from online_model.features import MISSING_TIME
from online_model.forecasts.ahead_columns import HORIZONS, SHOWN, Ahead, unknown
from online_model.forecasts.churn_features import PurchaseColumns, churn_features
from online_model.forecasts.churn_scorer import scored
from online_model.forecasts.forecast import forecast, value_ahead
from online_model.forecasts.lifetime import LifetimeModel
from online_model.forecasts.orders_ahead import expected_orders, orders_ahead
from online_model.forecasts.purchases import DAYS_PER_WEEK, Purchases
from online_model.forecasts.value import Amounts, ValueModel


class Forecaster:
    """Looks ahead by a forecast document."""

    def __init__(self, document: ForecastDocument) -> None:
        self.document = document
        lifetime, value = document.lifetime, document.value
        self._lifetime = LifetimeModel.of(lifetime) if lifetime is not None else None
        self._value = ValueModel.of(value) if value is not None else None
        self._tells_leaving = lifetime is not None and lifetime.tells_leaving
        self._scorer = document.churn.scorer

    @property
    def ready(self) -> bool:
        """Whether anything is known at all."""
        return (self._lifetime is not None and self._value is not None) or self._scorer is not None

    def ahead(self, rows: PurchaseColumns, now: int) -> Ahead:
        """Forecasts as of the beginning of today (UTC), (customers,) of dtype AHEAD."""
        found = unknown(len(rows.first_at))
        some: Integers = np.flatnonzero((rows.first_at != MISSING_TIME) & (rows.purchase_days > 0))
        if not len(some) or not self.ready:
            return found
        buyers = _Some(rows, some)
        part = unknown(len(some))
        if self._lifetime is not None and self._value is not None:
            self._buy(buyers, now, part)
        if self._scorer is not None:
            part["churn"] = scored(self._scorer, churn_features(buyers, now // DAY * DAY))
        found[some] = part
        return found

    def spend_between(self, rows: PurchaseColumns, now: int) -> Floats:
        """Between what the net spend within HORIZONS lies with 90 %, (customers, horizons, 2); NaN if not known.

        For single customers: intervals of all horizons take some times as long as what `ahead` says.
        """
        found = np.full((len(rows.first_at), len(HORIZONS), 2), np.nan)
        some: Integers = np.flatnonzero((rows.first_at != MISSING_TIME) & (rows.purchase_days > 0))
        if self._lifetime is not None and self._value is not None and len(some):
            buyers = _Some(rows, some)
            purchases, _ = Purchases.of_rows(buyers.first_at, buyers.last_at, buyers.purchase_days, now)
            amounts = Amounts.of_rows(buyers.spend, buyers.refunds, buyers.purchase_days)
            told = forecast(self._lifetime, self._value, purchases, amounts).ahead.values()
            found[some] = np.stack([np.stack([one.value.low, one.value.high], axis=1) for one in told], axis=1)
        return found

    def _buy(self, buyers: "_Some", now: int, part: Ahead) -> None:
        assert self._lifetime is not None
        assert self._value is not None
        purchases, _ = Purchases.of_rows(buyers.first_at, buyers.last_at, buyers.purchase_days, now)
        amounts = Amounts.of_rows(buyers.spend, buyers.refunds, buyers.purchase_days)
        n, others = len(purchases), [place for place in range(len(HORIZONS)) if place != SHOWN]
        expected = np.zeros((len(HORIZONS), n))
        active = self._lifetime.active(purchases)
        shown = orders_ahead(self._lifetime, purchases, HORIZONS[SHOWN] / DAYS_PER_WEEK, active)
        expected[SHOWN] = shown.expected
        # All others at once: for a few customers what an operation costs is nearly all overhead.
        weeks = np.repeat(np.array([HORIZONS[place] for place in others]) / DAYS_PER_WEEK, n)
        again = np.tile(np.arange(n), len(others))
        ahead = expected_orders(self._lifetime, purchases.select(again), weeks, active[again])
        expected[others] = ahead.reshape(len(others), n)
        part["orders"] = expected.T
        part["spend"] = (expected * self._value.expected(amounts)).T
        part["orders_low"], part["orders_high"] = shown.low, shown.high
        value = value_ahead(self._value, amounts, shown)
        part["spend_low"], part["spend_high"] = value.low, value.high
        if self._tells_leaving:
            part["active"] = active


class _Some:
    """Columns of some rows."""

    def __init__(self, rows: PurchaseColumns, some: Integers) -> None:
        self.first_at = rows.first_at[some]
        self.last_at = rows.last_at[some]
        self.newest_at = rows.newest_at[some]
        self.purchase_days = rows.purchase_days[some]
        self.orders_decayed = rows.orders_decayed[some]
        self.spend = rows.spend[some]
        self.refunds = rows.refunds[some]
