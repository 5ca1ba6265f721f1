"""Two consumer groups under one key prefix: each member is given every partition, and both would write."""

import time
from contextlib import ExitStack

from tests.faults.processes import WorkerProcess, wait_for
from tests.faults.scenario import Scenario


def test_two_workers_that_claim_the_same_partitions_count_nothing_twice(deployment, fault_report):
    """As with two members of one identity: Kafka hands both of them everything. The claim decides."""
    with Scenario(deployment) as shop, ExitStack() as stack:
        (one,) = shop.start(1)
        shop.load()
        other = stack.enter_context(WorkerProcess(deployment, group=f"{deployment.tag}-other"))
        wait_for(lambda: other.held, "the other one claims")
        wait_for(lambda: one.status("conflicts"), "the first one notices")
        wait_for(lambda: other.status("conflicts"), "the first one claims again, and the other one notices")
        conflicts = one.status("conflicts") + other.status("conflicts")
        if one.exitcode is None:
            one.leave()
        shop.workers.append(other)
        took = shop.recovered(time.monotonic())
        rows = shop.checked()
        fault_report(
            "two workers in different groups under one key prefix, both given all partitions by Kafka, until one left",
            f"{rows} rows exact; {conflicts} writes refused",
            took,
        )
