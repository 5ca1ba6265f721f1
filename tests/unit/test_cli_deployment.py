"""A whole deployment in memory: what show, export and erase are made of."""

import math
import threading
from datetime import UTC, datetime, timedelta

import pandas as pd
import pyarrow.parquet as pq
import pytest

from consumer.memory_state import MemoryState
from consumer.patience import Patience
from contracts.catalog import CatalogItem
from contracts.times import SECOND, from_micros, to_micros
from livesegments.app import Deployment, create_logs, open_worker
from livesegments.customers import as_json, look_up
from livesegments.erasing import NotErasedError, publish, wait_until_applied
from livesegments.export import export_customers
from livesegments.export_columns import AttributeTypes
from livesegments.open_explainer import explainer_of
from livesegments.settings import Settings
from livesegments.table_file import TableFileError
from logs.memory import MemoryLogs
from producer.catalogue import publish_items
from producer.publisher import EventPublisher
from recommender.store import MemoryViews

START = datetime(2024, 1, 1, tzinfo=UTC)
NOW = to_micros(START + timedelta(days=400))
CUSTOMERS = 60


@pytest.fixture
def deployment():
    settings = Settings(
        clock="event", partitions=3, review_inline=True, first_model_buyers=10, by_rule_buyers=0, by_rule_days=0
    )
    return Deployment(settings, MemoryLogs(lambda: NOW), MemoryState(), MemoryViews(lambda: NOW))


def order(publisher, customer, number, days, item="tea", quantity=2, price=1.25):
    publisher.purchase(
        customer_id=customer,
        order_id=f"{customer}-{number}",
        lines=[{"item_id": item, "quantity": quantity, "unit_price": price}],
        currency="GBP",
        occurred_at=START + timedelta(days=days),
    )


def fill(deployment):
    """Customers who buy once to six times, one who only sent something back, one of whom only a profile is known."""
    with EventPublisher(deployment.logs, partitions=3) as publisher:
        for number in range(CUSTOMERS):
            for turn in range(1 + number % 6):
                order(publisher, f"c{number}", turn, 60 + 40 * turn + number, f"item{number % 7}", 1 + turn, 2.5)
        publisher.returned(
            customer_id="sender",
            order_id="o",
            event_id="r",
            lines=[{"item_id": "tea", "quantity": 1, "unit_price": 0.1}],
            currency="GBP",
            occurred_at=START,
        )
        attributes = {"age": 44, "vip": True, "height": 1, "city": "Łódź", "orders": "many", "mixed": 3}
        publisher.profile(customer_id="c1", attributes=attributes, occurred_at=START)
        publisher.profile(customer_id="known", attributes={"height": 1.5, "mixed": "x"}, occurred_at=START)


def work(deployment, **run):
    with open_worker(deployment, Patience(threading.Event())) as worker:
        worker.run(**{"until_idle": 0.2} | run)
        return worker


@pytest.fixture
def worked(deployment):
    fill(deployment)
    work(deployment)
    return deployment


def exported(deployment, tmp_path, name="all.parquet"):
    export_customers(tmp_path / name, deployment.state, deployment.settings)
    return tmp_path / name


# ---- export ----


def test_an_export_has_a_row_for_every_customer(worked, tmp_path):
    table = pd.read_parquet(exported(worked, tmp_path)).set_index("customer_id")
    assert sorted(table.index) == sorted([*(f"c{number}" for number in range(CUSTOMERS)), "sender", "known"])
    row = table.loc["c3"]
    assert (row.orders, row.returns, row.units, row.spend, row.refunds) == (4, 0, 1 + 2 + 3 + 4, 25.0, 0.0)
    assert row.first_purchase_at == pd.Timestamp(START + timedelta(days=63))
    assert row.last_purchase_at == pd.Timestamp(START + timedelta(days=183))
    assert table.loc["sender"].refunds == 0.1
    assert table.loc["sender"].segment_name == "No purchases yet"
    assert table.loc[["sender", "known"]].first_purchase_at.isna().all()


