"""Tables that are known by their columns."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Preset:
    """A table known by its columns."""

    name: str
    columns: Mapping[str, str]
    """Field to column; columns for `name` and `category` may be missing."""
    currency: str
    non_products: tuple[str, ...] = ()
    """Anchored patterns, without regard to case, of item ids that are no merchandise."""


# Postage and carriage (also 23444 "Next Day Carriage" and 23574 "PACKING CHARGE"), manual entries, discounts, samples,
# bad debt, bank and market-place fees, a charity's commission, padding, vouchers; in II also adjustments and tests.
ONLINE_RETAIL_NON_PRODUCTS: Final = (
    r"^POST$",
    r"^DOT$",
    r"^C[23]$",
    r"^23444$",
    r"^23574$",
    r"^[MDSB]$",
    r"^BANK CHARGES$",
    r"^AMAZONFEE$",
    r"^CRUK$",
    r"^PADS$",
    r"^GIFT(?:_\d+)*$",
    r"^ADJUST\d*$",
    r"^TEST\d*$",
)

PRESETS: Final = (
    Preset(
        name="Online Retail",
        columns={
            "customer_id": "CustomerID",
            "occurred_at": "InvoiceDate",
            "order_id": "InvoiceNo",
            "item_id": "StockCode",
            "quantity": "Quantity",
            "unit_price": "UnitPrice",
            "name": "Description",
        },
        currency="GBP",
        non_products=ONLINE_RETAIL_NON_PRODUCTS,
    ),
    Preset(
        name="Online Retail II",
        columns={
            "customer_id": "Customer ID",
            "occurred_at": "InvoiceDate",
            "order_id": "Invoice",
            "item_id": "StockCode",
            "quantity": "Quantity",
            "unit_price": "Price",
            "name": "Description",
        },
        currency="GBP",
        non_products=ONLINE_RETAIL_NON_PRODUCTS,
    ),
)
