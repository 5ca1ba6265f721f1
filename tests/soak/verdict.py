"""What must hold when a run is over: rows against the oracle, changes, history, segments against models, views."""

import json
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import closing

import numpy as np

from consumer.columns import Columns
from consumer.row_store import Rows
from consumer.worker import Worker
from contracts.documents import RULE_IDS, CustomerView, SegmentChange
from contracts.events import Event, parse_event
from contracts.partitioning import partition_of
from contracts.times import DAY
from livesegments.app import Deployment, open_redis
from livesegments.parts import keys, log_names
from online_model.features import days_since
from online_model.model import SPECIAL_SEGMENTS, SegmentModel
from tests.against_oracle import wrong_changes, wrong_history, wrong_rows
from tests.deployment import plain_rows
from tests.oracle import Oracle
from tests.soak.setting import PARTITIONS
from tests.soak.stream import LATENESS_DAYS, POISON

SHOWN = 5
"""So many of what is wrong are told of each kind."""


def judge(deployment: Deployment, worker: Worker) -> dict:
    """Figures, and under `wrong` what does not hold, by kind. `worker` has nothing left to do."""
    names, settings = log_names(deployment.settings), deployment.settings
    rows = plain_rows(deployment.state, PARTITIONS)
    oracle = Oracle(lateness=LATENESS_DAYS * DAY)
    poisoned = set()
    events = 0
    for partition, offset, value in _log(deployment, names.events):
        events += 1
        if value in POISON:
            poisoned.add((partition, offset))
            continue
        event: Event = parse_event(value)
        # Where it stands in the wrong partition, what counts is its copy in the right one.
        if partition_of(event.customer_id, PARTITIONS) == partition:
            oracle.apply(event)
    changes: dict[str, list[bytes]] = defaultdict(list)
    for _, _, value in _log(deployment, names.changes):
        if json.loads(value)["kind"] == "moved":
            changes[SegmentChange.model_validate_json(value).change_id].append(value)
    letters = {
        (letter["partition"], letter["offset"])
        for letter in (json.loads(value) for _, _, value in _log(deployment, names.dead_letters))
    }
    with closing(open_redis(settings)) as client:
        history = [client.get(key) for key in client.scan_iter(keys(settings).history("*"), count=1_000)]
    segments = {who: row["segment"] for who, row in rows.items()}
    checks: dict[str, Callable[[], list[str]]] = {
        "rows": lambda: wrong_rows(rows, oracle),
        "changes": lambda: wrong_changes(changes, segments),
        "history": lambda: wrong_history(history, changes),
        "segments": lambda: _wrong_segments(worker),
        "versions": lambda: _wrong_versions(deployment, worker),
        "views": lambda: _wrong_views(deployment, segments),
        "dead letters": lambda: [f"{place}: no dead letter, or one too many" for place in poisoned ^ letters],
        "lag": lambda: [f"partition {number} is {lag} behind" for number, lag in _lag(deployment).items() if lag],
    }
    wrong = {kind: found for kind, check in checks.items() if (found := check())}
    return {
        "events": events,
        "customers": len(rows),
        "erased": len(oracle.markers),
        "ignored": oracle.ignored,
        "changes": len(changes),
        "changes told again": sum(len(told) - 1 for told in changes.values()),
        "dead letters": len(letters),
        "model version": worker.memory.learner.model.version if worker.memory.learner.model else 0,
        "wrong": {kind: {"number": len(found), "such as": found[:SHOWN]} for kind, found in wrong.items()},
    }


def _log(deployment: Deployment, name: str) -> Iterator[tuple[int, int, bytes]]:
    for batch in deployment.logs.scan(name):
        for offset, value in zip(batch.positions, batch.values, strict=True):
            yield batch.partition, offset, value or b""


def _lag(deployment: Deployment) -> dict[int, int]:
    ends = defaultdict(int)
    for partition, offset, _ in _log(deployment, log_names(deployment.settings).events):
        ends[partition] = max(ends[partition], offset + 1)
    metas = {number: deployment.state.meta(number) for number in range(PARTITIONS)}
    return {number: end - (metas[number].position or 0) for number, end in ends.items()}


def _wrong_segments(worker: Worker) -> list[str]:
    """At the worker's time, by the present version, everybody is in the right segment: margin and dwell granted."""
    memory, now = worker.memory, worker.clock.now
    model = memory.learner.model
    rows = _all_rows(worker)
    columns = Columns.of_store(memory.store, rows)
    if model is None or model.by_rule:
        return ["there is no learnt model"]
    X = model.features_of(columns, now)
    header = columns.header
    ids = model.publish(X, model.assign(X), header["segment"], header["since"], now, days_since(columns.last_at, now))
    usual = np.isin(header["segment"], model.segment_ids)
    return [
        f"{memory.store.ids[row]} is in {is_in}, and belongs into {belongs}"
        for row, is_in, belongs in zip(
            rows[usual].tolist(), header["segment"][usual].tolist(), ids[usual].tolist(), strict=True
        )
        if is_in != belongs
    ]


def _wrong_versions(deployment: Deployment, worker: Worker) -> list[str]:
    """Whatever segment a row is in, the version that put it there knows it, if it is still kept."""
    store = worker.memory.store
    rows = _all_rows(worker)
    special = {*SPECIAL_SEGMENTS, *RULE_IDS}
    known: dict[int, set[int] | None] = {}
    wrong = []
    for row, version, segment in zip(
        rows.tolist(), store.header["model_version"][rows].tolist(), store.header["segment"][rows].tolist(), strict=True
    ):
        if version not in known:
            document = deployment.state.old_model(version)
            known[version] = set(SegmentModel.read(document).segment_ids.tolist()) if document else None
        ids = known[version]
        if segment not in special and ids is not None and segment not in ids:
            wrong.append(f"{store.ids[row]} is in {segment}, which version {version} does not have")
    return wrong


def _all_rows(worker: Worker) -> Rows:
    return np.concatenate([np.fromiter(held.rows.index.values(), np.int64) for held in worker.memory.held.values()])


def _wrong_views(deployment: Deployment, segments: dict[str, int]) -> list[str]:
    """Everybody has a view, and nobody else; it says the segment of the row."""
    settings = deployment.settings
    wrong = []
    with closing(open_redis(settings)) as client:
        head = keys(settings).customer("")
        found = {key.decode().removeprefix(head) for key in client.scan_iter(f"{head}*", count=1_000)}
    wrong += [f"{who} has no view" for who in segments.keys() - found]
    wrong += [f"{who} has a view, but no row" for who in found - segments.keys()]
    order = sorted(found & segments.keys())
    for who, view in zip(
        order, deployment.views.get_many([keys(settings).customer(who) for who in order]), strict=True
    ):
        told = CustomerView.model_validate_json(view or b"").segment
        if told is None or told.id != segments[who]:
            wrong.append(f"{who} is in {segments[who]}, and the view says {told}")
    return wrong
