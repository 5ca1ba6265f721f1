"""Where rows are published: segments under a model, and the columns of a row that say so."""

from dataclasses import dataclass
from typing import Final, Self

import numpy as np
import numpy.typing as npt

from consumer.columns import Columns
from consumer.layout import MAX_MOVES, MISSING_TIME, MOVE
from consumer.moves import AudienceMoves, Bits, Causes, Moves
from consumer.row_store import Rows, RowStore
from contracts.documents import CAUSES
from online_model.arrays import Booleans, Floats, Labels
from online_model.features import bought, days_since
from online_model.model import NOT_ENOUGH_DATA, OUT_OF_SCOPE, SegmentModel
from online_model.rhythm import may_be_seasonal
from online_model.seasons import spared

TIME: Final = CAUSES.index("time")
MODEL: Final = CAUSES.index("model")


@dataclass(frozen=True, slots=True)
class Voted:
    """Rows under a model: features (rows, features), nearest clusters (rows,), who is out of scope (rows,)."""

    X: Floats
    clusters: Labels
    outside: Booleans


@dataclass(frozen=True, slots=True)
class Found:
    """What rows are to be published as, columns of shape (rows,)."""

    segments: Labels
    versions: npt.NDArray[np.uint32]
    audiences: Bits
    outlying: npt.NDArray[np.uint32]

    @classmethod
    def empty(cls, rows: int) -> Self:
        """Nothing found yet."""
        return cls(
            np.zeros(rows, np.int32), np.zeros(rows, np.uint32), np.zeros(rows, np.uint64), np.zeros(rows, np.uint32)
        )


def learned_segments(model: SegmentModel, columns: Columns, voted: Voted, causes: Causes, now: int) -> Labels:
    """Segment ids under a model."""
    X, clusters = voted.X, voted.clusters
    header = columns.header
    # The dwell keeps customers from going to and fro. Segments that were learnt anew are no reason to wait.
    since = np.where(causes == MODEL, MISSING_TIME, header["since"])
    ids = model.publish(X, clusters, header["segment"], since, now, days_since(columns.last_at, now))
    placeable = bought(columns) | (not model.feature_set.needs_purchases)
    ids[(clusters < 0) & placeable] = NOT_ENOUGH_DATA
    ids[voted.outside & placeable] = OUT_OF_SCOPE
    return ids


def spare_out_of_season(ids: Labels, columns: Columns, lapsing: Labels, now: int) -> None:
    """Take seasonal buyers whose season has not come out of segments whose names are about silence, in place."""
    silent = np.isin(ids, lapsing) & may_be_seasonal(columns.first_at, columns.last_at, columns.purchase_days)
    places = np.flatnonzero(silent)
    if places.size:
        ids[places] = spared(ids[places], lapsing, columns.season_begins(places), now)


def publish(store: RowStore, rows: Rows, found: Found, causes: Causes, now: int) -> Moves:
    """Write into the rows what they are to be published as, and say who moved."""
    header = store.header
    segments, audiences, outlying = (header[name][rows] for name in ("segment", "audiences", "outlying"))
    moved = np.flatnonzero(segments != found.segments)
    entered = np.flatnonzero(audiences != found.audiences)
    marked = rows[outlying != found.outlying]
    moves = Moves(
        rows[moved],
        segments[moved],
        found.segments[moved],
        causes[moved],
        AudienceMoves(rows[entered], audiences[entered], found.audiences[entered], causes[entered]),
        marked,
    )
    if len(moves):
        header["previous"][moves.rows] = moves.before
        header["segment"][moves.rows] = moves.after
        header["since"][moves.rows] = now
        header["cause"][moves.rows] = moves.causes
        header["model_version"][moves.rows] = found.versions[moved]
        _remember(store, moves, now)
    header["audiences"][rows[entered]] = found.audiences[entered]
    header["outlying"][rows] = found.outlying
    return moves


def _remember(store: RowStore, moves: Moves, now: int) -> None:
    """Append to each row's last ten moves."""
    packed = np.empty(len(moves), MOVE)
    packed["at"], packed["to"], packed["cause"] = now, moves.after, moves.causes
    data = packed.tobytes()
    size = MOVE.itemsize
    kept = store.moves
    for place, row in enumerate(moves.rows.tolist()):
        kept.append(row, data[place * size : (place + 1) * size], MAX_MOVES * size)
