"""What the leader has worked out of a sample of customers now and then: purchase models fitted, churn learnt."""

from dataclasses import dataclass
from typing import Final, Self

import numpy as np

from contracts.forecasts import (
    ChurnFamily,
    ChurnFit,
    ChurnScores,
    FamilyChange,
    ForecastDocument,
    LifetimeFit,
    ValueFit,
)
from contracts.times import DAY, from_micros
from online_model.arrays import Booleans, Floats, Integers
from online_model.features import MISSING_TIME
from online_model.forecasts.churn import Churn, Keys
from online_model.forecasts.churn_features import churn_features
from online_model.forecasts.churn_learners import LEARNERS
from online_model.forecasts.churn_memory import ChurnMemoryError, decode, encode
from online_model.forecasts.fitting import (
    NotConvergedError,
    NotEnoughDataError,
    fit_lifetime,
    fit_value,
)
from online_model.forecasts.lifetime import LifetimeModel
from online_model.forecasts.purchases import Purchases, first_was_seen
from online_model.forecasts.value import Amounts, ValueModel

FIRST_FAMILY: Final[ChurnFamily] = "logistic"
CHANGES_KEPT: Final = 20
LEAST_JUDGED: Final = 500
"""Forecasts of a family whose outcome is known, before it may be put in use instead of the other ..."""
BETTER: Final = 0.01
"""... and by so much, per forecast, its log loss must be the lower one."""


@dataclass(frozen=True, eq=False, slots=True)
class Buyers:
    """Customers who have bought, columns of one length (customers,), keys rising; money in currency units."""

    keys: Keys
    first_at: Integers
    last_at: Integers
    newest_at: Integers
    purchase_days: Integers
    orders_decayed: Floats
    spend: Floats
    refunds: Floats
    since: Integers
    """What the attribute `customer_since` says, microseconds UTC; MISSING_TIME where it says nothing."""

    def __len__(self) -> int:
        return len(self.keys)

    def sorted(self) -> Self:
        """The same with rising keys, each once: what is made of them does not hang on how they were found."""
        _, order = np.unique(self.keys, return_index=True)
        return type(self)(*(getattr(self, name)[order] for name in Buyers.__slots__))

    def purchases(self, now: int) -> Purchases:
        """What purchase models need of them."""
        return Purchases.of_rows(self.first_at, self.last_at, self.purchase_days, now)[0]

    @property
    def amounts(self) -> Amounts:
        """What they have spent."""
        return Amounts.of_rows(self.spend, self.refunds, self.purchase_days)


@dataclass(frozen=True, eq=False, slots=True)
class Learnt:
    """What a review came to."""

    document: ForecastDocument | None
    """None: that of before stays in force, and only what is remembered is another."""
    memory: bytes
    """What is learnt of churn, to go on from."""
    note: str = ""
    """What an operator should know."""


