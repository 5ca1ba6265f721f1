"""Who is like the members of an audience: a logistic score over the model's features, learnt for the occasion.

Members against a uniform sample of everybody else, each side with half of the weight: features scaled by the model's
metric, and their squares, so that a likeness can lie in the middle of a feature as well as at its end. Fitted by
Newton's method with an L2 penalty (Bishop, Pattern Recognition and Machine Learning, 4.3.3 and 4.5). Held against
distances in benchmarks/look_alikes.py (ADR 35).
"""

from dataclasses import dataclass
from typing import Final, Self

import numpy as np

from contracts.errors import LivesegmentsError
from online_model.arrays import Booleans, Floats
from online_model.metric import Metric

LEAST_MEMBERS: Final = 20
"""From fewer, chance decides."""
_FARTHEST: Final = 5.0
"""Standard deviations beyond which nobody is taken to be: the square of one whale would say more than a thousand."""
_PENALTY: Final = 1.0
_STEPS: Final = 50
_SMALLEST_STEP: Final = 1e-9


class NotComparableError(LivesegmentsError):
    """Customers can not be compared with an audience yet."""


class TooFewError(NotComparableError):
    """There are too few members, or nobody else, to learn a likeness from."""


@dataclass(frozen=True, eq=False, slots=True)
class Likeness:
    """What members have that others have not."""

    metric: Metric
    weights: Floats
    """(1 + 2 · features,): of 1, of the scaled features, of their squares."""
    usual: Floats
    """(features,): what each adds to the score of others, on average."""
    typical: Floats
    """(features,): the members' medians, unscaled."""

    @classmethod
    def learn(cls, metric: Metric, members: Floats, others: Floats) -> Self:
        """From features, (customers, features) both; NaN where not observed. Raises TooFewError."""
        members, others = members[_seen(members)], others[_seen(others)]
        if len(members) < LEAST_MEMBERS:
            raise TooFewError(f"{len(members)} members have bought something: {LEAST_MEMBERS} are needed at least")
        if not len(others):
            raise TooFewError("there is nobody else")
        terms = _terms(metric, np.concatenate([members, others]))
        is_member = np.arange(len(terms)) < len(members)
        each = np.where(is_member, 0.5 / len(members), 0.5 / len(others)) * len(terms)
        weights = _fit(terms, is_member, each)
        parts = _parts(terms[len(members) :], weights)
        middles = np.array([np.nanmedian(one) if _any(one) else np.nan for one in members.T])
        return cls(metric, weights, parts.mean(axis=0), middles)

    def scores(self, X: Floats) -> Floats:
        """How like members customers are, (customers,): between 0 and 1; NaN where nothing is observed."""
        found: Floats = _expit(_terms(self.metric, X) @ self.weights)
        found[~_seen(X)] = np.nan
        return found

    def reasons(self, X: Floats) -> Floats:
        """What each feature adds to the (logit of the) score, beyond what it usually adds, (customers, features)."""
        parts = _parts(_terms(self.metric, X), self.weights) - self.usual
        return np.where(np.isnan(X), -np.inf, parts)


def _seen(X: Floats) -> Booleans:
    return np.asarray(~np.isnan(X).all(axis=1))


def _any(column: Floats) -> bool:
    return not bool(np.isnan(column).all())


def _terms(metric: Metric, X: Floats) -> Floats:
    """(customers, 1 + 2 · features); what is not observed is as everybody's mean."""
    scaled = np.nan_to_num((X - metric.means) * np.sqrt(metric.precisions))
    scaled = np.clip(scaled, -_FARTHEST, _FARTHEST)
    return np.concatenate([np.ones((len(X), 1)), scaled, scaled**2], axis=1)


def _parts(terms: Floats, weights: Floats) -> Floats:
    """What each feature, with its square, adds, (customers, features)."""
    features = (terms.shape[1] - 1) // 2
    products = terms[:, 1:] * weights[1:]
    return products[:, :features] + products[:, features:]


def _fit(terms: Floats, is_member: Booleans, each: Floats) -> Floats:
    """Weights that make the members likeliest; `each` is how much a row counts, (customers,)."""
    weights: Floats = np.zeros(terms.shape[1])
    penalty = np.full(terms.shape[1], _PENALTY)
    penalty[0] = _SMALLEST_STEP
    for _ in range(_STEPS):
        said = _expit(terms @ weights)
        slope = terms.T @ (each * (said - is_member)) + penalty * weights
        curve = (terms * (each * said * (1 - said))[:, np.newaxis]).T @ terms + np.diag(penalty)
        step = np.linalg.solve(curve, slope)
        weights -= step
        if np.abs(step).max() < _SMALLEST_STEP:
            break
    return weights


def _expit(x: Floats) -> Floats:
    return np.asarray(1 / (1 + np.exp(-np.clip(x, -500, 500))))
