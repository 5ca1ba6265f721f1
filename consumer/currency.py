"""One currency per deployment; others are converted by a dated table of rates, when an event is decoded."""

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal

from contracts.money import convert


class UnknownCurrencyError(ValueError):
    """There is no rate for that currency at that time."""


@dataclass(frozen=True)
class Rates:
    """What one unit of another currency is worth in the deployment's own, from which time on.

    `dated` has, by currency, rising `(from, rate)` pairs, with `from` in microseconds UTC. The event on the log keeps
    its original amounts; rows have the converted ones, so a `rebuild` with better rates is possible.
    """

    currency: str
    dated: Mapping[str, Sequence[tuple[int, Decimal]]] = field(default_factory=dict)

    def rate(self, currency: str, at: int) -> Decimal:
        """The rate of a currency at a time. Raises UnknownCurrencyError, whose text says what to do."""
        rates = self.dated.get(currency)
        if not rates:
            raise UnknownCurrencyError(
                f"currency {currency} is not the shop's {self.currency} and has no rate in the settings"
                f" (add one under rates.{currency})"
            )
        place = bisect_right(rates, at, key=lambda pair: pair[0])
        if place == 0:
            raise UnknownCurrencyError(f"currency {currency} has no rate as early as the event (rates.{currency})")
        return rates[place - 1][1]

    def convert(self, prices: Sequence[int], currency: str, at: int) -> list[int]:
        """Prices in millionths of another currency as millionths of the deployment's."""
        rate = self.rate(currency, at)
        return [convert(price, rate) for price in prices]
