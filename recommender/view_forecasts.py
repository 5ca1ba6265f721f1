"""A customer's forecast as it stands in a view: JSON made from columns, many at once."""

from typing import Any, Final

import msgspec
import numpy as np
import numpy.typing as npt

from contracts.times import rfc3339

_DIGITS: Final = 3
"""Figures that count; an interval says how many of them mean anything."""


def forecast_texts(ahead: npt.NDArray[Any], now: int) -> list[str]:
    """JSON of contracts.documents.CustomerForecast or `null`, of each customer.

    `ahead` has the columns of online_model.forecasts.ahead_columns.AHEAD; `now` in microseconds UTC.
    """
    head = f'{{"as_of":"{rfc3339(now)[:10]}"'
    known = ~np.isnan(ahead["orders"][:, 0])
    columns = zip(
        known.tolist(),
        _numbers(ahead["orders"]),
        _numbers(ahead["spend"]),
        _rows(np.nan_to_num(np.stack([ahead["orders_low"], ahead["orders_high"]], axis=1)).astype(np.int64)),
        _numbers(np.stack([ahead["spend_low"], ahead["spend_high"]], axis=1)),
        _chances("p_active", ahead["active"]),
        _chances("churn", ahead["churn"]),
        strict=True,
    )
    return [
        f'{head}{active},"orders":[{orders}],"spend":[{spend}],"orders_90d":[{between}],"spend_90d":[{amount}]{churn}}}'
        if counted
        else f"{head}{churn}}}"
        if churn
        else "null"
        for counted, orders, spend, between, amount, active, churn in columns
    ]


def _numbers(columns: npt.NDArray[Any]) -> list[str]:
    """Rows of figures that count, as JSON without brackets."""
    return _rows(significant(np.nan_to_num(columns.astype(np.float64))))


def _rows(columns: npt.NDArray[Any]) -> list[str]:
    """Rows as JSON without brackets, encoded in one go: one by one takes some times as long."""
    text = msgspec.json.encode(columns.tolist()).decode().replace(".0,", ",").replace(".0]", "]")
    return text[2:-2].split("],[") if len(columns) else []


def _chances(name: str, column: npt.NDArray[Any]) -> list[str]:
    """A probability with its name, or nothing where it is not known."""
    known = ~np.isnan(column)
    rounded = np.rint(np.where(known, column, 0).astype(np.float64) * 1_000) / 1_000
    texts = [f',"{name}":{one}' for one in rounded.tolist()]
    return [text if told else "" for text, told in zip(texts, known.tolist(), strict=True)]


def significant(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Numbers with three figures that count, and none behind the second decimal."""
    size = np.floor(np.log10(np.maximum(np.abs(values), 1e-9)))
    scale = 10.0 ** np.minimum(_DIGITS - 1 - size, 2)
    return np.asarray(np.rint(values * scale) / scale)
