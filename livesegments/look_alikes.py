"""The customers most like an audience, read from all rows some at a time: a sample to learn from, then the best n."""

import heapq
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa

from contracts.safe_cells import safe_cell
from livesegments.explaining import Explainer
from livesegments.records import Records, count_partitions, read_records
from livesegments.row_lists import NoSuchAudienceError
from livesegments.screen import plain
from livesegments.table_file import write_table
from online_model.arrays import Booleans, Floats
from online_model.look_alikes import Likeness, NotComparableError
from online_model.model import OUT_OF_SCOPE, SegmentModel
from online_model.telling import number_of, tell

SAMPLE: Final = 10_000
"""Members, and others, that the likeness is learnt from, at most."""
MOST: Final = 1_000_000
REASONS: Final = 2
SCHEMA: Final = pa.schema(
    [
        pa.field("customer_id", pa.string(), nullable=False),
        pa.field("rank", pa.int64(), nullable=False),
        pa.field("score", pa.float64(), nullable=False),
        pa.field("segment_id", pa.int32(), nullable=False),
        pa.field("segment_name", pa.string()),
        *(pa.field(f"reason_{place}", pa.string()) for place in range(1, REASONS + 1)),
    ]
)
"""Of a table of look-alikes."""


class NoModelError(NotComparableError):
    """There is nothing to compare customers by."""


@dataclass(frozen=True, slots=True)
class LookAlike:
    """Somebody who is like the members."""

    customer_id: str
    score: float
    """Between 0 and 1: 0.5 is as likely a member as somebody else, if there were as many of these."""
    segment_id: int
    why: tuple[str, ...]
    """The features that bring them near, with the members' medians."""


@dataclass(frozen=True, slots=True)
class LookAlikes:
    """Those most like an audience, the nearest first."""

    members: int
    others: int
    """Who were compared."""
    found: tuple[LookAlike, ...]


def look_alikes(explainer: Explainer, audience: str, most: int) -> LookAlikes:
    """The `most` customers most like an audience, without its members and whom the scope leaves out.

    Raises NoSuchAudienceError, NoModelError, TooFewError, StateError.
    """
    model = explainer.model
    if model is None:
        raise NoModelError(
            "there are no segments yet, so nothing to compare customers by: they need a worker, and data"
        )
    numbers = explainer.state.number_audiences(())
    if audience not in numbers:
        there = ", ".join(plain(name) for name in numbers) or "none: name conditions in the setting `audiences`"
        raise NoSuchAudienceError(f"there is no audience {plain(audience)!r}; there are {there}")
    rows = _Rows(explainer, model, np.uint64(1) << np.uint64(numbers[audience]))
    inside, outside = _Sample(SAMPLE), _Sample(SAMPLE)
    for records, X, is_member, counts in rows.read():
        inside.take(records, X, is_member)
        outside.take(records, X, counts & ~is_member)
    likeness = Likeness.learn(model.metric, inside.X(len(model.features)), outside.X(len(model.features)))
    best = _Best(most)
    for records, X, is_member, counts in rows.read():
        best.take(records, X, np.where(counts & ~is_member, likeness.scores(X), np.nan))
    found = best.ordered()
    why = _reasons(explainer, model, likeness, np.array([one.x for one in found]).reshape(len(found), -1))
    return LookAlikes(
        inside.seen,
        outside.seen,
        tuple(LookAlike(one.customer_id, one.score, one.segment, why[place]) for place, one in enumerate(found)),
    )


@dataclass(frozen=True, slots=True)
class _Rows:
    explainer: Explainer
    model: SegmentModel
    bit: np.uint64

    def read(self) -> Iterator[tuple[Records, Floats, Booleans, Booleans]]:
        """Rows, their features, who is a member, and who is to be compared at all."""
        state = self.explainer.state
        for records in read_records(state, range(count_partitions(state) or 0)):
            X = self.model.features_of(self.explainer.columns(records), self.explainer.now)
            is_member = (records.header["audiences"] & self.bit) != 0
            counts = ~np.isnan(X).all(axis=1) & (records.header["segment"] != OUT_OF_SCOPE)
            yield records, X, is_member & counts, counts


