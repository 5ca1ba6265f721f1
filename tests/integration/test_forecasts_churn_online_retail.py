"""Online Retail day by day: churn learned online is as good as a batch model trained on all that has matured."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from sklearn.ensemble import HistGradientBoostingClassifier
from threadpoolctl import threadpool_limits

from benchmarks.forecast.scoring import auc, calibration_error
from contracts.times import DAY, to_micros
from online_model.features import MISSING_TIME
from online_model.forecasts.churn import Churn, customer_keys
from online_model.forecasts.churn_features import churn_features
from tests.conftest import DATA, missing
from tests.online_retail import FILE

CUT = to_micros(pd.Timestamp("2011-06-30", tz="UTC").to_pydatetime()) // DAY
SNAPSHOT_DAYS = 14


class Shop:
    """The rows' columns, learnt in order from orders made by pandas alone."""

    def __init__(self, path):
        lines = pd.read_parquet(path, columns=["InvoiceNo", "InvoiceDate", "Quantity", "UnitPrice", "CustomerID"])
        lines = lines[lines.CustomerID.notna() & (lines.UnitPrice >= 0)]
        back = lines.InvoiceNo.astype(str).str.startswith("C") | (lines.Quantity < 0)
        lines = lines.assign(back=back, amount=lines.UnitPrice.astype(float) * lines.Quantity.abs())
        orders = lines.groupby(["CustomerID", "InvoiceNo", "back"], as_index=False).agg(
            at=("InvoiceDate", "min"), amount=("amount", "sum")
        )
        orders = orders.sort_values("at", kind="stable")
        codes, names = pd.factorize(orders.CustomerID.astype("int64").astype(str))
        self.names = np.array(names)
        times = orders["at"].astype("datetime64[us]").astype("int64")
        self.orders = list(
            zip(codes.tolist(), times.tolist(), orders.back.tolist(), orders.amount.tolist(), strict=True)
        )
        self.first_day, self.last_day = int(times.iloc[0]) // DAY, int(times.iloc[-1]) // DAY
        n, self._next = len(names), 0
        self.columns = {name: np.full(n, MISSING_TIME) for name in ("first_at", "last_at", "newest_at")}
        self.columns |= {name: np.zeros(n) for name in ("purchase_days", "orders_decayed", "spend", "refunds")}

    def learn_until(self, day):
        """Everything before a day."""
        c = self.columns
        while self._next < len(self.orders) and self.orders[self._next][1] < day * DAY:
            who, at, back, amount = self.orders[self._next]
            self._next += 1
            if c["newest_at"][who] != MISSING_TIME:
                c["orders_decayed"][who] *= 2.0 ** (-(at - c["newest_at"][who]) / (365 * DAY))
            c["newest_at"][who] = at
            if back:
                c["refunds"][who] += amount
                continue
            c["spend"][who] += amount
            c["orders_decayed"][who] += 1
            if c["first_at"][who] == MISSING_TIME:
                c["first_at"][who] = at
            if c["last_at"][who] // DAY != at // DAY:
                c["purchase_days"][who] += 1
            c["last_at"][who] = at

    def buyers(self, start, end):
        """Who bought from one day to the day before another."""
        return [who for who, at, back, _ in self.orders if not back and start * DAY <= at < end * DAY]

    def features(self, who, day):
        return churn_features(
            SimpleNamespace(**{name: column[who] for name, column in self.columns.items()}), day * DAY
        )


@pytest.fixture(scope="module")
def shop():
    path = DATA / FILE
    if not path.exists():
        missing(f"{FILE} is not in {DATA}")
    return Shop(path)


def test_as_good_as_a_batch_model_and_calibrated(shop):
    churn = Churn(seed=1)
    keys = customer_keys(shop.names.tolist())
    rising = np.argsort(keys)
    snapshots, X, said, left = [], [], [], []
    for day in range(shop.first_day + 1, shop.last_day + 2):
        shop.learn_until(day)
        now = day * DAY - 1  # nothing of the day itself is known
        bought = rising[shop.columns["purchase_days"][rising] > 0]
        first_at, last_at = (shop.columns[name][bought] for name in ("first_at", "last_at"))
        for over in churn.turn(now, keys[bought], shop.features(bought, day), first_at, last_at, heard=now):
            assert over.known.all()
            if over.cohort.start >= (CUT + 1) * DAY - 1:
                assert over.cohort.shown
                X.append(over.cohort.X)
                said.append(over.cohort.stated["logistic"])
                left.append(over.left)
        if (day - shop.first_day) % SNAPSHOT_DAYS == 0 and day + churn.days <= CUT + 1:
            snapshots.append((bought, shop.features(bought, day), day))
    # The batch model gets everybody's features every other week, with the labels that had matured at the cut.
    labels = [~np.isin(who, shop.buyers(day, day + churn.days)) for who, _, day in snapshots]
    model = HistGradientBoostingClassifier(
        max_iter=80, max_leaf_nodes=8, learning_rate=0.05, min_samples_leaf=40, early_stopping=False, random_state=1
    )
    with threadpool_limits(1):
        model.fit(np.concatenate([features for _, features, _ in snapshots]), np.concatenate(labels))
        batch = model.predict_proba(np.concatenate(X))[:, 1]
    p, y = np.concatenate(said), np.concatenate(left)
    assert len(y) > 2_000
    assert auc(p, y) >= auc(batch, y) - 0.02
    assert auc(p, y) > 0.72
    assert calibration_error(p, y) <= 0.05
    live = churn.scores["logistic"]
    assert len(live) > len(y)  # it was shown before the cut, too
    assert live.auc > 0.7
