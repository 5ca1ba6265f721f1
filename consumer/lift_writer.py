"""What recommendations bring, as everybody may read it: from the two groups' sums."""

from consumer.trial import GroupSums, TrialSums
from contracts.documents import LiftDocument, RelativeLift, TrialGroup
from contracts.keys import Keys
from contracts.money import from_millionths
from contracts.times import from_micros
from recommender.holdout import HoldOut
from recommender.lift import Moments, missing, relative_lift
from recommender.store import ViewStore


class LiftWriter:
    """Keeps the document up to the sums; the leader's."""

    def __init__(self, views: ViewStore, keys: Keys, holdout: HoldOut | None) -> None:
        self._views = views
        self._keys = keys
        self._holdout = holdout
        self._shown: LiftDocument | None = None
        self._there = True
        """Whether there may be a document."""

    def forget(self) -> None:
        """Trust nothing that was written before: write it again."""
        self._shown, self._there = None, True

    def show(self, sums: TrialSums | None, now: int) -> None:
        """Write the document where it has changed. None is left without an experiment or while workers disagree.

        What it says would be of another one, and taken for this one's.
        """
        holdout = self._holdout
        if holdout is None or sums is None or sums.number != holdout.number:
            if self._there:
                self._views.delete_many([self._keys.lift()])
                self._shown, self._there = None, False
            return
        document = lift_document(holdout, sums, now)
        if self._shown is None or document != self._shown.model_copy(update={"as_of": document.as_of}):
            self._views.set_many({self._keys.lift(): document.encode()})
            self._shown, self._there = document, True


def lift_document(holdout: HoldOut, sums: TrialSums, now: int) -> LiftDocument:
    """What there is to say about the groups as of `now` (microseconds UTC)."""
    treated, control = sums.treated, sums.held_out
    lacking = [
        *missing("with recommendations", treated.customers, treated.buyers),
        *missing("held out", control.customers, control.buyers),
    ]
    orders = spend = None
    if not lacking:
        orders = _lift(treated.orders_moments, control.orders_moments)
        spend = _lift(treated.net_moments, control.net_moments)
        unclear = "more orders of customers held out: their mean of {} is not clearly above 0"
        lacking += [unclear.format(name) for name, lift in (("orders", orders), ("net spend", spend)) if lift is None]
    return LiftDocument(
        since=from_micros(holdout.since),
        share=holdout.share,
        treated=_group(treated),
        held_out=_group(control),
        orders=orders,
        net_spend=spend,
        missing=tuple(lacking),
        as_of=from_micros(now),
    )


def _lift(treated: Moments, control: Moments) -> RelativeLift | None:
    found = relative_lift(treated, control)
    if found is None:
        return None
    # Sums of floats hang on the order of rows in their last digits.
    return RelativeLift(value=round(found.value, 6), low=round(found.low, 6), high=round(found.high, 6))


def _group(sums: GroupSums) -> TrialGroup:
    return TrialGroup(
        customers=sums.customers, buyers=sums.buyers, orders=sums.orders, net_spend=from_millionths(sums.net)
    )
