"""Who may do what in Kafka: the commands for kafka-acls.sh that a deployment's users need."""

import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from contracts.keys import LogNames

SERVER: Final = "kafka-acls.sh --bootstrap-server HOST:PORT --command-config ADMIN.properties"


@dataclass(frozen=True, slots=True)
class Grant:
    """Operations that a user may do on topics, or on groups whose names begin so."""

    user: str
    operations: Sequence[str]
    topics: Sequence[str] = ()
    group: str = ""

    def arguments(self) -> list[str]:
        """Of kafka-acls.sh, behind those that say where the cluster is."""
        said = ["--add", "--allow-principal", f"User:{self.user}"]
        for operation in self.operations:
            said += ["--operation", operation]
        for topic in self.topics:
            said += ["--topic", topic]
        return said + (["--group", self.group, "--resource-pattern-type", "prefixed"] if self.group else [])


def grants(logs: LogNames, group: str, prefix: str, *, webhooks: bool = False) -> Iterator[Grant]:
    """What worker, producer, dashboard, the HTTP API and what tells webhooks need; readers of views need no Kafka.

    `group` is the workers'; each worker reads the catalogue in one of its own, named after it, and each process of the
    HTTP API, and each endpoint of webhooks, the changes. `prefix` begins the names of the users, as in Redis.
    """
    looking = ("Describe", "DescribeConfigs")
    yield Grant(f"{prefix}-worker", ("Create", "Read", "Write", *looking), logs.all)
    yield Grant(f"{prefix}-worker", ("Read", "Describe"), group=group)
    yield Grant(f"{prefix}-producer", ("Create", *looking), logs.all)
    yield Grant(f"{prefix}-producer", ("Write",), (logs.events, logs.catalog))
    yield Grant(f"{prefix}-dashboard", ("Read", *looking), logs.all)
    yield Grant(f"{prefix}-web", ("Create", *looking), (*logs.all, logs.audit))
    yield Grant(f"{prefix}-web", ("Read",), (*logs.all, logs.audit))
    yield Grant(f"{prefix}-web", ("Write",), (logs.events, logs.catalog, logs.audit))
    yield Grant(f"{prefix}-web", ("Read", "Describe"), group=group)
    if webhooks:
        yield Grant(f"{prefix}-webhooks", ("Read", *looking), (logs.changes,))
        yield Grant(f"{prefix}-webhooks", ("Read", "Describe"), group=group)


def commands(logs: LogNames, group: str, prefix: str, *, webhooks: bool = False) -> Iterator[str]:
    """Command lines; HOST:PORT and the file with the administrator's log-in are to be filled in."""
    for grant in grants(logs, group, prefix, webhooks=webhooks):
        yield f"{SERVER} {shlex.join(grant.arguments())}"
