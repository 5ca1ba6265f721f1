"""One list from three kinds of evidence: a model's scores, what the customer buys again, what is popular.

Every baseline goes through here, so that none of them is short of what our own ranking has.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from benchmarks.recommendation.inputs import Inputs, Scores
from benchmarks.recommendation.metrics import LENGTH, NO_ITEM
from contracts.times import DAY
from online_model.arrays import Integers

AGAIN_HALF_LIVES: Final = (60, 120, 240, 365, 730)
_MOST_CELLS: Final = 20_000_000
"""Customers × products scored at once."""
POPULARITY_HALF_LIVES: Final = (3, 7, 14, 30, 90)


@dataclass(frozen=True, slots=True)
class Blend:
    """score = model / its maximum for the customer + again · decayed own purchases + popular · share / the best's."""

    again: float
    popular: float
    again_days: int = 365
    """Half-life of the customer's own purchases."""
    popular_days: int = 7
    """Half-life of everybody's."""
    known: bool = True
    """Whether items that the customer has may stand in a list of all; where nobody buys twice, they should not."""


BARE: Final = (Blend(0.0, 0.0), Blend(0.0, 0.0, known=False))
_UNKNOWN_ALONE: Final = 0.2
"""Share of trials."""


def draw(rng: np.random.Generator) -> Blend:
    """A random trial."""
    return Blend(
        again=float(np.exp(rng.uniform(np.log(0.03), np.log(10)))),
        popular=float(np.exp(rng.uniform(np.log(0.01), np.log(2)))),
        again_days=int(rng.choice(AGAIN_HALF_LIVES)),
        popular_days=int(rng.choice(POPULARITY_HALF_LIVES)),
        known=bool(rng.random() >= _UNKNOWN_ALONE),
    )


FIRST: Final = Blend(again=1.0, popular=0.3)
"""The first trial: as our own defaults have it."""


class Blender:
    """Lists for some customers of one cut.

    Parameters:
        inputs: of everybody.
        rows: (customers,): places of those for whom lists are wanted.
    """

    def __init__(self, inputs: Inputs, rows: Integers) -> None:
        self._inputs = inputs
        self._rows = rows
        self._again: dict[int, sp.coo_matrix] = {}
        known = inputs.known[rows].tocoo()
        self._known = (known.row, known.col)

    def everything(self, model: Scores | None, blend: Blend) -> Integers:
        """Item numbers of the best ten of all products, (customers, 10). `model` is (customers, products)."""
        if not blend.known:
            return self.new(model, blend)
        scores = self._base(model, blend)
        if blend.again:
            again = self._own(blend.again_days)
            scores[again.row, again.col] += np.float32(blend.again) * again.data
        return self._best(scores)

    def new(self, model: Scores | None, blend: Blend) -> Integers:
        """The best ten of those that the customer has no kept line of, (customers, 10)."""
        scores = self._base(model, blend)
        scores[self._known] = -np.inf
        return self._best(scores)

    def everybody(self, scores: Scores, *, new: bool) -> Integers:
        """The best ten by one score for all, (products,): also of those unknown to the customer alone."""
        table = np.tile(scores, (len(self._rows), 1))
        if new:
            table[self._known] = -np.inf
        return self._best(table)

    def _base(self, model: Scores | None, blend: Blend) -> Scores:
        scores = np.zeros((len(self._rows), len(self._inputs.columns)), np.float32) if model is None else model.copy()
        if blend.popular:
            scores += np.float32(blend.popular) * self._inputs.popularity(blend.popular_days * DAY)
        return scores

    def _own(self, days: int) -> sp.coo_matrix:
        if days not in self._again:
            self._again[days] = self._inputs.again(days * DAY)[self._rows].tocoo()
        return self._again[days]

    def _best(self, scores: Scores) -> Integers:
        places = best(scores)
        return np.where(places >= 0, self._inputs.columns[places], NO_ITEM)


def in_blocks(inputs: Inputs, rows: Integers) -> list[Integers]:
    """Rows in parts for which scores of every product fit into memory; at least one part."""
    block = max(1, _MOST_CELLS // max(1, len(inputs.columns)))
    return [rows[start : start + block] for start in range(0, max(1, len(rows)), block)]


def best(scores: Scores) -> Integers:
    """Columns of the ten highest scores of each row, best first, ties by column; -1 where fewer are above -inf."""
    rows, columns = scores.shape
    found = np.full((rows, LENGTH), NO_ITEM)
    if not columns:
        return found
    at = max(0, columns - LENGTH)
    # numpy partitions values many times faster than it does places of values.
    threshold: npt.NDArray[np.float32] = np.partition(scores, at, axis=1)[:, at : at + 1]
    row, column = np.nonzero((scores >= threshold) & (scores > -np.inf))
    order = np.lexsort((column, -scores[row, column], row))
    row, column = row[order], column[order]
    place = np.arange(len(row)) - np.searchsorted(row, row)
    near = place < LENGTH
    found[row[near], place[near]] = column[near]
    return found
