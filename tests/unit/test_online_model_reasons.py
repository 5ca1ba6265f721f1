"""Why a customer is where they are: what the sentences say is what happens."""

from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from consumer.columns import Columns
from consumer.layout import Limits
from contracts.documents import RuleThresholds
from contracts.events import Line, Purchase
from contracts.times import DAY, EPOCH, HOUR, from_micros
from online_model.by_rule import RULE_SEGMENTS, by_rule
from online_model.features import FEATURES, FeatureSet, days_since
from online_model.metric import Metric
from online_model.model import NO_PURCHASES, OUT_OF_SCOPE, OUT_OF_SEASON, Segment, SegmentModel
from online_model.names import Members
from online_model.next_move import Subject, move_by_orders, move_by_silence, published
from online_model.outliers import OutlierBounds
from online_model.reasons import reasons
from online_model.rhythm import YEAR, Rhythm
from online_model.seasons import lapsing_segments, spared
from online_model.what_if import Futures
from tests.rows import rows_of

NOW = 20_000 * DAY
NAMES = {1: "Champions", 2: "At risk", 3: "Lapsed", NO_PURCHASES: "No purchases yet", OUT_OF_SCOPE: "Trade"}


def model(centroids=((0.2, 2.0, 2.0), (0.7, 1.5, 1.5), (2.0, 0.5, 0.5)), features=(), **more):
    names = features or FeatureSet.of().names
    return SegmentModel(
        **{
            "version": 1,
            "features": names,
            "order_value": 20.0,
            "metric": Metric(np.zeros(len(names)), np.ones(len(names))),
            "centroids": np.array(centroids),
            "segments": tuple(Segment(n + 1, NAMES.get(n + 1, str(n + 1))) for n in range(len(centroids))),
            "seed": 0,
            "margin": 0.1,
            "dwell": HOUR,
            "adopted_at": 0,
            "reason": "r",
            "gain": 0.0,
            "purchases": 1,
            "buyers": 1,
            "next_segment_id": len(centroids) + 1,
            "sizes": (1,) * len(centroids),
            "inertia": 1.0,
            **more,
        }
    )


def purchase(at, price, number):
    return Purchase(
        event_id=f"e{number}",
        customer_id="ann",
        occurred_at=EPOCH + timedelta(microseconds=at),
        order_id="o",
        lines=(Line(item_id="tea", quantity=2, unit_price=price),),
        currency="GBP",
    )


def row_of(orders):
    """A row made by events: orders of (microseconds UTC, unit price of two pieces)."""
    events = [purchase(at, price, number) for number, (at, price) in enumerate(sorted(orders))]
    made = rows_of(events, Limits())
    return Columns.of_store(made.store, np.array([made.store.partitions[0].index["ann"]]))


def subject(orders, **more):
    times = np.array(sorted(at for at, _ in orders))
    return Subject(
        **{
            "customer_id": "ann",
            "row": row_of(orders),
            "segment": 1,
            "since": NOW - 30 * DAY,
            "purchases": times,
            "rhythm": Rhythm.of(np.zeros(len(times), np.int64), times, 1),
            **more,
        }
    )


def said(one, of=None, now=NOW):
    return reasons(one, of, now, lambda segment: NAMES.get(segment, f"Segment {segment}"), "GBP")


def settled(one, of, now=NOW):
    """The same customer where the model puts them now."""
    return replace(one, segment=int(of.segment_ids[of.assign(of.features_of(one.row, now))[0]]))


orders_before_now = st.lists(
    st.tuples(st.integers(NOW - 700 * DAY, NOW), st.integers(1, 200).map(float)), min_size=1, max_size=8
)
coordinates = st.lists(st.tuples(*[st.floats(0, 3)] * 3), min_size=2, max_size=5, unique=True)


@settings(max_examples=60, deadline=None)
@given(orders_before_now, coordinates, st.sampled_from([0.0, 0.1]), st.sampled_from([0, HOUR, 5 * DAY]), st.booleans())
def test_after_that_many_days_of_silence_the_customer_moves_there_and_a_day_before_does_not(
    orders, centroids, margin, dwell, promising
):
    of = model(centroids, margin=margin, dwell=dwell)
    of = replace(of, segments=(replace(of.segments[0], active=promising), *of.segments[1:]))
    one = settled(subject(orders, since=NOW - DAY), of)

    def at(days):
        """What a sweep publishes so many days from now."""
        now = NOW + days * DAY
        X = of.features_of(one.row, now)
        current, since = np.array([one.segment], np.int32), np.array([one.since])
        return int(of.publish(X, of.assign(X), current, since, now, days_since(one.row.last_at, now))[0])

    move = move_by_silence(one, of, NOW)
    if move is None:
        assert all(at(days) == one.segment for days in (1, 30, 365, 730))
    else:
        assert at(move.amount) == move.segment != one.segment
        if move.amount > 1:
            assert at(move.amount - 1) == one.segment


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(NOW - 700 * DAY, NOW), min_size=1, max_size=8), st.integers(1, 200), coordinates)
def test_that_many_orders_of_the_usual_size_move_the_customer_there_and_one_less_does_not(times, price, centroids):
    orders = [(at, float(price)) for at in times]
    of = model(centroids)
    one = settled(subject(orders), of)

    def after(more):
        bought = row_of([*orders, *((NOW, float(price)) for _ in range(more))])
        X = of.features_of(bought, NOW)
        return int(of.publish(X, of.assign(X), np.array([one.segment], np.int32), np.array([one.since]), NOW)[0])

    move = move_by_orders(one, of, NOW)
    if move is not None:
        assert after(move.amount) == move.segment != one.segment
    for less in range(1, 21 if move is None else move.amount):
        assert after(less) == one.segment


