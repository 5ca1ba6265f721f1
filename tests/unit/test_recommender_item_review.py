"""The item review: what is held out, how a blend is chosen on it, and what comes of too little data."""

import pickle
from zlib import crc32

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.times import DAY
from recommender.blend import BLEND_NAMES, Blend
from recommender.held_out_orders import HeldOutOrders
from recommender.history import History
from recommender.item_review import ENOUGH, ItemReview
from recommender.ndcg import ndcg
from recommender.neighbours import Neighbours
from recommender.ranking import Ranked, Reason
from recommender.rhythm import PRIOR, repurchase_gaps
from recommender.settings import RecommenderSettings
from recommender.tuning import GRID, STEADY, tuned

NOW = 15_000 * DAY
KIND = 8
ITEMS = 2 * KIND


def history(lines: list) -> History:
    """Lines of (customer, item, days ago, quantity)."""
    parts = list(zip(*sorted(lines), strict=True)) or [()] * 4
    customers, items, ages, quantity = (np.array(part) for part in parts)
    return History(
        customers.astype(np.int32),
        items.astype(np.int32),
        NOW - (ages * DAY).astype(np.int64),
        quantity.astype(np.int32),
    )


def two_tastes(customers: int, *, again: float = 0.0, seed: int = 0) -> list:
    """Orders of two items of the customer's own kind, every ten days; `again` of them of what was bought before."""
    chance = np.random.default_rng(seed)
    lines = []
    for customer in range(customers):
        kind = KIND * (customer % 2)
        had: list[int] = []
        for order in range(4):
            age = 35 - 10 * order - chance.random()
            left = [item for item in range(kind, kind + KIND) if item not in had]
            repeats = bool(had) and chance.random() < again
            items = chance.choice(had if repeats else left, 2, replace=False).tolist()
            had += [item for item in items if item not in had]
            lines += [(customer, item, age, 1) for item in items]
    return lines


IDS = [f"i{number}" for number in range(ITEMS)]


def test_too_few_customers_leave_the_defaults_and_say_so():
    model = ItemReview.of(history(two_tastes(40)), IDS, NOW, RecommenderSettings())()
    assert model.blend == Blend()
    assert f"{ENOUGH} are needed" in model.note
    assert model.customers == 40
    assert {item[0] for item in model.similar("i0", 3)} <= set(IDS[:KIND])


@pytest.mark.parametrize(("again", "known_first"), [(0.0, False), (1.0, True)])
def test_the_blend_suits_the_shop(again, known_first):
    """Where nobody buys twice, items to buy again must not stand first, and the other way round."""
    start = Blend(known_weight=0.0 if known_first else 1.0)
    settings = RecommenderSettings(blend=start)
    model = ItemReview.of(history(two_tastes(240, again=again)), IDS, NOW, settings)()
    assert (model.blend.known_weight > start.known_weight) is known_first
    assert model.figures["all"] > model.figures["default_all"]
    assert model.figures["all"] > model.figures["popular_all"]
    assert model.note.startswith("tuned on what up to ")


def staples_and_hobbies(customers: int) -> list:
    """Orders of one staple and one thing of the customer's hobby, at which the staple hints."""
    chance = np.random.default_rng(5)
    lines = []
    for customer in range(customers):
        hobby = customer % 2
        hint = hobby if chance.random() < 0.75 else 1 - hobby
        things = KIND * hobby + 1 + chance.permutation(KIND - 1)
        for order, item in enumerate(things[:6].tolist()):
            age = 35 - 6 * order - chance.random()
            lines += [(customer, KIND * hint, age, 1), (customer, item, age, 1)]
    return lines


def test_staples_do_not_drown_what_is_bought_once():
    # The rest stays: with more customers other weights make up for the staples.
    adds_up = RecommenderSettings(blend=Blend(repeats=1.0), pinned=frozenset(BLEND_NAMES) - {"repeats"})
    model = ItemReview.of(history(staples_and_hobbies(200)), IDS, NOW, adds_up)()
    assert model.blend.repeats < 1
    assert model.figures["new"] > model.figures["default_new"]


def test_what_is_pinned_stays():
    start = Blend(known_weight=2.0)
    lines = history(two_tastes(240))
    pinned = RecommenderSettings(blend=start, pinned=frozenset({"known_weight"}))
    assert ItemReview.of(lines, IDS, NOW, pinned)().blend.known_weight == 2.0
    assert ItemReview.of(lines, IDS, NOW, RecommenderSettings(blend=start))().blend.known_weight < 2.0
    off = ItemReview.of(lines, IDS, NOW, RecommenderSettings(blend=start, tuning=False))()
    assert (off.blend, off.figures) == (start, {})


def test_a_review_travels_to_another_process_and_says_the_same_twice():
    review = ItemReview.of(history(two_tastes(150)), IDS, NOW, RecommenderSettings())
    assert pickle.loads(pickle.dumps(review))().encode() == review().encode()


