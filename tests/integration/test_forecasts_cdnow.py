"""The CDNOW sample through the pipeline: the table of the BG/NBD paper, and its hold-out."""

from datetime import UTC, datetime

import pytest

from benchmarks.forecast.holdout import by_frequency, fit
from benchmarks.forecast.stream import rows_at
from benchmarks.forecast.truth import Truth
from benchmarks.in_time_order import TimeOrdered, in_slices, segments_only
from consumer.clock import wall_micros
from contracts.times import DAY, to_micros
from livesegments.parts import worker_settings
from livesegments.settings import Settings
from online_model.forecasts.orders_ahead import expected_orders
from producer.mapping import MappingRequest
from producer.replay import read_events
from tests.conftest import DATA, missing

FILE = "CDNOW_sample.txt.gz"
COLUMNS = {"customer_id": "1", "occurred_at": "3", "quantity": "4", "amount": "5"}
CUT = to_micros(datetime(1997, 10, 1, tzinfo=UTC)) // DAY
"""The day after the calibration."""


@pytest.fixture(scope="module")
def messages():
    path = DATA / FILE
    if not path.exists():
        missing(f"{FILE} is not in {DATA}")
    return list(read_events(path, MappingRequest(columns=COLUMNS, currency="USD", header=False), now=wall_micros()))


@pytest.fixture(scope="module")
def rows(messages):
    """As the worker has them at the end of 1997-09-30."""
    known = [message for message in messages if message.occurred_at < CUT * DAY]
    settings = Settings.model_validate(
        {
            "clock": "event",
            "review_inline": True,
            "currency": "USD",
            "review_interval_event": "365d",
            "k_interval_event": "365d",
        }
    )
    with TimeOrdered(segments_only(worker_settings(settings)), log_time=messages[-1].occurred_at) as deployment:
        for part in in_slices(known, 1_000, 28 * DAY):
            deployment.publish(part)
        assert not deployment.worker.figures.dead_letters
        return rows_at(deployment, CUT)


def test_the_papers_parameters_come_out_of_the_rows(rows):
    fits = fit(rows, None)
    paper = {"r": 0.243, "alpha": 4.414, "a": 0.793, "b": 2.426}  # Fader, Hardie & Lee 2005, table 2
    found = fits.lifetimes["bg/nbd"]
    assert found.customers == 2_357
    assert found.log_likelihood == pytest.approx(-9_582.4, rel=1e-5)
    for name, value in paper.items():
        assert getattr(found.model, name) == pytest.approx(value, rel=0.005)
    shown = fits.lifetimes["mbg/nbd"]
    assert shown.log_likelihood > found.log_likelihood
    assert fits.censored == 0


def test_the_holdout_is_expected_about_as_it_came(rows, messages):
    truth = Truth(messages)
    fits = fit(rows, None)
    weeks = (truth.last_day + 1 - CUT) / 7
    assert weeks == 39
    actual = truth.purchase_days(rows.customers, CUT, truth.last_day + 1)
    expected = {family: expected_orders(one.model, rows.purchases, weeks) for family, one in fits.lifetimes.items()}
    lines = by_frequency(rows, actual, expected)
    # As published of the paper's model, by repeat purchases in the first 39 weeks.
    published = [0.225, 0.523, 1.044, 1.520, 2.164, 2.654, 3.504, 6.157]
    assert [line["bg/nbd"] for line in lines[:-1]] == pytest.approx(published, abs=0.002)
    for family in expected:
        assert lines[-1][family] == pytest.approx(lines[-1]["actual"], rel=0.2)
