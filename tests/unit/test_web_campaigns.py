"""Campaigns over HTTP: a list that names nobody, and tables of the treated for whoever may export."""

import csv

import anyio
import httpx
import pytest

from dashboard.api.app import create_app
from livesegments.app import Deployment
from livesegments.settings import Settings
from livesegments.web.campaigning import StateCampaigns
from online_model.rules import audiences
from tests.unit.test_model_versions import purchases
from tests.web_shop import WebShop, key, keys_of

SETTINGS = Settings(clock="event", consent_unknown=True, audiences={"Buyers": "orders > 0"})


@pytest.fixture(scope="module")
def shop():
    shop = WebShop(audiences=audiences(SETTINGS.audiences))
    shop.publish(*purchases(0, 60))
    shop.run()
    shop.desk = StateCampaigns(Deployment(SETTINGS, shop.logs, shop.state, shop.views))
    shop.desk.create("Spring", "Buyers", 0.5, 14)
    shop.desk.start("Spring")
    return shop


@pytest.fixture
def ask(shop):
    keys = keys_of(anna="marketer", vera="viewer", blind=["export"], shop=["events:write"])
    app = create_app(shop.parts(keys=keys, campaigns=shop.desk))

    async def get(name, path):
        headers = {"Authorization": f"Bearer {key(name)}"}
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://localhost") as client:
            return await client.get(path, headers=headers)

    return lambda *asked: anyio.run(get, *asked)


def test_the_list_tells_sizes_and_names_nobody(shop, ask):
    (found,) = ask("vera", "/campaigns").json()["campaigns"]
    assert found["treated"] + found["control"] == len(shop.rows())
    assert found["name"] == "Spring"
    assert found["started_at"] is not None
    assert not {"number", "positions", "log_identity"} & set(found)
    assert not any(who in ask("vera", "/campaigns").text for who in shop.rows())
    assert ask("shop", "/campaigns").status_code == 403


def test_the_treated_are_a_table_that_is_written_down_first(shop, ask):
    before = len(shop.audited())
    answer = ask("anna", "/campaigns/Spring/treated.csv")
    rows = list(csv.DictReader(answer.text.splitlines()))
    (found,) = ask("anna", "/campaigns").json()["campaigns"]
    assert len(rows) == found["treated"]
    assert {row["campaign"] for row in rows} == {"Spring"}
    assert len(shop.audited()) == before + 1
    assert b'"what":"/campaigns/Spring/treated.csv"' in shop.audited()[-1]
    assert ask("anna", "/campaigns/Spring/treated.parquet").content[:4] == b"PAR1"


@pytest.mark.parametrize(
    ("who", "path", "status"),
    [
        ("vera", "/campaigns/Spring/treated.csv", 403),
        ("blind", "/campaigns/Spring/treated.csv", 403),
        ("anna", "/campaigns/Autumn/treated.csv", 404),
        ("anna", "/campaigns/%C2%A0/treated.parquet", 404),
    ],
)
def test_nobody_else_and_no_other_campaign(shop, ask, who, path, status):
    before = len(shop.audited())
    assert ask(who, path).status_code == status
    assert len(shop.audited()) == before