def test_an_erased_customer_leaves_no_pair():
    rare = [(900, 3, 5.0, 1), (900, 12, 5.0, 1)]
    lines = two_tastes(60)
    settings = RecommenderSettings(low_rank=0)
    with_it = ItemReview.of(history(lines + rare), IDS, NOW, settings)()
    without = ItemReview.of(history(lines), IDS, NOW, settings)()
    assert "i12" in dict(with_it.similar("i3"))
    assert "i12" not in dict(without.similar("i3"))
    own = [[one.ids[item] for item in one.own_neighbours.row(one.places["i3"])[0]] for one in (with_it, without)]
    assert "i12" in own[0]
    assert "i12" not in own[1]


def test_new_items_are_those_first_sold_lately():
    lines = [(0, 1, 90, 1), (1, 1, 3, 1), (0, 2, 29, 1), (1, 3, 31, 1), (1, 4, 2, 1)]
    allowed = np.array([True] * 4 + [False] + [True] * 11)
    assert ItemReview.of(history(lines), IDS, NOW, RecommenderSettings(), allowed)().new == ("i2",)
    young = [line for line in lines if line[2] < 30]
    assert ItemReview.of(history(young), IDS, NOW, RecommenderSettings())().new == (), "everything is new there"


@pytest.mark.parametrize("lines", [[], [(0, 1, 3, -1)], [(0, 1, 3, 1)], [(0, 1, 3, 1), (1, 1, 3, 1), (2, 1, 2, -4)]])
def test_a_shop_of_hardly_anything_is_no_error(lines):
    model = ItemReview.of(history(lines), IDS, NOW, RecommenderSettings())()
    assert not len(model.neighbours.items)
    assert model.blend == Blend()


# ---- held-out orders ----

line = st.tuples(st.integers(0, 5), st.integers(0, 6), st.integers(0, 60), st.integers(-1, 2).filter(bool))


