"""Tables of whoever is inside a lasso: who may have them, and what is refused."""

import csv

import anyio
import httpx
import pytest

from dashboard.api import lassos
from dashboard.api.app import create_app
from dashboard.lasso import Axis, Lasso
from livesegments.app import Deployment
from livesegments.settings import Settings
from livesegments.web.analysing import StateAnalysis
from livesegments.web.rows import StateRows
from tests.unit.test_model_versions import purchases
from tests.web_shop import WebShop, key, keys_of


@pytest.fixture(scope="module")
def shop():
    shop = WebShop()
    shop.publish(*purchases(0, 60))
    shop.run()
    return shop


@pytest.fixture
def ask(shop):
    parts = shop.parts(keys=keys_of(anna="analyst", vera="viewer", table=["export"]))
    deployment = Deployment(Settings(clock="event"), shop.logs, shop.state, shop.views)
    app = create_app(parts)
    lassos.add_routes(app.router, parts, StateAnalysis(deployment, StateRows(shop.state, "Out of scope")))

    async def get(name, lasso, kind="csv"):
        headers = {"Authorization": f"Bearer {key(name)}"}
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://localhost") as client:
            return await client.get(f"/export/lasso.{kind}", params={"lasso": lasso}, headers=headers)

    return lambda *asked: anyio.run(get, *asked)


def everywhere(**more) -> Lasso:
    corners = ((-99.0, -99.0), (99.0, -99.0), (99.0, 99.0), (-99.0, 99.0))
    return Lasso(**{"version": 1, "now": 0, "x": Axis(0), "y": Axis(2), "corners": corners, **more})


def test_a_table_of_those_inside_is_written_down_first(shop, ask):
    before = len(shop.audited())
    answer = ask("anna", str(everywhere(version=1, now=shop.state.meta(0).clock)))
    found = sorted(row["customer_id"] for row in csv.DictReader(answer.text.splitlines()))
    assert found == sorted(shop.rows())
    assert len(shop.audited()) == before + 1
    assert b'"what":"/export/lasso.csv"' in shop.audited()[-1]
    assert ask("anna", str(everywhere()), "parquet").content[:4] == b"PAR1"


@pytest.mark.parametrize("text", ["", "no lasso", str(everywhere(version=999)), str(everywhere(x=Axis(9)))])
def test_what_is_no_lasso_is_refused_before_anything_is_written_down(shop, ask, text):
    before = len(shop.audited())
    answer = ask("anna", text)
    assert answer.status_code == 422
    assert answer.json()["type"] == "urn:livesegments:invalid"
    assert len(shop.audited()) == before


def test_who_may_not_export_or_see_ids_gets_nothing(ask):
    for name in ("vera", "table"):
        assert ask(name, str(everywhere())).status_code == 403
