"""The page of the audit log: who may see it, what is chosen, and what is read of the log."""

from datetime import date

import httpx
import pytest

from contracts.times import DAY, rfc3339
from dashboard.audit import AuditTrail
from dashboard.audit_reading import Wanted, hash_of
from dashboard.pages.acts import ROWS, told, wanted_of
from livesegments.web.auditing import AuditBook
from tests.web_shop import SECONDS, WebShop, key, keys_of, page_parts, served

NOW = 20_000 * DAY
HOSTILE = "segment 3\u202e<script>"


@pytest.fixture(scope="module")
def shop():
    shop = WebShop()
    trail = AuditTrail(shop.writer, shop.names.audit)
    trail.note(NOW - DAY, "anna", "export", "/export/customers.csv")
    trail.note(NOW, "", "erase", "POST /events", "ann")
    shop.writer.append(shop.names.audit, None, b"no JSON").result()
    trail.note(NOW, "bob", "rename", HOSTILE)
    return shop


def test_the_newest_come_first_and_later_ones_are_read_alone(shop):
    scans = []

    class Counted:
        def scan(self, name, patience=30.0, positions=None):
            for batch in shop.logs.scan(name, patience, positions):
                scans.append(len(batch))
                yield batch

    book = AuditBook(Counted(), shop.names.audit)
    assert [one["act"] for one in book.read()] == ["rename", "erase", "export"]
    AuditTrail(shop.writer, shop.names.audit).note(NOW, "bob", "model", "pin 3")
    assert [one["act"] for one in book.read()] == ["model", "rename", "erase", "export"]
    assert sum(scans) == 5


@pytest.mark.parametrize(
    ("fields", "wanted"),
    [
        ((None, None, None, None, None), Wanted()),
        (("", "", " ", "", "soon"), Wanted()),
        (("(this machine)", "erase", " ann ", None, None), Wanted(by="", act="erase", customer=hash_of("ann"))),
        ((None, None, None, "2026-11-01", "2026-11-30"), Wanted(since="2026-11-01", until="2026-12-01")),
        ((None, None, None, None, date.max.isoformat()), Wanted()),
    ],
)
def test_fields_say_what_is_wanted(fields, wanted):
    assert wanted_of(*fields) == wanted


def test_a_page_shows_its_part_and_what_stands_there_does_nothing():
    acts = [{"at": rfc3339(NOW), "by": f"p{n}", "act": "rename", "what": HOSTILE, "customer": None} for n in range(60)]
    shown = str(told(acts, 1))
    assert "51 to 60" in shown
    assert f"'p{ROWS}'" in shown
    assert f"'p{ROWS - 1}'" not in shown
    assert "\u202e" not in shown
    assert "Nothing of that" in str(told([], 0))


def test_admins_alone_see_it(shop):
    parts = shop.parts(
        keys=keys_of(anna="analyst", root="admin", blind=["audit:read"]), acts=AuditBook(shop.logs, "audit").read
    )
    with (
        served(parts, page_parts(shop, parts)) as url,
        httpx.Client(base_url=url, headers={"Origin": url}, timeout=SECONDS) as client,
    ):
        client.post("/app/login", data={"key": key("root")})
        found = next(one for one in client.get("/app/_dash-dependencies").json() if "acts-found" in one["output"])

        def asked(who, customer):
            client.cookies.clear()
            client.post("/app/login", data={"key": key(who)})
            values = {"acts-customer": customer, "acts-page": 0}
            body = {
                "output": found["output"],
                "outputs": [
                    {"id": "acts-found", "property": "children"},
                    {"id": "acts-page", "property": "data"},
                    {"id": "acts-newer", "property": "disabled"},
                    {"id": "acts-older", "property": "disabled"},
                    {"id": "acts-turn", "property": "hidden"},
                ],
                "inputs": [{**one, "value": values.get(one["id"])} for one in found["inputs"]],
                "state": [{**one, "value": values.get(one["id"])} for one in found["state"]],
                "changedPropIds": ["acts-customer.value"],
            }
            return client.post("/app/_dash-update-component", json=body).text

        assert "had a customer forgotten" in asked("root", "ann")
        assert "Nothing of that" in asked("root", "nobody")
        assert "took data out" in asked("blind", "nobody"), "who may not know ids can not ask for one"
        assert "audit:read" in asked("anna", "ann")
        assert "had a customer forgotten" not in asked("anna", "ann")
