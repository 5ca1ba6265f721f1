"""What is shipped for Prometheus, Grafana and Docker names what a worker tells, and only that."""

import json
import random
import re
import shutil
import ssl
import subprocess
from pathlib import Path

import pytest

from consumer.clock import wall_micros
from livesegments.audience_sync.contacts import LeftOut
from livesegments.audience_sync.running import Schedule
from livesegments.audience_sync.syncing import Synced
from livesegments.audience_sync.syncs import read_syncs
from livesegments.monitoring.audience_syncs import SyncMetrics
from livesegments.monitoring.health import Health
from livesegments.monitoring.metrics import WorkerMetrics
from livesegments.monitoring.webhooks import WebhookHealth, WebhookMetrics
from livesegments.webhooks.delivery import Delivery, Source
from livesegments.webhooks.dispatching import Dispatcher
from livesegments.webhooks.endpoints import Endpoint
from livesegments.webhooks.filtering import Filter, SegmentNames
from livesegments.webhooks.memory_ledger import MemoryLedger
from livesegments.webhooks.retrying import RetryPolicy
from livesegments.webhooks.running import Running
from livesegments.webhooks.sending import Sender
from logs.memory import MemoryLogs
from tests.conftest import missing
from tests.in_process import InProcess, fixed_model
from tests.unit.test_freshness import purchase

ROOT = Path(__file__).parents[2]
ALERTS = ROOT / "monitoring" / "alerts.yml"
DASHBOARD = ROOT / "monitoring" / "grafana" / "dashboards" / "livesegments.json"
OPERATIONS = ROOT / "docs" / "operations.md"

ITEMS = {"livesegments_item_model_version", "livesegments_item_model_age_seconds"}
"""Told once items were learnt, which nine purchases are too few for."""


@pytest.fixture(scope="module")
def told() -> set[str]:
    """Every name under which a worker gives figures."""
    shop = InProcess()
    shop.adopt(fixed_model())
    worker = shop.worker()
    shop.publish(*(purchase(number) for number in range(9)))
    shop.run(worker)
    metrics = WorkerMetrics(Health(300, worker.patience))
    metrics.look(worker, 0.0)
    worker.close()
    told = [*metrics.collect(), *webhook_metrics().collect(), *sync_metrics().collect()]
    return {sample.name for metric in told for sample in metric.samples} | ITEMS


def sync_metrics() -> SyncMetrics:
    """Those of a sync that was done once."""
    chosen = read_syncs({"crm": {"audience": "Big", "to": "/x"}}, plain_http=False)
    schedule = Schedule(chosen, {}, lambda _: Synced(None, None, 3, LeftOut()))
    schedule.work(1)
    metrics = SyncMetrics()
    metrics.look(schedule)
    return metrics


def webhook_metrics() -> WebhookMetrics:
    """Those of an endpoint that is told of nothing yet, and knows how far behind it is."""
    endpoint = Endpoint("crm", "https://crm.example/", ())
    sender = Sender(endpoint, [b"k" * 24], ssl.create_default_context(), 1.0)
    dispatcher = Dispatcher(endpoint, sender, RetryPolicy(), wall_micros, random.Random(1))
    source = Source(MemoryLogs(), "segment-changes", "g")
    wanted = Filter(endpoint, SegmentNames(dict))
    delivery = Delivery("crm", source, MemoryLedger(), dispatcher, wanted, now=wall_micros)
    delivery._behind = 0
    metrics = WebhookMetrics(WebhookHealth())
    metrics.look([Running(endpoint, delivery, sender)])
    return metrics


def families(told: set[str]) -> set[str]:
    return {re.sub(r"_(bucket|count|sum)$", "", name) for name in told}


def named(text: str) -> set[str]:
    return set(re.findall(r"\blivesegments_[a-z_]+", text))


def expressions() -> list[str]:
    panels = json.loads(DASHBOARD.read_text())["panels"]
    return [target["expr"] for panel in panels for target in panel["targets"]]


