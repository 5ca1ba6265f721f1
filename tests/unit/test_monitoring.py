"""What a worker shows over HTTP, and what it makes of what it sees."""

import logging
import socket
import threading
import time
import urllib.error
import urllib.request
from contextlib import closing
from types import SimpleNamespace

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse

from consumer.patience import Patience
from consumer.state import StateUnavailableError
from livesegments.log_noise import MOST_A_MINUTE, Noise
from livesegments.monitoring.health import ALIVE_SECONDS, RECENT_SECONDS, Health
from livesegments.monitoring.metrics import WorkerMetrics, registry
from livesegments.monitoring.monitor import Monitor, monitored
from livesegments.monitoring.server import AddressError, serving
from livesegments.settings import Settings
from livesegments.sources import load_settings
from logs.redis_server import free_port
from tests.in_process import LOG_TIME, SECONDS, InProcess, fixed_model, step_until
from tests.unit.test_freshness import purchase

HERE = "127.0.0.1:0"


class Hands:
    """A clock that is set by hand."""

    def __init__(self):
        self.at = 1_000.0

    def __call__(self):
        return self.at


def patience() -> Patience:
    return Patience(threading.Event())


def standing(**differently):
    """A worker as health sees it, in the best of shapes."""
    return SimpleNamespace(**{"patience": patience(), "log_answers": True, "holds_assigned": True} | differently)


def get(address: str, path: str, accept: str = "*/*") -> tuple[int, str]:
    asked = urllib.request.Request(f"http://{address}{path}", headers={"Accept": accept})
    try:
        with urllib.request.urlopen(asked, timeout=10) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with closing(error):
            return error.code, error.read().decode()


# ---- alive ----


def test_a_loop_that_turns_is_alive_and_one_that_stands_still_is_not():
    hands = Hands()
    health = Health(300, patience(), hands)
    hands.at += ALIVE_SECONDS + 1
    assert not health.alive().ok
    health.turned(standing())
    assert health.alive().ok
    hands.at += ALIVE_SECONDS + 1
    assert health.alive().text == "the loop has stood still for 181 s"


def test_who_waits_for_a_server_is_alive_and_not_ready():
    """A restart would not bring the server back."""
    hands = Hands()
    worker = standing()
    health = Health(300, patience(), hands)
    health.turned(worker)
    health.look(worker, 0.0)
    assert health.ready().ok
    hands.at += ALIVE_SECONDS + 1
    worker.patience.failed_at, worker.patience.waiting_for = hands.at - 1, "checkpoint"
    assert health.alive().ok
    assert health.ready().text == "a server does not answer: checkpoint"


def test_patience_tells_what_it_waits_for_while_it_does():
    waiting = patience()
    seen = []

    def call():
        seen.append(waiting.waiting_for)
        if len(seen) < 3:
            raise StateUnavailableError("away")

    waiting.try_until_done("claim", call)
    assert (seen, waiting.waiting_for) == ([None, "claim", "claim"], None)
    assert waiting.failed_at > 0


# ---- ready ----


def test_before_the_first_look_nobody_is_ready():
    assert Health(300, patience()).ready().text == "starting"


@pytest.mark.parametrize(
    ("worker", "lag_seconds", "text"),
    [
        ({}, 0.0, "ready"),
        ({}, 300.0, "ready"),
        ({"log_answers": False}, 0.0, "the log does not answer"),
        ({"holds_assigned": False}, 0.0, "partitions are being claimed"),
        ({}, None, "the lag is not known yet"),
        ({}, 301.0, "301 s behind the log and not catching up"),
    ],
)
def test_what_makes_ready(worker, lag_seconds, text):
    health = Health(300, patience())
    worker = standing(**worker)
    health.turned(worker)
    health.look(worker, lag_seconds)
    assert health.ready().text == text
    assert health.ready().ok == (text == "ready")


def test_a_server_that_failed_just_now_is_not_counted_on():
    hands = Hands()
    worker = standing()
    health = Health(300, patience(), hands)
    health.turned(worker)
    worker.patience.failed_at = hands.at
    health.look(worker, 0.0)
    assert not health.ready().ok
    hands.at += RECENT_SECONDS
    health.look(worker, 0.0)
    assert health.ready().ok