@dataclass(frozen=True, eq=False, slots=True, kw_only=True)
class ForecastReview:
    """One look at the sample; calling it works, with nothing but what it holds."""

    buyers: Buyers
    now: int
    """Microseconds UTC."""
    purchases: int
    """Of all customers, ever."""
    before: ForecastDocument | None
    memory: bytes | None
    """Of the last review; None before the first."""
    fits: bool
    """Whether the purchase models are fitted anew."""
    heard: int
    """Time of the newest event of all, microseconds UTC."""
    learns: bool = True
    """False: only who is gone is forgotten, while nothing can be said of who stays away."""
    seed: int = 0
    seen_from: int = MISSING_TIME
    """When the history begins, microseconds UTC: who bought before may have bought before that, too."""

    @property
    def _seen(self) -> Booleans:
        return first_was_seen(self.buyers.first_at, self.buyers.since, self.seen_from)

    def __call__(self) -> Learnt:
        """Fit and learn."""
        if not self.learns:
            return self._forget()
        churn, note = self._churn()
        buyers = self.buyers
        X = churn_features(buyers, self.now)
        churn.turn(self.now, buyers.keys, X, buyers.first_at, buyers.last_at, heard=self.heard)
        seen = int(self._seen.sum())
        fitted = ForecastDocument(
            at=from_micros(self.now),
            all_purchases=self.purchases,
            customers=len(buyers),
            left_censored=len(buyers) - seen,
            churn=ChurnFit(days=churn.days, family=FIRST_FAMILY),
        )
        if not self.fits and self.before is not None:
            fitted = _with_fit_of(self.before, fitted)
        else:
            fitted = self._fitted(fitted, seen)
        changes = self.before.changes if self.before is not None else ()
        family = self.before.churn.family if self.before is not None else FIRST_FAMILY
        change = better_family(churn, family, self.now)
        if change is not None:
            changes, family = (*changes, change)[-CHANGES_KEPT:], change.after
        document = fitted.model_copy(update={"churn": churn_fit(churn, family), "changes": changes})
        return Learnt(document, encode(churn), "; ".join(one for one in (note, document.not_fitted) if one))

    def _forget(self) -> Learnt:
        churn, note = self._churn()
        some = churn.forget(self.buyers.keys, self.buyers.first_at) or note or self.memory is None
        return Learnt(None, encode(churn) if some else self.memory or b"", note)

    def _churn(self) -> tuple[Churn, str]:
        if self.memory is None:
            return Churn(self.seed), ""
        try:
            return decode(self.memory), ""
        except ChurnMemoryError as error:
            return Churn(self.seed), f"churn is learnt anew: {error}"

    def _fitted(self, document: ForecastDocument, seen: int) -> ForecastDocument:
        which = self._seen
        before = self.before
        try:
            lifetime = fit_lifetime(
                self.buyers.purchases(self.now).select(which),
                start=LifetimeModel.of(before.lifetime) if before is not None and before.lifetime else None,
            )
            value = fit_value(
                self.buyers.amounts.select(which),
                start=ValueModel.of(before.value) if before is not None and before.value else None,
            )
        except NotEnoughDataError as error:
            return document.model_copy(update={"missing": str(error), "purchases": self.purchases})
        except NotConvergedError as error:
            if before is None or before.fitted_at is None:
                return document.model_copy(update={"missing": str(error), "purchases": self.purchases})
            kept = _with_fit_of(before, document)
            return kept.model_copy(update={"not_fitted": f"the purchase models could not be fitted anew: {error}"})
        model, worth = lifetime.model, value.model
        return document.model_copy(
            update={
                "fitted_at": document.at,
                "fitted": seen,
                "purchases": self.purchases,
                "lifetime": LifetimeFit(
                    family=model.family,
                    r=model.r,
                    alpha=model.alpha,
                    a=model.a,
                    b=model.b,
                    log_likelihood=lifetime.log_likelihood,
                    bounded=lifetime.bounded,
                    tells_leaving=model.tells_leaving,
                ),
                "value": ValueFit(
                    p=worth.p,
                    q=worth.q,
                    gamma=worth.gamma,
                    log_likelihood=value.log_likelihood,
                    customers=value.customers,
                    bounded=value.bounded,
                ),
            }
        )


def _with_fit_of(before: ForecastDocument, document: ForecastDocument) -> ForecastDocument:
    """A document with the purchase models of another, and all that is said of them."""
    names = ("fitted_at", "fitted", "purchases", "lifetime", "value", "missing", "not_fitted")
    return document.model_copy(update={name: getattr(before, name) for name in names})


def better_family(churn: Churn, present: ChurnFamily, now: int) -> FamilyChange | None:
    """The family to be put in use instead of the present one; None where it stays.

    By log loss of the last forecasts made before their outcomes were known: both families have stated theirs of the
    same customers on the same days.
    """
    other = next(kind for kind in LEARNERS if kind != present)
    judged = len(churn.recent[other])
    if judged < LEAST_JUDGED:
        return None
    ours, theirs = (float(churn.recent[kind].mean()) for kind in (present, other))
    if theirs > ours - BETTER:
        return None
    why = f"log loss {theirs:.3f} instead of {ours:.3f} over the last {judged:,} forecasts"
    return FamilyChange(at=from_micros(now), before=present, after=other, why=why)


def churn_fit(churn: Churn, family: ChurnFamily) -> ChurnFit:
    """What is published of churn."""
    came_back, left = churn.outcomes.tolist()
    return ChurnFit(
        days=churn.days,
        family=family,
        scorer=churn.learners[family].scorer() if churn.ready else None,
        missing=churn.missing,
        came_back=came_back,
        left=left,
        waiting=sum(len(cohort.customers) for cohort in churn.open.values()),
        scores=tuple(_scores(churn, kind) for kind in LEARNERS),
    )


def _scores(churn: Churn, kind: ChurnFamily) -> ChurnScores:
    scores = churn.scores[kind]
    return ChurnScores(
        family=kind,
        forecasts=len(scores),
        auc=scores.auc,
        log_loss=scores.log_loss,
        calibration_error=scores.calibration_error,
        calibration=tuple(scores.calibration()),
        drifts=tuple(from_micros(day * DAY).date() for day in churn.drifts[kind]),
    )
