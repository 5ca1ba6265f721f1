"""What order lines tell besides their columns: months, hours, best sellers, and the customers behind them."""

from collections.abc import Mapping
from datetime import tzinfo
from typing import Any, Final

import numpy as np
import pandas as pd

from contracts.money import MILLIONTHS
from contracts.times import DAY
from livesegments.explore.findings import Item, Month, Orders
from producer.lines import Lines, Reading

ITEMS: Final = 15


def orders_of(reading: Reading, names: Mapping[str, str], zone: tzinfo) -> Orders:
    """Months, hours and best sellers. `names` of items by id."""
    lines = reading.lines
    frame = _frame(lines)
    moments = pd.Series(pd.to_datetime(lines.occurred_at, unit="us", utc=True)).dt.tz_convert(zone)
    frame["month"] = moments.dt.strftime("%Y-%m")
    bought = frame.assign(weekday=moments.dt.day_of_week, hour=moments.dt.hour).loc[~lines.returned]
    first = bought.drop_duplicates("order")
    hours = np.zeros((7, 24), np.int64)
    np.add.at(hours, (first["weekday"].to_numpy(), first["hour"].to_numpy()), 1)
    return Orders(
        currency=", ".join(lines.currencies[:3]),
        months=_months(frame),
        hours=hours.tolist(),
        items=_items(frame, lines, names),
        used=reading.used,
        skipped=dict(sorted(reading.skipped.items(), key=lambda pair: -pair[1])),
    )


def customers_of(lines: Lines) -> pd.DataFrame:
    """A row per customer: what a segmentation would begin with, as of the table's last order line.

    Columns: customer_id, recency_days, orders, spend, basket_value (spend per order), units, items (different ones),
    refunds, returns, tenure_days.
    """
    frame = _frame(lines)
    bought, returned = frame[~frame["returned"]], frame[frame["returned"]]
    grouped = bought.groupby("customer")
    found = pd.DataFrame(index=pd.RangeIndex(len(lines.customers)))
    now = int(lines.occurred_at.max())
    found["recency_days"] = (now - grouped["at"].max()) / DAY
    found["orders"] = grouped["order"].nunique()
    found["spend"] = grouped["amount"].sum()
    found["units"] = grouped["quantity"].sum()
    found["items"] = grouped["item"].nunique()
    found["refunds"] = -returned.groupby("customer")["amount"].sum()
    found["returns"] = returned.groupby("customer")["order"].nunique()
    found["tenure_days"] = (now - grouped["at"].min()) / DAY
    counted = ["orders", "spend", "refunds", "units", "items", "returns"]
    found[counted] = found[counted].fillna(0)
    found.insert(3, "basket_value", found["spend"] / found["orders"].replace(0, np.nan))
    found.insert(0, "customer_id", lines.customers)
    present = np.unique(lines.customer)
    return found.iloc[present].reset_index(drop=True)


def _frame(lines: Lines) -> pd.DataFrame:
    """Order lines as columns; amounts in currency units, negative where something came back."""
    amount = lines.quantity * (lines.price / MILLIONTHS)
    return pd.DataFrame(
        {
            "customer": lines.customer,
            "order": lines.order,
            "item": lines.item,
            "at": lines.occurred_at,
            "quantity": lines.quantity,
            "returned": lines.returned,
            "amount": np.where(lines.returned, -amount, amount),
        }
    )


def _months(frame: pd.DataFrame) -> list[Month]:
    found = []
    for month, part in frame.groupby("month"):
        bought = part[~part["returned"]]
        found.append(
            Month(
                month=str(month),
                orders=int(bought["order"].nunique()),
                returns=int(part["order"][part["returned"]].nunique()),
                customers=int(bought["customer"].nunique()),
                spend=round(float(bought["amount"].sum()), 2),
                refunds=round(-float(part["amount"][part["returned"]].sum()), 2),
            )
        )
    return found


def _items(frame: pd.DataFrame, lines: Lines, names: Mapping[str, str]) -> list[Item]:
    bought: Any = frame[~frame["returned"]].groupby("item")
    best = bought["amount"].sum().nlargest(ITEMS)
    units, buyers = bought["quantity"].sum(), bought["customer"].nunique()
    return [
        Item(
            item_id=lines.items[code],
            name=names.get(lines.items[code]),
            spend=round(float(amount), 2),
            units=int(units[code]),
            buyers=int(buyers[code]),
        )
        for code, amount in best.items()
    ]
