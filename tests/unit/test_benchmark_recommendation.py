"""The judge of recommendations: figures worked by hand, laws of metrics, intervals on known data, tiny baselines."""

import math
from importlib.util import find_spec

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.recommendation.blend import BARE, Blend, Blender, best
from benchmarks.recommendation.bootstrap import Bootstrap, Sample
from benchmarks.recommendation.cases import Order, Orders, case, order_of, truth_of
from benchmarks.recommendation.inputs import Inputs
from benchmarks.recommendation.metrics import LENGTH, coverage, mean_ndcg, score
from benchmarks.recommendation.models import ALS, BM25, EASE, NEVER, ImplicitMissingError, check_installed, ease
from benchmarks.recommendation.tuning import Budget, Tuner, lists
from contracts.times import DAY
from producer.message import Message
from recommender.history import History
from tests.conftest import missing

NOW = 20_000 * DAY


def padded(*rows):
    table = np.full((len(rows), LENGTH), -1)
    for row, items in enumerate(rows):
        table[row, : len(items)] = items
    return table


def truth(*items):
    return truth_of([frozenset(map(str, one)) for one in items], {str(number): number for number in range(100)})


# ---- metrics ----


def test_a_list_worked_by_hand():
    # Two of three relevant items, at places 2 and 4.
    found = score(padded([7, 1, 8, 2]), truth({1, 2, 3}))
    gained = 1 / math.log2(3) + 1 / math.log2(5)
    ideal = 1 + 1 / math.log2(3) + 1 / math.log2(4)
    assert found["ndcg@10"][0] == pytest.approx(gained / ideal)
    assert found["recall@10"][0] == pytest.approx(2 / 3)
    assert found["hit_rate"][0] == 1


def test_nothing_relevant_is_no_figure_and_nothing_found_is_zero():
    found = score(padded([1], [1], []), truth(set(), {2}, {2}))
    for values in found.values():
        assert math.isnan(values[0])
        assert values[1:].tolist() == [0, 0]
    assert mean_ndcg(padded([1], [1]), truth(set(), {1})) == 1
    assert mean_ndcg(padded([1]), truth(set())) == 0


def test_an_item_nobody_could_know_counts_against_everybody():
    answers = truth_of([frozenset({"1", "never seen"})], {"1": 1})
    assert answers.counts.tolist() == [2]
    assert score(padded([1]), answers)["recall@10"][0] == 0.5


@given(st.lists(st.sets(st.integers(0, 30), min_size=1), min_size=1, max_size=5), st.randoms(use_true_random=False))
def test_perfect_lists_have_one_and_no_list_has_more(wanted, random):
    perfect = padded(*(random.sample(sorted(items), min(LENGTH, len(items))) for items in wanted))
    for values in score(perfect, truth(*wanted)).values():
        np.testing.assert_allclose(values, 1)
    other = padded(*(random.sample(range(31), random.randint(0, LENGTH)) for _ in wanted))
    for values in score(other, truth(*wanted)).values():
        assert (values >= 0).all()
        assert (values <= 1 + 1e-12).all()


@given(st.sets(st.integers(0, 30), min_size=1), st.permutations(range(LENGTH)), st.integers(0, LENGTH - 2))
def test_a_hit_further_up_is_worth_more(wanted, items, place):
    swapped = [*items]
    swapped[place], swapped[place + 1] = items[place + 1], items[place]
    one, other = (score(padded(each), truth(wanted))["ndcg@10"][0] for each in (items, swapped))
    if (items[place] in wanted) == (items[place + 1] in wanted):
        assert one == pytest.approx(other)
    else:
        assert (one > other) == (items[place] in wanted)


def test_a_truth_of_some_customers():
    some = truth({1}, {2, 3}, set(), {4}).only(np.array([1, 3]))
    assert some.counts.tolist() == [2, 1]
    assert some.items.tolist() == [2, 3, 4]
    assert some.customers.tolist() == [0, 0, 1]


def test_coverage_by_tenths_of_what_sells():
    buyers = np.arange(40, 0, -1)  # item 0 sells best
    found = coverage(padded([0, 1, 2, 3], [0, 38]), buyers, np.arange(40))
    assert found == [1, 0, 0, 0, 0, 0, 0, 0, 0, 0.25]
    assert coverage(padded([5]), buyers, np.array([4, 5, 6])) == [0, 1, 0]


