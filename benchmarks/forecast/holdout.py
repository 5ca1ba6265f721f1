"""Purchase models fitted at a cut, held against what came: by frequency, week by week, month by month."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np

from benchmarks.forecast.stream import Rows
from benchmarks.forecast.truth import Truth
from contracts.errors import LivesegmentsError
from contracts.times import DAY, rfc3339
from online_model.arrays import Booleans, Floats
from online_model.forecasts.fitting import Fitted, fit_lifetime, fit_value
from online_model.forecasts.forecast import forecast
from online_model.forecasts.lifetime import Family, LifetimeModel
from online_model.forecasts.orders_ahead import expected_orders
from online_model.forecasts.value import ValueModel

FAMILIES: Final[tuple[Family, ...]] = ("bg/nbd", "mbg/nbd")
MONTH_DAYS: Final = 30
_MOST_SHOWN: Final = 7
"""Repeat purchases from which on customers are shown together."""
_CERTAIN: Final = 0.1
"""Probability of an order below which an interval is as good as always [0, 0]."""


@dataclass(frozen=True, eq=False, slots=True)
class Fits:
    """Models of one day."""

    rows: Rows
    """Everybody, fitted or not."""
    lifetimes: Mapping[Family, Fitted[LifetimeModel]]
    value: Fitted[ValueModel]
    censored: int
    """Customers left out of the fit: their first purchase may not be the first one seen."""

    @property
    def shown(self) -> LifetimeModel:
        """The one that is used."""
        return self.lifetimes["mbg/nbd"].model


def fit(rows: Rows, seen_from: int | None, families: Sequence[Family] = FAMILIES, start: Fits | None = None) -> Fits:
    """Fit to customers whose first purchase does not lie before `seen_from`, microseconds UTC (None: everybody).

    Raises NotEnoughDataError, NotConvergedError.
    """
    seen = np.ones(len(rows.customers), np.bool_) if seen_from is None else rows.first_at >= seen_from
    fitted = rows.select(np.flatnonzero(seen))
    begin = {} if start is None else {family: one.model for family, one in start.lifetimes.items()}
    return Fits(
        rows,
        {family: fit_lifetime(fitted.purchases, family, begin.get(family)) for family in families},
        fit_value(fitted.amounts, None if start is None else start.value.model),
        int((~seen).sum()),
    )


def refit(rows: Rows, seen_from: int | None, start: Fits) -> Fits:
    """The shown model fitted again to newer rows, or, where that can not be, the same for these rows."""
    try:
        return fit(rows, seen_from, ("mbg/nbd",), start)
    except LivesegmentsError:
        return replace(start, rows=rows)


def parameters(fits: Fits) -> dict[str, Any]:
    """The fitted parameters, as a report has them."""
    return {
        **{family.replace("/", "_"): _lifetime(one) for family, one in fits.lifetimes.items()},
        "value": {"p": fits.value.model.p, "q": fits.value.model.q, "gamma": fits.value.model.gamma},
        "left_censored": fits.censored,
    }


def _lifetime(fitted: Fitted[LifetimeModel]) -> dict[str, Any]:
    model = fitted.model
    found = {"r": model.r, "alpha": model.alpha, "a": model.a, "b": model.b}
    return {**found, "log_likelihood": fitted.log_likelihood, "customers": fitted.customers, "bounded": fitted.bounded}


def weeks(fits: Fits, truth: Truth) -> list[dict[str, float]]:
    """Repeat purchases of the customers known at the cut, week by week after it: expected and actual."""
    rows, found = fits.rows, []
    before = dict.fromkeys(fits.lifetimes, 0.0)
    for week in range(1, (truth.last_day + 1 - rows.day) // 7 + 1):
        start = rows.day + 7 * (week - 1)
        line = {"week": week, "actual": float(truth.purchase_days(rows.customers, start, start + 7).sum())}
        for family, fitted in fits.lifetimes.items():
            total = float(expected_orders(fitted.model, rows.purchases, week).sum())
            line[family.replace("/", "_")], before[family] = total - before[family], total
        found.append(line)
    return found


def by_frequency(rows: Rows, actual: Floats, forecasts: Mapping[str, Floats]) -> list[dict[str, Any]]:
    """Mean of actual and forecast purchase days and mean absolute error, by repeat purchases so far; all last."""
    repeats = np.minimum(rows.purchases.repeats, _MOST_SHOWN).astype(np.int64)
    groups: list[tuple[str, Booleans]] = [
        (f"{number}+" if number == _MOST_SHOWN else str(number), repeats == number) for number in range(_MOST_SHOWN + 1)
    ]
    groups.append(("all", np.ones(len(repeats), np.bool_)))
    return [
        {
            "repeats": name,
            "customers": int(who.sum()),
            "actual": float(actual[who].mean()),
            **{one: float(said[who].mean()) for one, said in forecasts.items()},
            "mean_absolute_error": {one: float(np.abs(said - actual)[who].mean()) for one, said in forecasts.items()},
        }
        for name, who in groups
        if who.any()
    ]


def month(fits: Fits, truth: Truth) -> dict[str, Any]:
    """How often orders and value of the 30 days after a fit lie within their intervals."""
    rows = fits.rows
    end = rows.day + MONTH_DAYS
    ahead = forecast(fits.shown, fits.value.model, rows.purchases, rows.amounts, [MONTH_DAYS]).ahead[MONTH_DAYS]
    orders = truth.purchase_days(rows.customers, rows.day, end)
    spend = np.maximum(truth.net(rows.customers, rows.day, end), 0.0)
    right = (orders >= ahead.orders.low) & (orders <= ahead.orders.high)
    paid = (spend >= ahead.value.low) & (spend <= ahead.value.high)
    unsure = ahead.orders.any > _CERTAIN
    return {
        "from": rfc3339(rows.day * DAY)[:10],
        "customers": len(rows.customers),
        "orders": float(orders.sum()),
        "orders_expected": float(ahead.orders.expected.sum()),
        "net": float(spend.sum()),
        "net_expected": float(ahead.value.expected.sum()),
        "coverage_orders": float(right.mean()),
        "coverage_value": float(paid.mean()),
        "unsure": int(unsure.sum()),
        "coverage_orders_unsure": float(right[unsure].mean()) if unsure.any() else None,
        "coverage_value_unsure": float(paid[unsure].mean()) if unsure.any() else None,
    }
