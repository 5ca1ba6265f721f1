"""Seasonal buyers are not published as slipping away or lost while their season is still to come."""

from dataclasses import replace

from contracts.times import DAY
from online_model.by_rule import RULE_SEGMENTS
from online_model.model import LAPSED, OUT_OF_SEASON
from online_model.rhythm import YEAR
from online_model.settings import ModelSettings
from tests.in_process import START, InProcess, fixed_model
from tests.unit.test_placing import purchase

SEASON = START + 100 * DAY
"""When santa's seasons begin, a year apart."""


def two_seasons(shop):
    """Santa buys in one fortnight of two years; ann did so only once; bob buys on and keeps the clock going."""
    shop.publish(
        *(purchase("santa", SEASON + year * YEAR + day * DAY, 40.0) for year in (0, 1) for day in (0, 6, 12)),
        *(purchase("ann", SEASON + YEAR + day * DAY, 40.0) for day in (0, 6, 12)),
        *(purchase("bob", START + month * 30 * DAY) for month in range(17)),
    )


def segments(shop, at):
    """Where everybody is at that time, which bob's order tells."""
    shop.publish(purchase("bob", at))
    shop.run()
    return {who: row["segment"] for who, row in shop.rows().items()}


def test_a_seasonal_buyer_is_out_of_season_by_rule_and_lapsed_only_when_the_season_came_without_an_order():
    shop = InProcess(model=ModelSettings())
    two_seasons(shop)
    summer = segments(shop, SEASON + YEAR + 200 * DAY)
    assert summer["santa"] == OUT_OF_SEASON
    assert RULE_SEGMENTS[summer["ann"]].lapsing
    assert shop.reader().get("santa").segment.name == "Out of season"
    assert segments(shop, SEASON + 2 * YEAR + DAY)["santa"] in {
        one for one, name in RULE_SEGMENTS.items() if name.lapsing
    }
    moved = [(one["from"], one["cause"]) for one in shop.changes() if one["customer_id"] == "santa"]
    assert moved[-1] == (OUT_OF_SEASON, "time")


def test_an_order_ends_the_season_s_silence_at_once():
    shop = InProcess(model=ModelSettings())
    two_seasons(shop)
    assert segments(shop, SEASON + YEAR + 200 * DAY)["santa"] == OUT_OF_SEASON
    shop.publish(purchase("santa", SEASON + 2 * YEAR + DAY, 40.0))
    assert segments(shop, SEASON + 2 * YEAR + 2 * DAY)["santa"] not in (OUT_OF_SEASON, LAPSED)


def test_of_learned_segments_only_those_whose_name_is_about_silence_are_left():
    for lapsing, expected in ((True, OUT_OF_SEASON), (False, 3)):
        shop = InProcess()
        model = fixed_model()
        silent = replace(model.segments[2], name="At risk (slipping)", lapsing=lapsing)
        shop.adopt(replace(model, segments=(*model.segments[:2], silent)))
        two_seasons(shop)
        found = segments(shop, SEASON + YEAR + 340 * DAY)
        assert found["ann"] == 3
        assert found["santa"] == expected


def test_who_is_out_of_season_still_votes():
    shop = InProcess()
    model = fixed_model()
    silent = replace(model.segments[2], name="At risk (slipping)", lapsing=True)
    shop.adopt(replace(model, segments=(*model.segments[:2], silent)))
    two_seasons(shop)
    shop.publish(purchase("bob", SEASON + YEAR + 340 * DAY))
    worker = shop.worker()
    shop.run(worker)
    assert sum(worker.memory.learner.sums(part)[1].total for part in worker.memory.held) == 3
    worker.close()