# ---- intervals ----


def test_an_interval_is_the_one_of_the_normal_law_where_that_holds():
    values = np.random.default_rng(0).normal(0.3, 0.2, 2_000)
    found = Bootstrap(2_000, seed=1).mean([Sample(np.arange(2_000), values)])
    error = values.std() / math.sqrt(2_000)
    assert found.value == pytest.approx(values.mean())
    assert found.low == pytest.approx(values.mean() - 1.96 * error, abs=error / 5)
    assert found.high == pytest.approx(values.mean() + 1.96 * error, abs=error / 5)


def test_a_customer_in_two_cuts_is_no_further_evidence():
    values = np.random.default_rng(0).normal(size=500)
    who = np.arange(500)
    bootstrap = Bootstrap(1_000, seed=1)
    once = bootstrap.mean([Sample(who, values)])
    assert bootstrap.mean([Sample(who, values), Sample(who, values)]) == once
    others = bootstrap.mean([Sample(who, values), Sample(500 + who, values)])
    assert others.high - others.low < 0.85 * (once.high - once.low)


def test_differences_are_paired():
    rng = np.random.default_rng(0)
    theirs = rng.random(300)
    who = np.arange(300)
    behind = [Sample(who, theirs - 0.01)]
    difference = Bootstrap(300, seed=1).difference(behind, [Sample(who, theirs)])
    assert difference.value == pytest.approx(-0.01)
    assert difference.below_zero  # though the intervals of the two overlap by far


def test_cuts_weigh_the_same_and_customers_without_a_value_do_not_count():
    bootstrap = Bootstrap(4, seed=1)
    one = Sample(np.array([0, 1]), np.array([1.0, np.nan]))
    other = Sample(np.array([1, 2, 3]), np.array([0.0, 0.0, 0.0]))
    assert bootstrap.mean([one, other]).value == 0.5
    assert bootstrap.mean([one, Sample(np.array([2]), np.array([np.nan]))]) is None
    assert bootstrap.mean([]) is None


# ---- questions ----


def order(day, customer, *items):
    return Order(day * DAY, customer, frozenset(items))


ORDERS = Orders(
    [
        order(1, "a", "x", "y"),
        order(5, "a", "z"),
        order(7, "a"),  # postage alone
        order(8, "a", "x", "w"),
        order(9, "a", "x"),
        order(2, "b", "x"),
        order(6, "c", "y"),
    ]
)


def inputs(lines, customers=("a", "b"), items=("x", "y", "z"), forbidden=(), now=NOW):
    """`lines`: (customer, item, days ago, quantity)"""
    lines = sorted(lines)
    columns = list(zip(*lines, strict=True)) if lines else [(), (), (), ()]
    return Inputs(
        now=now,
        customers=customers,
        items=items,
        allowed=np.array([item not in forbidden for item in items]),
        history=History(
            np.array(columns[0], np.int32),
            np.array(columns[1], np.int32),
            np.array([now - round(days * DAY) for days in columns[2]], np.int64),
            np.array(columns[3], np.int32),
        ),
    )


def test_the_first_later_order_of_a_product_and_what_of_it_is_new():
    asked = case(6 * DAY, inputs([], customers=("b", "a")), ORDERS)
    assert asked.customers == ("a",)
    assert asked.rows.tolist() == [1]
    assert asked.truth["all"].items.tolist() == [-1, 0]  # w, which nobody could know, and x
    assert asked.truth["new"].items.tolist() == [-1]
    assert asked.cold == ("c",)
    assert asked.cold_truth.items.tolist() == [1]


def test_answers_in_tuning_come_from_before_the_first_judged_cut():
    assert case(6 * DAY, inputs([]), ORDERS, until=8 * DAY).customers == ()
    assert case(2 * DAY, inputs([]), ORDERS, until=8 * DAY).customers == ("a",)


