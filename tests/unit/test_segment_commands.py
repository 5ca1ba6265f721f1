"""What `segments`, `outliers`, `audiences` and `history` show, and names of one's own as they are given."""

import io
from datetime import timedelta

import pytest
from rich.console import Console

from consumer.memory_state import MemoryState
from consumer.names import Names
from contracts.documents import SegmentCard, SegmentList, SegmentSize
from contracts.events import Line, Purchase
from contracts.segment_names import OwnName
from contracts.times import DAY, EPOCH, from_micros
from livesegments.explaining import Explainer
from livesegments.records import read_document, read_records
from livesegments.row_lists import NoSuchAudienceError, audience_members, audience_sizes, outliers
from livesegments.segment_names import SegmentNames, own_names
from livesegments.segment_renaming import NoSuchSegmentError, SegmentNameError, rename_segment, reset_segment
from livesegments.segment_tables import show_card, show_segments
from online_model.model import SegmentModel
from online_model.rules import audiences
from online_model.settings import ModelSettings
from tests.in_process import START, InProcess


def listed(**more):
    sizes = (SegmentSize(id=1, name="Loyal", size=3), SegmentSize(id=-108, name="Lapsed", size=1))
    return SegmentList(**{"segments": sizes, "as_of": from_micros(START), "model_version": 2, **more})


def card(number, name, **more):
    return SegmentCard(
        **{
            "id": number,
            "name": name,
            "size": 254,
            "share_of_customers": 0.561,
            "share_of_revenue": 0.428,
            "profile": {"net_spend_per_customer": 496.4, "recency_days": 8.6, "frequency": 14.9, "monetary": 1402.9},
            "strategy": "Win back now, at the customer's own rhythm, before anybody else does",
            "items": (("tea", 1.5),),
            "as_of": from_micros(START),
            "model_version": 2,
            **more,
        }
    )


def printed(show, *arguments, width=80):
    console = Console(file=io.StringIO(), width=width, highlight=False)
    show(*arguments, "GBP", console)
    return console.file.getvalue()


def test_all_segments_fit_into_80_columns_with_whole_names():
    cards = [card(1, "Lapsed, valuable"), card(-108, "Lost after one order", profile={})]
    lines = printed(show_segments, cards, listed(held_back=36, quiet_since=from_micros(START)))
    for said in ("Lapsed, valuable", "Lost after one order", "days since", "14.9", "1,402.9", "56.1%", "42.8%"):
        assert said in lines
    assert "…" not in lines
    assert "36 customers are nearer to another segment" in lines
    assert "the feed seems broken" in lines
    assert "nearer to another" not in printed(show_segments, cards, listed())
    guests = printed(show_segments, cards, listed(guest_orders=1234, guest_share_of_revenue=0.231))
    assert "besides, 1,234 orders of guests, 23.1% of revenue" in guests


def test_a_card_in_full():
    told = printed(
        show_card,
        card(
            1,
            "Loyal, [higher spend]",
            flags=("upsell",),
            adjectives=(("higher spend", 0.82),),
            sets_apart=("14.9 orders; the shop's median customer 10.9",),
            active=0.9,
            lapsed=0.1,
            new=0.0,
            one_order=0.05,
        ),
    )
    for said in (
        "Loyal, [higher spend] (1)",
        "upsell",
        "“higher spend” is true of 82%",
        "the shop's median customer 10.9",
    ):
        assert said in told
    assert "90% active, 10% lapsed, 0% new, 5% with one order" in told


def test_a_name_is_unique_and_readable_and_can_be_taken_back():
    state = MemoryState()
    assert rename_segment(state, listed(), 1, "Friends", "Write").name == "Friends"
    assert own_names(state)[1].strategy == "Write"
    assert SegmentNames(state, None).name(1) == "Friends"
    with pytest.raises(SegmentNameError, match="segment 1 is already called"):
        rename_segment(state, listed(), -108, "friends", None)
    with pytest.raises(SegmentNameError, match="name can not be used"):
        rename_segment(state, listed(), 1, "x" * 61, None)
    with pytest.raises(NoSuchSegmentError, match=r"no segment 7; there are 1 \(Loyal\)"):
        rename_segment(state, listed(), 7, "Friends", None)
    assert rename_segment(state, listed(), 1, "Our friends", None) == OwnName(name="Our friends", strategy="Write")
    reset_segment(state, 1)
    assert own_names(state) == {}
    with pytest.raises(NoSuchSegmentError):
        reset_segment(state, 1)


def test_what_nobody_wrote_goes_on_being_worked_out():
    state = MemoryState()
    assert rename_segment(state, listed(), 1, None, "Write") == OwnName(strategy="Write")
    names = Names({1: "Loyal", 2: "Lapsed"})
    names.take_over(state.segment_names())
    names.learn({1: "Champions", 3: "Loyal"})
    assert (names[1], names.strategy(1, "x"), names[3]) == ("Champions", "Write", "Loyal")
    assert SegmentNames(state, None).name(1) is None
    assert rename_segment(state, listed(), 1, "Friends", "") == OwnName(name="Friends")
    names.take_over(state.segment_names())
    assert (names[1], names.strategy(1, "x")) == ("Friends", "x")
    assert rename_segment(state, listed(), 1, "", None) == OwnName()
    assert own_names(state) == {}


def purchase(who, days_ago, price):
    return Purchase(
        event_id=f"{who}-{days_ago}",
        customer_id=who,
        occurred_at=EPOCH + timedelta(microseconds=START - days_ago * DAY),
        order_id="o",
        lines=(Line(item_id="tea", quantity=1, unit_price=price),),
        currency="GBP",
    )


@pytest.fixture(scope="module")
def shop():
    shop = InProcess(
        2,
        model=ModelSettings(k=3, first_model_buyers=40, by_rule_buyers=0, by_rule_days=0),
        audiences=audiences({"Big": "spend >= 1000", "Nobody": "spend > 1e9"}),
    )
    for n in range(90):
        shop.publish(*(purchase(f"c{n}", n + 40 * order, 10.0 + n % 7) for order in range(1 + n % 3)))
    shop.publish(purchase("whale", 1, 900_000.0), purchase("rich", 1, 90_000.0))
    shop.run()
    return shop


def explainer(shop):
    document = read_document(shop.state)
    return Explainer(
        state=shop.state,
        names=SegmentNames(shop.state, document),
        model=SegmentModel.from_document(document),
        now=START - DAY,
        currency="GBP",
    )


def test_outliers_are_those_that_rows_mark_the_most_extreme_first(shop):
    customers, found = outliers(explainer(shop), 100)
    parts = list(read_records(shop.state, range(2)))
    marked = {who for part in parts for who, row in zip(part.customer_ids, part.header, strict=True) if row["outlying"]}
    assert {one.customer_id for one in found} == marked
    assert customers == len(found)
    assert [one.customer_id for one in found[:2]] == ["whale", "rich"]
    assert found[0].features["monetary"] == pytest.approx(900_000)
    assert found[0].said[0].startswith("900,000 GBP net (halved every year) (median: ")
    assert [one.customer_id for one in outliers(explainer(shop), 1)[1]] == ["whale"]


def test_audiences_have_sizes_and_members(shop):
    assert audience_sizes(shop.state) == {"Big": 2, "Nobody": 0}
    assert sorted(audience_members(shop.state, "Big")) == ["rich", "whale"]
    assert list(audience_members(shop.state, "Nobody")) == []
    with pytest.raises(NoSuchAudienceError, match="there are Big, Nobody"):
        audience_members(shop.state, "Bog")