@given(st.lists(line, min_size=1, max_size=60), st.sampled_from([0.1, 0.3]))
def test_held_out_are_orders_after_the_cut_of_customers_known_before(lines, share):
    whole = history(lines)
    allowed = np.arange(7) != 6
    held = HeldOutOrders.of(whole, 7, allowed, share)
    assert (held.before.at < held.cut).all()
    bought = sorted(age for _, _, age, quantity in lines if quantity > 0)
    if bought:
        after = [age for age in bought if NOW - age * DAY >= held.cut]
        assert len(after) >= int(share * len(bought))
    expected = {}
    for customer in range(6):
        own = [(NOW - age * DAY, item) for c, item, age, quantity in lines if c == customer and quantity > 0]
        before = {item for at, item in own if at < held.cut}
        later = [(at, item) for at, item in own if at >= held.cut]
        first = {item for at, item in later if at == min(later)[0] and item != 6}
        if before and first:
            expected[customer] = (first, {item for _, item in later if item != 6} - before)
    assert held.customers == len(expected)
    for place, (first, new) in enumerate(expected.values()):
        assert {int(cell % 7) for cell in held.cells if cell // 7 == place} == first
        assert {int(cell % 7) for cell in held.new_cells if cell // 7 == place} == new


def test_lists_are_judged_whole_and_by_what_is_new():
    lines = [(0, 1, 50, 1), (1, 2, 50, 1), (0, 1, 1, 1), (0, 3, 1, 1), (1, 2, 1, 1)]
    lines += [(2, 5, 40, 1)] * 20
    held = HeldOutOrders.of(history(lines), 7, np.ones(7, np.bool_), 0.1)
    items = np.array([[1, 4, 3], [4, 5, 2]], np.int32)
    reasons = np.array([[Reason.AGAIN, Reason.POPULAR, Reason.BECAUSE]] * 2, np.uint8)
    whole, new = held.judge(Ranked(items, np.ones((2, 3), np.float32), reasons, np.full((2, 3), -1, np.int32)))
    second, third = 1 / np.log2(3), 0.5
    assert whole.tolist() == pytest.approx([(1 + third) / (1 + second), third])
    assert new.tolist() == pytest.approx([second]), "customer 1 ordered nothing new"


def test_ndcg_of_known_lists():
    hits = np.array([[True, False, True], [True, True, False], [False] * 3])
    second, third = 1 / np.log2(3), 0.5
    expected = [(1 + third) / (1 + second), (1 + second) / (1 + second + third), 0]
    assert ndcg(hits, np.array([2, 3, 0])).tolist() == pytest.approx(expected)


# ---- rhythm and tuning ----


def test_gaps_are_medians_shrunk_to_the_shops():
    lines = [(c, 0, age, 1) for c in range(100) for age in (0, 10, 20)]
    lines += [(c, 1, age, 1) for c in range(100, 110) for age in (0, 90)]
    gaps = repurchase_gaps(history(lines), 3)
    assert gaps[0] == pytest.approx(10)
    weight = 10 / (10 + PRIOR)
    assert gaps[1] == pytest.approx(np.exp(weight * np.log(90) + (1 - weight) * np.log(10)), rel=1e-5)
    assert gaps[2] == pytest.approx(10)


def test_two_lines_of_one_day_and_returns_are_no_rhythm():
    assert repurchase_gaps(history([(0, 0, 3.0, 1), (0, 0, 3.2, 1), (0, 0, 30.0, -1)]), 2).tolist() == [0, 0]


class Shop:
    """Judges whose figures are `good` of the blend, beside noise: the same for the same blend."""

    def __init__(self, good, *, customers=500, noise=0.02, judges=3, seed=3):
        self.asked = [0] * judges
        self.judges = [self._judge(good, customers, noise, (seed, place)) for place in range(judges)]

    def _judge(self, good, customers, noise, seed):
        def judge(blend: Blend) -> tuple:
            self.asked[seed[1]] += 1
            chance = np.random.default_rng([*seed, crc32(repr(blend).encode())])
            return tuple(base * (1 + good(blend) + noise * chance.standard_normal(customers)) for base in (0.3, 0.1))

        return judge


def changes(blend: Blend, start: Blend | None = None) -> set[str]:
    return {name for name in GRID if getattr(blend, name) != getattr(start or Blend(), name)}


def test_tuning_finds_a_planted_taste_and_keeps_to_it():
    def good(blend: Blend) -> float:
        return 0.2 * (blend.ridge == 10.0) + 0.1 * (blend.trend == 0.5) - 0.02 * len(changes(blend))

    shop = Shop(good)
    result = tuned(Blend(), shop.judges)
    assert changes(result.blend) == {"ridge", "trend"}
    assert (result.blend.ridge, result.blend.trend) == (10.0, 0.5)
    for chosen, default in zip(result.chosen, result.default, strict=True):
        assert chosen[0].mean() > default[0].mean() * 1.2
    assert tuned(Blend(), Shop(good).judges).blend == result.blend, "the same twice"
    assert changes(tuned(Blend(), Shop(good).judges, pinned={"ridge"}).blend) == {"trend"}


@pytest.mark.parametrize("together", STEADY)
def test_changes_that_pay_together_alone_are_made_together(together):
    def good(blend: Blend) -> float:
        made = all(getattr(blend, name) == value for name, value in together.items())
        return 0.3 * made - 0.02 * len(changes(blend))

    assert changes(tuned(Blend(), Shop(good).judges).blend) == set(together)
    assert changes(tuned(Blend(), Shop(good).judges, pinned={"trend"}).blend) == set()


def test_what_shops_differ_in_most_changes_for_a_smaller_gain():
    """Two gains of one size, each found among differences much larger: 4 % on the mean, 60 % from one to the next."""

    def chosen(name: str, value: float) -> set[str]:
        def judge(blend: Blend) -> tuple:
            chance = np.random.default_rng(crc32(repr(blend).encode())).standard_normal(300)
            gain = 0.04 if getattr(blend, name) == value else -0.04
            return tuple(base * (1 + gain + 0.6 * (chance - chance.mean())) for base in (0.3, 0.1))

        return changes(tuned(Blend(), [judge]).blend)

    assert chosen("profile_half_life", 270 * DAY) == {"profile_half_life"}
    assert chosen("ridge", 10.0) == set()


def test_own_taste_counts_more_beside_what_goes_with_it():
    def good(blend: Blend) -> float:
        return 0.1 * (blend.again_weight == 8.0 and blend.known_popular_weight == 10.0 and blend.known_weight == 0.25)

    start = Blend()
    chosen = tuned(start, Shop(lambda blend: good(blend) - 0.02 * len(changes(blend))).judges).blend
    assert chosen.again_weight / start.again_weight == chosen.known_popular_weight / start.known_popular_weight == 4.0


@pytest.mark.parametrize(("customers", "most"), [(1, 0), (60, 1), (5_000, 2)])
def test_noise_is_not_followed(customers, most):
    """Of sixty changes that are all a little worse, the less is known the fewer may seem better."""
    made = [
        len(
            changes(
                tuned(
                    Blend(), Shop(lambda b: -0.02 * len(changes(b)), customers=customers, noise=0.3, seed=seed).judges
                ).blend
            )
        )
        for seed in range(5)
    ]
    assert np.mean(made) <= most


def test_what_one_judge_finds_hopeless_is_not_shown_to_the_others():
    shop = Shop(lambda blend: -0.2 * len(changes(blend)))
    assert tuned(Blend(), shop.judges).blend == Blend()
    assert shop.asked[0] > 40
    assert shop.asked[1:] == [1, 1]


def test_judges_without_anybody_leave_the_defaults():
    nobody = np.empty(0)
    assert tuned(Blend(), [lambda _: (nobody, nobody)]).blend == Blend()
    assert tuned(Blend(), []).blend == Blend()


def test_neighbours_of_nothing():
    assert len(Neighbours.none()) == 0
