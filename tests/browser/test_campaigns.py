"""A marketer makes a campaign on the page, takes the treated out, starts it, and sees what one brought."""

import csv
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from playwright.sync_api import expect

from contracts.campaigns import Campaign, CampaignResults, Effect, Expected, GroupOutcome
from tests.browser.conftest import HOSTILE


def over(name):
    """A campaign that is over, and what came of it."""
    now = datetime.now(UTC)
    begin = now - timedelta(days=70)
    treated, control = (
        GroupOutcome(customers=9_000, buyers=2_100, orders=2_500, net_spend=123_000.0),
        GroupOutcome(customers=1_000, buyers=190, orders=200, net_spend=11_000.0),
    )
    return Campaign(
        name=name,
        number="00",
        audience="Big spenders",
        condition="net_spend > 300",
        days=28,
        control_share=0.1,
        created_at=begin,
        audience_size=10_500,
        without_consent=400,
        consent_unknown=100,
        treated=9_000,
        control=1_000,
        expected=Expected(
            days=28, conversion=0.2, net_spend=12.0, conversion_detectable=0.04, net_spend_detectable=3.0
        ),
        started_at=begin,
        ends_at=begin + timedelta(days=28),
        results=CampaignResults(
            as_of=now,
            final=True,
            treated=treated,
            control=control,
            left=0,
            conversion=Effect(treated=0.2333, control=0.19, value=0.0433, low=0.017, high=0.068),
            net_spend=Effect(treated=13.67, control=11.0, value=2.4, low=-0.5, high=5.3),
        ),
    )


def test_a_campaign_is_made_taken_out_and_started(visit, shop):
    page = visit("campaigns")
    name = HOSTILE
    page.get_by_label("Name").fill(name)
    page.get_by_label("Held back, %").fill("50")
    page.get_by_role("button", name="Freeze").click()
    one = page.locator("[data-campaign]")
    expect(one.locator("h2")).to_have_text(name)
    expect(one.get_by_text(re.compile(r"customers to be written to, \d+ controls \(50%\)"))).to_be_visible()
    treated = int(one.locator(".number-value").first.inner_text())
    with page.expect_download() as download:
        one.get_by_role("link", name=re.compile("^CSV")).click()
    with Path(download.value.path()).open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == treated > 0
    assert {row["campaign"] for row in rows} == {name}
    one.get_by_role("button", name="Start it now").click()
    expect(page.get_by_text("day 1 of 28").first).to_be_visible()
    page.get_by_role("button", name="Work out what came of it").click()
    expect(page.get_by_text(re.compile("an effect is told when they are over"))).to_be_visible()
    page.get_by_role("button", name="Stop it").click()
    expect(page.get_by_text(re.compile("^stopped after")).first).to_be_visible()
    assert any(b'"campaign"' in value for batch in shop_audit(shop) for value in batch.values)


def shop_audit(shop):
    with shop.deployment.writer():
        logs = shop.deployment.logs()
    try:
        return logs.read_all(shop.deployment.names.audit)
    finally:
        logs.close()


@pytest.mark.parametrize(("scheme", "size"), [("light", (1280, 900)), ("dark", (390, 844))])
def test_what_a_campaign_brought_is_seen_with_its_interval(visit, shop, scheme, size):
    done = over("Autumn letter")
    shop.deployment.state.put_campaign(done.name, done.encode(), shop.deployment.state.campaigns().get(done.name))
    page = visit("campaigns?name=Autumn%20letter", color_scheme=scheme)
    page.set_viewport_size({"width": size[0], "height": size[1]})
    expect(page.locator(".js-plotly-plot .main-svg").nth(1)).to_be_visible()
    expect(page.get_by_text("Who orders: +4.33 points (95 %: +1.70 points … +6.80 points)")).to_be_visible()
    expect(page.get_by_text(re.compile("no difference is clear")).first).to_be_visible()
    expect(page.get_by_text("+21,600 GBP in all")).to_be_visible()
    width = page.evaluate("document.documentElement.scrollWidth")
    assert width <= size[0]
