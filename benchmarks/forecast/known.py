"""Forecasts of a synthetic shop of which the truth is known, and how long a million customers take."""

import time
from typing import Any, Final

import numpy as np

from benchmarks.forecast.known_lifetimes import Leaving, Tastes, known_shop
from online_model.forecasts.fitting import fit_lifetime, fit_value
from online_model.forecasts.forecast import forecast

_MILLION: Final = 1_000_000
_LEAVING: Final[tuple[Leaving, ...]] = ("after a purchase", "at any time")
_UNSURE: Final = 0.1


def report(seed: int, customers: int = 20_000) -> dict[str, Any]:
    """Coverage of 90 % intervals by horizon and way of leaving, activity by tenths, seconds for a million."""
    lines, tenths = [], []
    for leaving in _LEAVING:
        shop = known_shop(Tastes(customers=customers, leaving=leaving), seed)
        lifetime, value = fit_lifetime(shop.purchases).model, fit_value(shop.amounts).model
        found = forecast(lifetime, value, shop.purchases, shop.amounts)
        for days, ahead in found.ahead.items():
            orders, spend = shop.orders[days], shop.spend[days]
            right = (orders >= ahead.orders.low) & (orders <= ahead.orders.high)
            paid = (spend >= ahead.value.low) & (spend <= ahead.value.high)
            unsure = ahead.orders.any > _UNSURE
            lines.append(
                {
                    "leaving": leaving,
                    "days": days,
                    "orders": int(orders.sum()),
                    "orders_expected": float(ahead.orders.expected.sum()),
                    "coverage_orders": float(right.mean()),
                    "coverage_value": float(paid.mean()),
                    "unsure": float(unsure.mean()),
                    "coverage_orders_unsure": float(right[unsure].mean()),
                    "coverage_value_unsure": float(paid[unsure].mean()),
                }
            )
        tenths += [
            {"leaving": leaving, "active_stated": float(found.active[part].mean()), "active": float(alive.mean())}
            for part in np.array_split(np.argsort(found.active), 10)
            for alive in [shop.active[part]]
        ]
    many = np.random.default_rng(seed).integers(customers, size=_MILLION)
    purchases, amounts = shop.purchases.select(many), shop.amounts.select(many)
    began, cpu = time.perf_counter(), time.process_time()
    forecast(lifetime, value, purchases, amounts)
    return {
        "seconds_for_a_million": time.perf_counter() - began,
        "cpu_seconds_for_a_million": time.process_time() - cpu,
        "intervals": lines,
        "activity": tenths,
    }
