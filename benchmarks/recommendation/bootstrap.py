"""How sure a figure is: percentile bootstrap intervals (Efron & Tibshirani 1993), customers drawn with replacement.

A customer who is in several cuts is drawn into all of them at once: what the same person does twice is no independent
evidence. Every recommender is drawn the same customers, so that differences are paired.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from online_model.arrays import Floats, Integers

DRAWS: Final = 1_000
_FEWEST_DRAWS: Final = 200
_MOST_WEIGHTS: Final = 250_000_000
"""Draws × customers kept at once, 1 GB; where there are more customers, they are drawn less often."""
_SIDES: Final = (2.5, 97.5)


@dataclass(frozen=True, slots=True)
class Estimate:
    """A figure with its 95 % interval."""

    value: float
    low: float
    high: float

    @property
    def below_zero(self) -> bool:
        """Whether the whole interval is."""
        return self.high < 0


@dataclass(frozen=True, slots=True)
class Sample:
    """Values of one cut, or of one stretch of time."""

    who: Integers
    """(values,): the customer of each, a number that is the same in every sample."""
    values: Floats
    """(values,): NaN where there is none."""


class Bootstrap:
    """Draws customers once; every estimate is over the same draws.

    Parameters:
        customers: how many there are over all samples.
        seed: the same draws for the same seed.
    """

    def __init__(self, customers: int, seed: int, draws: int = DRAWS) -> None:
        rng = np.random.default_rng(seed)
        draws = min(draws, max(_FEWEST_DRAWS, _MOST_WEIGHTS // max(1, customers)))
        self._weights = np.zeros((draws, customers), np.float32)
        if customers:
            for draw in range(draws):
                self._weights[draw] = np.bincount(rng.integers(customers, size=customers), minlength=customers)

    def mean(self, samples: Sequence[Sample]) -> Estimate | None:
        """The mean over samples of each one's mean; None where a sample has no value at all."""
        kept = [Sample(one.who[there], one.values[there]) for one in samples if (there := ~np.isnan(one.values)).any()]
        if not samples or len(kept) < len(samples):
            return None
        seen = float(np.mean([sample.values.mean() for sample in kept]))
        low, high = np.nanpercentile(np.mean([self._means(sample) for sample in kept], axis=0), _SIDES)
        return Estimate(seen, float(low), float(high))

    def difference(self, ours: Sequence[Sample], theirs: Sequence[Sample]) -> Estimate | None:
        """The mean of ours − theirs, value by value: the samples have the same customers in the same order."""
        return self.mean([Sample(one.who, one.values - other.values) for one, other in zip(ours, theirs, strict=True)])

    def _means(self, sample: Sample) -> Floats:
        """(draws,): NaN where nobody was drawn who has a value."""
        customers = self._weights.shape[1]
        sums = np.bincount(sample.who, sample.values, customers).astype(np.float32)
        counts = np.bincount(sample.who, minlength=customers).astype(np.float32)
        totals = self._weights @ counts
        drawn = np.divide(self._weights @ sums, totals, out=np.full(len(totals), np.nan, np.float32), where=totals > 0)
        means: Floats = drawn.astype(np.float64)
        return means
