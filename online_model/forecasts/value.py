"""Gamma–Gamma: what a customer's next purchase day is worth, drawn towards what others spend while little is known.

A purchase day of a customer is worth a gamma-distributed amount of shape p and rate ν; rates differ by a gamma
distribution (q, γ). Amounts do not depend on how often somebody buys.

Source: Fader & Hardie, The Gamma-Gamma Model of Monetary Value (2013), equations (1a) and (5).
"""

from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt
from scipy.special import digamma, gammaln

from contracts.forecasts import ValueFit
from online_model.arrays import Booleans, Floats


@dataclass(frozen=True, eq=False, slots=True)
class Amounts:
    """What customers have spent, columns of one length (customers,)."""

    days: Floats
    """Purchase days, at least 1."""
    mean: Floats
    """Spend less refunds per purchase day, in currency units; 0 for who gave everything back."""

    @classmethod
    def of_rows(cls, spend: Floats, refunds: Floats, purchase_days: npt.NDArray[np.integer]) -> "Amounts":
        """Those of rows with a purchase; spend and refunds in currency units, all (customers,)."""
        days = purchase_days.astype(np.float64)
        return cls(days, np.maximum(spend - refunds, 0.0) / days)

    def __len__(self) -> int:
        return len(self.days)

    @property
    def positive(self) -> Booleans:
        """Who has kept anything, (customers,): the model knows no purchases for nothing."""
        return np.asarray(self.mean > 0)

    def select(self, which: npt.NDArray[np.bool_] | npt.NDArray[np.integer]) -> "Amounts":
        """Some of the customers, by a mask or by places."""
        return Amounts(self.days[which], self.mean[which])


@dataclass(frozen=True, slots=True)
class ValueModel:
    """Parameters of the model; γ is in currency units, and q above 1, or there would be no mean."""

    p: float
    q: float
    gamma: float

    @classmethod
    def of(cls, fit: ValueFit) -> Self:
        """The model that a forecast document describes."""
        return cls(fit.p, fit.q, fit.gamma)

    def shape(self, amounts: Amounts) -> Floats:
        """Shape of what is known of each customer's rate ν by now, (customers,): q + p·x.

        Of who gave everything back nothing is known: the model has no purchase days that are worth nothing.
        """
        return np.asarray(self.q + self.p * np.where(amounts.positive, amounts.days, 0.0))

    def scale(self, amounts: Amounts) -> Floats:
        """Rate of the same, in currency units, (customers,): γ + x·z̄."""
        return np.asarray(self.gamma + amounts.days * amounts.mean)

    def expected(self, amounts: Amounts) -> Floats:
        """Expected value of each customer's next purchase day, in currency units, (customers,): equation (5)."""
        return np.asarray(self.p * self.scale(amounts) / (self.shape(amounts) - 1))

    def log_likelihood(self, amounts: Amounts) -> Floats:
        """Log likelihood of each customer's mean, (customers,), all above 0: equation (1a)."""
        p, q, x, z = self.p, self.q, amounts.days, amounts.mean
        counted = gammaln(p * x + q) - gammaln(p * x) - gammaln(q)
        weighed = q * np.log(self.gamma) + p * x * np.log(x) + (p * x - 1) * np.log(z)
        return np.asarray(counted + weighed - self.shape(amounts) * np.log(self.scale(amounts)))

    def gradient(self, amounts: Amounts) -> Floats:
        """Derivatives of each log likelihood by p, q and γ, (customers, 3)."""
        p, q, x, z = self.p, self.q, amounts.days, amounts.mean
        scale, shape = self.scale(amounts), self.shape(amounts)
        by_p = x * (digamma(shape) - digamma(p * x) + np.log(x) + np.log(z) - np.log(scale))
        by_q = digamma(shape) - digamma(q) + np.log(self.gamma) - np.log(scale)
        by_gamma = q / self.gamma - shape / scale
        return np.stack([by_p, by_q, by_gamma], axis=1)
