"""BG/NBD and MBG/NBD: customers buy at a rate of their own until, after some purchase, they are gone for good.

While active, a customer buys at random with rate λ per week; rates differ by a gamma distribution (r, α). After each
purchase the customer drops out with probability p; these differ by a beta distribution (a, b). Under MBG/NBD that may
happen after the very first purchase, too; under BG/NBD only after a repeat purchase, so that everybody who has bought
once counts as active for ever.

Sources: Fader, Hardie & Lee, "Counting Your Customers" the Easy Way (Marketing Science 24, 2005): equations (6) and
(10); Batislam, Denizel & Filiztekin, Empirical validation and comparison of models for customer base analysis
(International Journal of Research in Marketing 24, 2007): MBG/NBD.
"""

from dataclasses import dataclass
from typing import Final, Literal, Self

import numpy as np
from scipy.special import betaln, digamma, expit, gammaln

from contracts.forecasts import LifetimeFit
from online_model.arrays import Floats
from online_model.forecasts.purchases import Purchases

Family = Literal["mbg/nbd", "bg/nbd"]
_STUCK: Final = 1e-3
"""With a below it, nearly nobody ever leaves: a at the lower end of its range."""


@dataclass(frozen=True, slots=True)
class LifetimeModel:
    """Parameters of one of the two models; time is in weeks."""

    r: float
    alpha: float
    a: float
    b: float
    family: Family = "mbg/nbd"

    @classmethod
    def of(cls, fit: LifetimeFit) -> Self:
        """The model that a forecast document describes."""
        return cls(fit.r, fit.alpha, fit.a, fit.b, fit.family)

    @property
    def tells_leaving(self) -> bool:
        """Whether the purchases told silence from leaving; where they do not, everybody counts as active."""
        return self.a > _STUCK

    def chances(self, purchases: Purchases) -> Floats:
        """How often each customer could have dropped out by now, (customers,)."""
        return purchases.repeats + 1 if self.family == "mbg/nbd" else purchases.repeats

    def log_odds_gone(self, purchases: Purchases) -> Floats:
        """Log odds of having dropped out, (customers,): -inf for who never had a chance to.

        The ratio of the two addends of equation (6): dropped out at the last purchase, or active all the time since.
        """
        chances = self.chances(purchases)
        silence = np.log(self.alpha + purchases.age) - np.log(self.alpha + purchases.last)
        had = chances > 0
        dropped = np.log(self.a) - np.log(np.where(had, self.b + chances - 1, 1.0))
        return np.asarray(np.where(had, dropped + (self.r + purchases.repeats) * silence, -np.inf))

    def active(self, purchases: Purchases) -> Floats:
        """Probability of being active now, given the purchases, (customers,)."""
        return np.asarray(expit(-self.log_odds_gone(purchases)))

    def log_likelihood(self, purchases: Purchases) -> Floats:
        """Log likelihood of each customer's purchases, (customers,): equation (6)."""
        x, chances = purchases.repeats, self.chances(purchases)
        stayed = betaln(self.a, self.b + chances) - betaln(self.a, self.b)
        bought = gammaln(self.r + x) - gammaln(self.r) + self.r * np.log(self.alpha)
        waited = (self.r + x) * np.log(self.alpha + purchases.age)
        return np.asarray(bought + stayed - waited + np.logaddexp(0.0, self.log_odds_gone(purchases)))

    def gradient(self, purchases: Purchases) -> Floats:
        """Derivatives of each log likelihood by r, α, a and b, (customers, 4)."""
        r, alpha, a, b, x = self.r, self.alpha, self.a, self.b, purchases.repeats
        chances = self.chances(purchases)
        gone = expit(self.log_odds_gone(purchases))
        now, then = alpha + purchases.age, alpha + purchases.last
        last_chance = np.where(chances > 0, b + chances - 1, 1.0)
        by_r = digamma(r + x) - digamma(r) + np.log(alpha) - np.log(now) + gone * (np.log(now) - np.log(then))
        by_alpha = r / alpha - (r + x) / now + gone * (r + x) * (1 / now - 1 / then)
        all_chances = digamma(a + b) - digamma(a + b + chances)
        by_a = all_chances + gone / a
        by_b = all_chances + digamma(b + chances) - digamma(b) - gone / last_chance
        return np.stack([by_r, by_alpha, by_a, by_b], axis=1)
