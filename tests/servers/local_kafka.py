"""Apache Kafka from Maven Central on the machine's Java: one KRaft broker that a test may kill and start again."""

import contextlib
import fcntl
import functools
import hashlib
import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Self

from logs.child_process import Process, end, last_lines, start_tied
from tests.servers.errors import NoServerError

POM = Path(__file__).parent / "pom.xml"
CACHE = Path(__file__).parents[2] / ".state" / "kafka"
CLUSTER_ID = "livesegments-tests-0000"
STARTUP_SECONDS = 120.0

LOGGING = """
rootLogger.level = warn
rootLogger.appenderRef.console.ref = console
appender.console.type = Console
appender.console.name = console
appender.console.layout.type = PatternLayout
appender.console.layout.pattern = [%d] %p %m (%c)%n
"""
BROKER = """
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{controller}
listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}
advertised.listeners=PLAINTEXT://127.0.0.1:{port}
controller.listener.names=CONTROLLER
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
log.dirs={data}
offsets.topic.replication.factor=1
offsets.topic.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=2
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
group.initial.rebalance.delay.ms=0
group.min.session.timeout.ms=1000
broker.session.timeout.ms=2000
broker.heartbeat.interval.ms=500
"""


@functools.cache
def kafka_jars() -> Path:
    """The folder with Kafka's jars, fetched once per pom.xml. Raises NoServerError."""
    for tool in ("java", "mvn"):
        if shutil.which(tool) is None:
            raise NoServerError(f"no {tool} on this machine")
    jars = CACHE / hashlib.sha256(POM.read_bytes()).hexdigest()[:12]
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (jars / ".complete").exists():
            shutil.rmtree(jars, ignore_errors=True)
            maven = ["mvn", "-q", "-B", "-f", str(POM), "dependency:copy-dependencies", "-DincludeScope=runtime"]
            done = subprocess.run(
                [*maven, f"-DoutputDirectory={jars}"], capture_output=True, text=True, timeout=600, check=False
            )
            if done.returncode:
                raise NoServerError(f"Maven could not fetch Kafka: {done.stdout[-300:].strip()}")
            (jars / ".complete").touch()
    return jars


def free_ports(count: int) -> list[int]:
    """Ports on loopback that were free just now, all different."""
    with contextlib.ExitStack() as held:
        sockets = [held.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


class LocalKafka:
    """A broker on loopback. Ports and data outlive a restart; everything goes when the block is left.

    `settings` are added to the broker's properties and win over ours; {port}, {controller} and {spare[0]} … {spare[4]}
    stand for free ports in them. `users` (name: password) may log in by SCRAM. Raises NoServerError.
    """

    def __init__(self, settings: dict[str, str] | None = None, users: dict[str, str] | None = None) -> None:
        self._users = users or {}
        self._jars = kafka_jars()
        self.port, self._controller, *self.spare = free_ports(7)
        self._folder = Path(tempfile.mkdtemp(prefix="livesegments-test-kafka-"))
        self._output = self._folder / "kafka.log"
        self._process: Process | None = None
        (self._folder / "log4j2.properties").write_text(LOGGING)
        broker = BROKER.format(port=self.port, controller=self._controller, data=self._folder / "data")
        ports = {"port": self.port, "controller": self._controller, "spare": self.spare}
        added = "".join(f"{name}={value.format(**ports)}\n" for name, value in (settings or {}).items())
        self._properties = self._folder / "server.properties"
        self._properties.write_text(broker + added)

    @property
    def bootstrap(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def folder(self) -> Path:
        """Where its data and its output are."""
        return self._folder

    @property
    def pid(self) -> int:
        assert self._process is not None, "not started"
        return self._process.pid

    def _java(self, *arguments: str, options: tuple[str, ...] = ()) -> list[str]:
        return [
            "java",
            *options,
            "-XX:TieredStopAtLevel=1" if "format" in arguments else "-Xmx512m",
            f"-Dlog4j2.configurationFile={self._folder / 'log4j2.properties'}",
            "-cp",
            f"{self._jars}/*",
            *arguments,
        ]

    def _format(self) -> None:
        arguments = [
            argument
            for name, password in self._users.items()
            for argument in ("--add-scram", f"SCRAM-SHA-512=[name={name},password={password}]")
        ]
        command = ("kafka.tools.StorageTool", "format", "--cluster-id", CLUSTER_ID, "--config", str(self._properties))
        java = self._java(*command, *arguments, options=("-XX:+UseSerialGC",))
        done = subprocess.run(java, capture_output=True, text=True, timeout=STARTUP_SECONDS, check=False)
        if done.returncode:
            said = (done.stdout + done.stderr).strip()
            raise NoServerError(f"Kafka's storage could not be formatted: {said[:500]}")

    def run_tool(self, *arguments: str) -> str:
        """What one of Kafka's command-line tools prints, started by the name of its class."""
        java = self._java(*arguments, options=("-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"))
        done = subprocess.run(java, capture_output=True, text=True, timeout=STARTUP_SECONDS, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def start(self) -> Self:
        if not (self._folder / "data" / "meta.properties").exists():
            self._format()
        # Its data is worth nothing once we are gone, and a clean stop takes seconds.
        self._process = start_tied(
            self._java("kafka.Kafka", str(self._properties)), output=self._output, death_signal=signal.SIGKILL
        )
        deadline = time.monotonic() + STARTUP_SECONDS
        while not self._listening():
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.stop()
                raise NoServerError(f"the local Kafka broker did not start: {last_lines(self._output)}")
            time.sleep(0.05)
        return self

    def _listening(self) -> bool:
        """On all listeners: they open one after the other."""
        last = [line for line in self._properties.read_text().splitlines() if line.startswith("listeners=")][-1]
        for port in map(int, re.findall(r":(\d+)", last)):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) != 0:
                    return False
        return True

    def stop(self) -> None:
        """SIGTERM, and wait."""
        if self._process is not None:
            end(self._process, grace=30)
            self._process = None

    def kill(self) -> None:
        """SIGKILL, and wait."""
        assert self._process is not None, "not started"
        self._process.kill()
        self._process.wait()
        self._process = None

    def restart(self) -> None:
        """Kill, then start."""
        self.kill()
        self.start()

    def freeze(self) -> None:
        """SIGSTOP: it keeps its connections and answers nothing."""
        os.kill(self.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        os.kill(self.pid, signal.SIGCONT)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        if self._process is not None:
            self.kill()
        shutil.rmtree(self._folder, ignore_errors=True)
