"""A year of Online Retail through the whole worker, in time order: as good as batch clustering, and calm."""

import pytest

from benchmarks.segmentation import replay, report
from consumer.clock import wall_micros
from livesegments.settings import Settings
from producer.replay import read_events
from tests.online_retail import FILE

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def messages(data_folder):
    return list(read_events(data_folder / FILE, now=wall_micros()))


@pytest.fixture(scope="module", params=[5])  # 3, 4, 6 and 8: tests/unit/test_online_model_retail.py, the benchmark
def figures(request, messages):
    settings = Settings.model_validate(
        {"clock": "event", "review_inline": True, "k": request.param, "k_interval_event": "1000d"}
    )
    return report(replay(messages, settings, most=100, rivals=False))


def test_as_good_as_batch_k_means_at_every_moment(figures):
    assert len(figures["inertia_ratios"]) == 10
    assert figures["inertia_ratio_median"] <= 1.005
    assert figures["inertia_ratio_worst"] <= 1.02
    assert figures["model_versions"] <= 100


def test_who_does_not_buy_keeps_the_segment(figures):
    assert figures["kept_per_day"] >= 0.99
    assert figures["kept_per_14_days"] >= 0.90


def test_every_move_has_its_cause_and_no_id_is_reused(figures):
    assert figures["moves_unexplained"] == 0
    assert figures["ids_reused"] == 0
