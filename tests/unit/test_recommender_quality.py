"""What an item review learns on real purchases: each customer's first order after a date, by what came before it."""

import numpy as np
import pandas as pd
import pytest

from contracts.times import DAY
from recommender.history import History
from recommender.item_model import NumberedItems
from recommender.item_review import ItemReview
from recommender.popularity import ItemPopularity
from recommender.ranking import Reason, rank
from recommender.settings import MAX_LINES_KEPT, RecommenderSettings

CUT = pd.Timestamp("2011-11-02 12:26")
DISCOUNT = 1 / np.log2(np.arange(2, 12))


@pytest.fixture(scope="module")
def lines(data_folder):
    table = pd.read_parquet(data_folder / "online_retail_2010_2011.parquet").dropna(subset="CustomerID")
    is_product = table.StockCode.str.match(r"\d{5}")
    codes, ids = pd.factorize(table.StockCode)
    table = table.assign(item=codes, bought=is_product & (table.Quantity > 0))
    allowed = np.zeros(table.item.max() + 1, np.bool_)
    allowed[table.item[is_product].unique()] = True
    return table.sort_values("InvoiceDate", kind="stable"), allowed, ids.tolist()


def ndcg(lists: dict[int, list[int]], relevant: dict[int, set[int]]) -> float:
    """Mean NDCG@10 over the customers for whom anything is relevant."""
    gains = [
        sum(DISCOUNT[place] for place, item in enumerate(lists[customer][:10]) if item in items)
        / DISCOUNT[: min(10, len(items))].sum()
        for customer, items in relevant.items()
        if items and customer in lists
    ]
    assert len(gains) > 1_000
    return float(np.mean(gains))


@pytest.mark.slow
def test_what_is_learnt_beats_popularity_and_own_history(lines):
    table, allowed, ids = lines
    settings, now = RecommenderSettings(), CUT.value // 1_000
    past, future = table[table.InvoiceDate < CUT], table[(table.InvoiceDate >= CUT) & table.bought]
    first = future.groupby("CustomerID").InvoiceNo.transform("first")
    order = {c: set(items) for c, items in future[future.InvoiceNo == first].groupby("CustomerID").item}
    owned = {c: set(items) for c, items in past[past.bought].groupby("CustomerID").item}
    new_in_order = {c: items - owned.get(c, set()) for c, items in order.items()}

    kept = past.groupby("CustomerID").tail(MAX_LINES_KEPT).sort_values("CustomerID", kind="stable")
    numbers, customers = pd.factorize(kept.CustomerID)
    history = History(
        numbers.astype(np.int32),
        kept.item.to_numpy(np.int32),
        kept.InvoiceDate.astype("datetime64[us]").astype("int64").to_numpy(),
        kept.Quantity.to_numpy(np.int32),
    )
    slots = np.zeros(len(customers), np.int32)

    def popular_in(half_life):
        popularity = ItemPopularity(half_life)
        popularity.revise(History.empty(), slots, history, slots)
        return popularity.popular(
            now, allowed, shrinkage=settings.segment_shrinkage, depth=settings.popular_depth + len(allowed)
        )

    def lists(model):
        ranked = rank(
            history, slots, popular_in(settings.popularity_half_life), allowed, now, n=settings.list_length, model=model
        )
        listed = list(zip(customers, ranked.items.tolist(), ranked.reasons.tolist(), strict=True))
        everything = {c: [i for i in items if i >= 0] for c, items, _ in listed}
        discover, again = {}, {}
        for c, items, reasons in listed:
            pairs = [(i, r) for i, r in zip(items, reasons, strict=True) if i >= 0]
            discover[c] = [i for i, r in pairs if r != Reason.AGAIN]
            again[c] = [i for i, r in pairs if r == Reason.AGAIN]
        return everything, discover, again

    review = ItemReview.of(history.where(allowed[history.items]), ids, now, settings, allowed)
    model = review()
    places = {item: place for place, item in enumerate(ids)}
    everything, discover, again = lists(model.numbered(np.array([places[item] for item in model.ids], np.int32)))
    _, popular_only, _ = lists(NumberedItems.none())
    thirty_days = popular_in(30 * DAY).top(-1, len(allowed))[0].tolist()
    popular_new = {c: [i for i in thirty_days if i not in owned.get(c, ())][:10] for c in customers}

    assert ndcg(everything, order) > 0.295
    assert ndcg(everything, order) > ndcg(again, order)
    assert ndcg(everything, order) > 2 * ndcg(dict.fromkeys(customers, thirty_days), order)
    assert ndcg(discover, new_in_order) > 0.1
    assert ndcg(discover, new_in_order) > 1.3 * max(ndcg(popular_only, new_in_order), ndcg(popular_new, new_in_order))
