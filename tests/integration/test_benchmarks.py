"""Every benchmark of speed runs, small: what comes out has the figures that it publishes, and they fit together."""

import pytest

from benchmarks import backlog, freshness, scale, throughput, views
from tests.servers.secured import kafka_security_of_tests


@pytest.fixture(autouse=True)
def servers(kafka_bootstrap, one_redis_url, monkeypatch):
    if kafka_security_of_tests() is not None:
        pytest.skip("benchmarks do not log in")
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", kafka_bootstrap)
    monkeypatch.setenv("REDIS_URL", one_redis_url)


def test_throughput():
    figures = throughput.run(1_000, 1, None, ())
    assert figures["events"] == 1_000
    assert figures["times_naive"] > 0
    assert figures["share_of_raw_poll"] > 0
    assert figures["workers"] == 2
    assert figures["workers_times_naive"] == pytest.approx(
        figures["workers_events_per_s"] / figures["naive_events_per_s"], rel=0.01
    )
    assert figures["views_up_to_date_s"] >= 0
    stages = figures["processor_s_per_million"]
    assert stages["decode"] > 0
    assert stages["make views"] > 0
    assert sum(stages.values()) == pytest.approx(figures["processor_s_per_million_in_all"], abs=0.1)


def test_freshness():
    (figures,) = freshness.run([freshness.rate_of("1%")], 1.0, history=1_500, warm_up=0.5)
    assert figures["rate"] == round(figures["maximum"] / 100)
    assert figures["views"] >= 1
    assert figures["missing"] == 0
    assert 0 < figures["p50_ms"] <= figures["p99_ms"] <= figures["p999_ms"] <= figures["max_ms"]


def test_views():
    figures = views.run(customers=300, items=50, repeat=1)
    assert figures["customers"] == 300
    assert figures["items_learnt"] > 0
    assert figures["items_in_a_view"] > 10
    assert figures["views_per_s"] > 0
    assert 0 < figures["share_of_redis_py"] < 2


def test_backlog():
    figures = backlog.run(minutes=0.1, rate=100, customers=100)
    assert figures["backlog_events"] == 600
    assert figures["events_per_s"] > 0
    assert figures["views_after_rows_s"] >= 0
    seconds, waiting, age = figures["looks"][-1]
    assert seconds >= figures["views_up_to_date_s"]
    assert waiting <= 100
    assert age < 1.0


def test_scale(monkeypatch):
    monkeypatch.setattr(scale, "AROUND_SECONDS", 0.5)
    (figures,) = scale.run([100], items=300, events=500, few=100)
    assert figures["customers"] == 100
    assert figures["throughput_vs_10k"] == 1.0
    assert figures["moved_partitions"] == 6
    for figure in ("worker_mib", "redis_mib", "views_per_s", "us_per_event_alone", "events_per_s", "hand_over_pause_s"):
        assert figures[figure] > 0
    assert figures["load_s"] >= 0
    assert figures["sweep_s"] >= 0
