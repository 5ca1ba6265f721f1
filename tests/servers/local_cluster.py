"""A Redis Cluster of our own on loopback: three masters, a replica of each, to fail over and to move slots in.

`python -m tests.servers.local_cluster COMMAND…` runs a command, such as pytest, with REDIS_URL leading to one.
"""

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any, Self

import redis
from redis.backoff import NoBackoff
from redis.crc import key_slot
from redis.retry import Retry

from logs.redis_server import RedisServerError
from tests.servers.errors import NoServerError
from tests.servers.local_kafka import free_ports
from tests.servers.local_redis import LocalRedis

SLOTS = 16384
SECONDS = 90.0
"""What a change of the cluster may take."""
KEYS_AT_ONCE = 100


class LocalCluster:
    """Six servers; a frozen or killed master is replaced by its replica after about `node_timeout_ms` and a second.

    `settings` are added to each server's configuration. Raises NoServerError.
    """

    def __init__(
        self, masters: int = 3, replicas: int = 1, node_timeout_ms: int = 2000, settings: dict[str, str] | None = None
    ) -> None:
        self.nodes: dict[int, LocalRedis] = {}
        """By port; the first ones began as masters."""
        self._masters = masters
        size = masters * (1 + replicas)
        self._buses = free_ports(size)
        for bus in self._buses:
            own = {
                "cluster-enabled": "yes",
                "cluster-config-file": "nodes.conf",
                "cluster-port": str(bus),
                "cluster-node-timeout": str(node_timeout_ms),
                "repl-diskless-sync-delay": "0",
                "repl-ping-replica-period": "1",
                # A replica may take over however long it has been without its master.
                "cluster-replica-validity-factor": "0",
            }
            node = LocalRedis(settings=own | (settings or {}))
            self.nodes[node.port] = node

    @property
    def url(self) -> str:
        """Of all nodes."""
        return "redis+cluster://" + ",".join(f"127.0.0.1:{port}" for port in self.nodes)

    def client(self, port: int) -> Any:
        """One node, as it is."""
        return redis.Redis(port=port, socket_timeout=5, retry=Retry(NoBackoff(), 0), decode_responses=True)

    def ask(self, port: int, *command: Any) -> Any:
        """A node's answer."""
        with self.client(port) as client:
            return client.execute_command(*command)

    def start(self) -> Self:
        try:
            for node in self.nodes.values():
                node.start()
        except RedisServerError as error:
            raise NoServerError(f"no Redis Cluster: {error}") from error
        ports = list(self.nodes)
        for number, port in enumerate(ports):
            self.ask(port, "CLUSTER", "SET-CONFIG-EPOCH", number + 1)
        for port, bus in zip(ports[1:], self._buses[1:], strict=True):
            self.ask(ports[0], "CLUSTER", "MEET", "127.0.0.1", port, bus)
        bounds = [SLOTS * number // self._masters for number in range(self._masters + 1)]
        for number, port in enumerate(ports[: self._masters]):
            self.ask(port, "CLUSTER", "ADDSLOTSRANGE", bounds[number], bounds[number + 1] - 1)
        until(lambda: all(len(self.ask(port, "CLUSTER NODES")) == len(ports) for port in ports))
        names = {port: self.ask(port, "CLUSTER MYID") for port in ports}
        for number, port in enumerate(ports[self._masters :]):
            master = names[ports[number % self._masters]]
            self._replicate(port, master)
        self.wait_until_whole()
        return self

    def _replicate(self, port: int, master: str) -> None:
        until(lambda: master in str(self.ask(port, "CLUSTER NODES")))
        self.ask(port, "CLUSTER", "REPLICATE", master)

    def wait_until_whole(self) -> None:
        """Every node is up, knows of all slots, and every replica follows its master."""
        until(lambda: all(self._is_whole(port) for port in self.nodes))

    def _is_whole(self, port: int) -> bool:
        with contextlib.suppress(redis.RedisError), self.client(port) as client:
            info = client.info("replication")
            follows = info["role"] == "master" or info["master_link_status"] == "up"
            fine = client.execute_command("CLUSTER INFO")["cluster_state"] == "ok"
            nodes = client.execute_command("CLUSTER NODES").values()
            return follows and fine and not any("fail" in node["flags"] for node in nodes)
        return False

    # ---- who is who ----

    def masters(self) -> list[int]:
        """Ports of the nodes that serve slots, as one of them sees it."""
        for port in self.nodes:
            with contextlib.suppress(redis.RedisError):
                known = self.ask(port, "CLUSTER NODES")
                return [
                    int(address.rpartition(":")[2])
                    for address, node in known.items()
                    if "master" in node["flags"] and "fail" not in node["flags"] and node["slots"]
                ]
        return []

    def master_of(self, key: str) -> int:
        """The port of the node that serves a key."""
        slot = key_slot(key.encode())
        for first, last, master in self.slots():
            if first <= slot <= last:
                return master
        raise AssertionError(f"nobody serves slot {slot}")

    def slots(self) -> Iterator[tuple[int, int, int]]:
        """First slot, last slot, port of the master."""
        for port in self.nodes:
            with contextlib.suppress(redis.RedisError):
                found = self.ask(port, "CLUSTER SLOTS")
                yield from ((first, last, master[1]) for first, last, master, *_ in found)
                return

    def replica_of(self, master: int) -> int:
        """The port of a node that follows a master."""
        return self.replicas_of(master)[0]

    def replicas_of(self, master: int) -> list[int]:
        """The ports of all nodes of which a master knows that they follow it."""
        known = self.ask(master, "CLUSTER NODES")
        own = self.ask(master, "CLUSTER MYID")
        return [int(address.rpartition(":")[2]) for address, node in known.items() if node["master_id"] == own]

    def offset_of(self, port: int) -> int:
        """How much of the replicated stream of its master, or of its own, a node has."""
        info = self.ask(port, "INFO", "replication")
        return int(info["master_repl_offset" if info["role"] == "master" else "slave_repl_offset"])

    # ---- what may happen to it ----

    def kill(self, port: int) -> None:
        """SIGKILL a node."""
        self.nodes[port].kill()

    def kill_with_a_lagging_replica(self, port: int, meanwhile: Callable[[], None]) -> None:
        """Kill a master whose replica has missed what happened last: what was acknowledged meanwhile is lost."""
        replica = self.nodes[self.replica_of(port)]
        replica.kill()
        meanwhile()
        self.kill(port)
        replica.start()

    def wait_for_new_master(self, key: str, old: int) -> int:
        """Its port, once another node serves the key."""
        until(lambda: any(self.nodes) and self.master_of(key) != old)
        return self.master_of(key)

    def fail_over(self, key: str) -> int:
        """Kill the master of a key, wait for its replica to take over, start it again as replica. The new master.

        Nothing is lost that was acknowledged before: the replica has it by then, however busy the machine is.
        """
        old = self.master_of(key)
        wanted = self.offset_of(old)
        until(lambda: any(self.offset_of(port) >= wanted for port in self.replicas_of(old)))
        self.kill(old)
        new = self.wait_for_new_master(key, old)
        self.nodes[old].start()
        self.wait_until_whole()
        return new

    def move_slot(self, key: str, pause: Callable[[], None] = lambda: None) -> int:
        """Move the slot of a key to another master, a hundred keys at a time. Its port."""
        slot, source = key_slot(key.encode()), self.master_of(key)
        masters = self.masters()
        target = next(port for port in masters if port != source)
        names = {port: self.ask(port, "CLUSTER MYID") for port in (source, target)}
        self.ask(target, "CLUSTER", "SETSLOT", slot, "IMPORTING", names[source])
        self.ask(source, "CLUSTER", "SETSLOT", slot, "MIGRATING", names[target])
        while keys := self.ask(source, "CLUSTER", "GETKEYSINSLOT", slot, KEYS_AT_ONCE):
            self.ask(source, "MIGRATE", "127.0.0.1", target, "", 0, 5000, "KEYS", *keys)
            pause()
        for port in (target, source, *(port for port in masters if port not in {source, target})):
            self.ask(port, "CLUSTER", "SETSLOT", slot, "NODE", names[target])
        return target

    def __enter__(self) -> Self:
        try:
            return self.start()
        except BaseException:
            self.__exit__()
            raise

    def __exit__(self, *_: object) -> None:
        for node in self.nodes.values():
            with contextlib.suppress(Exception):
                node.kill()
            node.__exit__()


def until(holds: Callable[[], bool], seconds: float = SECONDS) -> None:
    """Wait for something to hold; fails after a deadline."""
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, "the cluster did not come to that"
        time.sleep(0.05)


def main(command: list[str]) -> int:
    """Run the command on a cluster; its exit status."""
    with LocalCluster() as cluster:
        return subprocess.run(command, env=os.environ | {"REDIS_URL": cluster.url}, check=False).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
