"""The leader's look at its sample: what it fits, what it learns, which learner is told; and what is told of it."""

import json
from dataclasses import replace
from datetime import date

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from consumer.figures import figures_of, merged
from consumer.forecast_leader import ForecastLeader
from consumer.memory_state import MemoryState
from consumer.reviews import InlineReviews
from consumer.row_forecasts import RowForecasts
from consumer.row_store import PartitionRows, RowStore
from consumer.spent import Spent
from contracts.documents import CustomerForecast
from contracts.events import Profile
from contracts.forecasts import ChurnFit, ChurnScores, FamilyChange, ForecastDocument, ForecastDocumentError
from contracts.times import DAY, EPOCH, from_micros
from online_model.features import MISSING_TIME
from online_model.forecasts.ahead import Forecaster
from online_model.forecasts.ahead_columns import AHEAD, HORIZONS, Blind, at_risk, unknown
from online_model.forecasts.churn import Churn, Cohort, customer_keys
from online_model.forecasts.churn_memory import decode, encode, waiting_in
from online_model.forecasts.fitting import NotConvergedError, fit_lifetime, fit_value
from online_model.forecasts.forecast import forecast
from online_model.forecasts.lifetime import LifetimeModel
from online_model.forecasts.review import Buyers, ForecastReview, better_family
from online_model.forecasts.words import CAN_NOT_TELL, about, sentences
from recommender.answers import Forecast
from recommender.view_forecasts import forecast_texts
from tests.in_process import InProcess

NOW = 19_500 * DAY + 7


def buyers(count=400, seed=0):
    """Customers at paces of their own, some of whom leave."""
    rng = np.random.default_rng(seed)
    first = rng.integers(19_000, 19_400, count)
    repeats = np.where(rng.random(count) < 0.3, 0, rng.geometric(0.25, count))
    last = first + (repeats > 0) * (rng.random(count) * (19_500 - first)).astype(np.int64)
    days = np.minimum(repeats + 1, last - first + 1)
    found = Buyers(
        keys=customer_keys(f"c{n}" for n in range(count)),
        first_at=first * DAY,
        last_at=last * DAY,
        newest_at=last * DAY,
        purchase_days=days,
        orders_decayed=days * 0.9,
        spend=days * rng.gamma(3.0, 10.0, count),
        refunds=np.zeros(count),
        since=np.full(count, MISSING_TIME),
    )
    return found.sorted()


def review(some, **more):
    given = {"buyers": some, "now": NOW, "purchases": 1_000, "before": None, "memory": None, "fits": True, "heard": NOW}
    given |= {"heard": more.get("now", NOW), **more}
    return ForecastReview(**given)()


@pytest.fixture(scope="module")
def some():
    return buyers()


@pytest.fixture(scope="module")
def learnt(some):
    return review(some)


def test_the_document_holds_what_the_sample_says(some, learnt):
    document = ForecastDocument.model_validate_json(learnt.document.encode())
    assert document == learnt.document
    assert (document.customers, document.fitted, document.left_censored) == (400, 400, 0)
    fitted = fit_lifetime(some.purchases(NOW))
    assert document.lifetime.log_likelihood == pytest.approx(fitted.log_likelihood)
    assert document.value.gamma == pytest.approx(fit_value(some.amounts).model.gamma)
    again = review(some, before=document, memory=learnt.memory, now=NOW + DAY)
    assert again.document.lifetime.r == pytest.approx(document.lifetime.r, rel=0.1)
    kept = review(some, before=document, memory=learnt.memory, now=NOW + DAY, fits=False).document
    assert (kept.fitted_at, kept.lifetime, kept.value) == (document.fitted_at, document.lifetime, document.value)
    assert kept.at == from_micros(NOW + DAY)


def test_the_order_in_which_customers_are_found_says_nothing(some, learnt):
    order = np.random.default_rng(1).permutation(len(some))
    shuffled = Buyers(*(getattr(some, name)[order] for name in Buyers.__slots__))
    assert review(shuffled.sorted()).document == learnt.document