def test_columns_stand_in_the_promised_order_and_type(worked, tmp_path):
    schema = pq.read_schema(exported(worked, tmp_path))
    assert schema.names == [
        *("customer_id", "first_purchase_at", "last_purchase_at", "orders", "returns", "spend", "refunds", "units"),
        *("segment_id", "segment_name", "p_active", "expected_orders_90d", "expected_spend_90d", "churn_90d"),
        *("age", "city", "height", "mixed", "attribute_orders", "vip"),
        *("feature_recency", "feature_frequency", "feature_monetary", "cluster"),
    ]
    types = {name: str(schema.field(name).type) for name in schema.names}
    assert types["first_purchase_at"] == "timestamp[us, tz=UTC]"
    assert (types["age"], types["height"], types["city"], types["mixed"], types["vip"]) == (
        *("int64", "double", "string", "string"),
        "bool",
    )


def test_features_are_those_of_the_event_clock_and_cluster_is_the_nearest(worked, tmp_path):
    table = pd.read_parquet(exported(worked, tmp_path)).set_index("customer_id")
    newest = table.last_purchase_at.max()
    days = (newest - table.last_purchase_at).dt.total_seconds() / 86_400
    assert table.feature_recency.dropna().to_dict() == pytest.approx((days.dropna() / 30).map(math.log1p).to_dict())
    voters = table[table.orders > 0]
    assert voters.cluster.notna().all()
    assert set(voters.cluster) <= set(table.segment_id)
    assert table[table.orders == 0].cluster.isna().all()


def test_csv_says_the_same(worked, tmp_path):
    csv = pd.read_csv(exported(worked, tmp_path, "all.csv")).set_index("customer_id")
    parquet = pd.read_parquet(exported(worked, tmp_path)).set_index("customer_id")
    assert list(csv.columns) == list(parquet.columns)
    assert csv.spend.to_dict() == parquet.spend.to_dict()
    assert csv.last_purchase_at["c3"] == "2024-07-02T00:00:00.000000Z"
    assert csv.city["c1"] == "Łódź"


def test_before_any_model_features_are_null_and_the_columns_are_there(deployment, tmp_path):
    with EventPublisher(deployment.logs, partitions=3) as publisher:
        order(publisher, "c", 1, 1)
    work(deployment)
    (row,) = pd.read_parquet(exported(deployment, tmp_path)).to_dict("records")
    assert row["orders"] == 1
    assert pd.isna(row["cluster"])
    assert pd.isna(row["feature_recency"])


def test_nothing_counted_yet_is_an_empty_table(deployment, tmp_path):
    assert len(pd.read_parquet(exported(deployment, tmp_path))) == 0
    assert len(pd.read_csv(exported(deployment, tmp_path, "none.csv"))) == 0


def test_a_failure_leaves_the_old_file_and_no_other(worked, tmp_path, monkeypatch):
    file = tmp_path / "all.parquet"
    file.write_text("old")

    def breaking(*_):
        yield from ()
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("livesegments.export.read_records", lambda *_: iter(()))
    monkeypatch.setattr("livesegments.table_file._regrouped", breaking)
    with pytest.raises(TableFileError, match="No space left"):
        export_customers(file, worked.state, worked.settings)
    assert [path.name for path in tmp_path.iterdir()] == ["all.parquet"]
    assert file.read_text() == "old"


@pytest.mark.parametrize(
    ("values", "kind"),
    [([1, 2], int), ([1, 2.5], float), ([1, "a"], str), ([True, False], bool), ([True, 1], str), ([1, 2.5, "a"], str)],
)
def test_one_type_fits_all_values_of_an_attribute(values, kind):
    for order in (values, values[::-1]):
        types = AttributeTypes()
        types.learn({"x": value} for value in order)
        assert types.types == {"x": kind}


# ---- show ----


def test_a_customer_in_full(worked):
    shown = as_json(look_up("c1", worked.reader(), explainer_of(worked)))
    assert shown["known"]
    assert shown["segment"]["name"]
    assert shown["row"]["orders"] == 2
    assert shown["row"]["attributes"]["city"] == "Łódź"
    assert shown["row"]["last_purchase_at"] == "2024-04-11T00:00:00Z"
    assert next(reason for _, _, reason in shown["items"]) == "again"
    why, special, change = shown["reasons"]
    assert f" put c1 nearest to {shown['segment']['name']}" in why or "but not clearly enough" in why
    assert special
    days = shown["moves"]["days_without_order"]["amount"]
    assert change.startswith(f"{days} more day")
    assert shown["rhythm"]["usual_gap_days"] is not None