def test_purchases_alone_are_orders_and_their_products_alone_count():
    body = b'{"type":"%s","customer_id":"a","lines":[{"item_id":"POST"},{"item_id":"x"}]}'
    bought = order_of(Message(DAY, "1", b"a", body % b"purchase"), lambda item: item != "POST")
    assert bought == order(1, "a", "x")
    assert order_of(Message(DAY, "1", b"a", body % b"return"), lambda _: True) is None
    assert order_of(Message(DAY, "1", b"a", b'{"type":"erase","customer_id":"a"}'), lambda _: True) is None


# ---- baselines ----


def test_purchases_fade_and_what_was_given_back_is_not_bought_again():
    given_ = inputs([(0, 0, 30, 1), (0, 0, 0, 2), (0, 1, 0, 1), (0, 1, 0, -1), (1, 2, 60, 1)])
    np.testing.assert_allclose(given_.matrix(30 * DAY).toarray(), [[1.5, 1, 0], [0, 0, 0.25]])
    np.testing.assert_allclose(given_.matrix(30 * DAY, newest=True).toarray(), [[1, 1, 0], [0, 0, 0.25]])
    np.testing.assert_allclose(given_.matrix(np.inf).toarray(), [[2, 1, 0], [0, 0, 1]])
    np.testing.assert_allclose(given_.again(30 * DAY).toarray(), [[1.5, 0, 0], [0, 0, 0.25]])
    np.testing.assert_allclose(given_.popularity(30 * DAY), [1, 1 / 1.5, 0.25 / 1.5])
    np.testing.assert_allclose(given_.sold_since(NOW - 40 * DAY), [1, 0.5, 0])
    assert given_.buyers.tolist() == [1, 1, 1]


def test_no_products_are_nowhere():
    given_ = inputs([(0, 0, 0, 1), (0, 2, 0, 1), (1, 1, 0, 1)], forbidden=("y",))
    assert given_.columns.tolist() == [0, 2]
    assert given_.matrix(DAY).shape == (2, 2)
    found = Blender(given_, np.array([0, 1])).everybody(given_.popularity(DAY), new=False)
    assert found[:, :3].tolist() == [[0, 2, -1]] * 2


def test_of_very_many_products_the_best_selling_have_columns(monkeypatch):
    monkeypatch.setattr("benchmarks.recommendation.inputs.MOST_PRODUCTS", 1)
    given_ = inputs([(0, 0, 0, 1), (0, 2, 0, 1), (1, 2, 0, 1)])
    assert given_.columns.tolist() == [2]
    assert given_.again(DAY).toarray().tolist() == [[1], [1]]
    assert Blender(given_, np.array([0])).everything(None, Blend(1, 1))[0, :2].tolist() == [2, -1]


def test_lists_in_blocks_are_lists_at_once(monkeypatch):
    asked = asked_together()
    blended, _ = Tuner([asked], Budget(fits=1, blends=1)).tune(EASE)
    at_once = lists(blended, asked)
    monkeypatch.setattr("benchmarks.recommendation.blend._MOST_CELLS", 4)
    for target, rows in lists(blended, asked).items():
        assert rows.tolist() == at_once[target].tolist()


def test_a_blend_of_three_worked_by_hand():
    given_ = inputs([(0, 0, 0, 1), (1, 1, 0, 1), (1, 1, 0, 1)])
    blender = Blender(given_, np.array([0]))
    model = np.array([[0.0, 0.2, 0.9]], np.float32)
    assert blender.everything(model, BARE[0])[0, :3].tolist() == [2, 1, 0]
    # x: 0 + .5 · 1 + .6 · .5 = .8; y: .2 + .6 = .8 + a little; z: .9
    assert blender.everything(model, Blend(0.5, 0.61))[0, :3].tolist() == [2, 1, 0]
    assert blender.everything(model, Blend(2.0, 0.61))[0, :3].tolist() == [0, 2, 1]
    assert blender.new(model, Blend(2.0, 2.0))[0, :3].tolist() == [1, 2, -1]
    assert blender.everything(model, BARE[1])[0, :3].tolist() == [2, 1, -1]
    assert blender.everything(None, Blend(1.0, 0.1))[0, :3].tolist() == [0, 1, 2]


