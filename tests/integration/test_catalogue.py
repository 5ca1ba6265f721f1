"""The catalogue through the real command line, a real worker and real servers: loaded, sold, sold out, back again."""

import json
import logging
import threading
import time
from contextlib import contextmanager

import pytest
from typer.testing import CliRunner

from consumer.patience import Patience
from contracts.documents import CatalogueEntry, Withdrawn
from contracts.keys import Keys
from livesegments.app import open_deployment, open_redis, open_worker
from livesegments.cli import app
from livesegments.sources import load_settings
from recommender.store import RedisViews

SECONDS = 120.0
HEADER = "InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country\n"


@pytest.fixture(params=["redis", "kafka"])
def shop(request, redis_url, one_redis_url, unique, tmp_path, monkeypatch):
    """Settings of a deployment of one's own, in the environment; 40 customers' orders in a table."""
    on_kafka = request.param == "kafka"
    chosen = {
        "REDIS_URL": redis_url,
        "LOG_URL": f"kafka://{request.getfixturevalue('kafka_bootstrap')}" if on_kafka else one_redis_url,
        "KEY_PREFIX": unique,
        "LOG_PREFIX": f"{unique}-",
        "GROUP": unique,
        "CLOCK": "event",
        "PARTITIONS": "2",
        "SESSION_TIMEOUT": "6s",
        "REVIEW_INLINE": "true",
        "NON_PRODUCTS": '["fee.*"]',
    }
    for name, value in chosen.items():
        monkeypatch.setenv(f"LIVESEGMENTS_{name}", value)
    # A command's output ends with it; a worker beside it that then logs something is not to die of that.
    monkeypatch.setattr(logging, "raiseExceptions", False)
    monkeypatch.chdir(tmp_path)
    lines = [
        f"{customer}{turn},{item},NAME {item},1,2011-0{1 + turn}-{1 + customer % 27:02} 10:00,2.5,{customer},UK"
        for customer in range(40)
        for turn in range(3)
        for item in (f"sku{(customer + turn) % 6}", "POST", "fee7")
    ]
    (tmp_path / "orders.csv").write_text(HEADER + "\n".join(lines) + "\n")
    return Shop(unique)


class Shop:
    def __init__(self, prefix):
        self.settings = load_settings().settings
        self.redis = open_redis(self.settings)
        self.keys = Keys(prefix)

    def call(self, *arguments):
        done = CliRunner().invoke(app, arguments, catch_exceptions=False)
        assert done.exit_code == 0, done.output
        return done.output

    @contextmanager
    def worker(self):
        """One that runs meanwhile."""
        with (
            open_deployment(self.settings) as deployment,
            open_worker(deployment, Patience(threading.Event())) as worker,
        ):
            thread = threading.Thread(target=worker.run)
            thread.start()
            try:
                yield deployment.reader()
            finally:
                worker.stop()
                thread.join()

    def withdrawn(self):
        document = self.redis.get(self.keys.withdrawn())
        if document is None:
            return None
        found = Withdrawn.model_validate_json(document)
        return set(found.items)

    def entry(self, item):
        stored = self.redis.hget(self.keys.catalogue(), item)
        return None if stored is None else CatalogueEntry.model_validate_json(stored)

    def answers(self):
        """Items of all written views and of the cold start, as they stand in Redis."""
        keys = [self.keys.customer(str(customer)) for customer in range(40)] + [self.keys.cold_start()]
        views = [json.loads(view) for view in RedisViews(self.redis).get_many(keys) if view is not None]
        return {item for view in views for item, _, _ in view["items"]} if len(views) == len(keys) else set()


def wait_for(what):
    deadline = time.monotonic() + SECONDS
    while not what():
        assert time.monotonic() < deadline, "it did not come to that"
        time.sleep(0.01)


def test_an_item_leaves_every_answer_when_it_is_out_of_stock_and_comes_back(shop):
    told = shop.call("replay", "orders.csv")
    assert "1 items are no products: POST" in told
    assert "catalogue: 8 items new, 0 changed" in told
    with shop.worker():
        wait_for(lambda: shop.withdrawn() == {"POST", "fee7"} and "sku3" in shop.answers())
        assert not {"POST", "fee7"} & shop.answers()
        assert shop.entry("sku3") == CatalogueEntry(name="NAME sku3")

        shop.call("catalog", "set", "sku3", "sku4", "--out-of-stock")
        wait_for(lambda: shop.withdrawn() == {"POST", "fee7", "sku3", "sku4"})
        assert not shop.entry("sku3").offered
        wait_for(lambda: shop.answers() and not {"sku3", "sku4"} & shop.answers())
        assert "out of stock" in shop.call("catalog", "show", "sku3")
        shop.call("catalog", "set", "sku3", "--in-stock")
        shop.call("catalog", "remove", "sku4")
        wait_for(lambda: shop.withdrawn() == {"POST", "fee7"} and {"sku3", "sku4"} <= shop.answers())
        assert shop.entry("sku4") is None

        shop.redis.delete(shop.keys.catalogue(), shop.keys.withdrawn(), shop.keys.catalogue_version())
        wait_for(lambda: shop.withdrawn() == {"POST", "fee7"} and shop.entry("sku3") is not None)

    assert "NAME sku" in shop.call("show", "7")
    assert "catalogue: 1 items new, 0 changed" in shop.call("replay", "orders.csv")  # the one that was removed
    assert "catalogue:" not in shop.call("replay", "orders.csv")


def test_what_changes_while_no_worker_runs_is_shown_by_the_next(shop, tmp_path):
    shop.call("replay", "orders.csv")
    with shop.worker():
        wait_for(lambda: shop.withdrawn() == {"POST", "fee7"})
    (tmp_path / "items.csv").write_text("sku,title,group\nsku1,Blue mug,Mugs\nsku9,Not sold yet,Mugs\n")
    mapped = ("--map", "item_id=sku", "--map", "name=title", "--map", "category=group")
    assert "2 items: 1 new, 1 changed" in shop.call("catalog", "load", "items.csv", *mapped)
    assert "2 items: 0 new, 0 changed" in shop.call("catalog", "load", "items.csv", *mapped)
    shop.call("catalog", "remove", "sku2")
    assert shop.entry("sku1") == CatalogueEntry(name="NAME sku1")
    with shop.worker():
        wait_for(lambda: shop.entry("sku1") == CatalogueEntry(name="Blue mug", category="Mugs"))
        wait_for(lambda: shop.entry("sku9") == CatalogueEntry(name="Not sold yet", category="Mugs"))
        wait_for(lambda: shop.entry("sku2") is None)
    listed = json.loads(shop.call("catalog", "list", "--category", "Mugs", "--json"))
    assert [(item["item_id"], item["name"], item["from_orders"]) for item in listed] == [
        ("sku1", "Blue mug", False),
        ("sku9", "Not sold yet", False),
    ]
    assert listed[1]["since"] is not None  # it came into a catalogue that was there
