"""Outliers: customers far from the others in a feature. They are marked, and go on counting like everybody."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Self

import numpy as np

from contracts.errors import LivesegmentsError
from online_model.arrays import Booleans, Floats, ShapeError, feature_matrix, frozen

OUTLIER_Z: Final = 3.5
"""Above it in size, a robust z makes an outlier (Iglewicz and Hoaglin)."""
_DEVIATION_OVER_MAD: Final = 1.482602218505602
"""Standard deviation of a normal distribution over its median absolute deviation: 1 / 0.6745."""
_DEVIATION_OVER_MEAN_AD: Final = 1.2533141373155001
"""The same over its mean absolute deviation: sqrt(pi / 2)."""


class OutlierBoundsError(LivesegmentsError):
    """Stored bounds of outliers make no sense."""


@dataclass(frozen=True, eq=False, slots=True)
class OutlierBounds:
    """The middle and the spread of each feature, as they were decided on a sample.

    Robust z = (x - median) / spread. The spread is 1.4826 times the median absolute deviation; where that is 0, since
    more than half of the customers have one and the same value, 1.2533 times the mean absolute deviation about the
    median; where that is 0 too there is nothing to measure by, and nobody is an outlier in the feature.

    Source: Iglewicz and Hoaglin, How to detect and handle outliers (1993).
    """

    features: tuple[str, ...]
    medians: Floats
    """(features,), NaN where the sample had no value."""
    spreads: Floats
    """(features,), in units of a standard deviation; 0 where nobody can be an outlier."""

    def __post_init__(self) -> None:
        if self.medians.shape != (len(self.features),) or self.spreads.shape != self.medians.shape:
            raise ShapeError("outlier bounds need one median and one spread for each feature")
        object.__setattr__(self, "medians", frozen(self.medians))
        object.__setattr__(self, "spreads", frozen(self.spreads))

    @classmethod
    def of(cls, X: Floats, features: tuple[str, ...]) -> Self:
        """From a sample X (customers, features); NaN is not observed.

        Raises ShapeError or NotFiniteError for what is no feature matrix.
        """
        X = feature_matrix(X, len(features))
        medians, spreads = np.full(len(features), np.nan), np.zeros(len(features))
        for place, column in enumerate(X.T):
            values = column[~np.isnan(column)]
            if values.size:
                medians[place] = np.median(values)
                away = np.abs(values - medians[place])
                spreads[place] = _DEVIATION_OVER_MAD * np.median(away) or _DEVIATION_OVER_MEAN_AD * np.mean(away)
        return cls(features, medians, spreads)

    def z(self, X: Floats) -> Floats:
        """Robust z of each value, (customers, features); NaN where nothing is observed or the spread is 0."""
        X = feature_matrix(X, len(self.features))
        spreads = np.where(self.spreads > 0, self.spreads, np.nan)
        return np.asarray((X - self.medians) / spreads)

    def outliers(self, X: Floats) -> Booleans:
        """Who is an outlier in which feature, (customers, features). Who is not observed is none.

        Raises ShapeError or NotFiniteError for what is no feature matrix of these features.
        """
        return np.asarray(np.abs(self.z(X)) > OUTLIER_Z)

    def to_plain(self) -> dict[str, tuple[float, float]]:
        """Median and spread by feature, for a document; features without a value in the sample are left out."""
        pairs = zip(self.features, self.medians.tolist(), self.spreads.tolist(), strict=True)
        return {feature: (median, spread) for feature, median, spread in pairs if not np.isnan(median)}

    @classmethod
    def from_plain(cls, plain: Mapping[str, tuple[float, float]], features: tuple[str, ...]) -> Self:
        """The bounds that `to_plain` gave, for the features of a model, in their order.

        A feature that is not among them has no outliers. Raises OutlierBoundsError for a spread below 0 or NaN.
        """
        pairs = [plain.get(feature, (np.nan, 0.0)) for feature in features]
        if not all(spread >= 0 for _, spread in pairs):
            raise OutlierBoundsError("spreads of outlier bounds must not be negative; let the model be learnt anew")
        return cls(features, np.array([pair[0] for pair in pairs]), np.array([pair[1] for pair in pairs]))