def test_what_is_missing_is_said_and_churn_goes_on(some):
    few = Buyers(*(getattr(some, name)[:40] for name in Buyers.__slots__))
    document = review(few).document
    assert document.lifetime is None
    assert "40 customers whose first purchase was seen, 100 are needed" in document.missing
    assert Forecaster(document).ahead(few, NOW)["orders"].shape == (40, 3)
    assert np.isnan(Forecaster(document).ahead(few, NOW)["orders"]).all()
    assert about(document)[0].startswith("Orders and money: not enough data yet: 40 customers")
    assert about(None) == ("Not enough data yet: nothing was learnt so far.",)


def test_memory_that_can_not_be_read_is_begun_anew_and_said(some, learnt):
    assert "learnt anew" in review(some, before=learnt.document, memory=b"of another version").note
    assert learnt.note == ""


def unfit(*_, **__):
    raise NotConvergedError("no best fit to 400 customers was found in 3 steps (slope 1)")


def test_a_fit_that_fails_leaves_the_last_one_in_use(some, learnt, monkeypatch):
    monkeypatch.setattr("online_model.forecasts.review.fit_lifetime", unfit)
    later = review(some, before=learnt.document, memory=learnt.memory, now=NOW + 7 * DAY)
    kept = ("lifetime", "value", "fitted_at", "fitted", "missing")
    assert [getattr(later.document, name) for name in kept] == [getattr(learnt.document, name) for name in kept]
    assert "could not be fitted anew: no best fit to 400 customers" in later.note
    assert not np.isnan(Forecaster(later.document).ahead(some, NOW)["orders"]).any()
    told = about(later.document)
    assert told[0].startswith("Fitted to 400 customers")
    assert told[1].startswith("Since then the purchase models could not be fitted anew: no best fit")
    still = review(some, before=later.document, memory=later.memory, now=NOW + 8 * DAY, fits=False).document
    assert still.not_fitted == later.document.not_fitted
    monkeypatch.undo()
    again = review(some, before=still, memory=later.memory, now=NOW + 9 * DAY)
    assert (again.note, again.document.not_fitted) == ("", "")
    assert again.document.fitted_at == again.document.at


def test_a_first_fit_that_fails_is_not_called_too_little_data(some, monkeypatch):
    monkeypatch.setattr("online_model.forecasts.review.fit_lifetime", unfit)
    document = review(some).document
    assert document.lifetime is None
    assert about(document)[0].startswith("Orders and money: no best fit to 400 customers")


def test_columns_are_those_of_the_models(some, learnt):
    lifetime, value = fit_lifetime(some.purchases(NOW)).model, fit_value(some.amounts).model
    expected = forecast(lifetime, value, some.purchases(NOW), some.amounts)
    found = Forecaster(learnt.document).ahead(some, NOW)
    assert found["active"] == pytest.approx(expected.active, rel=1e-4)
    for place, days in enumerate(HORIZONS):
        assert found["orders"][:, place] == pytest.approx(expected.ahead[days].orders.expected, rel=1e-4)
        assert found["spend"][:, place] == pytest.approx(expected.ahead[days].value.expected, rel=1e-4)
    assert found["orders_high"] == pytest.approx(expected.ahead[90].orders.high)
    assert found["spend_high"] == pytest.approx(expected.ahead[90].value.high, rel=1e-3)
    between = Forecaster(learnt.document).spend_between(some, NOW)
    for place, days in enumerate(HORIZONS):
        assert between[:, place, 0] == pytest.approx(expected.ahead[days].value.low)
        assert between[:, place, 1] == pytest.approx(expected.ahead[days].value.high)
    assert np.isnan(Blind().spend_between(some, NOW)).all()
    assert np.isnan(found["churn"]).all()


