"""All customers as a DataFrame: the same as an export of them."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

import livesegments
from consumer.redis_state import RedisState
from contracts.events import Profile, Purchase
from contracts.keys import Keys
from contracts.model import FeatureColumn
from contracts.times import DAY, from_micros
from livesegments.export import export_customers
from livesegments.load import read_customers
from livesegments.settings import Settings
from livesegments.sources import SettingsError
from online_model.metric import Metric
from online_model.settings import ModelSettings
from recommender.redis_open import open_redis
from tests.in_process import START, InProcess, fixed_model

SETTINGS = Settings(clock="event")


def fill(shop):
    if shop.state.model() is None:
        shop.adopt(fixed_model())
    for number in range(40):
        shop.publish(
            Purchase(
                event_id=f"{number}:purchase",
                customer_id=f"c{number}",
                occurred_at=from_micros(START + number * DAY // 8),
                order_id=str(number),
                lines=[{"item_id": "a", "quantity": 1 + number % 7, "unit_price": 1.5}],
                currency="GBP",
            )
        )
    for number in range(30, 60):
        shop.publish(
            Profile(
                event_id=f"{number}:profile",
                customer_id=f"c{number}",
                occurred_at=from_micros(START),
                attributes={"age": 20 + number, "city": "Zürich"},
            )
        )
    shop.run()


def sorted_by_id(frame):
    return frame.sort_values("customer_id").reset_index(drop=True)


def test_a_frame_of_all_customers_is_what_an_export_writes(tmp_path):
    shop = InProcess()
    fill(shop)
    frame = read_customers(shop.state, SETTINGS)
    assert len(frame) == 60
    assert {"spend", "segment_name", "age", "city", "feature_recency", "cluster"} <= set(frame.columns)
    assert frame["segment_id"].dtype == "Int32"
    assert frame.set_index("customer_id").loc["c9", ["orders", "spend"]].tolist() == [1, 4.5]
    export_customers(tmp_path / "all.parquet", shop.state, SETTINGS)
    exported = pd.read_parquet(tmp_path / "all.parquet")
    assert list(exported.columns) == list(frame.columns)
    pd.testing.assert_frame_equal(sorted_by_id(exported), sorted_by_id(frame), check_dtype=False)


def test_a_sample_is_a_part_of_all():
    shop = InProcess()
    fill(shop)
    everybody = sorted_by_id(read_customers(shop.state, SETTINGS))
    some = sorted_by_id(read_customers(shop.state, SETTINGS, buckets=400))
    assert 0 < len(some) < len(everybody)
    found = everybody[everybody["customer_id"].isin(some["customer_id"])].reset_index(drop=True)
    pd.testing.assert_frame_equal(found[some.columns], some)


def test_nobody_yet():
    frame = read_customers(InProcess().state, SETTINGS)
    assert frame.empty
    assert "customer_id" in frame.columns


def test_from_settings_as_on_the_command_line(redis_url, one_redis_url, unique, monkeypatch, tmp_path):
    client = open_redis(redis_url)
    fill(InProcess(state=RedisState(client, Keys(unique)), prefix=unique))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LIVESEGMENTS_REDIS_URL", redis_url)
    monkeypatch.setenv("LIVESEGMENTS_LOG_URL", one_redis_url)
    (tmp_path / "mine.toml").write_text(f'key_prefix = "{unique}"\n')
    assert len(livesegments.load_customers(key_prefix=unique, clock="event")) == 60
    assert len(livesegments.load_customers("mine.toml")) == 60
    assert livesegments.load_customers().empty
    with pytest.raises(SettingsError, match="key_prefix"):
        livesegments.load_customers(key_prefix="{}")


def test_features_made_of_attributes():
    shop = InProcess(model=ModelSettings(features=("attributes.age",)))
    shop.adopt(
        replace(
            fixed_model(),
            features=("attributes.age",),
            columns=(FeatureColumn(name="attributes.age", attribute="age"),),
            metric=Metric(np.zeros(1), np.ones(1)),
            centroids=np.array([[30.0], [50.0], [71.0]]),
        )
    )
    fill(shop)
    frame = read_customers(shop.state, Settings(clock="event", features=("attributes.age",))).set_index("customer_id")
    aged = frame["age"].notna()
    assert (frame["feature_attributes.age"] - frame["age"])[aged].abs().max() < 0.1  # capped at its extremes
    assert (frame["cluster"].notna() == aged).all()
    assert len(frame["cluster"].dropna().unique()) > 1
