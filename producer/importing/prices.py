"""Which column is the price of one, and which of a line: by what stands in them, since names say it badly."""

from typing import Any, Final

import numpy as np
import pandas as pd

from producer.cleaning import clean_ids, clean_numbers
from producer.numbers import DecimalSign

_SURE: Final = 4
"""So many times more items must speak for one than for the other, and so many at least."""
_AGREE: Final = 0.98
_CENT: Final = 0.011


def is_of_order(amounts: "pd.Series[Any]", orders: "pd.Series[Any]") -> bool:
    """Whether an amount is that of a whole order, repeated in its lines, or said in one of them alone."""
    frame = pd.DataFrame({"order": orders, "amount": amounts}).dropna(subset=["order"])
    groups: Any = frame.groupby("order")
    sizes, filled, kinds = groups.size(), groups["amount"].count(), groups["amount"].nunique()
    several = sizes > 1
    if int(several.sum()) < 3:
        return False
    alike = (kinds[several] <= 1) & ((filled[several] == sizes[several]) | (filled[several] == 1))
    return float(alike.mean()) >= 0.95


def agrees(
    quantities: "pd.Series[Any]", prices: "pd.Series[Any]", amounts: "pd.Series[Any]", decimal: DecimalSign
) -> bool:
    """Whether quantity times price is the amount, nearly everywhere."""
    q, p, a = (clean_numbers(one, decimal) for one in (quantities, prices, amounts))
    known = np.isfinite(q) & np.isfinite(p) & np.isfinite(a)
    if not known.any():
        return False
    near = np.abs(np.abs(q * p) - np.abs(a))[known] <= _CENT * np.maximum(1.0, np.abs(q[known]) / 2)
    return float(near.mean()) >= _AGREE


def of_one_or_of_all(
    items: "pd.Series[Any]", quantities: "pd.Series[Any]", prices: "pd.Series[Any]", decimal: DecimalSign
) -> str:
    """`unit_price` where an item costs the same whatever its quantity, `amount` where twice as many cost twice as much.

    Empty where it can not be told, `unit_price` where every quantity is one.
    """
    q, p = np.abs(clean_numbers(quantities, decimal)), np.abs(clean_numbers(prices, decimal))
    frame = pd.DataFrame({"item": clean_ids(items).codes, "q": q, "p": p})
    frame = frame[np.isfinite(frame["q"]) & np.isfinite(frame["p"]) & (frame["q"] > 0) & (frame["p"] > 0)]
    if len(frame) and bool((frame["q"] == 1).all()):
        return "unit_price"
    frame["each"] = frame["p"] / frame["q"]
    groups: Any = frame.groupby("item")
    varied = groups["q"].max() > groups["q"].min()
    spread = {name: _spread(groups[name])[varied] for name in ("p", "each")}
    one = int(((spread["p"] < spread["each"] / 2) & (spread["p"] < 0.5)).sum())
    whole = int(((spread["each"] < spread["p"] / 2) & (spread["each"] < 0.5)).sum())
    if one >= _SURE and one >= _SURE * whole:
        return "unit_price"
    return "amount" if whole >= _SURE and whole >= _SURE * one else ""


def _spread(groups: Any) -> "pd.Series[Any]":
    spread: pd.Series[Any] = groups.std(ddof=0) / groups.mean()
    return spread
