"""Everything a worker knows of the partitions it holds, kept consistent: rows, votes, popularity, dirty views."""

from collections import deque
from collections.abc import Callable, Mapping
from typing import Final

import numpy as np

from consumer import collector
from consumer.applied import Applied, Sold
from consumer.applying import Applier
from consumer.audiences import Audiences
from consumer.clock import Clock
from consumer.day_book import ERASED
from consumer.event_columns import Kind
from consumer.held import AudienceChange, Change, Held
from consumer.items import Detached, ItemSums
from consumer.layout import MISSING_TIME
from consumer.learning import Learner
from consumer.moves import Moves, shared
from consumer.names import Names
from consumer.row_forecasts import RowForecasts
from consumer.row_store import Rows, RowStore
from consumer.settings import WorkerSettings
from consumer.view_writer import ViewWriter
from contracts.documents import CAUSES, NO_SEGMENT
from contracts.forecasts import ForecastDocument
from online_model.by_rule import RULE_SEGMENTS
from online_model.forecasts.ahead import Forecaster
from online_model.model import OUT_OF_SCOPE, SPECIAL_SEGMENTS, SegmentModel
from recommender.item_model import ItemModel
from recommender.store import ViewStore

_CAUSES = {
    **{kind: CAUSES.index(kind.name.lower()) for kind in (Kind.PURCHASE, Kind.RETURN, Kind.PROFILE, Kind.ALIAS)},
    Kind.INTERACTION: CAUSES.index("time"),  # who appears by it is placed, and nobody moves because of it
}
_ALIAS: Final = CAUSES.index("alias")
_LET_GO_ROWS: Final = 2_048
"""Freed at a time: about 5 ms."""


