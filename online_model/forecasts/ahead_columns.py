"""A customer's forecast as columns: what views, cards, conditions and tables tell. Importing it loads no model."""

from typing import Any, Final, Protocol

import numpy as np
import numpy.typing as npt

from contracts.forecasts import ForecastDocument
from online_model.arrays import Floats
from online_model.forecasts.churn_features import PurchaseColumns

HORIZONS: Final = (30, 90, 365)
"""Days ahead."""
SHOWN_DAYS: Final = 90
"""The horizon whose intervals are told."""
SHOWN: Final = HORIZONS.index(SHOWN_DAYS)
AHEAD: Final = np.dtype(
    [
        ("active", np.float32),
        ("orders", np.float32, len(HORIZONS)),
        ("spend", np.float32, len(HORIZONS)),
        ("orders_low", np.float32),
        ("orders_high", np.float32),
        ("spend_low", np.float32),
        ("spend_high", np.float32),
        ("churn", np.float32),
    ]
)
"""A customer's forecast: probabilities, orders (purchase days) and net spend within HORIZONS, 90 % intervals of the
middle one. NaN where it is not known."""

LIKELY_GONE: Final = 0.2
"""P(active) below which a customer counts as lost, and no longer as at risk."""

FIGURES: Final = ("p_active", "expected_orders_90d", "expected_spend_90d", "churn_90d")
"""What conditions and tables call four of them."""

Ahead = npt.NDArray[Any]
"""Of dtype AHEAD."""


def figure(ahead: Ahead, name: str) -> Floats:
    """One of FIGURES, (customers,); NaN where it is not known."""
    match name:
        case "p_active":
            column = ahead["active"]
        case "expected_orders_90d":
            column = ahead["orders"][:, SHOWN]
        case "expected_spend_90d":
            column = ahead["spend"][:, SHOWN]
        case _:
            column = ahead["churn"]
    return np.asarray(column, np.float64)


def unknown(customers: int) -> Ahead:
    """Nothing is known of so many customers."""
    return np.full(customers, np.nan, np.float32).repeat(AHEAD.itemsize // 4).view(AHEAD)


def at_risk(spend: Floats, active: Floats) -> Floats:
    """What customers would spend beyond what is expected of them if they had not left, (customers,).

    Of whoever is likely to be gone for good that is no longer at risk, but lost: nothing.
    """
    there = active >= LIKELY_GONE
    return np.where(there, spend * (1 - active) / np.where(there, active, 1.0), 0.0)


class LooksAhead(Protocol):
    """Whatever looks ahead."""

    @property
    def document(self) -> ForecastDocument | None:
        """By what; None: there is nothing yet."""

    def ahead(self, rows: PurchaseColumns, now: int) -> Ahead:
        """Forecasts as of the beginning of today (UTC), (customers,) of dtype AHEAD."""

    def spend_between(self, rows: PurchaseColumns, now: int) -> Floats:
        """Between what the net spend within HORIZONS lies with 90 %, (customers, horizons, 2); NaN if not known."""


class Blind:
    """Looks ahead while there is no document: nothing is known."""

    document: ForecastDocument | None = None

    def ahead(self, rows: PurchaseColumns, _now: int) -> Ahead:
        """Nothing."""
        return unknown(len(rows.first_at))

    def spend_between(self, rows: PurchaseColumns, _now: int) -> Floats:
        """Nothing."""
        return np.full((len(rows.first_at), len(HORIZONS), 2), np.nan)
