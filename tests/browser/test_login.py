"""Keys as credentials of the pages: who gets in, what each role sees and may do, and how one gets out."""

from http import HTTPStatus

from playwright.sync_api import expect

from tests.browser.conftest import key

WITH_KEYS = True


def test_nobody_gets_in_without_a_key(visit, shop):
    page = visit("segments")
    expect(page).to_have_url(f"{shop.url}/app/login?next=%2Fapp%2Fsegments")
    page.get_by_label("Key").fill(key("viewer"))
    page.get_by_role("button", name="Log in").click()
    expect(page).to_have_url(f"{shop.url}/app/segments")
    expect(page.get_by_text("Two side by side")).to_be_visible()


def test_a_viewer_sees_masks_and_may_change_nothing(visit, shop):
    page = visit(role="viewer")
    expect(page.locator("#now-customers")).to_be_visible()
    expect(page.get_by_role("link", name="Customer", exact=True)).to_have_count(0)
    expect(page.get_by_role("link", name="Model", exact=True)).to_have_count(0)
    shop.publish(shop.order("secret-person"))
    expect(page.locator("#now-feed")).to_contain_text("masked-")
    assert "secret-person" not in page.content()
    page.goto("/app/segments")
    expect(page.locator(".segment").first).to_be_visible()
    expect(page.get_by_text("Rename")).to_have_count(0)
    expect(page.get_by_text("Parquet")).to_have_count(0)
    page.goto("/app/customer?id=often-1")
    expect(page.get_by_text("Your key does not allow this page.")).to_be_visible()


def test_what_a_page_does_not_offer_the_server_does_not_do(visit, shop):
    """The request that a marketer's button sends, sent by a viewer's page."""
    page = visit("segments", role="marketer")
    card = page.locator(".segment").first
    segment = int(card.get_attribute("data-segment"))
    card.get_by_text("Rename").click()
    card.get_by_label("Name").fill("Stolen")
    with page.expect_request(lambda request: "segments-save" in (request.post_data or "")) as sent:
        card.get_by_role("button", name="Save").click()
    expect(card.get_by_role("status")).to_contain_text("Stolen")
    shop.wait(lambda: {one.id: one.name for one in shop.segments().segments}[segment] == "Stolen")
    viewer = visit(role="viewer")
    body = sent.value.post_data.replace("Stolen", "Robbed")
    headers = {"Content-Type": "application/json", "Origin": shop.url}
    answer = viewer.request.post("/app/_dash-update-component", data=body, headers=headers)
    assert "It is called" not in answer.text()
    elsewhere = viewer.request.post(
        "/app/_dash-update-component", data=body, headers={**headers, "Origin": "http://evil.example"}
    )
    assert elsewhere.status == HTTPStatus.FORBIDDEN
    card.get_by_label("Name").fill("Mended")
    card.get_by_role("button", name="Save").click()
    shop.wait(lambda: {one.id: one.name for one in shop.segments().segments}[segment] == "Mended")


def test_a_marketer_takes_out_a_table_of_a_segment(visit, shop):
    page = visit("segments", role="marketer")
    card = page.locator(".segment").first
    expect(page.get_by_role("link", name="Map", exact=True)).to_have_count(0)
    with page.expect_download() as download:
        card.get_by_role("link", name="CSV").click()
    rows = download.value.path().read_text().splitlines()
    assert len(rows) - 1 == int(card.locator(".size-value").inner_text().replace(",", ""))


def test_who_logs_out_is_out_everywhere(visit, shop):
    page = visit(role="admin")
    expect(page.locator("#now-customers")).to_be_visible()
    cookie = page.context.cookies()[0]
    assert cookie["httpOnly"]
    assert cookie["sameSite"] == "Strict"
    page.get_by_role("button", name="Log out").click()
    expect(page.get_by_label("Key")).to_be_visible()
    page.context.add_cookies([cookie])
    page.goto("/app/")
    expect(page.get_by_label("Key")).to_be_visible()


def test_how_webhooks_are_doing_is_for_whoever_has_the_scope(visit):
    expect(visit("data", role="admin").locator("#data-webhooks")).to_contain_text("https://crm.example")
    page = visit("data", role="analyst")
    expect(page.locator("#data-types")).to_contain_text("Purchases")
    expect(page.locator("#data-webhooks")).to_be_empty()