def test_who_is_far_behind_and_catches_up_is_ready_until_it_stops_doing_so():
    hands = Hands()
    worker = standing()
    health = Health(300, patience(), hands)
    health.turned(worker)
    health.look(worker, 5000.0)
    assert not health.ready().ok
    hands.at += 1
    health.look(worker, 4000.0)
    assert health.ready().text == "catching up"
    for _ in range(61):
        hands.at += 1
        health.look(worker, 4000.0)
    assert not health.ready().ok


# ---- the server ----


def test_the_server_answers_what_it_is_asked_and_nothing_else():
    hands = Hands()
    health = Health(300, patience(), hands)
    with serving(HERE, health, registry(WorkerMetrics(health))) as address:
        assert get(address, "/healthz") == (200, "alive\n")
        assert get(address, "/readyz") == (503, "starting\n")
        worker = standing()
        health.turned(worker)
        health.look(worker, 1.0)
        assert get(address, "/readyz?verbose") == (200, "ready\n")
        hands.at += ALIVE_SECONDS + 1
        assert get(address, "/healthz")[0] == 503
        assert get(address, "/readyz")[0] == 503
        assert get(address, "/")[0] == 404
        assert get(address, "/metrics/../../etc/passwd")[0] == 404
    with pytest.raises(OSError, match="refused"):
        get(address, "/healthz")


def test_a_client_that_says_nothing_holds_nobody_up():
    health = Health(300, patience())
    with serving(HERE, health, registry(WorkerMetrics(health))) as address:
        host, port = address.split(":")
        with socket.create_connection((host, int(port))):
            assert get(address, "/healthz")[0] == 200


def test_a_port_that_is_taken_is_an_error_that_says_what_to_do():
    health = Health(300, patience())
    told = registry(WorkerMetrics(health))
    with (
        serving(HERE, health, told) as address,
        pytest.raises(AddressError, match=r"metrics_address: can not listen at .* choose a port"),
        serving(address, health, told),
    ):
        pass


def test_without_an_address_nothing_listens_and_a_step_is_left_alone():
    before = threading.active_count()
    with monitored(Settings(), patience()) as monitor:
        assert threading.active_count() == before
        monitor(None)


def test_with_an_address_a_thread_of_its_own_answers():
    with monitored(Settings(metrics_address=HERE), patience()):
        assert "monitoring" in {thread.name for thread in threading.enumerate()}
    assert "monitoring" not in {thread.name for thread in threading.enumerate()}


def test_ready_lag_is_what_the_settings_say():
    now = [LOG_TIME]
    shop = InProcess()
    worker = shop.worker(wall=lambda: now[0])
    step_until(worker, lambda: len(worker.memory.held) == 2)
    for ready_lag, status in (("1m", 200), ("9s", 503)):
        address = f"127.0.0.1:{free_port()}"
        settings = load_settings(
            flags={"metrics_address": address, "ready_lag": ready_lag, "figures_interval": "100ms"}
        )
        with monitored(settings.settings, patience()) as monitor:
            monitor(worker)
            shop.publish(purchase(1))
            now[0] += 10_000_000
            deadline = time.monotonic() + SECONDS
            while "livesegments_lag_seconds 10.0" not in get(address, "/metrics")[1]:
                assert time.monotonic() < deadline
                monitor(worker)
            assert get(address, "/readyz")[0] == status
        shop.run(worker)
    worker.close()


# ---- figures ----


def figures(text: str) -> dict[str, float]:
    """Samples of ours by name, with the value of their label."""
    return {
        ":".join((sample.name, *sample.labels.values())): sample.value
        for family in parse(text)
        for sample in family.samples
        if sample.name.startswith("livesegments_")
    }


