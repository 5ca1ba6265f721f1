"""Rows to clusters and segments: votes kept exact under every change, and the sweep that carries time to all rows."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from consumer.audiences import Audiences, Usual
from consumer.columns import Columns
from consumer.moves import Causes, Moves
from consumer.placing import MODEL, TIME, Found, Voted, learned_segments, publish, spare_out_of_season
from consumer.row_store import Rows, RowStore
from contracts.documents import NO_SEGMENT, RuleThresholds
from online_model.arrays import Booleans, Floats, Labels
from online_model.by_rule import by_rule, thresholds
from online_model.clusterer import OnlineClusterer, clusterer_for
from online_model.features import bought, median_order_value
from online_model.forecasts.ahead_columns import FIGURES as LOOKING_AHEAD
from online_model.model import OUT_OF_SCOPE, SPECIAL_SEGMENTS, SegmentModel, unlearned_ids
from online_model.names import Members
from online_model.rules import Rule, measure
from online_model.seasons import lapsing_segments
from online_model.settings import ModelSettings
from online_model.sums import ClusterSums, Sums, Votes

_SLICE_ROWS: Final = 4_096
"""Rows that one slice of a sweep re-evaluates: some 5 ms, under a new version up to 20 ms."""
_SLICES: Final = 64
"""At most: of a million rows, a slice has more."""
_SAMPLE_ROWS: Final = 20_000
"""About so many stand for all where it is measured what is usual."""
_AHEAD_ROWS: Final = 2_000
"""So many where percentiles of forecasts are: to work these out takes some 5 µs a row, all in one step."""
_FEW_ROWS: Final = 10
_LAPSING_BY_RULE: Final = lapsing_segments(None)


@dataclass(slots=True)
class _Generation:
    """What all rows' votes come to under one model version."""

    model: SegmentModel
    clusterer: OnlineClusterer
    X: Floats
    """(rows, features): what each row voted last."""
    lapsing: Labels = field(init=False)
    """Ids of the segments whose names are about silence."""

    def __post_init__(self) -> None:
        self.lapsing = lapsing_segments(self.model)

    @property
    def sums(self) -> ClusterSums:
        """The sums over the votes."""
        sums = self.clusterer.sums
        assert sums is not None, "a clusterer of a model has adopted its centroids"
        return sums


