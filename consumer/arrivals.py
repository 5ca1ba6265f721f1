"""Whether purchases have come lately: time moves customers, and never the model."""

from typing import Final

_INTERVALS: Final = 2
"""A review falls due one interval after the one before, and the leader may come a little late to it."""


class Arrivals:
    """When the leader saw purchases come last.

    What is still to be decided about purchases that came is decided soon, or when the next ones come: a year's silence
    after three purchases would otherwise end in a model of a year's silence.
    """

    def __init__(self, review_interval: int) -> None:
        self._lately = _INTERVALS * review_interval
        self._purchases: int | None = None
        self._at = 0

    def take_over(self) -> None:
        """The lead is new: what the last leader saw is not known."""
        self._purchases = None

    def note(self, purchases: int, now: int, adopted_at: int | None) -> None:
        """Look at how many purchases have been counted; `adopted_at` is the present version's, None before the first.

        A new leader takes them to have come when that version was adopted; all times in microseconds.
        """
        if self._purchases is None:
            self._at = now if adopted_at is None else adopted_at
        elif purchases > self._purchases:
            self._at = now
        self._purchases = purchases

    def lately(self, now: int) -> bool:
        """Whether the newest are no older than two review intervals."""
        return now - self._at <= self._lately