@settings(deadline=None)
@given(st.lists(st.integers(NOW - 700 * DAY, NOW), min_size=1, max_size=8), st.integers(1, 200), st.integers(1, 4))
def test_orders_that_are_imagined_leave_the_features_that_orders_leave(times, price, more):
    orders = [(at, float(price)) for at in times]
    every = FeatureSet.of(tuple(FEATURES))
    imagined = every.features(Futures.of_orders(row_of(orders), NOW, [more]), NOW, 20.0)
    real = every.features(row_of([*orders, *((NOW, float(price)) for _ in range(more))]), NOW, 20.0)
    np.testing.assert_allclose(imagined, real, rtol=1e-9, atol=1e-9)


def test_three_sentences_with_the_customers_own_numbers():
    orders = [(NOW - days * DAY, 40.0) for days in (5, 35, 65, 95, 125)]
    one = subject(orders, audiences=("Bulk buyers",))
    told = said(one, model())
    assert told.why == (
        "5 days since the last order, 4.4 orders (halved every year) and 355 GBP net (halved every year)"
        " put ann nearest to Champions."
    )
    assert told.special == "In the audience Bulk buyers."
    assert told.silence is not None
    assert told.orders is None
    assert told.change == f"{told.silence.amount} more days without an order → At risk."
    assert published(one, model(), Futures.of_silence(one.row, NOW, [told.silence.amount])).tolist() == [2]


def test_overdue_by_the_customers_own_gap():
    orders = [(NOW - days * DAY, 40.0) for days in (60, 80, 100, 120, 140)]
    assert said(subject(orders), model()).special == "3 times the usual gap (20 days) since the last order: overdue."


def test_a_season_is_said_and_silence_outside_it_is_not_overdue():
    begin = 19_672 * DAY  # 11 November 2023
    at = [begin - 731 * DAY, begin - 700 * DAY, begin - 366 * DAY, begin - 350 * DAY, begin + 3 * DAY, begin + 30 * DAY]
    told = said(subject([(one, 10.0) for one in at]), model(), begin + 200 * DAY)
    assert told.special == "Buys in one season (November–December), out of season now."


def test_an_outlier_is_told_with_the_median_customer():
    bounds = OutlierBounds(("recency", "frequency", "monetary"), np.array([0.2, 0.7, np.log(2)]), np.array([1, 1, 0.1]))
    told = said(subject([(NOW - 5 * DAY, 5_000.0)]), model(outliers=bounds))
    assert told.special == "Far from everybody with 9,905 GBP net (halved every year) (the median customer: 20.00 GBP)."


def test_who_is_nothing_special_hears_what_is_near():
    told = said(subject([(NOW - 5 * DAY, 40.0)] * 4), model())
    assert told.special.startswith("The nearest other segment is At risk, ")


def test_a_customer_whom_the_margin_holds_is_told_so():
    middle = model(((0.0, 0.0, 0.0), (1.0, 0.0, 0.0)), margin=0.5)
    row = subject([(NOW - 20 * DAY, 0.0)])  # nearer to the second
    one = replace(row, segment=1)
    if middle.assign(middle.features_of(one.row, NOW))[0] == 0:
        one = replace(row, segment=2)
    assert "but not clearly enough to leave" in said(one, middle).why


def test_a_name_that_would_be_false_is_no_customers():
    promising = model()
    promising = replace(promising, segments=(replace(promising.segments[0], active=True), *promising.segments[1:]))
    one = subject([(NOW - 95 * DAY, 4_000.0)] * 30, segment=2)
    assert promising.assign(promising.features_of(one.row, NOW))[0] == 0
    assert said(one, promising).why.endswith(
        "nearest to Champions, but nobody is called that after 90 days without an order: At risk."
    )