def alerts() -> list[str]:
    return re.findall(r"- alert: (\w+)", ALERTS.read_text())


@pytest.mark.parametrize("file", [ALERTS, DASHBOARD, OPERATIONS], ids=lambda file: file.name)
def test_what_is_asked_for_is_told(told, file):
    asked = named(file.read_text())
    assert asked
    assert asked <= told | families(told)


def test_what_is_told_is_documented(told):
    assert families(told) - named(OPERATIONS.read_text()) == set()


def test_every_alarm_is_explained():
    explained = re.findall(r"^\| `(Livesegments\w+)` \|", OPERATIONS.read_text(), re.MULTILINE)
    assert len(alerts()) > 10
    assert sorted(explained) == sorted(alerts())


def test_panels_do_not_overlap_and_none_is_empty():
    cells: set[tuple[int, int]] = set()
    for panel in json.loads(DASHBOARD.read_text())["panels"]:
        assert all(target["expr"] for target in panel["targets"])
        place = panel["gridPos"]
        taken = {(place["x"] + x, place["y"] + y) for x in range(place["w"]) for y in range(place["h"])}
        assert not cells & taken
        assert place["x"] + place["w"] <= 24
        cells |= taken


def test_prometheus_understands_rules_and_configuration(tmp_path):
    promtool = shutil.which("promtool")
    if promtool is None:
        missing("no promtool here (Debian: apt-get install prometheus)")
    rules = tmp_path / "panels.yml"
    records = [{"record": f"panel:{number}", "expr": expr} for number, expr in enumerate(expressions())]
    rules.write_text(json.dumps({"groups": [{"name": "panels", "rules": records}]}))
    for asked in (["check", "config", str(ROOT / "monitoring" / "prometheus.yml")], ["check", "rules", str(rules)]):
        done = subprocess.run([promtool, *asked], capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, done.stdout + done.stderr


# ---- docker compose ----


@pytest.fixture(scope="module")
def services() -> dict:
    """The services of every profile, as Docker reads them; needs no Docker engine."""
    asked = ["docker", "compose", "--profile", "*", "config", "--format", "json"]
    try:
        done = subprocess.run(asked, cwd=ROOT, capture_output=True, text=True, timeout=60, check=True)
    except (OSError, subprocess.CalledProcessError):
        missing("no docker compose")
    return json.loads(done.stdout)["services"]


def test_no_container_may_more_than_it_must(services):
    assert {"worker", "simulate", "kafka", "redis", "prometheus", "grafana"} <= services.keys()
    for name, service in services.items():
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert not service.get("privileged"), name
        assert service.get("read_only", False) == (name != "kafka"), name


def test_every_port_that_is_published_is_so_to_this_machine_only(services):
    ports = [port for service in services.values() for port in service.get("ports", ())]
    assert len(ports) == 5
    assert {port["host_ip"] for port in ports} == {"127.0.0.1"}


def test_images_are_pinned_and_monitoring_is_asked_for(services):
    for name, service in services.items():
        assert "build" in service or re.fullmatch(r"[\w./-]+:v?\d[\w.-]*", service["image"]), name
    asked_for = {"prometheus", "grafana", "webhooks", "audience-syncs"}
    assert {name for name, one in services.items() if one.get("profiles")} == asked_for


def test_prometheus_asks_where_the_worker_answers(services):
    address = services["worker"]["environment"]["LIVESEGMENTS_METRICS_ADDRESS"]
    port = address.rpartition(":")[2]
    assert f"port: {port}" in (ROOT / "monitoring" / "prometheus.yml").read_text()
    assert f"127.0.0.1:{port}/readyz" in " ".join(services["worker"]["healthcheck"]["test"])


def test_what_is_mounted_is_there(services):
    mounted = [one["source"] for s in services.values() for one in s.get("volumes", ()) if one["type"] == "bind"]
    assert len(mounted) == 4
    assert all(Path(source).exists() for source in mounted)
