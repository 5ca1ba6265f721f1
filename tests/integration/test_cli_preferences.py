"""Commands that look at customers' features, where these are made of the catalogue's categories, on a real Redis."""

import json
import threading
import uuid
from contextlib import closing
from datetime import UTC, datetime, timedelta

import pandas as pd
import pytest
from typer.testing import CliRunner

import livesegments
from consumer.patience import Patience
from contracts.catalog import CatalogItem
from livesegments.app import create_logs, open_deployment, open_worker
from livesegments.categories import NoCategoriesError
from livesegments.cli import app
from livesegments.settings import Settings
from logs.base import LogUnavailableError
from logs.redis_server import free_port
from producer.publisher import EventPublisher

START = datetime(2024, 1, 1, tzinfo=UTC)
CATEGORIES = {"spade": "Garden", "pan": "Kitchen", "ball": "Toys"}
ITEMS = tuple(CATEGORIES)
SHARES = ["share.Garden", "share.Kitchen", "share.Toys"]
CUSTOMERS = 60


def buy(publisher, number):
    """Four lines from one category, and from the tenth customer on one from the next."""
    items = [ITEMS[number % 3]] * 4 + [ITEMS[(number + 1) % 3]] * (number >= 10)
    for place, item in enumerate(items):
        publisher.purchase(
            customer_id=f"c{number}",
            order_id=f"{number}-{place}",
            event_id=f"{number}-{place}",
            lines=[{"item_id": item, "quantity": 1, "unit_price": 5}],
            currency="GBP",
            occurred_at=START + timedelta(days=number % 7, minutes=place),
        )


@pytest.fixture(scope="module")
def flags(redis_url, one_redis_url):
    """Where a shop is whose customers buy mostly from one category, every third from the same: segments by shares."""
    name = f"shares-{uuid.uuid4().hex[:12]}"
    where = {
        "redis_url": redis_url,
        "log_url": one_redis_url,
        "key_prefix": name,
        "log_prefix": f"{name}-",
        "clock": "event",
    }
    learning = {"k": "3", "review_inline": True, "first_model_buyers": 20, "by_rule_buyers": 0, "by_rule_days": 0}
    settings = Settings.model_validate({**where, **learning, "features": "preferences"})
    with open_deployment(settings) as deployment:
        create_logs(settings, deployment.logs)
        with closing(deployment.logs.writer()) as writer:
            for item, category in CATEGORIES.items():
                entry = CatalogItem(item_id=item, category=category)
                writer.append(f"{name}-catalog", item.encode(), entry.encode()).result()
        with EventPublisher(deployment.logs, log=f"{name}-customer-events") as publisher:
            for number in range(CUSTOMERS):
                buy(publisher, number)
        with open_worker(deployment, Patience(threading.Event())) as worker:
            worker.run(until_idle=0.2)
    return where


@pytest.fixture
def call(flags):
    def call(*arguments, **other):
        given = [part for name, value in (flags | other).items() for part in (f"--{name.replace('_', '-')}", value)]
        done = CliRunner(env={"COLUMNS": "200"}).invoke(app, [*arguments, *given])
        if done.exception is not None and not isinstance(done.exception, SystemExit):
            raise done.exception
        return done.stdout

    return call


def test_the_map_has_everybody_at_their_shares(call):
    plain = json.loads(call("map", "--json"))
    assert sorted(plain["features"]) == SHARES
    assert len(plain["customers"]["points"]) == CUSTOMERS
    assert len({tuple(point) for point in plain["customers"]["points"]}) == 6
    assert f"from {CUSTOMERS} customers" in call("map")


def test_the_tree_of_customers_parts_them_by_what_they_buy(call):
    plain = json.loads(call("tree", "--json", "--customers", str(CUSTOMERS), "--groups", "3"))
    assert len(plain["leaves"]) == CUSTOMERS
    segments = {}
    for leaf, group in zip(plain["leaves"], plain["groups"], strict=True):
        segments.setdefault(group, set()).add(leaf["id"])
    assert sorted(len(ids) for ids in segments.values()) == [1, 1, 1]
    assert plain["merges"][-1][2] > 0


def test_an_export_and_the_data_frame_have_the_shares(call, flags, tmp_path):
    call("export", str(tmp_path / "all.parquet"))
    for table in (pd.read_parquet(tmp_path / "all.parquet"), livesegments.load_customers(**flags)):
        number = table.customer_id.str[1:].astype(int)
        for place, category in enumerate(CATEGORIES.values()):
            most = table.loc[number % 3 == place, f"feature_share.{category}"]
            assert most.between(0.75, 1.0).all()
        assert table[[f"feature_{name}" for name in SHARES]].sum(axis=1).to_numpy() == pytest.approx(1)
        assert (table.cluster == table.segment_id).all()


def test_exploring_sees_the_shares_too(call):
    (compared,) = [one for one in json.loads(call("explore", "live", "--json"))["tables"] if "model" in one["title"]]
    shares = {column["name"]: column["missing"] for column in compared["columns"] if column["name"] in SHARES}
    assert shares == dict.fromkeys(SHARES, 0)


def test_trying_the_same_moves_nobody_and_other_numbers_of_segments_work(call):
    same = json.loads(call("model", "try", "--json", k="3", features="preferences"))
    assert (sorted(same["features"]), same["customers"], same["moving"]) == (SHARES, CUSTOMERS, 0)
    assert sorted(one["customers"] for one in same["segments"]) == [20, 20, 20]
    two = json.loads(call("model", "try", "--json", k="2", features="preferences"))
    assert sorted(one["customers"] for one in two["segments"]) == [20, 40]


def test_shares_can_be_tried_beside_and_instead_of_other_features_and_scaled(call):
    mixed = json.loads(call("model", "try", "--json", k="3", features="recency,share.Toys"))
    assert mixed["features"] == ["recency", "share.Toys"]
    assert sum(one["customers"] for one in mixed["segments"]) == CUSTOMERS

    def moving(by_range):
        scaling = json.dumps({by_range: "minmax"})
        return json.loads(call("model", "try", "--json", k="3", features="recency,preferences", scaling=scaling))[
            "moving"
        ]

    assert moving("recency") == 0, "days hardly count against what is bought"
    assert moving("preferences") > 0, "and the other way round"
    assert json.loads(call("model", "try", "--json", k="3", features="rfm"))["moving"] > 0


def test_the_reasons_of_a_customer_are_shares(call):
    assert "lines from Garden" in call("show", "c0")


WITHOUT = (("map",), ("tree", "--customers", "20"), ("model", "try"), ("export", "{file}"), ("explore", "live"))


@pytest.mark.parametrize("command", WITHOUT, ids=" ".join)
def test_where_the_catalogue_is_not_found_it_says_so_and_where_it_looked(call, tmp_path, command):
    arguments = [part.format(file=tmp_path / "all.csv") for part in command]
    with pytest.raises(NoCategoriesError, match=r"log elsewhere-catalog at rediss?://.*log_prefix as the workers"):
        call(*arguments, log_prefix="elsewhere-")


def test_what_needs_no_catalogue_works_without(call):
    assert len(json.loads(call("tree", "--json", log_prefix="elsewhere-"))["leaves"]) == 3


def test_where_the_log_does_not_answer_it_says_so(call):
    with pytest.raises(LogUnavailableError):
        call("map", log_url=f"redis://127.0.0.1:{free_port()}/0")
