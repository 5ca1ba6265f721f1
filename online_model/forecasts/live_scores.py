"""How good forecasts have been, kept while outcomes come in: counts by probability, of which all figures follow."""

from typing import Final

import numpy as np

from online_model.arrays import Booleans, Floats, Integers, ShapeError

CELLS: Final = 1_000
"""Equal parts of the probabilities from 0 to 1; figures are exact up to one of them."""
BINS: Final = 10
"""Of equal mass, to look at calibration."""
_LEAST: Final = 1e-6
"""A probability counts as at least so far from 0 and 1: one certain mistake is not to outweigh everything."""


class LiveScores:
    """Counts of forecasts by their probability and what came of them."""

    def __init__(self) -> None:
        self.counts: Integers = np.zeros((2, CELLS), np.int64)
        """By what came of it (not, yes) and cell of the probability."""
        self.stated = np.zeros(CELLS)
        """The probabilities of each cell, added up."""
        self.loss = 0.0
        """Log losses, added up."""

    def __len__(self) -> int:
        return int(self.counts.sum())

    def add(self, probabilities: Floats, happened: Booleans) -> Floats:
        """Count forecasts whose outcome is known now, (forecasts,) each; returns the log loss of each.

        Raises ShapeError for columns of unequal length.
        """
        if probabilities.shape != happened.shape or probabilities.ndim != 1:
            raise ShapeError(f"a forecast needs one outcome, got {probabilities.shape} and {happened.shape}")
        cells = np.minimum((probabilities * CELLS).astype(np.int64), CELLS - 1)
        np.add.at(self.counts, (happened.astype(np.int64), cells), 1)
        np.add.at(self.stated, cells, probabilities)
        right = np.clip(np.where(happened, probabilities, 1 - probabilities), _LEAST, 1.0)
        losses = -np.log(right)
        self.loss += float(losses.sum())
        return np.asarray(losses)

    @property
    def log_loss(self) -> float | None:
        """Mean of -ln of the probability of what came; None where there is no outcome."""
        return self.loss / len(self) if len(self) else None

    @property
    def auc(self) -> float | None:
        """How likely somebody of whom it came true had the higher probability; None where all came out alike."""
        no, yes = self.counts
        pairs = int(no.sum()) * int(yes.sum())
        below = np.cumsum(no) - no
        return float((yes * (below + no / 2)).sum() / pairs) if pairs else None

    def calibration(self) -> list[tuple[float, float, int]]:
        """Stated and observed share and the number of forecasts, in ten bins of about equal mass, rising."""
        both = self.counts.sum(axis=0)
        total = int(both.sum())
        if not total:
            return []
        # A cell goes whole into the bin in which its middle lies.
        bins = np.minimum((np.cumsum(both) - both / 2) * BINS // total, BINS - 1).astype(np.int64)
        number, happened, stated = (
            np.bincount(bins, weights=part, minlength=BINS) for part in (both, self.counts[1], self.stated)
        )
        some = number > 0
        return [
            (float(said / count), float(came / count), int(count))
            for said, came, count in zip(stated[some], happened[some], number[some], strict=True)
        ]

    @property
    def calibration_error(self) -> float | None:
        """Mean distance between stated and observed share over the bins, by mass; None where there is no outcome."""
        bins = self.calibration()
        return sum(abs(said - came) * count for said, came, count in bins) / len(self) if bins else None
