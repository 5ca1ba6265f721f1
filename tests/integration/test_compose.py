"""`docker compose up` with two workers: a purchase goes in on Kafka, recommendations come out of Redis."""

import contextlib
import json
import re
import subprocess
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple, TypeVar

import httpx
import pytest
import redis
from confluent_kafka.admin import AdminClient
from testcontainers.compose import DockerCompose

from contracts.documents import CustomerView
from contracts.keys import EVENTS, Keys
from logs.redis_server import free_port
from producer.publisher import EventPublisher
from tests.conftest import missing
from tests.servers.docker import docker_has

ROOT = Path(__file__).parents[2]
WORKERS = 2
PARTITIONS = 12
PATIENCE = 120.0

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]
T = TypeVar("T")


class Shop(NamedTuple):
    compose: DockerCompose
    kafka_url: str
    redis: redis.Redis


def images() -> set[str]:
    """The public images that the compose file and the Dockerfile start from."""
    everything = (ROOT / "docker-compose.yml").read_text()
    served = re.findall(r"^ +image: ([\w./-]+:[\w.-]+)$\n(?! +profiles:)", everything, re.MULTILINE)
    built_on = re.findall(r"^FROM (\S+)", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    return {*served, *built_on}


def tail(compose: DockerCompose) -> str:
    """The last lines of every service, without the codes by which compose clears a terminal's lines."""
    logs = (compose.get_logs(service)[0] for service in ("kafka", "redis", "simulate", "web", "worker"))
    return "\n".join(line for log in logs for line in log.replace("\x1b[2K", "").splitlines()[-40:])


def eventually(shop: Shop, look: Callable[[], T | None], what: str) -> T:
    deadline = time.monotonic() + PATIENCE
    while (seen := look()) is None:
        if time.monotonic() > deadline:
            pytest.fail(f"{what}: not within {PATIENCE:.0f} s\n{tail(shop.compose)}")
        time.sleep(0.2)
    return seen


@pytest.fixture(scope="module")
def shop() -> Iterator[Shop]:
    if unavailable := [image for image in sorted(images()) if not docker_has(image)]:
        missing(f"no Docker, or it neither has nor gets {', '.join(unavailable)}")
    if subprocess.run(["docker", "compose", "version"], capture_output=True, check=False).returncode:
        missing("Docker has no compose plugin")

    project = f"livesegments-test-{uuid.uuid4().hex[:8]}"
    kafka_port, redis_port = free_port(), free_port()
    with pytest.MonkeyPatch.context() as environment:
        # Names and ports of its own, so that it runs beside a stack that somebody uses.
        environment.setenv("COMPOSE_PROJECT_NAME", project)
        environment.setenv("LIVESEGMENTS_IMAGE", project)
        environment.setenv("LIVESEGMENTS_KAFKA_PORT", str(kafka_port))
        environment.setenv("LIVESEGMENTS_REDIS_PORT", str(redis_port))
        environment.setenv("LIVESEGMENTS_WEB_PORT", str(free_port()))
        environment.setenv("LIVESEGMENTS_WORKERS", str(WORKERS))
        compose = DockerCompose(ROOT, build=True, wait=True)
        try:
            compose.start()
            with redis.Redis(port=redis_port) as client:
                yield Shop(compose, f"kafka://127.0.0.1:{kafka_port}", client)
        except subprocess.CalledProcessError as error:
            pytest.fail(f"docker compose up failed:\n{error.stderr.decode()[-4000:]}\n{tail(compose)}")
        finally:
            compose.stop()
            subprocess.run(["docker", "image", "rm", "--force", project], capture_output=True, check=False)


def buy(shop: Shop, customer_id: str) -> None:
    with EventPublisher(shop.kafka_url) as publisher:
        publisher.purchase(
            customer_id=customer_id,
            order_id=f"order-{customer_id}",
            lines=[{"item_id": "teapot", "quantity": 2, "unit_price": 12.5}],
            currency="GBP",
        )


def view(shop: Shop, customer_id: str) -> CustomerView | None:
    """What Redis holds of a customer, once there are a segment and recommendations in it."""
    with contextlib.suppress(redis.ConnectionError):
        if document := shop.redis.get(Keys().customer(customer_id)):
            found = CustomerView.model_validate_json(document)
            # The simulated shop has to sell something first; until then there are neither segments nor other items.
            return found if found.segment and found.items else None
    return None


def test_a_purchase_on_kafka_becomes_recommendations_in_redis(shop, unique):
    buy(shop, unique)
    found = eventually(shop, lambda: view(shop, unique), "a view with a segment and recommendations")
    assert found.customer_id == unique
    assert found.segment.name


def test_every_worker_and_server_is_up_and_healthy(shop):
    containers = shop.compose.get_containers()
    healthy = sorted(container.Service for container in containers if container.Health == "healthy")
    assert healthy == ["kafka", "redis", "simulate", "web", *["worker"] * WORKERS]


def test_the_workers_share_the_partitions(shop):
    admin = AdminClient({"bootstrap.servers": shop.kafka_url.removeprefix("kafka://")})

    def shared() -> list[int] | None:
        """How many partitions of the event log each worker holds, once every one is held.

        In groups of their own the workers follow the catalogue.
        """
        groups = [group.group_id for group in admin.list_consumer_groups().result().valid]
        members = [
            member for group in groups for member in admin.describe_consumer_groups([group])[group].result().members
        ]
        held = [
            sum(partition.topic == EVENTS for partition in member.assignment.topic_partitions) for member in members
        ]
        shares = [count for count in held if count]
        return shares if sum(shares) == PARTITIONS and len(shares) == WORKERS else None

    assert eventually(shop, shared, f"{WORKERS} workers that hold all partitions") == [PARTITIONS // WORKERS] * WORKERS


def test_nothing_listens_beyond_this_machine(shop):
    published = [
        (container.Service, publisher.URL)
        for container in shop.compose.get_containers()
        for publisher in container.Publishers or ()
        if publisher.PublishedPort
    ]
    assert sorted(published) == [("kafka", "127.0.0.1"), ("redis", "127.0.0.1"), ("web", "127.0.0.1")]


def test_the_pages_answer_with_all_their_files(shop):
    [port] = {
        publisher.PublishedPort
        for container in shop.compose.get_containers()
        for publisher in container.Publishers or ()
        if container.Service == "web" and publisher.PublishedPort
    }
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=PATIENCE, follow_redirects=True) as client:
        page = client.get("/", headers={"Accept": "text/html"})
        assert (page.status_code, page.url.path) == (200, "/app/")
        files = re.findall(r'(?:src|href)="(/app/[^"]+)"', page.text)
        assert len(files) > 5
        assert [(one, client.get(one).status_code) for one in files] == [(one, 200) for one in files]


def test_our_containers_run_as_nobody_in_particular_and_can_not_change_their_image(shop):
    uid, _, status = shop.compose.exec_in_container(["python", "-c", "import os; print(os.getuid())"], "worker")
    assert (int(uid) > 0, status) == (True, 0)
    write = "open('/opt/venv/written', 'w')"
    with pytest.raises(subprocess.CalledProcessError, match="exit status 1"):
        shop.compose.exec_in_container(["python", "-c", write], "worker")


def containers(service: str) -> list[str]:
    ids = subprocess.run(
        ["docker", "compose", "ps", "--all", "--quiet", service], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return ids.stdout.split()


def state(container: str) -> dict:
    inspected = subprocess.run(["docker", "inspect", container], capture_output=True, check=True)
    [found] = json.loads(inspected.stdout)
    return {"restarts": found["RestartCount"], **found["State"]}


@pytest.mark.parametrize("server", ["redis", "kafka"])
def test_a_server_that_is_restarted_is_waited_for(shop, unique, server):
    before = [state(worker)["StartedAt"] for worker in containers("worker")]
    subprocess.run(["docker", "compose", "restart", server], cwd=ROOT, capture_output=True, check=True)
    eventually(shop, lambda: state(*containers(server))["Health"]["Status"] == "healthy" or None, f"{server} healthy")
    buy(shop, unique)
    eventually(shop, lambda: view(shop, unique), f"a view after the restart of {server}")
    assert [state(worker)["StartedAt"] for worker in containers("worker")] == before, "nobody had to be restarted"


def test_told_to_stop_workers_end_by_themselves_and_say_what_they_did(shop):
    """The last of these tests: it ends what the others look at."""
    subprocess.run(["docker", "compose", "stop", "worker"], cwd=ROOT, capture_output=True, check=True)
    assert [state(worker)["ExitCode"] for worker in containers("worker")] == [0] * WORKERS
    logged, _ = shop.compose.get_logs("worker")
    assert logged.count('"event": "worker stopped"') == WORKERS
