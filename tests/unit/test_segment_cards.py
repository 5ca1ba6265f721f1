"""Cards of segments and names of one's own, through a whole worker in memory."""

import re
from collections import Counter

import numpy as np
import pytest

from consumer.memory_state import MemoryState
from consumer.names import Names
from contracts.events import Line
from contracts.segment_names import OwnName
from contracts.times import DAY
from livesegments.segment_names import SegmentNames
from online_model.by_rule import RULE_SEGMENTS
from online_model.model import SegmentModel
from online_model.settings import ModelSettings
from tests.in_process import InProcess, step_until
from tests.kinds import Kind, purchases_of

KINDS = (Kind(300, 1, 10.0, "rare"), Kind(10, 12, 15.0, "tea"), Kind(60, 5, 300.0, "cake"))


def purchases(customers):
    """So many customers, of each kind in turn, who each have an item that nobody else buys."""
    for number in range(customers):
        own = Line(item_id=f"only-{number}", quantity=1, unit_price=0.01)
        yield from purchases_of(range(number, number + 1), KINDS, others=(own,))


@pytest.fixture(scope="module")
def shop():
    shop = InProcess(1, model=ModelSettings(k=3, first_model_buyers=40, by_rule_buyers=0, by_rule_days=0))
    shop.publish(*purchases(120))
    shop.one = shop.worker()
    shop.run(shop.one)
    yield shop
    shop.one.close()


def cards(shop):
    reader = shop.reader()
    return {one.id: reader.segment(one.id) for one in reader.segments().segments}


def test_a_card_has_the_shares_of_its_members(shop):
    rows, now = shop.rows(), shop.one.clock.now
    model = SegmentModel.read(shop.state.model())
    sizes = Counter(row["segment"] for row in rows.values())
    for segment in model.segments:
        card = cards(shop)[segment.id]
        members = [row for row in rows.values() if row["segment"] == segment.id]
        assert card.size == sizes[segment.id] > 0
        active = np.mean([row["last_at"] >= now - model.lapse_days * DAY for row in members])
        assert card.active == pytest.approx(active, abs=1e-4)
        assert card.lapsed == pytest.approx(1 - active, abs=2e-4)
        assert card.new == pytest.approx(
            np.mean([row["first_at"] >= now - model.new_days * DAY for row in members]), abs=1e-4
        )
        assert card.one_order == pytest.approx(np.mean([row["orders"] == 1 for row in members]), abs=1e-4)


def test_what_sets_segments_apart_is_said_with_their_numbers_and_the_shops(shop):
    said = {card.name: card.sets_apart for card in cards(shop).values() if card.id > 0}
    assert all(1 <= len(one) <= 3 for one in said.values())
    assert not any(card.by_rule for card in cards(shop).values() if card.id > 0)
    assert all("; the shop's median customer " in sentence for one in said.values() for sentence in one)
    rare = next(card for card in cards(shop).values() if card.id > 0 and card.one_order == 1)
    (days,) = re.findall(r"(\d+) days since the last order", " ".join(rare.sets_apart))
    assert int(days) == pytest.approx(rare.profile["recency_days"], abs=0.6)


def test_items_that_hardly_anybody_bought_are_on_no_card(shop):
    step_until(shop.one, lambda: any(card.items for card in cards(shop).values()))
    items = {item for card in cards(shop).values() for item, _ in card.items}
    assert {"cake", "tea"} <= items
    assert not {item for item in items if item.startswith("only-")}


def test_segments_by_rule_have_cards_with_a_strategy():
    shop = InProcess(1)
    shop.publish(*purchases(12))
    shop.run()
    sold = [card for card in cards(shop).values() if card.id in RULE_SEGMENTS and card.size]
    assert sold
    for card in sold:
        assert card.strategy == RULE_SEGMENTS[card.id].strategy
        assert card.flags == RULE_SEGMENTS[card.id].flags
        assert card.active in {0.0, 1.0}
        assert card.by_rule
    assert [one.by_rule for one in shop.reader().segments().segments if one.size] == [True] * len(sold)
    assert all(change["by_rule"] for change in shop.changes())
    assert shop.reader().get("c1").segment.by_rule


# ---- names of one's own ----


def renamed(shop, segment, name, strategy=None):
    value = None if name is None else OwnName(name=name, strategy=strategy).encode()
    shop.state.put_segment_name(segment, value)
    shop.one._deciding.due_at = 0.0
    expected = name or next(one.name for one in SegmentModel.read(shop.state.model()).segments if one.id == segment)
    step_until(shop.one, lambda: shop.reader().segment(segment).name == expected)
    shop.run(shop.one)


def test_an_own_name_is_on_cards_and_in_views_and_goes_when_it_is_taken_back(shop):
    customer = shop.reader().get("c1")
    segment = customer.segment.id
    was, strategy = cards(shop)[segment].name, cards(shop)[segment].strategy
    renamed(shop, segment, "Our best", "Call them")
    assert cards(shop)[segment].strategy == "Call them"
    assert {one.name for one in shop.reader().segments().segments if one.id == segment} == {"Our best"}
    assert shop.reader().get("c1").segment.name == "Our best"
    renamed(shop, segment, "Still ours")
    assert cards(shop)[segment].strategy == strategy
    renamed(shop, segment, None)
    assert cards(shop)[segment].name == shop.reader().get("c1").segment.name == was


def test_an_own_name_stays_whatever_is_learnt():
    names = Names({1: "Loyal", 2: "Lapsed"})
    assert names.take_over({1: OwnName(name="Friends", strategy="Write").encode(), 9: b"{}"})
    assert not names.take_over({1: OwnName(name="Friends", strategy="Phone").encode()})
    names.learn({1: "Champions", 3: "New customers"})
    assert names == {1: "Friends", 2: "Lapsed", 3: "New customers"}
    assert (names.strategy(1, "x"), names.strategy(2, "x")) == ("Phone", "x")
    assert names.take_over({})
    assert names[1] == "Champions"


def test_a_name_that_is_learnt_is_told_apart_from_somebodys_own():
    names = Names({1: "Loyal", 2: "Lapsed", -103: "Loyal"})
    names.take_over({2: OwnName(name="champions").encode()})
    names.learn({1: "Champions", -102: "Champions", 3: "New customers"})
    assert (names[1], names[2], names[-102]) == ("Champions, learnt", "champions", "Champions, by rule")
    assert (names[3], names[-103]) == ("New customers", "Loyal")
    names.take_over({})
    assert names[1] == "Champions"
    state = MemoryState()
    state.put_segment_name(1, OwnName(name="Lapsed").encode())
    told = SegmentNames(state, None)
    assert (told.name(1), told.name(-108), told.name(0)) == ("Lapsed", "Lapsed, by rule", "No purchases yet")


@pytest.mark.parametrize("name", ["", "a" * 61, " a", "a\n", "a\u202eb"])
def test_names_that_no_terminal_should_see_are_refused(name):
    with pytest.raises(ValueError, match="name"):
        OwnName(name=name)
