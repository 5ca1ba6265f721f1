"""Which items are no products: postage, fees, vouchers, manual entries. They never appear in any answer."""

import re
from collections.abc import Iterable
from typing import Final

import numpy as np
from numpy.typing import NDArray

from contracts.errors import LivesegmentsError

AMOUNT_ITEM: Final = "(amount)"
"""Stands for the item in tables that have amounts but no items."""

GENERIC_PATTERNS: Final = (
    r"post|(.*[ _-])?postage",
    r"(.*[ _-])?(shipping|delivery|carriage|freight|handling)([ _-](charges?|costs?|fees?))?",
    r"((bank|service|amazon|card|payment)[ _-]?)?(charges?|fees?)",
    r"discount([ _-].*)?",
    r"manual|adjust(ment)?([ _-].*)?",
    r"samples?|tests?",
    r"gift[ _-]?(card|voucher)([ _-].*)?",
)
"""What shops commonly book as an item although nobody can want it."""


class NonProductPatternError(LivesegmentsError):
    """A pattern for non-products is not a regular expression."""


class NonProducts:
    """A growing mask over items, kept up as items appear.

    Parameters:
        patterns: regular expressions; an item is no product where one matches its whole id, in any case.

    >>> items = NonProducts(["post(age)?"])
    >>> items.extend(["POST", "posters", "22423"])
    >>> items.allowed.tolist()
    [False, True, True]
    """

    def __init__(self, patterns: Iterable[str] = GENERIC_PATTERNS) -> None:
        alternatives = [re.escape(AMOUNT_ITEM)]
        for pattern in patterns:
            try:
                re.compile(pattern, re.IGNORECASE)
            except re.error as error:
                raise NonProductPatternError(
                    f"non_products: {pattern!r} is not a regular expression ({error}); correct it or take it out"
                ) from None
            alternatives.append(pattern)
        # Compiled apart rather than joined by |: group names and flags of one pattern can not disturb another.
        self._patterns = [re.compile(pattern, re.IGNORECASE) for pattern in alternatives]
        self._allowed = np.ones(1024, dtype=np.bool_)
        self._items = 0

    def matches(self, item_id: str) -> bool:
        """Whether an item is no product."""
        return any(pattern.fullmatch(item_id) for pattern in self._patterns)

    def extend(self, item_ids: Iterable[str]) -> None:
        """Append items; the first one ever gets number 0."""
        verdicts = np.fromiter((not self.matches(item_id) for item_id in item_ids), dtype=np.bool_)
        end = self._items + len(verdicts)
        if end > len(self._allowed):
            grown = np.ones(max(end, 2 * len(self._allowed)), dtype=np.bool_)
            grown[: self._items] = self.allowed
            self._allowed = grown
        self._allowed[self._items : end] = verdicts
        self._items = end

    @property
    def allowed(self) -> NDArray[np.bool_]:
        """Which items are products, (items,). A view: later calls of `extend` may leave it behind."""
        return self._allowed[: self._items]
