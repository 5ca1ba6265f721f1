"""A log that is not the one that rows were made from: a clear refusal, and nothing of it is written."""

import time
from contextlib import closing
from itertools import islice

from consumer.clock import wall_micros
from logs.base import LogMissingError, LogSpec
from logs.kafka_client import KafkaCluster
from producer.shop import Shop, ShopSettings
from tests.faults.processes import WorkerProcess, wait_for
from tests.faults.scenario import Scenario
from tests.servers.secured import kafka_security_of_tests


def deleted(logs, admin, name: str) -> None:
    admin.delete_topics([name])

    def is_gone() -> bool:
        try:
            logs.describe(name)
        except LogMissingError:
            return True
        return False

    wait_for(is_gone, "the topic is gone")


def test_a_topic_deleted_and_made_again_stops_the_workers_and_changes_no_row(kafka_bootstrap, deployment, fault_report):
    """The new one is filled at once past every position of the old one: there they would read on."""
    with Scenario(deployment) as shop:
        workers = shop.start(2)
        shop.load()
        shop.recovered(time.monotonic())
        shop.settled()
        rows, positions = deployment.rows(), shop.positions()
        new = Shop(ShopSettings(now=wall_micros(), customers=300, seed=99, currency="GBP"))
        events = list(islice(new.history(), 4 * (max(positions.values()) + 200)))
        name = deployment.names.events
        with (
            closing(deployment.logs()) as logs,
            closing(KafkaCluster(kafka_bootstrap, kafka_security_of_tests()).admin()) as admin,
        ):
            deleted(logs, admin, name)
            began = time.monotonic()
            logs.create(LogSpec(name, deployment.partitions))
            wait_for(shop.ends, "the new topic can be read")
        with deployment.writer() as writer:
            for number, message in enumerate(events):
                writer.append(name, message.key, message.value, partition=number % deployment.partitions)
            writer.flush(60)
        wait_for(lambda: all(one.exitcode is not None for one in workers), "the workers stop")
        took = time.monotonic() - began
        said = [one.status("error") or "" for one in workers]
        assert all("deleted" in one and "LogChangedError" in one for one in said), said
        assert deployment.rows() == rows
        assert shop.positions() == positions

        with WorkerProcess(deployment) as another:
            wait_for(lambda: another.exitcode is not None, "a new worker refuses")
            assert "WrongLogError" in another.status("error")
        assert deployment.rows() == rows
        fault_report(
            f"the topic deleted, made again and filled past every old position ({len(events)} events), two workers on",
            f"both stopped after {took:.1f} s with LogChangedError, one started later with WrongLogError; {len(rows)}"
            " rows and all positions as before",
        )