def test_the_learner_with_the_lower_log_loss_is_told():
    churn, rng = Churn(), np.random.default_rng(0)
    p = rng.random(600)
    came = rng.random(600) < p

    def state(logistic, tree, left):
        cohort = Cohort(
            start=NOW - 100 * DAY,
            customers=np.arange(len(left), dtype=np.uint64),
            X=np.zeros((len(left), 8)),
            stated={"logistic": logistic, "tree": tree},
            shown=True,
            back=~left,
        )
        churn.settle(cohort, np.full(len(left), NOW - 200 * DAY))

    state(np.full(400, 0.5), p[:400], came[:400])
    assert better_family(churn, "logistic", NOW) is None  # too few
    state(np.full(200, 0.5), p[400:], came[400:])
    change = better_family(churn, "logistic", NOW)
    assert (change.before, change.after, change.at) == ("logistic", "tree", from_micros(NOW))
    assert "over the last 600 forecasts" in change.why
    assert better_family(churn, "tree", NOW) is None
    for _ in range(2):  # the world turns round: what was before does not hold it back
        state(np.full(600, 0.5), 1 - p, came)
    assert better_family(churn, "tree", NOW).after == "logistic"
    assert better_family(decode(encode(churn)), "tree", NOW) == better_family(churn, "tree", NOW)


def test_a_change_of_learner_is_recorded_once(some, learnt, monkeypatch):
    monkeypatch.setattr("online_model.forecasts.review.BETTER", -1.0)
    monkeypatch.setattr("online_model.forecasts.review.LEAST_JUDGED", 1)
    monkeypatch.setattr("online_model.forecasts.churn.LEAST_OUTCOMES", 1)
    present, now, stay = learnt, NOW, np.arange(len(some)) % 2 == 0
    for _ in range(3):
        now += 91 * DAY
        moved = replace(some, last_at=np.where(stay, now - DAY, some.last_at))
        present = review(moved, before=present.document, memory=present.memory, now=now, fits=False)
    assert present.document.churn.came_back > 0
    assert [one.after for one in present.document.changes] == ["tree", "logistic"][: len(present.document.changes)]
    assert present.document.changes[-1].after == present.document.churn.family
    assert present.document.churn.scorer.kind == present.document.churn.family


def test_who_has_not_left_by_the_data_is_not_said_to_be_active(some, learnt):
    blind = learnt.document.model_copy(
        update={"lifetime": learnt.document.lifetime.model_copy(update={"a": 1e-4, "tells_leaving": False})}
    )
    ahead = Forecaster(blind).ahead(some, NOW)
    assert np.isnan(ahead["active"]).all()
    assert any(CAN_NOT_TELL in one for one in sentences(ahead[:1], blind, "GBP"))
    assert any("revenue at risk" in one for one in about(blind))
    told = json.loads(forecast_texts(ahead[:1], NOW)[0])
    assert "p_active" not in told
    assert "orders" in told


def test_what_was_learnt_of_churn_and_how_good_it_is_is_told(learnt):
    scores = ChurnScores(family="tree", forecasts=700, auc=0.7, log_loss=0.5, calibration_error=0.03)
    churn = ChurnFit(days=90, family="tree", came_back=300, left=400, scores=(scores,))
    change = FamilyChange(at=from_micros(NOW), before="logistic", after="tree", why="log loss 0.5 instead of 0.6")
    told = " ".join(about(learnt.document.model_copy(update={"churn": churn, "changes": (change,)})))
    assert "learned from 700 outcomes, by a decision tree." in told
    assert "in use since 2023-05-23: log loss 0.5 instead of 0.6." in told
    assert "Nothing shows that these forecasts have become better or worse." in told
    drifted = scores.model_copy(update={"drifts": (date(2023, 1, 1), date(2023, 2, 1))})
    churn = churn.model_copy(update={"scores": (drifted,)})
    assert "last on 2023-02-01" in " ".join(about(learnt.document.model_copy(update={"churn": churn})))