class Memory:
    """Rows of the held partitions and all that follows from them. No method here reads or writes the state."""

    def __init__(
        self,
        settings: WorkerSettings,
        clock: Clock,
        partitions: int,
        views: ViewStore,
        monotonic: Callable[[], float],
    ) -> None:
        self.held: dict[int, Held] = {}
        self._leaving = deque[Detached]()
        self.clock = clock
        self.partitions = partitions
        self.store = RowStore(holdout=settings.holdout)
        self.applier = Applier(self.store, settings.limits, partitions, settings.deployment)
        self.names = Names(
            {
                **SPECIAL_SEGMENTS,
                OUT_OF_SCOPE: settings.out_of_scope_name,
                **{segment: named.name for segment, named in RULE_SEGMENTS.items()},
            }
        )
        """Every segment name known, also of versions before."""
        self._monotonic = monotonic
        self.forecasts = RowForecasts(self.store)
        self.store.ahead = self.forecasts.of
        self.learner = Learner(self.store, settings.model, partitions, scope=settings.scope, names=self.names)
        self.item_sums = ItemSums(self.store, settings.recommender)
        self._audiences = settings.audiences
        self.item_model: ItemModel | None = None
        self.item_version = 0
        """Of `item_model`; 0 before there is one."""
        self.views = ViewWriter(
            self.store,
            self.item_sums,
            views,
            keys=settings.keys,
            settings=settings.recommender,
            names=self.names,
            forecasts=self.forecasts,
            monotonic=monotonic,
        )

    def set_audiences(self, numbers: Mapping[str, int]) -> None:
        """Audiences under the numbers that the deployment has given them. Raises TooManyAudiencesError."""
        self.learner.audiences = Audiences(self._audiences, numbers)
        self.views.audiences = self.learner.audiences.names

    def adopt_items(self, model: ItemModel, version: int) -> None:
        """Take over an item model: everybody's view is to be rewritten."""
        self.item_model, self.item_version = model, version
        self.views.adopt_items(model, self.held.values())

    def adopt_forecasts(self, document: ForecastDocument, version: int) -> None:
        """Take over a forecast document: a pass over all rows begins."""
        self.forecasts.adopt(Forecaster(document), version)

    def look_ahead(self) -> None:
        """Work out the forecasts of one slice of all rows; views that are off by too much are to be rewritten."""
        now = self._monotonic()
        for row in self.forecasts.go_on(self.clock.now).tolist():
            held = self.held[int(self.store.partition[row])]
            held.dirty.setdefault(row, (held.seq + 1, now))  # no checkpoint has it: the mark may pass all before

    @property
    def holds_all(self) -> bool:
        """Whether no other worker holds any partition."""
        return len(self.held) == self.partitions

    def take_in(self, held: Held, rows: Rows) -> None:
        """Begin to hold a partition whose rows were loaded into the store."""
        self.held[held.number] = held
        if held.clock != MISSING_TIME:
            self.clock.hear((held.clock,))
        self.forecasts.take_in(rows)
        self.learner.load(rows, self.clock.now)
        self.item_sums.revise(rows, {})
        if self.holds_all:
            # Whoever held these partitions before said what sells there; now we count it ourselves.
            self.item_sums.hear({}, 0)

    def drop(self, partition: int) -> bool:
        """Forget a partition, whose state has all that counts. Returns whether it was held."""
        if self.held.pop(partition, None) is None:
            return False
        rows = np.fromiter(self.store.partitions[partition].index.values(), np.int64)
        self.learner.drop_partition(partition, rows)
        self._leaving.append(self.item_sums.detach(partition, rows))
        self.views.forget(partition)
        self.forecasts.drop(partition)
        self.store.detach_partition(partition)
        return True

    @property
    def letting_go(self) -> bool:
        """Whether rows of partitions that went are still there."""
        return bool(self._leaving)

    def let_go(self) -> None:
        """Free some of the rows of partitions that went, and take back what they counted in popularity.

        A quarter of a million at once took 0.6 s, for which the group waited: until this worker had joined again nobody
        had the partition. There is no hurry with it either: who takes the partition over needs the processor more.
        """
        if not self._leaving:
            return
        some, rest = self._leaving.popleft().split(_LET_GO_ROWS)
        self.item_sums.take_back(some)
        self.store.release(some.rows.tolist())
        if len(rest.rows):
            self._leaving.appendleft(rest)
        else:
            collector.give_back()

    def adopt(self, model: SegmentModel) -> None:
        """Take over a model version: a sweep begins, and everybody's view is to be rewritten."""
        self.learner.adopt(model, self.clock.now)
        self.views.adopt(model, self.held.values())

    def settle(self) -> tuple[Applied, Moves]:
        """End a step of events: bring votes, segments and popularity up to what they changed."""
        applied = self.applier.settle()
        for partition, newest in applied.newest.items():
            held = self.held[partition]
            held.clock = max(held.clock, newest)
        self.clock.hear(applied.newest.values())
        for partition, purchases in applied.purchases.items():
            self.held[partition].purchases += purchases
        for partition, changes in applied.feedback.items():
            self.held[partition].feedback.add(changes)
        self._remove(applied)
        changed = self._without_onlookers(applied)
        for row in changed:
            if self.store.guest[row]:
                self.held[int(self.store.partition[row])].onlookers.add(row)  # nobody who has a view
        self.forecasts.forget(np.fromiter(changed, np.int64, len(changed)))
        moves = self.learner.update({row: _CAUSES[Kind(kind)] for row, kind in changed.items()}, self.clock.now)
        self._note_moves(moves)
        if applied.sold is not None:
            self._note_sales(applied.sold)
        self.item_sums.revise(np.fromiter(changed, np.int64, len(changed)), applied.before)
        self.store.release(applied.borrowed)
        return applied, moves

    def _without_onlookers(self, applied: Applied) -> dict[int, int]:
        """The changed rows with their causes, without those of known customers who only saw or clicked something.

        That changes neither their segment nor their view.
        """
        if not applied.accepted[Kind.INTERACTION]:
            return applied.causes
        rows = [row for row, kind in applied.causes.items() if kind == Kind.INTERACTION]
        header, partition = self.store.header, self.store.partition
        onlookers = {row for row in rows if header["segment"][row] != NO_SEGMENT}
        for row in onlookers:
            held = self.held[int(partition[row])]
            if row not in held.changed and row not in held.changes and row not in held.audience_changes:
                held.onlookers.add(row)
        return {row: kind for row, kind in applied.causes.items() if row not in onlookers}

    def sweep(self) -> Moves:
        """Re-evaluate one slice of all rows."""
        moves = self.learner.sweep(self.clock.now)
        self._note_moves(moves)
        self.item_sums.revise(moves.rows, {})
        if not self.learner.sweeping:
            self.forecasts.begin_again()
        for row in moves.rewritten():
            self.held[int(self.store.partition[row])].changed.setdefault(row)
        return moves

    def _remove(self, applied: Applied) -> None:
        rows = np.array([row for row, _ in applied.removed], np.int64)
        if not len(rows):
            return
        self.learner.remove(rows)
        self.forecasts.forget_shown(rows)
        self.item_sums.remove(rows, applied.before)
        for row, customer_id in applied.removed:
            held = self.held[int(self.store.partition[row])]
            held.gone.add(row)
            waiting_moves = held.changes.get(row)
            written = waiting_moves[0].before if waiting_moves else int(self.store.header["segment"][row])
            if written != NO_SEGMENT:
                held.left.append((written, CAUSES[_ALIAS] if customer_id in held.rows.bonds else ERASED))
            for waiting in (held.dirty, held.asked, held.changes, held.audience_changes, held.changed):
                waiting.pop(row, None)
        self.store.release(rows.tolist())

    def _note_sales(self, sold: Sold) -> None:
        """For the day book: by partition and segment. In Python's integers, since a day's sum may pass 64 bits."""
        partitions = self.store.partition[sold.rows].tolist()
        segments = self.store.header["segment"][sold.rows].tolist()
        for partition, segment, net, order in zip(
            partitions, segments, sold.net.tolist(), sold.is_purchase.tolist(), strict=True
        ):
            sales = self.held[partition].sales
            before = sales.get(segment, (0, 0))
            sales[segment] = (before[0] + net, before[1] + order)

    def _note_moves(self, moves: Moves) -> None:
        now, version, partition = self.clock.now, self.store.header["model_version"], self.store.partition
        for row, number, change in zip(
            moves.rows.tolist(),
            partition[moves.rows].tolist(),
            shared(Change, moves, version[moves.rows], now),
            strict=True,
        ):
            changes = self.held[number].changes
            changes[row] = (*changes[row], *change) if row in changes else change
        entered = moves.audiences
        for row, number, told in zip(
            entered.rows.tolist(),
            partition[entered.rows].tolist(),
            shared(AudienceChange, entered, version[entered.rows], now),
            strict=True,
        ):
            audience_changes = self.held[number].audience_changes
            audience_changes[row] = (*audience_changes[row], *told) if row in audience_changes else told
