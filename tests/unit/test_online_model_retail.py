"""The online model over a year of real purchases, day by day, against batch k-means on the same rows and metric."""

import os
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from sklearn.cluster import KMeans

from contracts.times import DAY
from online_model.adoption import Reviewed, adopt_means, first_model, refit
from online_model.choose_k import choose, curves
from online_model.features import (
    MISSING_TIME,
    RECENT_HALF_LIFE,
    YEAR_HALF_LIFE,
    FeatureSet,
    TextColumn,
    median_order_value,
)
from online_model.names import Members
from online_model.settings import ModelSettings
from online_model.sums import ClusterSums, Votes

pytestmark = pytest.mark.slow

TABLE = Path(__file__).parents[2].parent / "shared" / "data" / "online_retail_2010_2011.parquet"


@pytest.fixture(scope="module")
def orders():
    if not TABLE.exists():
        message = f"needs Online Retail at {TABLE}"
        if os.environ.get("CI") == "true":
            pytest.fail(message)
        pytest.skip(message)
    lines = pd.read_parquet(TABLE, columns=["InvoiceNo", "Quantity", "InvoiceDate", "UnitPrice", "CustomerID"])
    lines = lines[lines["CustomerID"].notna() & (lines["UnitPrice"] >= 0)]
    lines["returned"] = (lines["Quantity"] < 0) | lines["InvoiceNo"].str.startswith("C")
    lines["net"] = lines["Quantity"] * lines["UnitPrice"]
    by_order = lines.groupby(["InvoiceNo", "CustomerID", "returned"], as_index=False)
    table = by_order.agg(ordered_at=("InvoiceDate", "min"), net=("net", "sum")).sort_values("ordered_at", kind="stable")
    return SimpleNamespace(
        when=table["ordered_at"].astype("datetime64[us]").astype("int64").to_numpy(),
        customer=pd.factorize(table["CustomerID"])[0],
        net=table["net"].to_numpy(),
        returned=table["returned"].to_numpy(),
    )


class Rows:
    """The columns of a few thousand customers."""

    def __init__(self, customers):
        self.first_at, self.last_at, self.newest_at = (np.full(customers, MISSING_TIME) for _ in range(3))
        self.orders = np.zeros(customers, np.uint32)
        self.orders_decayed, self.net_decayed, self.recent_net, self.spend = (np.zeros(customers) for _ in range(4))

    def labels(self, _attribute):
        """Nobody has a profile."""
        return TextColumn(np.full(len(self.orders), -1, np.int32), ())

    def apply(self, customer, at, net, *, returned):
        age = 0 if self.newest_at[customer] == MISSING_TIME else at - self.newest_at[customer]
        self.newest_at[customer] = at
        self.orders_decayed[customer] *= 2 ** -(age / YEAR_HALF_LIFE)
        self.net_decayed[customer] = self.net_decayed[customer] * 2 ** -(age / YEAR_HALF_LIFE) + net
        self.recent_net[customer] = self.recent_net[customer] * 2 ** -(age / RECENT_HALF_LIFE) + net
        if not returned:
            self.orders[customer] += 1
            self.orders_decayed[customer] += 1
            self.spend[customer] += net
            self.last_at[customer] = at
            self.first_at[customer] = at if self.first_at[customer] == MISSING_TIME else self.first_at[customer]


@dataclass
class Year:
    ratios: list = field(default_factory=list)
    models: list = field(default_factory=list)
    rows: Rows | None = None
    now: int = 0


def versions_of(rows, model, reviewed, purchases, now, settings):
    """What the leader does at the end of a day: (next version or None, reviewed)."""
    buyers = int(np.count_nonzero(rows.orders))
    features = FeatureSet.of(settings.request.terms())
    members = Members.of(rows, now)
    if model is None:
        if buyers < settings.first_model_buyers:
            return None, None
        order_value = median_order_value(rows.spend, rows.orders)
        X = features.features(rows, now, order_value)
        model = first_model(X, order_value, settings.k, purchases, now, settings=settings, members=members)
        return model, Reviewed.of(model)
    X = features.features(rows, now, model.order_value)
    adopted = None
    if reviewed.due(purchases, buyers, now, settings):
        reviewed = Reviewed(now, purchases, buyers)
        adopted = refit(model, X, model.order_value, purchases, now, settings=settings, members=members)
    if adopted is None:
        sums = ClusterSums(1, model.k, len(features.names))
        sums.revise(None, Votes(np.zeros(len(X), np.int32), model.assign(X), X))
        adopted = adopt_means(model, sums.merged(), purchases, now, settings)
    return adopted, reviewed


