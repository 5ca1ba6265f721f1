"""What `livesegments check` looks at: servers, logs, model, workers, with a verdict and what to do for each."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal
from urllib.parse import urlsplit

from contracts.errors import LivesegmentsError
from livesegments.app import Deployment, open_deployment, open_redis
from livesegments.liveness import seems_alive, silent_for
from livesegments.parts import kafka_security, keys, log_specs, model_settings
from livesegments.records import count_partitions, read_document
from livesegments.redis_address import redis_address
from livesegments.redis_probe import probe as probe_redis
from livesegments.settings import Settings
from logs import kafka_probe
from logs.base import LogMissingError, LogSpec
from logs.kafka_advice import topic_advice
from logs.kafka_client import KafkaCluster

Verdict = Literal["ok", "note", "failed"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the answer. Notes do not make the check fail."""

    subject: str
    verdict: Verdict
    text: str


def check(settings: Settings) -> Iterator[Finding]:
    """Look at everything, servers first; what needs a server that failed is left out."""
    servers = [*_redis("redis", settings.redis_url, settings), *_log_server(settings)]
    yield from servers
    if any(finding.verdict == "failed" for finding in servers):
        return
    with open_deployment(settings) as deployment:
        for look in (_logs, _model, _workers):
            yield from _told(look.__name__.strip("_"), look, deployment)


def _told(subject: str, look: Callable[[Deployment], Iterator[Finding]], deployment: Deployment) -> Iterator[Finding]:
    try:
        yield from look(deployment)
    except LivesegmentsError as error:
        yield Finding(subject, "failed", str(error))


def _redis(subject: str, url: str, settings: Settings) -> Iterator[Finding]:
    verdict = probe_redis(redis_address(url, settings), f"{keys(settings).prefix}:check")
    yield Finding(subject, "ok" if verdict.ok else "failed", verdict.text)
    for remark in verdict.remarks:
        yield Finding(subject, "note", remark)


def _log_server(settings: Settings) -> Iterator[Finding]:
    url = settings.event_log_url
    if url.startswith("kafka:"):
        verdict = kafka_probe.probe(urlsplit(url).netloc, kafka_security(settings))
        yield Finding("kafka", "ok" if verdict.ok else "failed", verdict.text)
    elif url != settings.redis_url:
        yield from _redis("log", url, settings)


def _logs(deployment: Deployment) -> Iterator[Finding]:
    for spec in log_specs(deployment.settings):
        try:
            info = deployment.logs.describe(spec.name)
        except LogMissingError:
            yield Finding("logs", "note", f"{spec.name} is not there yet: the first worker or producer creates it")
            continue
        yield Finding("logs", "ok", f"{spec.name}: {info.partitions} partition{'s' * (info.partitions != 1)}")
        yield from _advice(deployment.settings, spec)
        counted = count_partitions(deployment.state)
        if spec == log_specs(deployment.settings)[0] and counted not in {None, info.partitions}:
            yield Finding(
                "logs",
                "failed",
                f"{spec.name} has {info.partitions} partitions and the rows were made from {counted}: "
                "start with another key_prefix and read the log again",
            )


def _advice(settings: Settings, spec: LogSpec) -> Iterator[Finding]:
    url = settings.event_log_url
    if not url.startswith("kafka:"):
        return
    for sentence in topic_advice(KafkaCluster(urlsplit(url).netloc, kafka_security(settings)), spec):
        yield Finding("logs", "note", f"{spec.name}: {sentence}")


def _model(deployment: Deployment) -> Iterator[Finding]:
    document = read_document(deployment.state)
    if document is None:
        chosen = model_settings(deployment.settings)
        whom = "who bought" if chosen.request.needs_purchases else "with a profile"
        least = f"{chosen.first_model_buyers} customers {whom}"
        yield Finding("model", "note", f"there is none yet: the first needs a worker and {least}")
        return
    yield Finding("model", "ok", f"version {document.version}, {len(document.segments)} segments")


def _workers(deployment: Deployment) -> Iterator[Finding]:
    settings = deployment.settings
    with open_redis(settings) as client:
        silent = silent_for(client, settings)
        alive = seems_alive(client, settings)
    if silent is None:
        yield Finding("workers", "note", "no sign of any: start one with `livesegments worker`")
    elif alive:
        yield Finding("workers", "ok", f"alive {silent:.0f} s ago")
    else:
        yield Finding("workers", "note", f"no sign of life for {silent:,.0f} s: start one with `livesegments worker`")
