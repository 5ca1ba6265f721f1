"""The customers that the leader's decisions look at, and the features that they are compared by."""

from dataclasses import dataclass, replace
from typing import Final

import structlog

from consumer.columns import Columns
from consumer.figures import ShopFigures
from consumer.row_store import RowStore
from consumer.sample import sample_columns
from consumer.state import State
from contracts.model import FeatureColumn
from online_model.features import median_order_value
from online_model.lapse import usual_gap
from online_model.names import Members
from online_model.presets import Choice

SAMPLE_CUSTOMERS: Final = 20_000
"""About so many customers are looked at in a review."""

_log = structlog.get_logger("livesegments.leader")


@dataclass(frozen=True, slots=True)
class Sample:
    """Some customers as of a moment."""

    columns: Columns
    order_value: float
    """Their median order value."""
    now: int

    @property
    def members(self) -> Members:
        """What names are made from."""
        return Members.of(self.columns, self.now)

    @property
    def members_with_gap(self) -> Members:
        """The same, and after how many days most have bought again: what days of lapse are settled by."""
        return replace(self.members, usual_gap=usual_gap(*self.columns.kept_purchases()))


class Sampler:
    """Draws the sample: always the customers of the same buckets."""

    def __init__(self, state: State, store: RowStore) -> None:
        self._state = state
        self._store = store
        self._complained: tuple[str, ...] = ()

    def sample(self, shop: ShopFigures, now: int) -> Sample:
        """Rows of held partitions from memory, others' from the state."""
        customers = sum(shop.sizes.values())
        columns = sample_columns(self._store, self._state, customers, SAMPLE_CUSTOMERS, shop.partitions)
        return Sample(columns, median_order_value(columns.spend, columns.orders), now)

    def chosen(self, choice: Choice) -> tuple[FeatureColumn, ...]:
        """The columns of a choice; what was left out of it is said once."""
        if choice.left_out != self._complained:
            self._complained = choice.left_out
            for advice in choice.left_out:
                _log.warning("left out of the features", advice=advice)
        return choice.columns