def play(orders, k):
    settings = ModelSettings(k=k)
    year, model, reviewed, purchases = Year(rows=Rows(orders.customer.max() + 1)), None, None, 0
    day_of = orders.when // DAY
    days = np.unique(day_of)
    checkpoints = {days[int(len(days) * share) - 1] for share in np.linspace(0.1, 1, 10)}
    for day in days:
        today = np.flatnonzero(day_of == day)
        for i in today:
            year.rows.apply(orders.customer[i], orders.when[i], orders.net[i], returned=orders.returned[i])
        purchases += int(np.count_nonzero(~orders.returned[today]))
        year.now = int(orders.when[today].max())
        adopted, reviewed = versions_of(year.rows, model, reviewed, purchases, year.now, settings)
        if adopted is not None:
            model = adopted
            year.models.append(model)
        if day in checkpoints:
            X = FeatureSet.of().features(year.rows, year.now, model.order_value)
            X = X[~np.isnan(X).all(axis=1)]
            batch = KMeans(k, n_init=20, random_state=0).fit(X / model.metric.deviations)
            year.ratios.append(model.metric.closest(X, model.centroids)[1].sum() / batch.inertia_)
    return year


@pytest.fixture(scope="module", params=[3, 4, 5, 6, 8])
def year(request, orders):
    return play(orders, request.param)


def test_as_good_as_batch_clustering_at_every_moment(year):
    assert len(year.ratios) == 10
    assert np.median(year.ratios) <= 1.005
    assert max(year.ratios) <= 1.02
    assert year.ratios[-1] <= 1.005


def test_with_few_versions_each_for_a_reason(year):
    assert len(year.models) <= 100
    assert [model.version for model in year.models] == list(range(1, len(year.models) + 1))
    assert all(model.reason for model in year.models)
    purchases = [model.purchases for model in year.models]
    assert all(one < two for one, two in pairwise(purchases))


def test_no_id_is_used_twice_and_names_are_unique(year):
    gone, present = set(), set()
    for model in year.models:
        ids = {segment.id for segment in model.segments}
        assert len(ids) == len({segment.name for segment in model.segments}) == model.k
        assert not ids & gone
        gone |= present - ids
        present = ids


def test_without_events_customers_move_and_the_model_does_not(year):
    model, later = year.models[-1], year.now + 120 * DAY
    features = FeatureSet.of()
    before = model.assign(features.features(year.rows, year.now, model.order_value))
    X = features.features(year.rows, later, model.order_value)
    after = model.assign(X)
    buyers = before >= 0
    assert np.mean(before[buyers] != after[buyers]) >= 0.3
    sums = ClusterSums(1, model.k, 3)
    sums.revise(None, Votes(np.zeros(len(X), np.int32), after, X))
    assert adopt_means(model, sums.merged(), model.purchases, later, ModelSettings(k=model.k)) is None


def test_the_year_has_no_natural_number_of_segments(year):
    X = FeatureSet.of().features(year.rows, year.now, year.models[-1].order_value)
    points = curves(X, year.models[-1].metric, 1)
    choice = choose(points, 5)
    assert (choice.k, choice.natural) == (5, False)
    assert "no natural number of groups, so 5" in choice.reason
    assert max(points, key=lambda point: point.silhouette.value).k == 2, "which is never chosen"


def test_every_version_says_where_its_segments_come_from(year):
    ids = set()
    for model in year.models:
        now = {segment.id for segment in model.segments}
        if model.lineage:
            assert {one.segment_id for one in model.lineage if one.kind in {"continued", "split", "born"}} == now
            assert {one.segment_id for one in model.lineage if one.kind in {"merged", "gone"}} == ids - now
        else:
            assert now == ids
        ids = now
        assert model.why
