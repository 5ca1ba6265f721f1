"""Online Retail, and what its rows must come to, computed by pandas alone."""

from pathlib import Path

import pandas as pd

from contracts.times import to_micros

FILE = "online_retail_2010_2011.parquet"


def batch_rows(path: Path) -> pd.DataFrame:
    """One row a customer."""
    lines = pd.read_parquet(path)
    lines = lines[lines.CustomerID.notna() & (lines.UnitPrice >= 0)].copy()
    lines["customer"] = lines.CustomerID.astype("int64").astype(str)
    lines["invoice"] = lines.InvoiceNo.astype(str)
    lines["back"] = lines.invoice.str.startswith("C") | (lines.Quantity < 0)
    lines["quantity"] = lines.Quantity.abs()
    price = (lines.UnitPrice.astype("float64") * 1e6).round().astype("int64")
    lines["amount"] = price * lines.quantity.astype("int64")
    orders = lines.groupby(["customer", "invoice", "back"], as_index=False).agg(
        at=("InvoiceDate", "min"), amount=("amount", "sum"), units=("quantity", "sum")
    )
    bought, back = orders[~orders.back], orders[orders.back]
    return pd.DataFrame(
        {
            "orders": bought.groupby("customer").size(),
            "returns": back.groupby("customer").size(),
            "spend": bought.groupby("customer").amount.sum(),
            "refunds": back.groupby("customer").amount.sum(),
            "units": bought.groupby("customer").units.sum(),
            "first_at": bought.groupby("customer")["at"].min(),
            "last_at": bought.groupby("customer")["at"].max(),
        }
    )


def assert_equal_to_batch(rows: dict[str, dict], expected: pd.DataFrame) -> None:
    assert len(rows) == len(expected) == 4372
    for customer, row in expected.iterrows():
        got = rows[customer]
        for name in ("orders", "returns", "spend", "refunds", "units"):
            assert got[name] == (0 if pd.isna(row[name]) else int(row[name])), (customer, name)
        assert got["first_at"] == micros(row.first_at)
        assert got["last_at"] == micros(row.last_at)


def micros(moment):
    return None if pd.isna(moment) else to_micros(moment.tz_localize("UTC").to_pydatetime())
