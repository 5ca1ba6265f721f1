"""An analyst imports a shop's own file by page: from sending it to rows on Redis and a line of the audit log."""

import re

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import HOSTILE
from tests.browser.test_accessibility import violations

TABLE = "order;customer;date;item;quantity;unit price\n" + "".join(
    f"I{n};imported-{n % 7};{13 + n % 15}.02.2026 10:00;{HOSTILE};{n};2,50\n" for n in range(1, 41)
)
TABLE += "I99;imported-1;never;cup;1;2,50\n"


@pytest.fixture
def table(tmp_path):
    path = tmp_path / "orders <b>2026.csv"
    path.write_text(TABLE)
    return path


def test_a_file_is_sent_asked_about_shown_and_published(visit, shop, table):
    page = visit("import")
    with page.expect_file_chooser() as chooser:
        page.get_by_role("button", name="Choose files").click()
    chooser.value.set_files(table)
    expect(page.get_by_role("heading", name="One question")).to_be_visible()
    page.get_by_label("Your answer").fill("Europe/London")
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="Publish 40 events")).to_be_visible()
    expect(page.get_by_role("cell", name=re.compile("Saturday 14 February 2026"))).to_be_visible()
    assert violations(page) == []
    unread = page.locator(".card", has=page.get_by_role("heading", name="What could not be read"))
    expect(unread.get_by_role("cell", name="1", exact=True)).to_be_visible()
    page.get_by_text("Something is not right").click()
    page.get_by_label("Is", exact=True).fill("customer")
    page.get_by_role("button", name="Look again").click()
    expect(page.get_by_role("cell", name="as you said")).to_be_visible()
    page.get_by_role("button", name="Publish").click()
    expect(page.locator("#import-count")).to_have_text("40")
    page.reload()
    expect(page.locator("#import-count")).to_have_text("40")
    shop.wait(lambda: len([who for who in shop.deployment.rows() if who.startswith("imported-")]) == 7)
    page.goto("/app/acts")
    expect(page.get_by_role("cell", name="40 events of orders <b>2026.csv")).to_be_visible()
    assert violations(page) == []
    page.get_by_label("Customer's id").fill("imported-1")
    expect(page.get_by_text("Nothing of that is written down.")).to_be_visible()
    page.goto("/app/import")
    expect(page.locator("#import-progress")).to_be_empty()
    page.get_by_role("button", name="Import more").click()
    expect(page.get_by_role("button", name="Choose files")).to_be_visible()