def test_what_a_worker_did_can_be_read_over_http():
    shop = InProcess()
    worker = shop.worker(wall=lambda: LOG_TIME + 2_000_000)
    health = Health(300, patience())
    metrics = WorkerMetrics(health)
    monitor = Monitor(health, metrics, interval=0.0)
    with serving(HERE, health, registry(metrics)) as address:
        assert "livesegments_customers" not in get(address, "/metrics")[1]
        shop.publish(*(purchase(number) for number in range(40)), purchase(1), b'{"customer_id": "c1"}')
        step_until(worker, lambda: monitor(worker) or worker.idle)
        status, text = get(address, "/metrics")
        assert status == 200
        told = figures(text)
        assert get(address, "/readyz") == (200, "ready\n")
        openly = get(address, "/metrics", "application/openmetrics-text; version=1.0.0")[1]
        assert {family.name for family in parse_openmetrics(openly)} >= {"livesegments_events"}
    assert told["livesegments_events_total:purchase"] == 40
    assert told["livesegments_events_total:erase"] == 0
    assert told["livesegments_ignored_events_total:repeated"] == 1
    assert told["livesegments_dead_letters_total:unknown-type"] == 1
    assert told["livesegments_customers"] == 7
    assert told["livesegments_partitions"] == 2
    assert told["livesegments_lag_events"] == told["livesegments_lag_seconds"] == 0
    assert told["livesegments_freshness_seconds_bucket:1.0"] == 0
    assert told["livesegments_freshness_seconds_bucket:2.5"] == told["livesegments_freshness_seconds_count"] == 42
    assert told["livesegments_views_written_total"] == worker.memory.views.figures.written
    assert told["livesegments_checkpoints_total"] == worker.figures.checkpoints
    assert told["livesegments_ready"] == 1
    assert "process_resident_memory_bytes" in text
    worker.close()


def test_versions_and_ages_are_told_once_there_is_a_model():
    shop = InProcess()
    shop.adopt(fixed_model())
    worker = shop.worker()
    shop.publish(*(purchase(number) for number in range(9)))
    shop.run(worker)
    metrics = WorkerMetrics(Health(300, patience()))
    metrics.look(worker, 0.0)
    told = {sample.name: sample.value for metric in metrics.collect() for sample in metric.samples}
    assert told["livesegments_model_version"] == 1
    assert told["livesegments_model_age_seconds"] == (worker.clock.now - fixed_model().adopted_at) / 1e6
    worker.close()


def test_while_the_loop_waits_for_a_server_it_is_told_so():
    """The other figures stand still then."""
    shop = InProcess()
    worker = shop.worker()
    hands = Hands()
    health = Health(300, patience(), hands)
    metrics = WorkerMetrics(health)
    step_until(worker, lambda: worker.idle)
    Monitor(health, metrics, interval=0.0)(worker)

    def told():
        return {sample.name: sample.value for metric in metrics.collect() for sample in metric.samples}

    assert (told()["livesegments_ready"], told()["livesegments_loop_age_seconds"]) == (1, 0)
    worker.patience.waiting_for, worker.patience.failed_at = "checkpoint", hands.at
    hands.at += 7
    assert (told()["livesegments_ready"], told()["livesegments_loop_age_seconds"]) == (0, 7)
    worker.close()


# ---- noise ----


def line(number: int, logger: str = "redis.client", text: str = "down %s") -> logging.LogRecord:
    return logging.LogRecord(logger, logging.ERROR, __file__, number, text, ("again",), None)


def test_so_many_lines_of_a_kind_a_minute_then_how_many_were_held_back():
    hands = Hands()
    noise = Noise(most=3, monotonic=hands)
    assert [noise.filter(line(1)) for _ in range(5)] == [True] * 3 + [False] * 2
    assert noise.filter(line(2)), "another kind"
    hands.at += 60
    later = line(1)
    assert noise.filter(later)
    assert later.getMessage() == "down again (and 2 more like this)"
    next_one = line(1)
    assert noise.filter(next_one)
    assert next_one.getMessage() == "down again"


def test_our_own_lines_all_pass():
    noise = Noise()
    assert all(noise.filter(line(1, "livesegments.worker")) for _ in range(10 * MOST_A_MINUTE))


def test_kinds_without_number_do_not_fill_memory():
    noise = Noise()
    for number in range(5_000):
        noise.filter(line(number))
    assert len(noise._kinds) <= 1_000
