"""The replay of the real file, held against a batch computation that shares no code with it."""

from collections import defaultdict

import pandas as pd
import pytest

from contracts.events import Purchase, Return, encode_event, parse_event
from contracts.money import to_millionths
from contracts.times import to_micros
from producer.presets import ONLINE_RETAIL_NON_PRODUCTS
from producer.replay import read_events

NOW = 1_800_000_000_000_000


@pytest.fixture(scope="module")
def file(data_folder):
    return data_folder / "online_retail_2010_2011.parquet"


@pytest.fixture(scope="module")
def replayed(file):
    replay = read_events(file, now=NOW)
    return replay, [(message, parse_event(message.value)) for message in replay]


@pytest.fixture(scope="module")
def batch(file):
    frame = pd.read_parquet(file)
    frame = frame[frame["CustomerID"].notna() & (frame["UnitPrice"] >= 0) & (frame["Quantity"] != 0)]
    frame = frame.assign(
        customer=frame["CustomerID"].astype(int).astype(str),
        back=(frame["Quantity"] < 0) | frame["InvoiceNo"].str.startswith("C"),
        units=frame["Quantity"].abs(),
    )
    return frame.assign(amount=(frame["UnitPrice"] * 1e6).round().astype("int64") * frame["units"])


def test_totals_are_those_of_the_file(replayed):
    summary = replayed[0].summary
    assert (summary.rows, summary.skipped) == (541_909, {"no customer": 135_080})
    assert summary.lines == 541_909 - 135_080
    assert summary.customers == 4_372
    assert summary.not_sent == ()
    assert summary.preset == "Online Retail"


def test_every_customer_has_what_a_batch_computation_says(replayed, batch):
    got = defaultdict(lambda: defaultdict(int))
    times = defaultdict(lambda: defaultdict(list))
    for _, event in replayed[1]:
        customer = got[event.customer_id]
        amount = sum(line.quantity * to_millionths(line.unit_price) for line in event.lines)
        back = isinstance(event, Return)
        customer["returns" if back else "orders"] += 1
        customer["refunds" if back else "spend"] += amount
        customer["units_back" if back else "units"] += sum(line.quantity for line in event.lines)
        times[event.customer_id][back].append(to_micros(event.occurred_at))

    assert set(got) == set(batch["customer"])
    for back, count, money, units in ((False, "orders", "spend", "units"), (True, "returns", "refunds", "units_back")):
        part = batch[batch["back"] == back]
        by = part.groupby("customer")
        expected = pd.DataFrame({count: by["InvoiceNo"].nunique(), money: by["amount"].sum(), units: by["units"].sum()})
        first = by["InvoiceDate"].min()
        # Of each order the first timestamp counts, hence the last purchase is the latest of these.
        last = part.groupby(["customer", "InvoiceNo"])["InvoiceDate"].min().groupby("customer").max()
        with_some = {customer for customer, totals in got.items() if totals[count]}
        assert with_some == set(expected.index)
        for row in expected.itertuples():
            assert {name: got[row.Index][name] for name in (count, money, units)} == {
                count: getattr(row, count),
                money: getattr(row, money),
                units: getattr(row, units),
            }
            seen = times[row.Index][back]
            assert (min(seen), max(seen)) == (first[row.Index].value // 1000, last[row.Index].value // 1000)
    assert sum(1 for totals in got.values() if not totals["orders"]) == 33


def test_the_months_of_the_summary_add_up(replayed, batch):
    summary = replayed[0].summary
    orders = batch.groupby(["back", "InvoiceNo"]).agg(at=("InvoiceDate", "min"), amount=("amount", "sum")).reset_index()
    orders["month"] = orders["at"].dt.strftime("%Y-%m")
    expected = orders.groupby(["month", "back"])["amount"].agg(["size", "sum"])
    assert [month.month for month in summary.months] == sorted(orders["month"].unique())
    for month in summary.months:
        assert (month.orders, month.spend) == tuple(expected.loc[(month.month, False)])
        assert (month.returns, month.refunds) == tuple(expected.loc[(month.month, True)])
    assert summary.spend("GBP") == batch.loc[~batch["back"], "amount"].sum()


def test_messages_are_as_the_contract_writes_them_and_sorted_by_time(replayed):
    messages = replayed[1]
    assert all(encode_event(event) == message.value for message, event in messages)
    assert all(message.key == event.customer_id.encode() for message, event in messages)
    times = [message.occurred_at for message, _ in messages]
    assert times == sorted(times)
    ids = [event.event_id for _, event in messages]
    assert len(set(ids)) == len(ids)
    assert {type(event) for _, event in messages} == {Purchase, Return}


def test_what_is_no_merchandise_is_known(batch):
    items = batch["StockCode"].drop_duplicates()
    pattern = "|".join(ONLINE_RETAIL_NON_PRODUCTS)
    refused = set(items[items.str.contains(pattern, case=False, regex=True)])
    assert refused == {"POST", "D", "C2", "M", "BANK CHARGES", "PADS", "DOT", "CRUK", "23444", "23574"}
