"""Figures of segments and customers in the words of somebody who sells things."""

from typing import Final

from dashboard.pages.widgets import money, shown

_FIGURES: Final = {
    "net_spend_per_customer": "Net spend, ever",
    "recency_days": "Days since the last order",
    "recency": "Days since the last order",
    "frequency": "Orders*",
    "monetary": "Net spend*",
    "recent": "Net spend lately",
    "tenure_days": "Days since the first order",
    "tenure": "Days since the first order",
    "mean_order": "Net spend an order",
    "basket_units": "Units an order",
    "relative_recency": "Own gaps since the last order",
    "purchase_days": "Days with an order",
    "recent_share": "Share of spend that is recent",
}
_MONEY: Final = frozenset({"net_spend_per_customer", "monetary", "recent", "mean_order"})
HALVED: Final = "* What is older counts less: halved every 365 days."


def figure_name(name: str) -> str:
    """What a figure of a card's profile, or a feature, is called."""
    return _FIGURES.get(name) or shown(name.replace("_", " ")).capitalize()


def figure_value(name: str, value: float, currency: str) -> str:
    """Its value with its unit."""
    if name in _MONEY:
        return money(value, currency)
    if name == "recent_share" or name.startswith("share_of"):
        return f"{100 * value:.0f} %"
    return f"{value:,.1f}".removesuffix(".0") if abs(value) < 100 else f"{value:,.0f}"


def is_halved(name: str) -> bool:
    """Whether HALVED is to be said of it."""
    return name in {"frequency", "monetary"}