def test_the_best_customers_who_left_long_ago_are_lost_and_not_at_risk():
    model = LifetimeModel(0.5, 6.2, 0.9, 1.6)
    rows = buyers(3)
    weeks = 7 * DAY
    first = NOW - 120 * weeks
    rows = replace(
        rows, first_at=np.full(3, first), last_at=np.array([first + 60 * weeks, NOW - 5 * weeks, NOW - 1 * weeks])
    )
    rows = replace(rows, purchase_days=np.array([61, 30, 30]))
    active = model.active(rows.purchases(NOW))
    assert active[0] < 1e-6 < 0.2 < active[1] < active[2]
    found = at_risk(np.full(3, 90.0), active)
    assert found[0] == 0
    assert found[1:] == pytest.approx(90 / active[1:] - 90)


@pytest.mark.parametrize(
    ("high", "most", "said"),
    [
        (0, 0.0, "; with 90 % none."),
        (0, 12.0, "; most likely none, with 90 % at most 12.00 GBP."),
        (2, 60.0, "; with 90 % 0 to 2 and 0.00 GBP to 60.00 GBP."),
    ],
)
def test_intervals_in_words_do_not_contradict_each_other(learnt, high, most, said):
    ahead = np.zeros(1, AHEAD)
    ahead["orders_high"], ahead["spend_high"] = high, most
    assert sentences(ahead, learnt.document, "GBP")[0].endswith(said)


numbers = st.floats(0, 1e7, width=32)
chances = st.floats(0, 1, width=32) | st.just(float("nan"))


