"""Money: integer millionths of the deployment's currency, so that sums are exact in any order."""

from decimal import ROUND_HALF_EVEN, Decimal
from typing import Final

MILLIONTHS: Final = 1_000_000
MAX_UNIT_PRICE: Final = 10_000_000
MAX_QUANTITY: Final = 1_000_000
MAX_LINE_MILLIONTHS: Final = 10**12 * MILLIONTHS
"""The most that one line may be worth."""
MAX_TOTAL_MILLIONTHS: Final = 9 * 10**18
"""The most that an event, or a row's spend or refunds, may add up to: below 2**63, where int64 wraps."""


def to_millionths(price: float) -> int:
    """A price as integer millionths.

    Raises ValueError where the price has more than six decimals: it could not be kept exactly.

    >>> to_millionths(2.55), to_millionths(0.000001)
    (2550000, 1)
    """
    millionths = round(price * MILLIONTHS)
    # Division rounds correctly, so equality holds exactly for the doubles nearest to six-decimal numbers.
    if millionths / MILLIONTHS != price:
        raise ValueError("at most 6 decimals")
    return millionths


def from_millionths(amount: int) -> float:
    """An amount in millionths as the nearest float of whole currency units."""
    return amount / MILLIONTHS


def convert(millionths: int, rate: Decimal) -> int:
    """An amount times an exchange rate, rounded half to even to whole millionths."""
    return int((millionths * rate).to_integral_value(rounding=ROUND_HALF_EVEN))