@pytest.fixture
def small():
    """A shop with too little data to learn from, and an event clock."""
    settings = Settings(clock="event", partitions=3, review_inline=True)
    deployment = Deployment(settings, MemoryLogs(lambda: NOW), MemoryState(), MemoryViews(lambda: NOW))
    fill(deployment)
    work(deployment)
    return deployment


def test_in_a_small_shop_it_is_said_that_segments_go_by_rule_and_what_moves_a_customer(small):
    customer = as_json(look_up("c22", small.reader(), explainer_of(small)))
    assert (customer["segment"]["name"], customer["segment"]["by_rule"]) == ("Loyal", True)
    why, _, change = customer["reasons"]
    assert "put c22 into Loyal, by rule while there is too little data" in why
    assert change == (
        "14 more days without an order → Lapsed, valuable; 2 more orders of the usual size (7.50 GBP) → Champions."
    )


def test_what_is_foretold_of_a_customer_by_rule_is_what_happens(small):
    explainer = explainer_of(small)
    foretold = as_json(look_up("c22", small.reader(), explainer))["moves"]["days_without_order"]

    def move_on(days):
        """Somebody else's profile moves the clock so far."""
        at = from_micros(explainer.now) + timedelta(days=days)
        with EventPublisher(small.logs, partitions=3) as publisher:
            publisher.profile(customer_id="known", attributes={"height": days}, occurred_at=at)
        work(small)
        return look_up("c22", small.reader(), explainer_of(small)).answer.segment.id

    before = look_up("c22", small.reader(), explainer).answer.segment.id
    assert move_on(foretold["amount"] - 1) == before
    assert move_on(foretold["amount"]) == foretold["segment_id"] != before


def test_somebody_unknown_gets_what_everybody_buys(worked):
    found = look_up("nobody", worked.reader(), explainer_of(worked))
    assert found.totals is None
    assert not as_json(found)["known"]
    assert found.answer.items


# ---- catalogue ----


def items_of(deployment, customer):
    return [item.item_id for item in deployment.reader().get(customer).items]


def test_what_the_catalogue_withdraws_before_the_first_event_never_appears(deployment):
    create_logs(deployment.settings, deployment.logs)
    publish_items([CatalogItem(item_id="item1", recommendable=False)], deployment.logs, "catalog", NOW)
    fill(deployment)
    work(deployment)
    for customer in ("c1", "c8", "nobody"):
        assert items_of(deployment, customer)
        assert "item1" not in items_of(deployment, customer)


def test_items_leave_written_views_and_come_back_while_a_worker_runs(worked):
    stages = [CatalogItem(item_id="item1", in_stock=False), CatalogItem(item_id="item1", in_stock=True)]
    seen = []

    def step(worker):
        now = "item1" in items_of(worked, "c1")
        if not seen or seen[-1] is not now:
            seen.append(now)
            if stages:
                publish_items([stages.pop(0)], worked.logs, "catalog", NOW)
        if len(seen) == 3:
            worker.stop()

    work(worked, on_step=step, until_idle=10)
    assert seen == [True, False, True]


# ---- erase ----


def test_an_erasure_is_applied_once_row_and_view_are_gone(worked):
    erasure = publish("c1", worked, NOW)
    clock = iter(range(10))
    with pytest.raises(NotErasedError, match="no worker has applied it within 3 s"):
        wait_until_applied(erasure, worked, 3, monotonic=lambda: next(clock), sleep=lambda _: None)
    work(worked)
    wait_until_applied(erasure, worked, 0, monotonic=lambda: 0)
    found = look_up("c1", worked.reader(), explainer_of(worked))
    assert found.totals is None
    assert not found.answer.known


def test_a_customer_who_was_never_seen_is_erased_all_the_same(worked):
    erasure = publish("nobody", worked, NOW)
    work(worked)
    wait_until_applied(erasure, worked, 0, monotonic=lambda: 0)


def test_a_second_erasure_is_applied_although_the_first_was(worked):
    publish("c1", worked, NOW)
    again = publish("c1", worked, NOW + SECOND)
    work(worked)
    wait_until_applied(again, worked, 0, monotonic=lambda: 0)