@settings(deadline=None)
@given(st.lists(st.tuples(chances, chances, st.lists(numbers, min_size=10, max_size=10), st.booleans()), max_size=6))
def test_the_text_in_a_view_is_of_the_contract_and_short(rows):
    ahead = unknown(len(rows))
    for place, (active, churn, values, known) in enumerate(rows):
        ahead[place]["churn"] = churn
        if known:
            ahead[place]["active"] = active
            ahead[place]["orders"], ahead[place]["spend"] = sorted(values[:3]), sorted(values[3:6])
            ahead[place]["orders_low"], ahead[place]["orders_high"] = (values[6] // 1e4, values[7] // 1e4)
            ahead[place]["spend_low"], ahead[place]["spend_high"] = values[8], values[9]
    for row, text in zip(ahead, forecast_texts(ahead, NOW), strict=True):
        assert len(text) <= 180
        if np.isnan(row["churn"]) and np.isnan(row["orders"][0]):
            assert text == "null"
            continue
        told = CustomerForecast.model_validate_json(text)
        assert told.as_of == date(2023, 5, 23)
        assert (told.churn is None) == bool(np.isnan(row["churn"]))
        assert (told.p_active is None) == bool(np.isnan(row["active"]))
        if told.orders is not None:
            assert told.orders == pytest.approx(row["orders"].tolist(), rel=0.006, abs=0.006)
            assert told.spend == pytest.approx(row["spend"].tolist(), rel=0.006, abs=0.006)
            assert told.orders_90d == (int(row["orders_low"]), int(row["orders_high"]))
        assert CustomerForecast.model_validate_json(told.model_dump_json()) == told
    assert set(Forecast.__struct_fields__) == set(CustomerForecast.model_fields)


# ---- rows ----


class Fixed(Blind):
    """Says what it is told to."""

    def __init__(self, orders):
        self.orders = orders
        self.asked = 0

    def ahead(self, rows, _now):
        self.asked += len(rows.first_at)
        found = np.zeros(len(rows.first_at), AHEAD)
        found["orders"] = self.orders
        found["active"] = found["churn"] = 0.5
        return found


def store_of(count):
    store, partition = RowStore(), PartitionRows(0)
    store.partitions[0] = partition
    return store, np.array([store.add(partition, f"c{n}") for n in range(count)])


def passed(forecasts, now):
    moved = [forecasts.go_on(now)]
    while forecasts.behind(now):
        moved.append(forecasts.go_on(now))
    return np.concatenate(moved)


def test_a_row_is_worked_out_once_a_day_and_anew_when_it_changes():
    store, rows = store_of(5)
    forecasts, says = RowForecasts(store), Fixed(1.0)
    assert not forecasts.behind(NOW)  # there is no document
    forecasts.adopt(says, 1)
    passed(forecasts, NOW)
    forecasts.of(rows, NOW + DAY // 2)
    assert says.asked == 5
    forecasts.forget(rows[:2])
    forecasts.of(rows, NOW)
    assert says.asked == 7
    assert forecasts.behind(NOW + DAY)
    passed(forecasts, NOW + DAY)
    assert says.asked == 12


@pytest.mark.parametrize(
    ("before", "after", "moves"), [(1.0, 1.05, False), (1.0, 1.2, True), (0.01, 0.02, False), (0.5, 0.44, True)]
)
def test_a_view_is_rewritten_when_it_is_off_by_too_much(before, after, moves):
    store, rows = store_of(3)
    forecasts = RowForecasts(store)
    forecasts.adopt(Fixed(before), 1)
    forecasts.of(rows, NOW)
    forecasts.note_shown(rows[:2])  # of the third it is not known what its view says
    assert not passed(forecasts, NOW).size
    forecasts.adopt(Fixed(after), 2)
    assert passed(forecasts, NOW).tolist() == (rows[:2].tolist() if moves else [])


def test_a_view_without_a_forecast_gets_one_when_there_is_one():
    store, rows = store_of(2)
    forecasts = RowForecasts(store)
    forecasts.note_shown(rows[:1])
    forecasts.adopt(Fixed(1.0), 1)
    assert passed(forecasts, NOW).tolist() == [rows[0]]


def test_sums_are_of_all_rows_by_partition_and_segment():
    store, rows = store_of(6)
    store.header["segment"][rows] = [1, 1, 1, 2, 2, 2]
    forecasts = RowForecasts(store)
    forecasts.adopt(Fixed(2.0), 1)
    passed(forecasts, NOW)
    assert {one: (totals[0], totals[1], totals[3]) for one, totals in forecasts.sums[0].items()} == {
        1: (3.0, 1.5, 6.0),
        2: (3.0, 1.5, 6.0),
    }
    store.header["segment"][rows[0]] = 2
    forecasts.begin_again()
    passed(forecasts, NOW)
    assert forecasts.sums[0][2][0] == 4


@pytest.fixture
def halfway(monkeypatch):
    """Eight rows of segment 1, and a pass that has looked at half of them."""
    monkeypatch.setattr("consumer.row_forecasts.SLICE_ROWS", 4)
    store, rows = store_of(8)
    store.header["segment"][rows] = 1
    forecasts = RowForecasts(store)
    forecasts.adopt(Fixed(1.0), 1)
    forecasts.go_on(NOW)
    return store, rows, forecasts


def customers_in(forecasts, partition):
    return {segment: totals[0] for segment, totals in forecasts.sums[partition].items()}


def test_a_sweep_that_ends_while_a_pass_is_under_way_has_everything_added_up_again(halfway):
    store, rows, forecasts = halfway
    store.header["segment"][rows] = 2
    forecasts.begin_again()
    passed(forecasts, NOW)
    assert customers_in(forecasts, 0) == {2: 8}
    assert not forecasts.behind(NOW)


def test_partitions_that_come_and_go_while_a_pass_is_under_way_are_counted_whole_or_not_at_all(halfway):
    store, _, forecasts = halfway
    other = PartitionRows(1)
    store.partitions[1] = other
    store.release([2, 3])  # whose places the first of the other partition get, behind the pass
    came = np.array([store.add(other, f"o{n}") for n in range(5)])
    assert came.min() < 4
    store.header["segment"][came] = 1
    forecasts.take_in(came)
    passed(forecasts, NOW)
    assert (customers_in(forecasts, 0), customers_in(forecasts, 1)) == ({1: 6}, {1: 5})
    forecasts.adopt(Fixed(1.0), 2)
    forecasts.go_on(NOW)
    forecasts.drop(1)
    store.drop_partition(1)
    passed(forecasts, NOW)
    assert set(forecasts.sums) == {0}


def test_half_a_sum_is_not_told():
    shop = InProcess(2)
    worker = shop.worker()
    shop.publish(*(Profile(event_id=f"p{n}", customer_id=f"c{n}", occurred_at=EPOCH, attributes={}) for n in range(9)))
    shop.run(worker)
    one, other = (
        figures_of(worker.memory.store, worker.memory.learner, held, None, {1: (2.0, 1.0)})
        for held in worker.memory.held.values()
    )
    unseen = figures_of(worker.memory.store, worker.memory.learner, worker.memory.held[1])
    worker.close()
    assert merged([one, other], 2).ahead == {1: (4.0, 2.0)}
    assert merged([one, unseen], 2).ahead == {}
    assert merged([one], 2).ahead == {}


class Waiting:
    """Reviews that end when they are told to."""

    free, running, done, failed = True, False, False, False

    def ask(self, work):
        self.work, self.running = work, True

    def take(self):
        if not self.done or not self.running:
            return None
        self.running = False
        return self.work()


def leading(state, reviews):
    """A leader over an empty store, and what it decides when asked; figures may be changed from call to call."""
    leader = ForecastLeader(state, RowStore(), reviews)
    shop = replace(merged([], 0), purchases=5, sizes={1: 0}, clock=NOW)

    def decide(number=1, now=NOW, *, quiet=False, lagging=False, **figures):
        return leader.decide(number, replace(shop, **figures), now, quiet=quiet, lagging=lagging, at_rest=False)

    return leader, decide


def test_a_review_that_does_not_know_what_another_leader_learnt_is_dropped():
    state, reviews = MemoryState(), Waiting()
    leader, decide = leading(state, reviews)
    while not reviews.running:
        assert not decide(1)
    assert state.publish_forecast(2, 1, review(buyers(20)).document.encode(), b"another's")
    reviews.done = True
    assert not decide(3)
    assert (state.forecast_version(), state.forecast_memory()) == (1, b"another's")
    while not decide(3, purchases=5_000):
        assert leader.busy
    assert state.forecast_version() == 2


def test_nothing_is_learnt_of_a_feed_that_is_silent():
    reviews = Waiting()
    leader, decide = leading(MemoryState(), reviews)
    for _ in range(5):
        assert not decide(quiet=True)
    assert not reviews.running
    assert not leader.busy


def test_nothing_is_learnt_while_rows_lag_behind_and_all_is_fitted_when_they_no_longer_do(learnt):
    state, reviews = MemoryState(), Waiting()
    state.publish_forecast(1, 1, learnt.document.encode(), None)
    leader, decide = leading(state, reviews)
    day = {"now": NOW + DAY, "purchases": 1_001}
    for _ in range(3):
        assert not decide(**day, lagging=True)
    assert not reviews.running
    assert not leader.busy
    decide(**day)
    assert leader.busy
    decide(**day, lagging=True)  # while the sample is gathered: half of it would be of another time
    assert not leader.busy
    while not reviews.running:
        decide(**day)
    assert reviews.work.fits  # although the last fit is of yesterday
    reviews.work, reviews.done = lambda: learnt, True
    assert decide(**day)
    day = {"now": NOW + 2 * DAY, "purchases": 1_002}
    reviews.done = False
    while not reviews.running:
        decide(**day)
    assert not reviews.work.fits


class Broken(Waiting):
    """Reviews that fail."""

    def take(self):
        if not self.running:
            return
        self.running = False
        raise RuntimeError("of whatever kind")


class BrokenElsewhere(Waiting):
    """Reviews that fail in another process."""

    def take(self):
        if self.running:
            self.running, self.failed = False, True


@pytest.mark.parametrize("broken", [Broken, BrokenElsewhere])
def test_a_review_that_fails_is_tried_again_on_the_next_day(broken):
    state, reviews = MemoryState(), broken()
    leader, decide = leading(state, reviews)
    for _ in range(5):
        assert not decide()
    assert not leader.busy
    assert leader._erasures is None, "whoever is gone is still to be forgotten"
    assert state.forecast_version() == 0
    decide(now=NOW + DAY, purchases=6)
    assert leader.busy


@pytest.mark.parametrize("memory", [b"", b"of another version"])
def test_memory_that_can_not_be_read_ends_no_leader(some, learnt, memory):
    state = MemoryState()
    state.publish_forecast(1, 1, learnt.document.encode(), memory)
    _, decide = leading(state, InlineReviews(Spent()))
    assert decide(2, NOW + DAY, purchases=1_001)
    assert state.forecast_version() == 2
    assert decode(state.forecast_memory()).outcomes.tolist() == [0, 0]


def test_documents_that_can_not_be_read_end_no_leader_and_newer_ones_are_left_alone(learnt):
    newer = json.dumps({**json.loads(learnt.document.encode()), "v": 99}).encode()
    with pytest.raises(ForecastDocumentError, match=r"version 99 document .* upgrade livesegments"):
        ForecastDocument.read(newer)
    for odd in (b"", b"{", b"[]", b'{"v":"x"}', b'{"v":1}', b"[" * 100_000):
        with pytest.raises(ForecastDocumentError, match="none that livesegments writes"):
            ForecastDocument.read(odd)
        state = MemoryState()
        state.publish_forecast(1, 1, odd, learnt.memory)
        _, decide = leading(state, InlineReviews(Spent()))
        assert decide(2)
        assert ForecastDocument.read(state.forecast()).customers == 0
    state = MemoryState()
    state.publish_forecast(1, 1, newer, learnt.memory)
    leader, decide = leading(state, InlineReviews(Spent()))
    assert not decide(2, NOW + DAY, purchases=10_000)
    assert not leader.busy
    assert (state.forecast(), state.forecast_memory()) == (newer, learnt.memory)


def test_who_is_erased_is_forgotten_without_waiting_for_the_next_day(some):
    churn = Churn()
    churn.begin(NOW - 10 * DAY, some.keys[:5], np.zeros((5, 8)))
    state = MemoryState()
    document = review(some).document
    state.publish_forecast(1, 1, document.encode(), encode(churn))
    _, decide = leading(state, InlineReviews(Spent()))
    # Nobody is in the store: all were erased. A silent feed and rows that lag behind are no reason to keep them.
    assert not decide(2, purchases=1_000, erasures=3, quiet=True, lagging=True)
    assert not waiting_in(state.forecast_memory()).size
    assert (state.forecast_version(), state.forecast()) == (1, document.encode())  # nobody has to look ahead anew
    assert not state.amend_forecast(1, 1, b"of the leader before")
    kept = state.forecast_memory()
    decide(2, purchases=1_000, erasures=4, quiet=True)
    assert state.forecast_memory() is kept  # nothing was written where nobody is gone


def test_forecasts_that_are_turned_off_are_taken_out(learnt):
    state = MemoryState()
    state.publish_forecast(1, 1, learnt.document.encode(), learnt.memory)
    ForecastLeader(state, RowStore(), Waiting()).withdraw(2)
    assert (state.forecast(), state.forecast_memory(), state.forecast_version()) == (None, None, 1)
    _, decide = leading(state, InlineReviews(Spent()))
    assert decide(3)
    assert state.forecast_version() == 2  # turned on again: a newer version than any that somebody has read
