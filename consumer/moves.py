"""What changed for customers in one step, as columns."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from consumer.row_store import Rows
from online_model.arrays import Labels

Causes = npt.NDArray[np.uint8]
"""Places in contracts.documents.CAUSES."""
Bits = npt.NDArray[np.uint64]
"""Bit n: the audience of number n."""
Told = TypeVar("Told")


def _no_rows() -> Rows:
    return np.empty(0, np.int64)


@dataclass(frozen=True, slots=True)
class AudienceMoves:
    """Customers who entered or left audiences: columns of one length."""

    rows: Rows = field(default_factory=_no_rows)
    before: Bits = field(default_factory=lambda: np.empty(0, np.uint64))
    after: Bits = field(default_factory=lambda: np.empty(0, np.uint64))
    causes: Causes = field(default_factory=lambda: np.empty(0, np.uint8))


@dataclass(frozen=True, slots=True)
class Moves:
    """Customers who changed segment: columns of one length."""

    rows: Rows
    before: Labels
    """Segment ids; NO_SEGMENT where there was none."""
    after: Labels
    causes: Causes
    audiences: AudienceMoves = field(default_factory=AudienceMoves)
    marked: Rows = field(default_factory=_no_rows)
    """Rows whose outliers changed: to be written, and nothing to tell anybody."""

    def __len__(self) -> int:
        return len(self.rows)

    def rewritten(self) -> list[int]:
        """The rows that are to be written because of this, each once."""
        return list(dict.fromkeys([*self.rows.tolist(), *self.audiences.rows.tolist(), *self.marked.tolist()]))


def shared(
    make: Callable[[int, int, int, int, int], Told], moves: Moves | AudienceMoves, versions: npt.NDArray[Any], now: int
) -> list[tuple[Told]]:
    """What there is to tell of each row: one object for all that moved alike."""
    made: dict[tuple[int, ...], tuple[Told]] = {}
    found = []
    for before, after, cause, version in zip(
        moves.before.tolist(), moves.after.tolist(), moves.causes.tolist(), versions.tolist(), strict=True
    ):
        how = before, after, cause, version
        one = made.get(how)
        if one is None:
            one = made[how] = (make(before, after, cause, now, version),)
        found.append(one)
    return found
