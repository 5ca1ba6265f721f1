"""The page of a customer, asked as a browser asks it: drawn anew where something else is known, and not before."""

import json
from types import SimpleNamespace

import httpx

from dashboard.pages.page import PULSE
from livesegments.web import sheets
from tests.in_process import fixed_model
from tests.unit.test_pages_segments import answered
from tests.unit.test_web_api import purchase
from tests.web_shop import SECONDS, WebShop, page_parts, served


def test_a_customer_is_drawn_anew_once_something_else_is_known():
    shop = WebShop()
    shop.adopt(fixed_model())
    shop.publish(json.dumps(purchase("ann")).encode())
    shop.run()
    parts = shop.parts()
    with (
        served(parts, page_parts(shop, parts)) as url,
        httpx.Client(base_url=url, headers={"Origin": url}, timeout=SECONDS) as client,
    ):

        def pulse(drawn, asked="ann"):
            values = {"customer-asked": asked, "customer-as-of": drawn, "changed": [f"{PULSE}.data"]}
            return answered(client, "customer-found.children", values)

        first = pulse(None)
        drawn = first["customer-as-of"]["data"]
        assert drawn == ["ann", shop.reader().get("ann").as_of.isoformat()]
        assert pulse(drawn) == {}
        assert pulse(["bob", drawn[1]])["customer-as-of"]["data"] == drawn
        shop.log_time += 1_000_000
        shop.publish(json.dumps(purchase("ann") | {"event_id": "another", "order_id": "another"}).encode())
        shop.run()
        assert pulse(["ann", "2020-01-01T00:00:00+00:00"])["customer-found"]
        assert "Nothing is known" in json.dumps(pulse(drawn, "nobody"))


def test_a_joined_id_shows_the_customer_whose_it_is():
    shop = WebShop()
    shop.adopt(fixed_model())
    alias = {"type": "alias", "event_id": "a", "customer_id": "<b>cookie", "occurred_at": "2026-01-01T00:00:00Z"}
    shop.publish(
        json.dumps(purchase("ann")).encode(),
        json.dumps(alias | {"alias_of": "ann"}).encode(),
    )
    shop.run()
    parts = shop.parts()
    with (
        served(parts, page_parts(shop, parts)) as url,
        httpx.Client(base_url=url, headers={"Origin": url}, timeout=SECONDS) as client,
    ):
        answer = client.get("/customers/%3Cb%3Ecookie").json()
        assert (answer["known"], answer["joined_to"]) == (True, "ann")
        values = {"customer-asked": "<b>cookie", "customer-as-of": None, "changed": [f"{PULSE}.data"]}
        found = json.dumps(answered(client, "customer-found.children", values)["customer-found"])
        assert "cookie is another id of this customer" in found
        assert "Orders" in found


def test_the_catalogue_is_read_once_however_many_look(monkeypatch):
    read = []
    monkeypatch.setattr(sheets, "catalogue_categories", lambda *_: read.append(1) or {})
    made = sheets.Sheets(SimpleNamespace(logs=None, settings=None))
    assert [made._categories.get() for _ in range(3)] == [{}] * 3
    assert len(read) == 1
