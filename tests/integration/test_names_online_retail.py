"""Names on real customers: Online Retail at twelve month-ends, k = 3 to 8, each clustered anew."""

import numpy as np
import pandas as pd
import pytest

from contracts.times import DAY
from online_model.adoption import first_model
from online_model.features import MISSING_TIME, YEAR_HALF_LIFE, FeatureSet, TextColumn, days_since, median_order_value
from online_model.names import Members
from online_model.settings import ModelSettings
from tests.online_retail import FILE

pytestmark = pytest.mark.slow

KS = range(3, 9)
LIVELY = ("New customers", "Champions", "Loyal", "One order so far", "Occasional")
LAPSED = ("Lost after one order", "Lapsed")


class Rows:
    """The columns of everybody who had bought or returned something by `now`."""

    def __init__(self, orders, now):
        known = orders[orders["at"] <= now]
        weights = 2.0 ** ((known["at"] - now) / YEAR_HALF_LIFE)
        bought = known[~known["back"]]
        self.newest_at = known.groupby("customer")["at"].max()
        index = self.newest_at.index
        self.first_at, self.last_at = (
            bought.groupby("customer")["at"].agg(edge).reindex(index, fill_value=MISSING_TIME).to_numpy()
            for edge in ("min", "max")
        )
        # As of the newest event, as rows keep them.
        revived = 2.0 ** ((now - self.newest_at) / YEAR_HALF_LIFE)
        decayed_orders = weights[~known["back"]].groupby(bought["customer"]).sum().reindex(index, fill_value=0.0)
        self.orders_decayed = (decayed_orders * revived).to_numpy()
        self.net_decayed = ((known["net"] * weights).groupby(known["customer"]).sum() * revived).to_numpy()
        self.orders = bought.groupby("customer").size().reindex(index, fill_value=0).to_numpy(np.uint32)
        self.spend = bought.groupby("customer")["net"].sum().reindex(index, fill_value=0.0).to_numpy()
        self.newest_at = self.newest_at.to_numpy()

    def labels(self, attribute):
        """Nothing is known of them."""
        return TextColumn(np.full(len(self.orders), -1, np.int32), ())


@pytest.fixture(scope="module")
def orders(data_folder):
    lines = pd.read_parquet(
        data_folder / FILE, columns=["InvoiceNo", "Quantity", "InvoiceDate", "UnitPrice", "CustomerID"]
    )
    lines = lines[lines["CustomerID"].notna() & (lines["UnitPrice"] >= 0)]
    lines["back"] = (lines["Quantity"] < 0) | lines["InvoiceNo"].str.startswith("C")
    lines["net"] = lines["Quantity"] * lines["UnitPrice"]
    table = lines.groupby(["InvoiceNo", "CustomerID", "back"], as_index=False).agg(
        at=("InvoiceDate", "min"), net=("net", "sum")
    )
    return pd.DataFrame(
        {
            "customer": table["CustomerID"],
            "at": table["at"].astype("datetime64[us]").astype("int64"),
            "net": table["net"],
            "back": table["back"],
        }
    )


@pytest.fixture(scope="module")
def months(orders):
    """(now, rows, X, order value) at each month-end."""
    ends = pd.date_range("2010-12-31", periods=12, freq="ME") + pd.Timedelta(hours=23)
    found = []
    for now in ends.astype("datetime64[us]").astype("int64").tolist():
        rows = Rows(orders, now)
        order_value = median_order_value(rows.spend, rows.orders)
        found.append((now, rows, FeatureSet.of().features(rows, now, order_value), order_value))
    return found


@pytest.fixture(scope="module", params=KS)
def named(request, months):
    """For each month-end the segments, who is in them, and what is known of the customers."""
    settings = ModelSettings(k=request.param, restarts=3)
    found = []
    for now, rows, X, order_value in months:
        members = Members.of(rows, now)
        model = first_model(X, order_value, request.param, 1, now, settings=settings, members=members)
        found.append((model, model.assign(X), rows, days_since(rows.last_at, now)))
    return found


def test_names_are_unique_at_every_month_end(named):
    assert len(named) == 12
    for model, *_ in named:
        assert len({one.name for one in model.segments}) == model.k


def test_names_are_true_of_most_members(named):
    for model, clusters, rows, silent_days in named:
        for cluster, segment in enumerate(model.segments):
            inside = clusters == cluster
            lapsed = np.mean(silent_days[inside] > model.lapse_days)
            if segment.name.startswith(LIVELY):
                assert lapsed <= 0.4 if segment.name.startswith("New") else lapsed <= 0.3
            if segment.name.startswith(LAPSED):
                assert lapsed >= 0.7
            if segment.name.startswith("Lost after one order"):
                assert np.mean(rows.orders[inside] == 1) >= 0.6
            if segment.name.startswith("Loyal"):
                assert np.mean(rows.orders[inside] > 1) >= 0.7


def test_words_are_true_of_seventy_percent(named):
    said = 0
    for model, clusters, rows, silent_days in named:
        voting = clusters >= 0
        members = Members.of(rows, model.adopted_at)
        sides = {
            "higher spend": (members.money, 1),
            "highest spend": (members.money, 1),
            "lower spend": (members.money, -1),
            "lowest spend": (members.money, -1),
            "longer ago": (silent_days, 1),
            "longest ago": (silent_days, 1),
            "more recent": (silent_days, -1),
            "most recent": (silent_days, -1),
            "more orders": (members.frequency, 1),
            "most orders": (members.frequency, 1),
            "fewer orders": (members.frequency, -1),
            "fewest orders": (members.frequency, -1),
        }
        for cluster, segment in enumerate(model.segments):
            for word, share in segment.adjectives:
                values, side = sides[word]
                assert word in segment.name
                true = np.mean(side * (values[clusters == cluster] - np.median(values[voting])) > 0)
                assert true >= 0.7
                assert share == pytest.approx(true, abs=1e-4)
                said += 1
    assert said > 0


def test_nobody_is_new_where_the_history_may_just_begin(named):
    settings = ModelSettings()
    start = named[0][2].first_at[named[0][2].orders > 0].min()
    for model, *_ in named:
        if model.adopted_at - start < (settings.new_days + model.lapse_days) * DAY:
            assert not any(one.name.startswith("New") for one in model.segments)
