"""A customer's forecast as it stands in a view: JSON made from columns, many at once."""

from typing import Any, Final

import msgspec
import numpy as np
import numpy.typing as npt

from contracts.times import rfc3339

_DIGITS: Final = 3
"""Figures that count; an interval says how many of them mean anything."""
_STEPS: Final = 1_000
"""A probability is told with three decimals."""
_CHANCES: Final = {
    name: [*(f',"{name}":{step / _STEPS}' for step in range(_STEPS + 1)), ""] for name in ("p_active", "churn")
}


def forecast_texts(ahead: npt.NDArray[Any], now: int) -> list[str]:
    """JSON of contracts.documents.CustomerForecast or `null`, of each customer.

    `ahead` has the columns of online_model.forecasts.ahead_columns.AHEAD; `now` in microseconds UTC.
    """
    if not len(ahead):
        return []
    head = f'{{"as_of":"{rfc3339(now)[:10]}"'
    columns = np.empty((len(ahead), 10))
    columns[:, 0:3], columns[:, 3:6] = ahead["orders"], ahead["spend"]
    columns[:, 6], columns[:, 7] = ahead["spend_low"], ahead["spend_high"]
    columns[:, 8], columns[:, 9] = ahead["orders_low"], ahead["orders_high"]
    known = ~np.isnan(columns[:, 0])
    columns[np.isnan(columns)] = 0
    columns[:, :8] = significant(columns[:, :8])
    # All encoded in one go: one by one takes some times as long.
    text = msgspec.json.encode(columns.tolist()).decode().replace(".0,", ",").replace(".0]", "]")
    figures = [row.split(",") for row in text[2:-2].split("],[")]
    active, churn = _chances("p_active", ahead["active"]), _chances("churn", ahead["churn"])
    return [
        f'{head}{p},"orders":[{a},{b},{c}],"spend":[{d},{e},{f}],"orders_90d":[{i},{j}],"spend_90d":[{g},{h}]{q}}}'
        if counted
        else f"{head}{q}}}"
        if q
        else "null"
        for counted, (a, b, c, d, e, f, g, h, i, j), p, q in zip(known.tolist(), figures, active, churn, strict=True)
    ]


def _chances(name: str, column: npt.NDArray[Any]) -> list[str]:
    """A probability with its name, or nothing where it is not known."""
    texts = _CHANCES[name]
    # What is not known points to the last one.
    steps = np.where(np.isnan(column), len(texts) - 1, np.rint(column.astype(np.float64) * _STEPS))
    return [texts[step] for step in steps.astype(np.int64).tolist()]


def significant(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Numbers with three figures that count, and none behind the second decimal."""
    size = np.floor(np.log10(np.maximum(np.abs(values), 1e-9)))
    scale = 10.0 ** np.minimum(_DIGITS - 1 - size, 2)
    return np.asarray(np.rint(values * scale) / scale)
