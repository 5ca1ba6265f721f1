"""Webhooks over the HTTP API: how endpoints are doing, dead letters, having these sent again."""

import json
from dataclasses import replace

import pytest

from contracts.times import SECOND, rfc3339
from dashboard.pages.webhook_table import webhook_card
from livesegments.app import Deployment
from livesegments.settings import Settings
from livesegments.webhooks.desk import Desk
from livesegments.webhooks.ledger import Letter, Step
from livesegments.webhooks.memory_ledger import MemoryLedger
from tests.web_shop import WebShop, asking, key, keys_of
from tests.webhook_receiver import change

TABLES = {
    "crm": {"url": "https://crm.example/hooks/token", "secrets": ["env:CRM"]},
    "mail": {"url": "https://mail.example/", "secrets": ["env:MAIL"]},
}


@pytest.fixture
def shop():
    shop = WebShop()
    shop.ledger = MemoryLedger()
    placed = [
        shop.writer.append(shop.names.changes, b"ann", change(f"c{n}", n), partition=0).result() for n in range(4)
    ]
    shop.log = shop.logs.describe(shop.names.changes)
    shop.ledger.begin("crm", shop.log.identity, {0: 0, 1: 0})
    letters = [
        Letter(0, one.position, 1_700_000_000 * SECOND + n, 3, 422, "answered 422") for n, one in enumerate(placed)
    ]
    shop.step = Step("a", shop.log.identity, 1_700_000_000 * SECOND, {0: 3}, letters=letters[:3], delivered=7)
    shop.ledger.advance("crm", shop.step)
    deployment = Deployment(Settings(webhooks=TABLES), shop.logs, shop.state, shop.views)
    shop.desk = Desk(deployment, shop.ledger)
    return shop


@pytest.fixture
def client(shop):
    with asking(shop.parts(webhooks=shop.desk)) as client:
        yield client


def test_how_endpoints_are_doing(client):
    crm, mail = client.get("/webhooks").json()["webhooks"]
    assert crm["name"] == "crm"
    assert crm["url"] == "https://crm.example", "what stands behind the host may be secret"
    assert (crm["state"], crm["delivered"], crm["waiting"], crm["dead_letters"]) == ("stopped", 7, 1, 3)
    assert (mail["state"], mail["delivered"], mail["waiting"]) == ("never ran", 0, None)


@pytest.mark.parametrize(
    ("ago", "failing_for", "state"),
    [(1, None, "delivering"), (1, 60, "failing"), (1, 90_000, "giving up"), (99, 60, "stopped")],
)
def test_what_state_it_is_in(shop, client, monkeypatch, ago, failing_for, state):
    now = 1_800_000_000 * SECOND
    monkeypatch.setattr("livesegments.webhooks.desk.wall_micros", lambda: now)
    since = None if failing_for is None else now - failing_for * SECOND
    step = replace(shop.step, call="b", at=now - ago * SECOND, failing_since=since, status=503, error="answered 503")
    shop.ledger.advance("crm", step)
    crm = client.get("/webhooks").json()["webhooks"][0]
    assert (crm["state"], crm["error"], crm["status"]) == (state, "answered 503", 503)
    assert crm["failing_since"] == (None if since is None else rfc3339(since))


def test_dead_letters_and_the_changes_that_they_stand_for(client):
    letters = client.get("/webhooks/crm/dead-letters").json()["dead_letters"]
    assert [one["id"] for one in letters] == ["0:2", "0:1", "0:0"]
    assert (letters[0]["tries"], letters[0]["status"], letters[0]["error"]) == (3, 422, "answered 422")
    assert [one["id"] for one in client.get("/webhooks/crm/dead-letters?limit=1&offset=1").json()["dead_letters"]] == [
        "0:1"
    ]
    found = client.get("/webhooks/crm/dead-letters/0:1").json()
    assert found["change"] == json.loads(change("c1", 1))
    assert client.get("/webhooks/crm/dead-letters/0:3").status_code == 404, "that one was not given up"


def test_a_change_that_the_log_let_go_of_is_not_there(shop, client):
    shop.logs.trim(shop.names.changes, 0, 2)
    assert client.get("/webhooks/crm/dead-letters/0:1").status_code == 404
    assert client.get("/webhooks/crm/dead-letters/0:2").status_code == 200


def test_sending_again_and_dropping_are_asked_for_and_written_down_first(shop, client):
    answer = client.post("/webhooks/crm/dead-letters:replay", json={"ids": ["0:1", "0:9"]})
    assert (answer.status_code, answer.json()) == (202, {"trying_again": 1})
    assert client.delete("/webhooks/crm/dead-letters?id=0:2").json() == {"dropped": 1}
    assert client.post("/webhooks/crm/dead-letters:replay", json={"all": True}).json() == {"trying_again": 1}
    crm = client.get("/webhooks").json()["webhooks"][0]
    assert (crm["dead_letters"], crm["trying_again"]) == (0, 2)
    assert client.delete("/webhooks/crm/dead-letters?all=true").json() == {"dropped": 2}
    acts = [json.loads(one) for one in shop.audited()]
    assert {one["act"] for one in acts} == {"webhook"}
    assert [one["what"].split()[0] for one in acts] == ["POST", "DELETE", "POST", "DELETE"]


@pytest.mark.parametrize("body", [{}, {"ids": []}, {"ids": ["0:1"], "all": True}, {"ids": ["x"]}, {"all": False}])
def test_nothing_is_sent_again_by_mistake(shop, client, body):
    assert client.post("/webhooks/crm/dead-letters:replay", json=body).status_code == 422
    assert client.delete("/webhooks/crm/dead-letters").status_code == 422
    assert not shop.audited()


@pytest.mark.parametrize("path", ["dead-letters", "dead-letters/0:1"])
def test_an_endpoint_that_the_settings_do_not_name(client, path):
    answer = client.get(f"/webhooks/nobody/{path}")
    assert answer.status_code == 404
    assert "name crm, mail" in answer.json()["detail"]


def test_who_may(shop):
    keys = keys_of(admin="admin", analyst="analyst", looker=["webhooks:read"])
    with asking(shop.parts(webhooks=shop.desk, keys=keys), "analyst") as client:
        answer = client.get("/webhooks")
        assert (answer.status_code, answer.json()["needs"]) == (403, "webhooks:read")
        client.headers["Authorization"] = f"Bearer {key('looker')}"
        assert client.get("/webhooks").status_code == 200
        shown = client.get("/webhooks/crm/dead-letters/0:1").json()
        assert shown["masked"]
        assert "c1" not in json.dumps(shown["change"]["customer_id"])
        for answer in (
            client.post("/webhooks/crm/dead-letters:replay", json={"all": True}),
            client.delete("/webhooks/crm/dead-letters?all=true"),
        ):
            assert (answer.status_code, answer.json()["needs"]) == (403, "webhooks:write")
        client.headers["Authorization"] = f"Bearer {key('admin')}"
        assert client.post("/webhooks/crm/dead-letters:replay", json={"all": True}).status_code == 202


def test_the_page_says_how_endpoints_are_doing(shop):
    assert webhook_card([]) is None
    told = str(webhook_card(shop.desk.states()).to_plotly_json())
    for text in ("crm", "https://crm.example", "nobody tells it", "was never told anything", "'3'"):
        assert text in told
    assert "token" not in told
    failing = replace(shop.desk.states()[0], state="failing", failing_since=1_700_000_000 * SECOND, error="a\u202eb")
    told = str(webhook_card([failing]).to_plotly_json())
    assert "since 14 Nov 2023, 22:13:20 UTC" in told
    assert "\u202e" not in told
