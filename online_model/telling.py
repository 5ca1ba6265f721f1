"""The values of features in words: a number with its unit and what it is a number of."""

from collections.abc import Callable
from typing import Final, NamedTuple

from contracts.model import FeatureColumn


class _Phrase(NamedTuple):
    number: Callable[[float, str], str]
    """(value, currency): the bare number with its unit."""
    noun: str
    """What follows it."""


def _days(value: float, _currency: str) -> str:
    return counted(value, "day")


def _money(value: float, currency: str) -> str:
    return money(value, currency)


def _share(value: float, _currency: str) -> str:
    return f"{value:.0%}"


def _plain(value: float, _currency: str) -> str:
    return short(value)


_PHRASES: Final = {
    "recency": _Phrase(_days, "since the last order"),
    "frequency": _Phrase(_plain, "orders (halved every year)"),
    "monetary": _Phrase(_money, "net (halved every year)"),
    "recent": _Phrase(_money, "net (halved every 90 days)"),
    "tenure": _Phrase(_days, "since the first order"),
    "mean_order": _Phrase(_money, "an order"),
    "basket_units": _Phrase(_plain, "units an order"),
    "relative_recency": _Phrase(_plain, "times the own mean gap since the last order"),
    "purchase_days": _Phrase(_plain, "days with an order"),
    "recent_share": _Phrase(_share, "of the net spend recent"),
}


def short(value: float) -> str:
    """A number without more digits than tell anything.

    >>> short(0.94), short(13.04), short(4300.4)
    ('0.9', '13', '4,300')
    """
    text = f"{value:,.1f}" if abs(value) < 100 else f"{value:,.0f}"
    text = text.removesuffix(".0")
    return "0" if text == "-0" else text


def money(amount: float, currency: str) -> str:
    """An amount with its currency, in whole units from 100 on."""
    text = f"{amount:,.2f}" if abs(amount) < 100 else f"{amount:,.0f}"
    return f"{text} {currency}".rstrip()


def counted(number: float, noun: str) -> str:
    """A whole number of things.

    >>> counted(1, "day"), counted(17.6, "day")
    ('1 day', '18 days')
    """
    text = f"{number:,.0f}"
    return f"{text} {noun}" if text == "1" else f"{text} {noun}s"


def number_of(column: FeatureColumn, value: float, currency: str) -> str:
    """A feature's value, in the units of `FeatureSet.in_units`, as a bare number."""
    if column.level is not None or column.category is not None:
        return f"{value:.0%}"
    if column.bins:
        return _range(column.bins, round(value))
    phrase = _PHRASES.get(column.name) if column.attribute is None else None
    return short(value) if phrase is None else phrase.number(value, currency)


def tell(column: FeatureColumn, value: float, currency: str) -> str:
    """A feature's value, in the units of `FeatureSet.in_units`, with what it is a number of.

    The mean of an attribute's level over customers, as any other value of it, is told as a share.
    """
    number = number_of(column, value, currency)
    if column.level is not None:
        return f"{number} {column.attribute} {column.level}"
    if column.category is not None:
        return f"{number} of the lines from {column.category}"
    if column.attribute is not None:
        return f"{column.attribute} {number}"
    return f"{number} {_PHRASES[column.name].noun}"


def _range(edges: tuple[float, ...], place: int) -> str:
    """What the bin of that number holds: `place` edges lie at or below it."""
    place = min(max(place, 0), len(edges))
    if place == 0:
        return f"below {short(edges[0])}"
    return f"from {short(edges[-1])}" if place == len(edges) else f"{short(edges[place - 1])} to {short(edges[place])}"