@dataclass(slots=True)
class _Sample:
    """A uniform sample that is the same whatever the order of rows: those whose ids have the smallest hashes."""

    most: int
    seen: int = 0
    _hashes: list[Floats] = field(default_factory=list)
    _features: list[Floats] = field(default_factory=list)
    _waiting: int = 0

    def take(self, records: Records, X: Floats, chosen: Booleans) -> None:
        places = np.flatnonzero(chosen)
        self.seen += len(places)
        self._waiting += len(places)
        hashes = [zlib.crc32(records.customer_ids[place].encode()) for place in places.tolist()]
        self._hashes.append(np.array(hashes, np.float64))
        self._features.append(X[places])
        if self._waiting > 2 * self.most:
            self._cut()

    def X(self, features: int) -> Floats:  # noqa: N802 - a matrix
        self._cut()
        return self._features[0] if self._features else np.empty((0, features))

    def _cut(self) -> None:
        if not self._features:
            return
        hashes, X = np.concatenate(self._hashes), np.concatenate(self._features)
        kept = np.argsort(hashes, kind="stable")[: self.most]
        self._hashes, self._features, self._waiting = [hashes[kept]], [X[kept]], len(kept)


@dataclass(frozen=True, slots=True)
class _Candidate:
    score: float
    customer_id: str
    segment: int
    x: Floats

    def __lt__(self, other: "_Candidate") -> bool:
        """Whether it goes before the other: the smaller score, of the same the later id."""
        return (self.score, other.customer_id) < (other.score, self.customer_id)


@dataclass(slots=True)
class _Best:
    """The best of what was seen, in a heap whose first is the worst of them."""

    most: int
    _heap: list[_Candidate] = field(default_factory=list)

    def take(self, records: Records, X: Floats, scores: Floats) -> None:
        least = self._heap[0].score if len(self._heap) == self.most else -np.inf
        with np.errstate(invalid="ignore"):
            places = np.flatnonzero(scores >= least)
        for place in places.tolist():
            one = _Candidate(
                float(scores[place]),
                records.customer_ids[place],
                int(records.header["segment"][place]),
                X[place].copy(),
            )
            if len(self._heap) < self.most:
                heapq.heappush(self._heap, one)
            else:
                heapq.heappushpop(self._heap, one)

    def ordered(self) -> list[_Candidate]:
        return sorted(self._heap, reverse=True)


def write_look_alikes(file: Path, told: LookAlikes, segment_name: Callable[[int], str | None]) -> int:
    """Write them to a .parquet or .csv file, the nearest first. Raises TableFileError."""
    is_text = file.suffix.lower() == ".csv"
    return write_table(file, SCHEMA, iter([look_alike_table(told, segment_name, is_text=is_text)]))


def look_alike_table(told: LookAlikes, segment_name: Callable[[int], str | None], *, is_text: bool) -> Any:
    """They as a record batch of SCHEMA; for text, no cell is a formula."""
    safe = safe_cell if is_text else str
    return pa.RecordBatch.from_pylist(
        [
            {
                "customer_id": safe(one.customer_id),
                "rank": rank,
                "score": round(one.score, 4),
                "segment_id": one.segment_id,
                "segment_name": safe(segment_name(one.segment_id) or ""),
                **{f"reason_{place}": safe(text) for place, text in enumerate(one.why, start=1)},
            }
            for rank, one in enumerate(told.found, start=1)
        ],
        SCHEMA,
    )


def _reasons(explainer: Explainer, model: SegmentModel, likeness: Likeness, X: Floats) -> list[tuple[str, ...]]:
    if not len(X):
        return []
    features = model.feature_set
    parts = likeness.reasons(X)
    values = features.in_units(X, model.order_value)
    typical = features.in_units(likeness.typical[np.newaxis], model.order_value)[0]
    told = []
    for row in range(len(X)):
        places = np.argsort(-parts[row], kind="stable")[:REASONS].tolist()
        told.append(
            tuple(
                f"{tell(features.columns[place], values[row, place], explainer.currency)}"
                f" (members: {number_of(features.columns[place], typical[place], explainer.currency)})"
                for place in places
                if parts[row, place] > 0
            )
        )
    return told