@given(st.integers(0, 3), st.integers(0, 25), st.integers(0, 5), st.integers(0, 2**32))
def test_the_best_ten_are_those_of_a_full_sort(rows, columns, values, seed):
    rng = np.random.default_rng(seed)
    scores = rng.integers(-1, values + 1, (rows, columns)).astype(np.float32)
    scores[scores == -1] = -np.inf
    for row, found in zip(scores, best(scores), strict=True):
        wanted = [place for place in np.argsort(-row, kind="stable").tolist() if row[place] > -np.inf][:LENGTH]
        assert found.tolist() == wanted + [-1] * (LENGTH - len(wanted))


PAIRS = [(who, item, 0, 1) for who in range(8) for item in ((0, 1) if who % 2 else (2, 3))]
"""Odd customers buy items 0 and 1 together, even ones 2 and 3."""


def together():
    lines = [line for line in PAIRS if line[:2] not in {(1, 1), (0, 3)}]  # these two have not, yet
    return inputs(lines, customers=tuple("abcdefgh"), items=tuple("wxyz"))


@pytest.mark.parametrize("model", [ALS, BM25, EASE], ids=lambda model: model.name)
def test_every_model_finds_what_is_bought_together(model):
    if model is not EASE and find_spec("implicit") is None:
        missing("no implicit: pip install --group baselines")
    parameters = {**model.first, **({"factors": 2} if model is ALS else {"ridge": 0.5} if model is EASE else {})}
    blender = Blender(together(), np.array([1, 0]))
    scores = model.fit(together(), parameters, 1)(np.array([1, 0]))
    assert scores.shape == (2, 4)
    assert blender.new(scores, BARE[0])[:, 0].tolist() == [1, 3]


def test_ease_is_the_closed_form():
    parameters = {"ridge": 2.0, "row_power": 0.0, "half_life_days": NEVER, "lines": "newest"}
    X = together().matrix(np.inf).toarray()
    gram = X.T @ X
    P = np.linalg.inv(gram + 2.0 * np.trace(gram) / 4 * np.eye(4))
    B = np.eye(4) - P / np.diag(P)
    scores = X @ B
    rows = np.arange(8)
    np.testing.assert_allclose(
        ease(together(), parameters, 0)(rows), scores / scores.max(axis=1, keepdims=True), atol=1e-5
    )


@pytest.mark.parametrize("model", [ALS, BM25, EASE], ids=lambda model: model.name)
def test_trials_hang_on_the_seed_alone(model):
    assert model.draw(np.random.default_rng(3)) == model.draw(np.random.default_rng(3))
    assert model.draw(np.random.default_rng(3)).keys() == model.first.keys()


def asked_together(cut=NOW):
    later = Orders([order(20_001, "b", "x"), order(20_001, "a", "z"), order(1, "a", "y"), order(1, "b", "w")])
    return case(cut, together(), later)


def test_tuning_takes_the_best_trial_for_each_target():
    tuner = Tuner([asked_together()], Budget(fits=2, blends=3))
    blended, bare = tuner.tune(EASE)
    assert bare["new"].ndcg == 1
    assert bare["all"].blend in BARE
    assert blended["new"].ndcg == 1
    found = lists(blended, asked_together())
    assert mean_ndcg(found["new"], asked_together().truth["new"]) == blended["new"].ndcg
    assert mean_ndcg(found["all"], asked_together().truth["all"]) == blended["all"].ndcg
    own, _ = tuner.tune_own_history()
    assert own["all"].model is None


def test_tuning_looks_at_no_more_customers_than_it_may():
    whole = asked_together()
    few = whole.only(np.array([1]))
    assert few.customers == ("b",)
    assert few.truth["all"].counts.tolist() == [1]
    blended, _ = Tuner([whole], Budget(fits=1, blends=1, most_customers=1)).tune(EASE)
    assert blended["new"].ndcg == 1


def test_without_implicit_it_is_said_what_to_do(monkeypatch):
    monkeypatch.setattr("benchmarks.recommendation.models.find_spec", lambda _: None)
    check_installed([EASE])
    with pytest.raises(ImplicitMissingError, match="pip install --group baselines"):
        check_installed([EASE, BM25])
