"""Rows to clusters and segments: votes kept exact under every change, and the sweep that carries time to all rows."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from consumer.columns import Columns
from consumer.layout import MAX_MOVES, MISSING_TIME, MOVE
from consumer.row_store import Rows, RowStore
from contracts.documents import CAUSES
from online_model.arrays import Floats, Labels
from online_model.clusterer import OnlineClusterer, clusterer_for
from online_model.features import bought
from online_model.model import NOT_ENOUGH_DATA, SegmentModel, unlearned_ids
from online_model.settings import ModelSettings
from online_model.sums import ClusterSums, Sums, Votes

TIME: Final = CAUSES.index("time")
MODEL: Final = CAUSES.index("model")
SWEEP_ROWS: Final = 16_384
"""Rows that one slice of a sweep re-evaluates: a few milliseconds."""


@dataclass(frozen=True, slots=True)
class Moves:
    """Customers who changed segment: columns of one length."""

    rows: Rows
    before: Labels
    """Segment ids; NO_SEGMENT where there was none."""
    after: Labels
    causes: npt.NDArray[np.uint8]

    def __len__(self) -> int:
        return len(self.rows)


@dataclass(slots=True)
class _Generation:
    """What all rows' votes come to under one model version."""

    model: SegmentModel
    clusterer: OnlineClusterer
    X: Floats
    """(rows, features): what each row voted last."""

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

    def __init__(self, store: RowStore, settings: ModelSettings, partitions: int) -> None:
        self._store = store
        self._settings = settings
        self.needs_purchases = settings.request.needs_purchases
        """Whether the settings name features that only customers who bought have."""
        self._partitions = partitions
        self._current: _Generation | None = None
        self._building: _Generation | None = None
        self._cursor = 0
        self._newest_model: SegmentModel | None = None
        self._clusters: Labels = np.empty(0, np.int32)
        self.swept_at: int | None = None
        """The `now` of the last full sweep's beginning."""
        self._sweeping_at = 0
        self._unswept = False
        """Whether rows were loaded since the last sweep began."""

    @property
    def model(self) -> SegmentModel | None:
        """The newest version; rows not yet swept may still be under the one before."""
        return self._newest_model

    @property
    def sweeping(self) -> bool:
        """Whether a sweep is under way."""
        return self._building is not None

    def clusters(self, rows: Rows) -> Labels:
        """The nearest adopted centroid of each row; -1 where it has no vote."""
        self._fit_in()
        return self._clusters[rows]

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
        return self._place(rows, now, np.fromiter(causes.values(), np.uint8, len(causes)))

    def load(self, rows: Rows, now: int) -> None:
        """Count the votes of rows that were read from the state. Nobody moves by being read: a sweep is due."""
        if len(rows):
            self._unswept = True
            self.swept_at = None
        self._fit_in()
        self._clusters[rows] = -1
        for generation, some in self._by_generation(rows):
            self._vote(generation, some, now)

    def remove(self, rows: Rows) -> None:
        """Take back the votes of rows that are erased."""
        self._fit_in()
        for generation, some in self._by_generation(rows):
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
        if self._newest_model is None:
            return
        if self._building is not None:
            # Rows behind the cursor voted in the abandoned set only; their votes must not be taken back from the old.
            self._abandon()
        self._building = self._generation(self._newest_model)
        self._cursor = 0
        self._sweeping_at = now
        self._unswept = False

    def sweep(self, now: int, most: int = SWEEP_ROWS) -> Moves:
        """Re-evaluate the next slice of rows."""
        assert self._building is not None
        self._fit_in()
        end = min(self._cursor + most, self._store.used)
        rows = np.arange(self._cursor, end)
        rows = rows[self._store.partition[rows] >= 0]
        old = self._current.model.version if self._current else 0
        cause = TIME if self._building.model.version == old else MODEL
        self._clusters[rows] = -1  # what they voted stays in the old set, which goes when the sweep ends
        self._cursor = end
        moves = self._place(rows, now, np.full(len(rows), cause, np.uint8))
        if end >= self._store.used:
            self._current, self._building = self._building, None
            self.swept_at = None if self._unswept else self._sweeping_at
        return moves

    def _abandon(self) -> None:
        assert self._building is not None
        abandoned, self._building = self._building, None
        if self._current is None:
            self._clusters[:] = -1
            return
        # Put the old set right again: everybody's vote as it stands, under the old version.
        model, X = self._current.model, self._current.X
        self._current = _Generation(model, clusterer_for(model, self._settings, self._partitions), X)
        rows = np.flatnonzero(self._store.partition[: self._store.used] >= 0)
        if abandoned.X is not X:
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

    def _by_generation(self, rows: Rows) -> list[tuple[_Generation, Rows]]:
        """The rows behind the sweep's cursor and those ahead, each with the sums they vote in."""
        if self._building is None:
            return [(self._current, rows)] if self._current is not None and len(rows) else []
        behind = rows < self._cursor
        parts = [(self._building, rows[behind]), (self._current, rows[~behind])]
        return [(generation, some) for generation, some in parts if generation is not None and len(some)]

    def _votes(self, generation: _Generation, rows: Rows) -> Votes:
        return Votes(self._store.partition[rows], self._clusters[rows], generation.X[rows])

    def _vote(self, generation: _Generation, rows: Rows, now: int) -> tuple[Floats, Labels]:
        """Replace the rows' votes; returns their features and clusters."""
        model = generation.model
        X = model.features_of(Columns.of_store(self._store, rows), now)
        clusters = generation.clusterer.assign(X)
        before = self._votes(generation, rows)
        generation.clusterer.learn(before, Votes(before.partitions, clusters, X))
        generation.X[rows] = X
        self._clusters[rows] = clusters
        return X, clusters

    def _place(self, rows: Rows, now: int, causes: npt.NDArray[np.uint8]) -> Moves:
        """Vote again and publish segments; a customer who moves gets the cause of that row."""
        self._fit_in()
        header = self._store.header
        buyers = bought(Columns(header[rows]))
        ids = unlearned_ids(buyers | (not self.needs_purchases))
        versions = np.zeros(len(rows), np.uint32)
        place = {row: i for i, row in enumerate(rows.tolist())} if self._building is not None else None
        for generation, some in self._by_generation(rows):
            X, clusters = self._vote(generation, some, now)
            at = slice(None) if place is None else np.array([place[row] for row in some.tolist()], np.int64)
            chosen = header[some]
            # The dwell keeps customers from going to and fro. Segments that were learnt anew are no reason to wait.
            since = np.where(causes[at] == MODEL, MISSING_TIME, chosen["since"])
            published = generation.model.publish(X, clusters, chosen["segment"], since, now)
            unseen = (clusters < 0) & (buyers[at] | (not generation.model.feature_set.needs_purchases))
            ids[at] = np.where(unseen, NOT_ENOUGH_DATA, published)
            versions[at] = generation.model.version
        before = header["segment"][rows]
        moved = np.flatnonzero(before != ids)
        moves = Moves(rows[moved], before[moved], ids[moved], causes[moved])
        if len(moves):
            header["previous"][moves.rows] = moves.before
            header["segment"][moves.rows] = moves.after
            header["since"][moves.rows] = now
            header["cause"][moves.rows] = moves.causes
            header["model_version"][moves.rows] = versions[moved]
            self._remember(moves, now)
        return moves

    def _remember(self, moves: Moves, now: int) -> None:
        """Append to each row's last ten moves."""
        packed = np.empty(len(moves), MOVE)
        packed["at"], packed["to"], packed["cause"] = now, moves.after, moves.causes
        data = packed.tobytes()
        size = MOVE.itemsize
        kept = self._store.moves
        for place, row in enumerate(moves.rows.tolist()):
            kept[row] = (kept[row] + data[place * size : (place + 1) * size])[-MAX_MOVES * size :]