class Learner:
    """Keeps every row's vote and segment.

    A sweep re-evaluates all rows for `now`, and under a newer model version if there is one. It builds a second set of
    sums behind a cursor: rows behind it revise the new set, rows ahead the old one; at the end the new one takes over.
    """

    def __init__(
        self,
        store: RowStore,
        settings: ModelSettings,
        partitions: int,
        *,
        scope: Rule | None = None,
        names: Mapping[int, str] = SPECIAL_SEGMENTS,
    ) -> None:
        self.audiences = Audiences((), {})
        """To be set before rows are loaded."""
        self.quiet = False
        """Whether no event comes from anywhere: then nobody moves because of time alone."""
        self._store = store
        self._settings = settings
        self._scope = scope
        self._names = names
        self.needs_purchases = settings.request.needs_purchases
        self._partitions = partitions
        self._current: _Generation | None = None
        self._building: _Generation | None = None
        self._cursor: int | None = None
        self._newest_model: SegmentModel | None = None
        self._clusters: Labels = np.empty(0, np.int32)
        self._thresholds: RuleThresholds | None = None
        self._usual = Usual()
        self.swept_at: int | None = None
        """The `now` of the last full sweep's beginning."""
        self._sweeping_at = 0
        self._unswept = False
        """Whether rows were loaded since the last sweep began."""
        self._measured_rows = 0

    @property
    def model(self) -> SegmentModel | None:
        """The newest version; rows not yet swept may still be under the one before."""
        return self._newest_model

    @property
    def sweeping(self) -> bool:
        """Whether a sweep is under way."""
        return self._cursor is not None

    @property
    def outgrown(self) -> bool:
        """Whether there are so many more rows than at the last sweep that what is usual is to be measured anew."""
        return self._rules_apply and len(self._store) >= 2 * max(_FEW_ROWS, self._measured_rows)

    @property
    def rules(self) -> RuleThresholds | None:
        """By what customers are placed while segments go by rule; None where they do not, or nothing is measured."""
        return self._thresholds if self._rules_apply and self.needs_purchases else None

    @property
    def _looks_ahead(self) -> bool:
        """Whether rules ask for forecasts."""
        rules = [*([self._scope] if self._scope else []), *self.audiences.rules]
        return any(rule.fields & set(LOOKING_AHEAD) for rule in rules)

    @property
    def _rules_apply(self) -> bool:
        return self._newest_model is None or self._newest_model.by_rule

    def clusters(self, rows: Rows) -> Labels:
        """The nearest adopted centroid of each row; -1 where it has no vote."""
        self._fit_in()
        return self._clusters[rows]

    def held_back(self, rows: Rows) -> int:
        """How many rows are nearer to another segment than to the one that is published."""
        clusters = self.clusters(rows)
        model = self._current.model if self._current is not None else None
        if model is None or model.by_rule or self._building is not None:
            return 0
        voting = clusters >= 0
        published = self._store.header["segment"][rows]
        return int(np.count_nonzero(voting & (model.segment_ids[clusters] != published)))

    def sums(self, partition: int) -> tuple[int, Sums] | None:
        """Model version and sums of a partition; None before there is a model or while the first sweep runs."""
        if self._current is None:
            return None
        return self._current.model.version, self._current.sums.partition(partition)

    def learnt(self) -> Floats | None:
        """Centroids learnt by another clusterer than the means of the sums, (k, features); None with our own."""
        if self._current is None or self._settings.clusterer == "means":
            return None
        return self._current.clusterer.centroids()

    # ---- changes ----

    def update(self, causes: Mapping[int, int], now: int) -> Moves:
        """Re-evaluate rows that events changed; `causes` are places in CAUSES."""
        rows = np.fromiter(causes.keys(), np.int64, len(causes))
        known = ~self._store.guest[rows]
        return self._place(rows[known], now, np.fromiter(causes.values(), np.uint8, len(causes))[known])

    def load(self, rows: Rows, now: int) -> None:
        """Count the votes of rows that were read from the state. Nobody moves by being read: a sweep is due."""
        if len(rows):
            self._unswept = True
            self.swept_at = None
        self._fit_in()
        self._clusters[rows] = -1
        rows = self._store.customers_of(rows)
        for start in range(0, len(rows), _SLICE_ROWS):  # so that what is worked on stays near the processor
            for generation, some in self._by_generation(rows[start : start + _SLICE_ROWS]):
                if generation is not None:
                    columns = Columns.of_store(self._store, some)
                    self._vote(generation, some, columns, self._outside(columns, now), now)

    def remove(self, rows: Rows) -> None:
        """Take back the votes of rows that are erased."""
        self._fit_in()
        for generation, some in self._by_generation(rows):
            if generation is not None:
                generation.clusterer.learn(self._votes(generation, some), None)
        self._clusters[rows] = -1

    def drop_partition(self, partition: int, rows: Rows) -> None:
        """Forget a partition that went to another worker."""
        self._fit_in()
        self._clusters[rows] = -1
        for generation in (self._current, self._building):
            if generation is not None:
                generation.sums.drop_partition(partition)

    # ---- the sweep ----

    def adopt(self, model: SegmentModel, now: int) -> None:
        """Take over a newer version: a sweep with it begins."""
        self._newest_model = model
        self.begin_sweep(now)

    def begin_sweep(self, now: int) -> None:
        """Begin to re-evaluate all rows; a sweep under way begins anew."""
        if self._building is not None:
            # Rows behind the cursor voted in the abandoned set only; their votes must not be taken back from the old.
            self._abandon()
        self._building = self._generation(self._newest_model) if self._newest_model is not None else None
        self._cursor = 0
        self._sweeping_at = now
        self._unswept = False
        self._measure(now)

    def sweep(self, now: int, most: int = 0) -> Moves:
        """Re-evaluate the next slice of rows: of so many, where `most` is given."""
        assert self._cursor is not None
        self._fit_in()
        # With forecasts to be worked out a row takes some times as long, the first time of a day.
        most = most or (_SLICE_ROWS if self._looks_ahead else max(_SLICE_ROWS, -(-self._store.used // _SLICES)))
        end = min(self._cursor + most, self._store.used)
        rows = np.arange(self._cursor, end)
        rows = self._store.customers_of(rows[self._store.partition[rows] >= 0])
        old = self._current.model.version if self._current else 0
        cause = TIME if self._building is None or self._building.model.version == old else MODEL
        if self._building is not None:
            self._clusters[rows] = -1  # what they voted stays in the old set, which goes when the sweep ends
        self._cursor = end
        moves = self._place(rows, now, np.full(len(rows), cause, np.uint8))
        if end >= self._store.used:
            if self._building is not None:
                self._current, self._building = self._building, None
            self._cursor = None
            self.swept_at = None if self._unswept else self._sweeping_at
        return moves

    def _measure(self, now: int) -> None:
        """What is usual among the customers here: of all, or of as many as stand for all."""
        rules = [*([self._scope] if self._scope else []), *self.audiences.rules]
        compares = any(rule.statistics for rule in rules)
        if self._newest_model is not None and not self._rules_apply and not compares:
            self._usual = Usual({}, self._newest_model.order_value)
            return
        rows = np.flatnonzero(self._store.partition[: self._store.used] >= 0)
        self._measured_rows = len(rows)
        rows = self._store.customers_of(rows)
        columns = Columns.of_store(self._store, rows[:: max(1, len(rows) // _SAMPLE_ROWS)])
        value = (
            self._newest_model.order_value if self._newest_model else median_order_value(columns.spend, columns.orders)
        )
        self._usual = Usual(self._percentiles(rules, rows, columns, now, value) if compares else {}, value)
        if self._rules_apply:
            model, settings = self._newest_model, self._settings
            lapse_days = model.lapse_days if model is not None else settings.first_lapse_days
            members = Members.of(columns, now)
            self._thresholds = thresholds(members, now, new_days=settings.new_days, lapse_days=lapse_days)

    def _percentiles(
        self, rules: Sequence[Rule], rows: Rows, columns: Columns, now: int, order_value: float
    ) -> dict[str, float]:
        """The percentiles that rules compare with: those of rules about forecasts of fewer rows."""
        ahead = [rule for rule in rules if any(field in LOOKING_AHEAD for field, _ in rule.statistics)]
        found = measure([rule for rule in rules if rule not in ahead], columns, now, order_value)
        if not ahead:
            return found
        few = Columns.of_store(self._store, rows[:: max(1, len(rows) // _AHEAD_ROWS)])
        return measure(ahead, few, now, order_value) | found

    def _abandon(self) -> None:
        assert self._building is not None
        abandoned, self._building = self._building, None
        if self._current is None:
            self._clusters[:] = -1
            return
        # Put the old set right again: everybody's vote as it stands, under the old version.
        model, X = self._current.model, self._current.X
        self._current = _Generation(model, clusterer_for(model, self._settings, self._partitions), X)
        rows = self._store.customers_of(np.flatnonzero(self._store.partition[: self._store.used] >= 0))
        if abandoned.X is not X:
            assert self._cursor is not None
            behind = rows[rows < self._cursor]
            X[behind] = model.features_of(Columns.of_store(self._store, behind), self._sweeping_at)
        self._clusters[rows] = model.assign(X[rows])
        self._current.clusterer.learn(None, self._votes(self._current, rows))

    def _generation(self, model: SegmentModel) -> _Generation:
        self._fit_in()
        current = self._current
        alike = current is not None and (current.model.features, current.model.columns) == (
            model.features,
            model.columns,
        )
        X = current.X if current is not None and alike else np.zeros((len(self._clusters), len(model.features)))
        return _Generation(model, clusterer_for(model, self._settings, self._partitions), X)

    # ---- votes and segments ----

    def _fit_in(self) -> None:
        """Grow with the rows."""
        capacity = len(self._store.header)
        if capacity > len(self._clusters):
            clusters = np.full(capacity, -1, np.int32)
            clusters[: len(self._clusters)] = self._clusters
            self._clusters = clusters
        generations = [one for one in (self._current, self._building) if one is not None]
        for old in {id(one.X): one.X for one in generations if len(one.X) < capacity}.values():
            # Zeros: a row that has no vote yet is looked at, and left-over memory may hold infinities.
            X = np.zeros((capacity, old.shape[1]))
            X[: len(old)] = old
            for one in generations:
                one.X = X if one.X is old else one.X

    def _by_generation(self, rows: Rows) -> list[tuple[_Generation | None, Rows]]:
        """The rows behind the sweep's cursor and those ahead, each with the sums they vote in; None: with none."""
        if self._building is None or self._cursor is None:
            return [(self._current, rows)]
        behind = rows < self._cursor
        parts = [(self._building, rows[behind]), (self._current, rows[~behind])]
        return [(generation, some) for generation, some in parts if len(some)]

    def _votes(self, generation: _Generation, rows: Rows) -> Votes:
        return Votes(self._store.partition[rows], self._clusters[rows], generation.X[rows])

    def _outside(self, columns: Columns, now: int) -> Booleans:
        """Who does not span the model, (rows,)."""
        if self._scope is None:
            return np.zeros(len(columns.header), np.bool_)
        inside = self._scope.holds(columns, now, {}, self._usual.percentiles, self._usual.order_value)
        return np.asarray(~inside)

    def _vote(self, generation: _Generation, rows: Rows, columns: Columns, outside: Booleans, now: int) -> Voted:
        """Replace the rows' votes."""
        X = generation.model.features_of(columns, now)
        clusters = generation.clusterer.assign(X)
        clusters[outside] = -1
        before = self._votes(generation, rows)
        generation.clusterer.learn(before, Votes(before.partitions, clusters, X))
        generation.X[rows] = X
        self._clusters[rows] = clusters
        return Voted(X, clusters, outside)

    def _place(self, rows: Rows, now: int, causes: Causes) -> Moves:
        """Vote again and publish segments and audiences; a customer who moves gets the cause of that row."""
        self._fit_in()
        found = Found.empty(len(rows))
        place = {row: i for i, row in enumerate(rows.tolist())} if self._building is not None else None
        for generation, some in self._by_generation(rows):
            at = slice(None) if place is None else np.array([place[row] for row in some.tolist()], np.int64)
            columns = Columns.of_store(self._store, some)
            outside = self._outside(columns, now)
            if generation is None:
                ids = self._unlearned(columns, outside, now)
            else:
                voted = self._vote(generation, some, columns, outside, now)
                ids = (
                    self._unlearned(columns, outside, now)
                    if generation.model.by_rule
                    else learned_segments(generation.model, columns, voted, causes[at], now)
                )
                found.versions[at] = generation.model.version
                found.outlying[at] = generation.model.outlying(voted.X)
            spare_out_of_season(ids, columns, _LAPSING_BY_RULE if generation is None else generation.lapsing, now)
            found.segments[at] = columns.header["segment"] = ids
            if self.audiences:
                found.audiences[at] = self.audiences.of(columns, now, self._names, self._usual)
        if self.quiet:
            self._withhold(rows, found, causes)
        return publish(self._store, rows, found, causes, now)

    def _unlearned(self, columns: Columns, outside: Booleans, now: int) -> Labels:
        """Segment ids before there is a model: by rule, where segments are made of purchases."""
        buyers = bought(columns)
        ids = unlearned_ids(buyers | (not self.needs_purchases))
        if self.needs_purchases and self._thresholds is not None:
            ids = by_rule(Members.of(columns, now), self._thresholds, now)
        ids[outside & buyers] = OUT_OF_SCOPE
        return ids

    def _withhold(self, rows: Rows, found: Found, causes: Causes) -> None:
        """Leave where they are those who would move because of time alone."""
        header = self._store.header
        before = header["segment"][rows]
        stays = (causes == TIME) & (before != NO_SEGMENT)
        found.segments[stays] = before[stays]
        found.audiences[stays] = header["audiences"][rows[stays]]
