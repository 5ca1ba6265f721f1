"""Maximum likelihood for the purchase models: L-BFGS-B over logarithms of the parameters, convergence checked."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

import numpy as np

from contracts.errors import LivesegmentsError
from online_model.arrays import Floats
from online_model.forecasts.lifetime import Family, LifetimeModel
from online_model.forecasts.purchases import Purchases
from online_model.forecasts.value import Amounts, ValueModel

LEAST_CUSTOMERS: Final = 100
LEAST_REPEATING: Final = 30
"""Customers with a second purchase day: without them nothing tells rates from lifetimes."""
LEAST_WEEKS: Final = 8.0
"""Since the first purchase of all: in a shorter history silence says nothing."""
_RANGE: Final = (1e-4, 1e4)
"""Of a parameter. Where all customers are alike the best fit lies at infinity: one end is as good."""
_FLAT: Final = (1e-5, 0.1)
"""Slopes of the log likelihood by the logarithm of a parameter, per customer or of all, at which a fit is found."""
_STARTS: Final = 3
"""So often it begins anew where it stopped: over nearly flat ground a line search may fail."""
_ITERATIONS: Final = 1_000

Model = TypeVar("Model")


class NotEnoughDataError(LivesegmentsError):
    """There are no forecasts yet; the text says what is missing."""


class NotConvergedError(LivesegmentsError):
    """No parameters were found that explain the purchases best; the text says what to look at."""


@dataclass(frozen=True, slots=True)
class Fitted(Generic[Model]):
    """A model with the parameters that explain best what customers did."""

    model: Model
    log_likelihood: float
    """Of all customers."""
    customers: int
    iterations: int
    bounded: tuple[str, ...]
    """Parameters at an end of their range: in what they stand for, customers are all alike."""


def fit_lifetime(
    purchases: Purchases, family: Family = "mbg/nbd", start: LifetimeModel | None = None
) -> Fitted[LifetimeModel]:
    """Fit BG/NBD or MBG/NBD to customers whose first purchase was seen.

    `start` is where to begin, such as the last fit; the result does not depend on it, the time it takes does.
    Raises NotEnoughDataError, NotConvergedError.
    """
    _require(purchases)
    distinct, counts = purchases.distinct()

    def likelihood(parameters: Floats) -> tuple[float, Floats]:
        model = _lifetime(parameters, family)
        return float(counts @ model.log_likelihood(distinct)), counts @ model.gradient(distinct)

    middle = max(float(np.average(distinct.age, weights=counts)), 1.0)
    first = (1.0, middle, 1.0, 2.0) if start is None else (start.r, start.alpha, start.a, start.b)
    found = _maximise(likelihood, first, (("r", 0.0), ("alpha", 0.0), ("a", 0.0), ("b", 0.0)), len(purchases))
    return found.of(_lifetime(found.parameters, family))


def fit_value(amounts: Amounts, start: ValueModel | None = None) -> Fitted[ValueModel]:
    """Fit Gamma–Gamma to what customers spent; those who kept nothing are left out.

    Raises NotEnoughDataError, NotConvergedError.
    """
    spent = amounts.select(amounts.positive)
    if len(spent) < LEAST_CUSTOMERS:
        raise NotEnoughDataError(
            f"no forecast of value yet: {len(spent):,} customers have spent anything, {LEAST_CUSTOMERS} are needed"
        )
    unit = float(np.median(spent.mean))  # so that the size of a currency unit does not matter
    scaled = Amounts(spent.days, spent.mean / unit)

    def likelihood(parameters: Floats) -> tuple[float, Floats]:
        model = ValueModel(*parameters.tolist())
        return float(model.log_likelihood(scaled).sum()), model.gradient(scaled).sum(axis=0)

    first = (2.0, 3.0, 1.0) if start is None else (start.p, start.q, start.gamma / unit)
    found = _maximise(likelihood, first, (("p", 0.0), ("q", 1.0), ("gamma", 0.0)), len(spent))
    p, q, gamma = found.parameters.tolist()
    change_of_unit = float(np.log(unit)) * len(spent)
    return found.of(ValueModel(p, q, gamma * unit), less=change_of_unit)


def _lifetime(parameters: Floats, family: Family) -> LifetimeModel:
    r, alpha, a, b = parameters.tolist()
    return LifetimeModel(r, alpha, a, b, family)


def _require(purchases: Purchases) -> None:
    """Raises NotEnoughDataError, which says all that is missing."""
    repeating = int(np.count_nonzero(purchases.repeats))
    weeks = float(purchases.age.max()) if len(purchases) else 0.0
    missing = []
    if len(purchases) < LEAST_CUSTOMERS:
        missing.append(f"{len(purchases):,} customers whose first purchase was seen, {LEAST_CUSTOMERS} are needed")
    if repeating < LEAST_REPEATING:
        missing.append(f"{repeating:,} customers with a second purchase day, {LEAST_REPEATING} are needed")
    if weeks < LEAST_WEEKS:
        missing.append(f"{weeks:.0f} weeks since the first purchase, {LEAST_WEEKS:.0f} are needed")
    if missing:
        raise NotEnoughDataError(f"no forecasts yet: {'; '.join(missing)}")


@dataclass(frozen=True, eq=False, slots=True)
class _Maximum:
    parameters: Floats
    value: float
    customers: int
    iterations: int
    bounded: tuple[str, ...]

    def of(self, model: Model, less: float = 0.0) -> Fitted[Model]:
        return Fitted(model, self.value - less, self.customers, self.iterations, self.bounded)


def _maximise(
    likelihood: Callable[[Floats], tuple[float, Floats]],
    start: tuple[float, ...],
    floors: tuple[tuple[str, float], ...],
    customers: int,
) -> _Maximum:
    """The parameters, each its floor plus something positive, with the largest log likelihood.

    `likelihood` gives log likelihood and slopes by the parameters. Raises NotConvergedError.
    """
    from scipy.optimize import minimize  # noqa: PLC0415 - takes its time, and only reviews fit

    names = [name for name, _ in floors]
    floor = np.array([least for _, least in floors])

    def loss(logs: Floats) -> tuple[float, Floats]:
        above = np.exp(logs)
        value, slope = likelihood(floor + above)
        return -value / customers, -slope * above / customers

    low, high = np.log(_RANGE)
    logs = np.clip(np.log(np.maximum(np.array(start) - floor, _RANGE[0])), low, high)
    for _ in range(_STARTS):
        found = minimize(
            loss,
            logs,
            jac=True,
            method="L-BFGS-B",
            bounds=[(low, high)] * len(names),
            options={"maxiter": _ITERATIONS, "ftol": 1e-14, "gtol": _FLAT[0] / 10},
        )
        logs, slope = found.x, found.jac
        at_low, at_high = logs <= low, logs >= high
        # At an end of the range a slope that points outwards is no reason to go on.
        left = np.abs(np.where((at_low & (slope > 0)) | (at_high & (slope < 0)), 0.0, slope)).max()
        if left <= _FLAT[0]:
            break
    if not np.isfinite(found.fun) or not left <= max(_FLAT[0], _FLAT[1] / customers):
        raise NotConvergedError(
            f"no best fit to {customers:,} customers was found in {found.nit} steps (slope {left:.1e}); look at the"
            " purchases for dates or amounts that can not be"
        )
    bounded = tuple(name for name, low_end, high_end in zip(names, at_low, at_high, strict=True) if low_end or high_end)
    return _Maximum(floor + np.exp(found.x), -float(found.fun) * customers, customers, int(found.nit), bounded)