@pytest.mark.parametrize(
    ("more", "of", "why"),
    [
        ({"segment": OUT_OF_SCOPE}, model(), "ann does not fulfil the condition `scope` of the settings: Trade."),
        ({"segment": NO_PURCHASES}, None, "ann has not bought anything: No purchases yet."),
    ],
)
def test_special_segments_are_explained_without_distances(more, of, why):
    told = said(subject([(NOW - 5 * DAY, 40.0)], **more), of)
    assert told.why == why
    assert told.silence is None
    assert told.orders is None


RULES = RuleThresholds(
    loyal_orders=1.5,
    champion_orders=6.0,
    champion_net=500.0,
    valuable_net=60.0,
    lapse_days=90,
    new_days=60,
    new_from=from_micros(NOW + 100 * DAY),
)


def by_rules(row, now, rules=RULES):
    """The segment by rule of a row as it is at that moment."""
    begins = Rhythm.of(*row.kept_purchases(), 1).season_begins
    return int(spared(by_rule(Members.of(row, now), rules, now), lapsing_segments(None), begins, now)[0])


def test_before_there_is_a_model_segments_go_by_rule():
    one = subject([(NOW - 72 * DAY, 20.0)], segment=-104)
    told = reasons(one, None, NOW, lambda segment: RULE_SEGMENTS[segment].name, "GBP", rules=RULES)
    assert told.why == (
        "72 days since the last order, 0.9 orders (halved every year) and 34.89 GBP net (halved every year) put"
        " ann into One order so far, by rule while there is too little data to learn segments from."
    )
    assert told.change == (
        "19 more days without an order → Lost after one order; 1 more order of the usual size (40.00 GBP) → Loyal."
    )


def test_who_goes_elsewhere_by_rule_is_told_so():
    one = subject([(NOW - 100 * DAY, 20.0)], segment=-104)
    told = reasons(one, None, NOW, lambda segment: RULE_SEGMENTS[segment].name, "GBP", rules=RULES)
    assert told.why.endswith("and there they go from One order so far when everybody is looked at next.")


def test_what_the_rules_ask_is_not_made_up():
    told = said(subject([(NOW - 5 * DAY, 40.0)], segment=-104))
    assert "by rule while there is too little data" in told.why
    assert told.change == "What would change that is not known: no worker has said yet what the rules ask."


def test_a_first_order_is_what_somebody_without_any_lacks():
    assert said(subject([(NOW, 1.0)], segment=NO_PURCHASES)).change == "A first order would change that."


@settings(max_examples=60, deadline=None)
@given(orders_before_now, st.sampled_from([0, 40, 200]))
def test_silence_moves_by_rule_on_that_day_and_not_a_day_before(orders, known_in):
    rules = RULES.model_copy(update={"new_from": from_micros(NOW + known_in * DAY)})
    one = subject(orders)
    one = replace(one, segment=by_rules(one.row, NOW, rules))
    move = move_by_silence(one, rules, NOW)
    if move is None:
        assert all(by_rules(one.row, NOW + days * DAY, rules) == one.segment for days in (1, 30, 365, 730))
    else:
        assert by_rules(one.row, NOW + move.amount * DAY, rules) == move.segment != one.segment
        assert by_rules(one.row, NOW + (move.amount - 1) * DAY, rules) == one.segment


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(NOW - 700 * DAY, NOW), min_size=1, max_size=8), st.integers(1, 200))
def test_orders_move_by_rule_that_many_and_not_one_less(times, price):
    orders = [(at, float(price)) for at in times]
    one = subject(orders)
    one = replace(one, segment=by_rules(one.row, NOW))
    move = move_by_orders(one, RULES, NOW)

    def after(more):
        return by_rules(row_of([*orders, *[(NOW, float(price))] * more]), NOW)

    if move is None:
        assert all(after(more) == one.segment for more in (1, 5, 20))
    else:
        assert after(move.amount) == move.segment != one.segment
        assert after(move.amount - 1) == one.segment


def test_who_is_out_of_season_is_told_so_and_when_silence_will_count_again():
    begins = NOW - 150 * DAY
    orders = [(begins - year * YEAR + day * DAY, 10.0) for year in (0, 1) for day in (0, 6, 12)]
    segments = (
        Segment(1, "Champions"),
        Segment(2, "At risk (slipping)", lapsing=True),
        Segment(3, "Lapsed", lapsing=True),
    )
    of = model(segments=segments)
    one = subject(orders, segment=OUT_OF_SEASON)
    found = said(one, of)
    assert "they buy in one season" in found.why
    assert found.why.endswith("silence says nothing: Segment -3.")
    assert found.silence is not None
    # The day on which the season begins is the first on which there is something to be silent about.
    assert found.silence.amount == -(-(int(one.rhythm.season_begins[0]) + YEAR - NOW) // DAY)
    assert found.silence.segment in {2, 3}
    by_rule_too = reasons(one, None, NOW, str, "GBP", rules=RULES)
    assert "they buy in one season" in by_rule_too.why
    assert RULE_SEGMENTS[by_rule_too.silence.segment].lapsing
