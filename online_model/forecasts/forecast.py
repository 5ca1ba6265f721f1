"""What lies ahead of each customer: still active or not, how many orders, how much money, and how sure that is."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

import numpy as np
from scipy.special import digamma, ndtri, polygamma

from online_model.arrays import Floats
from online_model.forecasts.ahead_columns import HORIZONS
from online_model.forecasts.lifetime import LifetimeModel
from online_model.forecasts.orders_ahead import COVERAGE, OrdersAhead, orders_ahead
from online_model.forecasts.purchases import DAYS_PER_WEEK, Purchases
from online_model.forecasts.value import Amounts, ValueModel

_TAIL: Final = (1 - COVERAGE) / 2


@dataclass(frozen=True, eq=False, slots=True)
class ValueAhead:
    """Net spend within a horizon in currency units, columns of one length (customers,)."""

    expected: Floats
    low: Floats
    """With `high` the amounts between which 90 % lie; from 0 on where spending nothing is likely enough."""
    high: Floats


@dataclass(frozen=True, eq=False, slots=True)
class Ahead:
    """What happens within a horizon."""

    orders: OrdersAhead
    value: ValueAhead


@dataclass(frozen=True, eq=False, slots=True)
class Forecast:
    """What a pair of models says of customers."""

    active: Floats
    """Probability of still being a customer, (customers,)."""
    ahead: dict[int, Ahead]
    """By days ahead."""


def forecast(
    lifetime: LifetimeModel,
    value: ValueModel,
    purchases: Purchases,
    amounts: Amounts,
    days: Iterable[int] = HORIZONS,
) -> Forecast:
    """Look ahead so many days from now; `purchases` and `amounts` are of the same customers in the same order."""
    ahead = {}
    for horizon in days:
        orders = orders_ahead(lifetime, purchases, horizon / DAYS_PER_WEEK)
        ahead[horizon] = Ahead(orders, value_ahead(value, amounts, orders))
    return Forecast(lifetime.active(purchases), ahead)


def value_ahead(model: ValueModel, amounts: Amounts, orders: OrdersAhead) -> ValueAhead:
    """What the purchase days ahead are worth.

    k of them add up to a gamma-distributed amount of shape p·k whose rate is the customer's own, so the logarithm has
    mean ψ(p·k) − ψ(shape) + ln(scale) and variance ψ′(p·k) + ψ′(shape). Over k, too, it is taken for normal.
    """
    own, scale = model.shape(amounts), model.scale(amounts)
    shape = model.p * np.exp(orders.log_mean)
    middle = orders.log_mean + digamma(shape) - np.log(shape) + np.log(model.p) - digamma(own) + np.log(scale)
    spread = np.sqrt(orders.log_variance + polygamma(1, shape) + polygamma(1, own))

    def quantile(level: Floats) -> Floats:
        """The amount below which it stays with this probability; 0 where that is likely to be nothing."""
        share = (level - (1 - orders.any)) / np.maximum(orders.any, 1e-300)
        above = share > 0
        return np.where(above, np.exp(middle + spread * ndtri(np.where(above, share, 0.5))), 0.0)

    low = quantile(np.full(len(own), _TAIL))
    return ValueAhead(
        expected=orders.expected * model.expected(amounts),
        low=low,
        high=quantile(np.where(low > 0, 1 - _TAIL, COVERAGE)),
    )
