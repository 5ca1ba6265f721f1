"""Audiences as bits of a row: who is in which, by rules over the row's figures."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from consumer.columns import Columns
from consumer.moves import Bits
from contracts.errors import LivesegmentsError
from online_model.condition_truth import Customers
from online_model.rules import Audience, Rule

MAX_AUDIENCES: Final = 64
"""Names that a deployment may ever use: a row has a bit for each."""
MAX_AT_A_TIME: Final = 20
"""Audiences in settings: all their names must fit into a customer's view."""


class TooManyAudiencesError(LivesegmentsError):
    """More names than a row has bits."""


@dataclass(frozen=True, slots=True)
class Usual:
    """What is usual in the shop: what rules compare with."""

    percentiles: Mapping[str, float] = field(default_factory=dict)
    """As `online_model.rules.measure` gives them."""
    order_value: float = 1.0
    """The median order value, in currency units."""


class Audiences:
    """The audiences of settings, under the numbers that the deployment gave their names once and for all."""

    def __init__(self, audiences: Sequence[Audience], numbers: Mapping[str, int]) -> None:
        if max(numbers.values(), default=0) >= MAX_AUDIENCES:
            raise TooManyAudiencesError(
                f"a deployment may have {MAX_AUDIENCES} audiences in its life, also under names no longer used:"
                " use a name again, or start with another key prefix"
            )
        self.names = {number: name for name, number in numbers.items()}
        """By number; also those that settings no longer name: their customers leave them."""
        self._rules: Final = [(np.uint64(1) << np.uint64(numbers[one.name]), one.rule) for one in audiences]

    def __bool__(self) -> bool:
        return bool(self.names)

    @property
    def rules(self) -> list[Rule]:
        """What they are told by."""
        return [rule for _, rule in self._rules]

    def of(self, columns: Columns, now: int, segment_names: Mapping[int, str], usual: Usual) -> Bits:
        """Who is in which audience, (customers,)."""
        bits: Bits = np.zeros(len(columns.header), np.uint64)
        customers = Customers(columns, now, segment_names, usual.percentiles, usual.order_value)
        for bit, rule in self._rules:
            bits[rule.true_of(customers)] |= bit
        return bits


def names_in(bits: int, names: Mapping[int, str]) -> list[str]:
    """The audiences that a row's bits stand for, by number."""
    return [names[number] for number in range(MAX_AUDIENCES) if bits >> number & 1 and number in names]
