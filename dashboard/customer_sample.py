"""Some customers as the model compares them: what maps are drawn from."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from online_model.arrays import Booleans, Floats, Labels
from online_model.model import SegmentModel
from online_model.projection import Projection, of_sample

_FEW: Final = 0.05


@dataclass(frozen=True, eq=False, slots=True)
class CustomerSample:
    """A uniform sample of the customers that the version in force can place."""

    model: SegmentModel
    now: int
    """Microseconds UTC, by the deployment's clock: what `X` is as of."""
    all_customers: int
    """How many there are in all, about."""
    customer_ids: Sequence[str]
    segments: Labels
    """(customers,): the published segment's id."""
    names: dict[int, str]
    """Of these segments."""
    X: Floats
    """(customers, features)"""

    @property
    def told(self) -> Floats:
        """X in the units that a person would use, (customers, features)."""
        return self.model.feature_set.in_units(self.X, self.model.order_value)

    @property
    def outlying(self) -> Booleans:
        """Who is far from the others in some feature, (customers,).

        Where more than one in twenty are far, the feature has a long tail, and nobody stands out by it.
        """
        if self.model.outliers is None:
            return np.zeros(len(self.X), np.bool_)
        far = self.model.outliers.outliers(self.X)
        return np.asarray(far[:, far.mean(axis=0) <= _FEW].any(axis=1))

    def projection(self, dimensions: int) -> Projection:
        """The directions in which these customers differ most."""
        return of_sample(self.X, self.model.metric, dimensions)
