"""What the leader does about forecasts: it has them learnt from a sample, and publishes that for every worker."""

from typing import TYPE_CHECKING, Final

import structlog

from consumer.figures import ShopFigures
from consumer.forecast_sample import gather_buyers
from consumer.layout import MISSING_TIME
from consumer.reviews import InlineReviews, Reviews
from consumer.row_store import RowStore
from consumer.state import State, StateUnavailableError
from contracts.forecasts import ForecastDocument, ForecastDocumentError
from contracts.times import DAY, to_micros
from online_model.forecasts.review import Buyers, ForecastReview, Learnt

if TYPE_CHECKING:
    from collections.abc import Iterator

GROWTH: Final = 1.5
"""The sample is looked at when there are so many times the purchases, and once a day (UTC) if there are any more."""
FIT_INTERVAL: Final = 7 * DAY
"""Purchase models are fitted anew after so long, or after such growth, or while there are none."""

_log = structlog.get_logger("livesegments.forecasts")


class ForecastLeader:
    """The owner of partition 0 asks it whenever the figures of all partitions are new.

    Its memory is what is published: the document, and what is learnt of churn beside it, written in one step. So
    nothing is learnt twice, whoever leads and wherever a leader died.
    """

    def __init__(
        self, state: State, store: RowStore, reviews: Reviews[Learnt], *, seed: int = 0, seen_from: int = MISSING_TIME
    ) -> None:
        self._state = state
        self._store = store
        self._reviews = reviews
        self._seed = seed
        self._seen_from = seen_from
        self._number: int | None = None
        self._version = 0
        self._document: ForecastDocument | None = None
        self._memory: bytes | None = None
        self._asked: tuple[int, int] | None = None
        """Purchases at the last review, and when it was asked for; None: there was none."""
        self._asked_from = 0
        """The version that the review under way goes on from."""
        self._gathering: Iterator[Buyers | None] | None = None
        self._learns = False
        """Whether the sample that is gathered is to be learnt from; otherwise only who is gone is forgotten."""
        self._held_back = False
        """Whether a review was due while rows lagged behind: it fits anew when they no longer do."""
        self._erasures: int | None = None
        """Those whom open windows know of, as the figures count them; None: it is not known."""
        self._left_alone = False
        """Whether what is in force is a newer livesegments' document: nothing is published over it."""
        self._put_off = False

    @property
    def busy(self) -> bool:
        """Whether a review is under way, or is due and had to wait for its share of the time."""
        return self._reviews.running or self._gathering is not None or self._put_off

    def forget(self) -> None:
        """The lead is new, also where its number is that of before: the state may have gone back."""
        self._number = None

    def decide(
        self, number: int, shop: ShopFigures, now: int, *, quiet: bool, lagging: bool = False, at_rest: bool
    ) -> bool:
        """Go on with a review, or ask for one that is due; publish what the last one came to. Returns whether it did.

        `number` is how often partition 0 was claimed. While the feed is `quiet` nothing is learnt of who stays away:
        it may be no customer who is silent. Nor is anything while rows are `lagging` behind now. A worker `at_rest` has
        time for a review before the last one's share of it is over.
        """
        if self._number != number:
            self._take_over(number)
        learns = not (quiet or lagging) and self._due(shop, now)
        self._held_back |= lagging and self._due(shop, now)
        if self._learns and (quiet or lagging):
            self._gathering = None  # half of the sample may be of another time
        if self._gathering is None and (learns or self._somebody_is_gone(shop)):
            self._put_off = not (self._reviews.free or (at_rest and not self._reviews.running))
            if not self._put_off:
                self._gathering = gather_buyers(self._store, self._state, sum(shop.sizes.values()), shop.partitions)
                self._learns, self._erasures = learns, shop.erasures
        elif self._gathering is None:
            self._put_off = False
        try:
            self._gather(shop, now)
            reviewing = self._reviews.running
            learnt = self._reviews.take()
        except StateUnavailableError:
            self._erasures = None
            raise
        except Exception:  # noqa: BLE001 - whatever a review fails at, segments and views go on without it
            _log.exception("forecasts not learnt: segments go on, the next try is that of the next day")
            self._fail(shop, now)
            return False
        if reviewing and not self._reviews.running and learnt is None and self._reviews.failed:
            self._fail(shop, now)
            return False
        # Another leader may have learnt something meanwhile, which this review does not know of.
        return learnt is not None and self._asked_from == self._version and self._publish(number, learnt)

    def _fail(self, shop: ShopFigures, now: int) -> None:
        self._asked = (shop.purchases, now)
        if self._learns:
            self._erasures, self._learns = None, False  # to forget who is gone may be more than it failed at

    def withdraw(self, number: int) -> None:
        """Take out what was published and what is remembered: forecasts are turned off."""
        if self._number == number:
            return
        version = self._state.forecast_version()
        if self._state.forecast() is not None and self._state.amend_forecast(number, version, None):
            _log.info("forecasts are turned off: what was learnt is taken out", version=version)
        self._number = number

    def _take_over(self, number: int) -> None:
        """Go on where the last leader stopped."""
        self._version = self._state.forecast_version()
        self._document, self._memory, self._asked = None, None, None
        self._gathering, self._put_off, self._erasures, self._left_alone = None, False, None, False
        stored = self._state.forecast()
        try:
            self._document = read_forecasts(stored) if stored is not None else None
        except ForecastDocumentError as error:
            self._left_alone = error.newer
            _log.warning("forecasts not read", version=self._version, error=str(error))
        if stored is not None and not self._left_alone:
            self._memory = self._state.forecast_memory()
        if self._document is not None:
            self._asked = (self._document.all_purchases, to_micros(self._document.at))
        self._number = number  # last: who reads half of it would learn over what is there

    def _somebody_is_gone(self, shop: ShopFigures) -> bool:
        """Whether an open window may hold a customer who was erased."""
        return self._memory is not None and not self._reviews.running and shop.erasures != self._erasures

    def _due(self, shop: ShopFigures, now: int) -> bool:
        if self._reviews.running or self._left_alone or not shop.purchases:
            return False
        if self._asked is None:
            return True
        purchases, at = self._asked
        return shop.purchases != purchases and (shop.purchases >= GROWTH * purchases or now // DAY != at // DAY)

    def _gather(self, shop: ShopFigures, now: int) -> None:
        """Go on gathering: one part at a time, all of them where runs must be repeatable; then ask for the review."""
        gathering, self._gathering = self._gathering, None  # an error ends it: another begins then
        if gathering is None:
            return
        buyers = next(gathering)
        while buyers is None and isinstance(self._reviews, InlineReviews):
            buyers = next(gathering)
        if buyers is None:
            self._gathering = gathering
            return
        review = self._review(buyers, shop, now)
        self._asked_from = self._version
        if self._learns:
            self._asked, self._held_back = (shop.purchases, now), False
        self._reviews.ask(review)

    def _review(self, buyers: Buyers, shop: ShopFigures, now: int) -> ForecastReview:
        before = self._document
        fits = (
            self._held_back
            or before is None
            or before.fitted_at is None
            or shop.purchases >= GROWTH * before.purchases
            or not 0 <= now - to_micros(before.fitted_at) < FIT_INTERVAL
        )
        return ForecastReview(
            buyers=buyers,
            now=now,
            purchases=shop.purchases,
            before=before,
            memory=self._memory,
            fits=fits,
            heard=shop.clock,
            learns=self._learns,
            seed=self._seed,
            seen_from=self._seen_from,
        )

    def _publish(self, number: int, learnt: Learnt) -> bool:
        version, document = self._version + 1, learnt.document
        if learnt.note:
            _log.warning(learnt.note)
        if document is None:
            if learnt.memory != self._memory:
                self._amend(number, learnt.memory)
            return False
        self._number = None  # what stands in the state is read again, unless it is known to be this
        if not self._state.publish_forecast(number, version, document.encode(), learnt.memory):
            _log.warning("forecasts not published: another leader's are in force", version=version)
            return False
        self._number = number
        if self._document is not None and document.changes[-1:] != self._document.changes[-1:]:
            change = document.changes[-1]
            _log.info("churn by another family", before=change.before, after=change.after, why=change.why)
        self._version, self._document, self._memory = version, document, learnt.memory
        # Whether and how well is told where forecasts are shown; most reviews turn churn by one day and no more.
        say = _log.info if document.fitted_at == document.at else _log.debug
        say("forecasts learnt", version=version, customers=document.customers, fitted=document.fitted)
        return True

    def _amend(self, number: int, memory: bytes) -> None:
        """Remember something else beside the document in force: nobody has to look ahead anew for that."""
        self._number = None
        if self._state.amend_forecast(number, self._version, memory):
            self._number, self._memory = number, memory


def read_forecasts(document: bytes) -> ForecastDocument:
    """The document as it was published. Raises ForecastDocumentError."""
    return ForecastDocument.read(document)
