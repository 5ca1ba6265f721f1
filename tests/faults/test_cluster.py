"""A Redis Cluster under load: slots move, a master dies and takes with it what its replica had not heard yet."""

import time

from contracts.times import DAY
from online_model.settings import ModelSettings
from tests.deployment import Deployment
from tests.faults.failover import stale_views
from tests.faults.processes import wait_for
from tests.faults.scenario import PARTITIONS, Scenario
from tests.servers import LocalCluster

PER_SECOND = 100
CUSTOMERS = 5_000
"""So many that a day of the shop, and with it a sweep of all rows, takes seconds."""
LEARNT_AT_ONCE = ModelSettings(k_interval=1_000 * DAY, by_rule_buyers=0, by_rule_days=0)
LOST = 3
"""Checkpoints of one partition, at least."""


def lose_checkpoints(shop: Scenario, cluster: LocalCluster, partition: int) -> None:
    """Kill the master of a partition after its replica has missed some of its checkpoints."""
    known = shop.seqs[partition]
    cluster.kill_with_a_lagging_replica(
        cluster.master_of(shop.deployment.keys.meta(partition)),
        lambda: wait_for(lambda: shop.seqs[partition] >= known + LOST, "checkpoints to lose"),
    )


def test_rows_and_views_are_right_after_slots_have_moved_and_a_fail_over_lost_what_was_acknowledged(
    kafka_bootstrap, local_cluster, unique, fault_report
):
    cluster = local_cluster
    deployment = Deployment(
        f"kafka://{kafka_bootstrap}", cluster.url, unique, PARTITIONS, settings={"model": LEARNT_AT_ONCE}
    )
    with Scenario(deployment) as shop:
        (worker,) = shop.start(1)
        shop.load(PER_SECOND, CUSTOMERS)
        for key in (deployment.keys.meta(0), deployment.keys.model()):
            cluster.move_slot(key, pause=lambda: time.sleep(0.05))
        shop.more_checkpoints(3)

        old = cluster.master_of(deployment.keys.meta(1))
        lose_checkpoints(shop, cluster, 1)
        over = time.monotonic()
        cluster.wait_for_new_master(deployment.keys.meta(1), old)
        elected = time.monotonic() - over
        wait_for(lambda: worker.status("conflicts"), "the worker notices what was lost")
        shop.more_checkpoints(3)

        took = shop.recovered(over)
        rows = shop.checked(rolled_back=True)
        assert not stale_views(deployment)
        fault_report(
            "Redis Cluster: the slots of a partition and of the model moved under load; then the master of another"
            f" partition killed, whose replica lacked {LOST} acknowledged checkpoints and more",
            f"{rows} rows exact, every view that of its row; a replica took over after {elected:.1f} s; what was lost"
            " was read from the log again",
            took,
        )
