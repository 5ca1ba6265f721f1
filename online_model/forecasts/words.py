"""Forecasts in sentences, with what they can not say."""

from typing import Final

import numpy as np

from contracts.forecasts import ChurnScores, ForecastDocument
from online_model.arrays import Floats
from online_model.forecasts.ahead_columns import SHOWN_DAYS, Ahead
from online_model.telling import money

CAN_NOT_TELL: Final = "Who has left can not be told: what was bought so far does not tell silence from leaving"
NOTHING_YET: Final = "not enough data yet: nothing was learnt so far"
TURNED_OFF: Final = "Forecasts are turned off (`forecasts = false`)."
_FAMILIES: Final = {"logistic": "a logistic regression", "tree": "a decision tree"}
_NOT_ENOUGH: Final = ("no forecasts yet: ", "no forecast of value yet: ")
"""How what the data do not suffice for begins; whatever else is missing is said as it stands."""


def missing(document: ForecastDocument | None) -> str:
    """What is missing for forecasts of orders and money; empty where there are some."""
    if document is None:
        return NOTHING_YET
    for prefix in _NOT_ENOUGH:
        if document.missing.startswith(prefix):
            return f"not enough data yet: {document.missing.removeprefix(prefix)}"
    return document.missing


def missing_churn(document: ForecastDocument | None) -> str:
    """The same of who stays away."""
    if document is None or not document.churn.missing:
        return ""
    return f"not enough data yet: {document.churn.missing.removeprefix('no churn forecasts yet: ')}"


def sentences(
    ahead: Ahead, document: ForecastDocument | None, currency: str, between: Floats | None = None
) -> tuple[str, ...]:
    """What is expected of one customer; `ahead` and `between`, as LooksAhead gives them, have one row."""
    if document is None or missing(document):
        told = [f"Orders and money: {missing(document)}."]
    elif np.isnan(ahead["orders"][0, 0]):
        return ("Nothing was bought yet, so nothing can be expected.",)
    else:
        told = _counted(ahead, document, currency, between)
    churn = float(ahead["churn"][0])
    if document is None:
        return tuple(told)
    if document.churn.missing:
        told.append(f"Who stays away: {missing_churn(document)}.")
    elif not np.isnan(churn):
        known = document.churn.came_back + document.churn.left
        told.append(f"No order within {document.churn.days} days: {_chance(churn)}, learned from {known:,} outcomes.")
    return tuple(told)


def _counted(ahead: Ahead, document: ForecastDocument, currency: str, between_all: Floats | None) -> list[str]:
    row = ahead[0]
    orders, spend = (row[name].astype(float).tolist() for name in ("orders", "spend"))
    low, high = int(row["orders_low"]), int(row["orders_high"])
    between = f"{low}" if low == high else f"{low} to {high}"
    least, most = money(float(row["spend_low"]), currency), money(float(row["spend_high"]), currency)
    expected = f"Within {SHOWN_DAYS} days: {_orders(orders[1])} and {money(spend[1], currency)}"
    interval = f"with 90 % {between} and {least} to {most}"
    if not high:  # whole numbers are about 90 %, money is: at 89 % for none there is some left
        interval = f"most likely none, with 90 % at most {most}" if row["spend_high"] > 0 else "with 90 % none"
    soon, later = (
        money(spend[place], currency) + ("" if between_all is None else _between(between_all[0, place], currency))
        for place in (0, 2)
    )
    told = [
        f"{expected}; {interval}.",
        f"Within 30 days {soon}, within a year {later}.",
    ]
    if document.lifetime is not None and not document.lifetime.tells_leaving:
        told.append(f"{CAN_NOT_TELL}.")
    else:
        told.append(f"Still a customer: {_chance(float(row['active']))}.")
    return told


def _between(ends: Floats, currency: str) -> str:
    low, high = ends.tolist()
    return f" (with 90 % {money(low, currency)} to {money(high, currency)})" if high > 0 else " (with 90 % nothing)"


def _orders(number: float) -> str:
    """Expected days with an order.

    >>> _orders(0.04), _orders(1.26), _orders(12.3)
    ('0.04 orders', '1.3 orders', '12 orders')
    """
    digits = 2 if number < 0.1 else 1 if number < 10 else 0
    return f"{number:.{digits}f} orders"


def _chance(chance: float) -> str:
    """A probability.

    >>> _chance(0.314), _chance(0.9999), _chance(0.001)
    ('31 %', 'above 99 %', 'below 1 %')
    """
    if chance >= 0.995:
        return "above 99 %"
    return "below 1 %" if chance < 0.005 else f"{100 * chance:.0f} %"


def about(document: ForecastDocument | None) -> tuple[str, ...]:
    """What forecasts of a shop rest on, how good they have been, and what they can not say."""
    if document is None:
        return (f"{NOTHING_YET[0].upper()}{NOTHING_YET[1:]}.",)
    told = []
    if document.missing:
        told.append(f"Orders and money: {missing(document)}.")
    elif document.fitted_at is not None:
        left = document.left_censored
        others = f"; {left:,} who were customers before are not counted in" if left else ""
        told.append(
            f"Fitted to {document.fitted:,} customers whose first purchase was seen, as of"
            f" {document.fitted_at.date().isoformat()}{others}."
        )
        if document.not_fitted:
            told.append(f"Since then {document.not_fitted}.")
        if document.lifetime is not None and not document.lifetime.tells_leaving:
            told.append(f"{CAN_NOT_TELL}. So nothing is told of revenue at risk.")
    churn = document.churn
    if churn.missing:
        told.append(f"Who stays away: {missing_churn(document)}.")
        return tuple(told)
    known = churn.came_back + churn.left
    told.append(
        f"Who stays away for {churn.days} days is learned from {known:,} outcomes, by {_FAMILIES[churn.family]}."
    )
    if document.changes:
        last = document.changes[-1]
        told.append(f"That has been in use since {last.at.date().isoformat()}: {last.why}.")
    scores = next((one for one in churn.scores if one.family == churn.family), None)
    if scores is not None and scores.auc is not None and scores.calibration_error is not None:
        told.append(
            f"Of {scores.forecasts:,} such forecasts it is known what came: of two customers of whom one stayed away,"
            f" that one had the higher probability {scores.auc:.0%} of the time; what was said and what came differ by"
            f" {100 * scores.calibration_error:.1f} points on average."
        )
        told.append(_drift(scores))
    return tuple(told)


def _drift(scores: ChurnScores) -> str:
    if not scores.drifts:
        return "Nothing shows that these forecasts have become better or worse."
    last = scores.drifts[-1].isoformat()
    return f"How good they are has changed, last on {last}: customers leave otherwise than before."
