"""Where anything of one customer is left: in the keys of a deployment, in its sums, on its logs."""

import json
import re
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from consumer.applying import marker_key
from consumer.bonds import read_bond
from consumer.dead_letter_log import Letter, Settling
from consumer.figures import ShopFigures, merged
from consumer.layout import MISSING_TIME
from consumer.ragged import marker_of
from contracts.documents import NO_SEGMENT
from contracts.times import rfc3339
from livesegments.app import Deployment
from livesegments.dead_letters import DeadLetters
from livesegments.key_contents import CUSTOMER_KEY
from livesegments.parts import keys, log_names
from livesegments.records import count_partitions, read_records
from logs.redis_log import RedisLogs

_WAITS: Final = 0.2
"""Seconds between looks at what workers are still tidying up."""
_NAMING: Final = ("customer_id", "alias_of", "joined_id", "joined_to")
"""Fields of events, changes and views that hold ids of customers."""
_WORD: Final = re.compile(rb"[A-Za-z0-9_-]")
_BY_CUSTOMER: Final = re.compile(r":\{p[0-9]+\}:(?:rows:[0-9]+|unviewed|bonds)$")
"""Keys whose fields or members are ids of customers."""
_DISTINCTIVE: Final = 8
"""Characters from which on an id that is no number can hardly stand anywhere by chance."""


@dataclass(frozen=True, slots=True)
class Sought:
    """A customer id, and how it is recognised in bytes."""

    customer_id: str

    @property
    def distinctive(self) -> bool:
        """Whether it means the customer wherever it stands; `17850` may be a price or an item."""
        return len(self.customer_id) >= _DISTINCTIVE and not self.customer_id.isdecimal()

    def names(self, value: bytes) -> bool:
        """Whether a JSON document is about this customer, or about an id joined to it, however it is escaped."""
        if self.customer_id.encode() not in value and b"\\" not in value:
            return False
        try:
            said = json.loads(value)
        except (ValueError, RecursionError):
            return False
        return isinstance(said, dict) and any(said.get(name) == self.customer_id for name in _NAMING)

    def stands_in(self, value: bytes) -> bool:
        """Whether bytes hold the id: as a JSON text, or where it is distinctive as a word of its own."""
        who = self.customer_id.encode()
        if who not in value and b"\\" not in value:
            return False
        quoted = {json.dumps(self.customer_id), json.dumps(self.customer_id, ensure_ascii=False)}
        if not self.distinctive:
            return any(b'"customer_id":' + one.encode() in value.replace(b": ", b":") for one in quoted)
        if any(one.encode() in value for one in quoted):
            return True
        start = value.find(who)
        while start >= 0:
            if _is_whole(value, start, start + len(who)):
                return True
            start = value.find(who, start + 1)
        return False


def _is_whole(value: bytes, start: int, end: int) -> bool:
    """Whether a part is a word of its own, or a text of its own in packed bytes: its length stands before it."""
    size = end - start
    before = value[max(0, start - 2) : start]
    packed = before[-1:] == bytes([0xA0 | size]) if size < 32 else before == bytes([0xD9, size])
    return packed or not (_WORD.match(value[max(0, start - 1) : start]) or _WORD.match(value[end : end + 1]))


@dataclass(frozen=True, slots=True)
class LogTraces:
    """What one log still holds of a customer."""

    log: str
    records: int
    newest_at: int | None
    """Log time of the newest of them, microseconds UTC."""
    until: str
    """How long they stay, in words or as a time."""


@dataclass(slots=True)
class Proof:
    """What was looked at, and what was found."""

    customer_id: str
    erased_until: int | None = None
    """Events up to then are refused for good, microseconds UTC; None: the customer was never erased."""
    left: list[str] = field(default_factory=list)
    """Places that hold something of the customer, in words. None: the customer is gone."""
    shown: list[str] = field(default_factory=list)
    """What was shown to be free of it, in words."""
    logs: list[LogTraces] = field(default_factory=list)
    dropped: int = 0
    """Dead letters of the customer that were marked as dropped now."""

    @property
    def clean(self) -> bool:
        """Whether nothing of ours holds a trace."""
        return not self.left

    def as_json(self) -> dict[str, object]:
        """In plain values."""
        return {
            "customer_id": self.customer_id,
            "clean": self.clean,
            "erased_until": None if self.erased_until is None else rfc3339(self.erased_until),
            "left": self.left,
            "shown": self.shown,
            "dead_letters_dropped": self.dropped,
            "logs": [
                {
                    "log": one.log,
                    "records": one.records,
                    "newest_at": None if one.newest_at is None else rfc3339(one.newest_at),
                    "kept_until": one.until,
                }
                for one in self.logs
            ],
        }


def verify(
    customer_id: str,
    deployment: Deployment,
    everywhere: Iterable[tuple[str, bytes]],
    now: int,
    *,
    drop: bool,
    patience: float = 10.0,
    monotonic: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> Proof:
    """Look everywhere. `everywhere`: what the deployment's keys hold, piece by piece, with their names.

    Workers get so many seconds of patience to tidy up; with `drop` dead letters of the customer are marked as dropped.
    """
    sought = Sought(customer_id)
    proof = Proof(customer_id)
    partitions = count_partitions(deployment.state) or 0
    deadline = monotonic() + patience
    while True:
        proof.erased_until, proof.left = _in_state(sought, deployment, partitions)
        unequal, shown = _in_sums(deployment, partitions)
        if not (proof.left or unequal) or monotonic() >= deadline:
            break
        sleep(_WAITS)
    proof.left += unequal
    proof.shown += shown
    if deployment.state.forecast_memory() is not None and not proof.left:
        proof.shown.append("no churn forecast whose outcome is awaited is of the customer")
    _in_keys(sought, everywhere, proof)
    _on_logs(sought, deployment, proof, now, drop=drop)
    return proof


def _in_state(sought: Sought, deployment: Deployment, partitions: int) -> tuple[int | None, list[str]]:
    """Until when events are refused, and where the customer is left among what is kept by customer."""
    state, who = deployment.state, sought.customer_id
    erased: list[int] = []
    left = []
    for partition in range(partitions):
        if state.row(partition, who) is not None:
            left.append(f"a row in partition {partition}")
        kept = state.keep(partition)
        marker = kept.markers.get(marker_key(who))
        if marker is not None:
            erased.append(marker_of(marker).floor)
        if who in kept.unviewed:
            left.append(f"partition {partition} still has to delete a view: is a worker running?")
        if any(_is_named(who, joined_id, bond) for joined_id, bond in kept.bonds.items()):
            left.append(f"what is known in partition {partition} of ids that belong together: is a worker running?")
        waiting = sum(sought.names(change) for change in kept.outbox.values())
        if waiting:
            left.append(f"{waiting} segment changes of partition {partition} still to be published")
    if deployment.views.get(keys(deployment.settings).customer(who)) is not None:
        left.append("a view")
    left += _in_windows(who, state.forecast_memory())
    return max(erased, default=None), left


def _is_named(who: str, joined_id: str, bond: bytes) -> bool:
    """Whether what is known of ids that belong together names the customer."""
    found = read_bond(bond)
    parts = [part for handed in found.joined.values() for part in handed.parts]
    edges = [found.edge, *(part.edge for part in parts)]
    named = {joined_id, found.told, found.shown, *found.joined, *(part.id for part in parts)}
    return who in named or any(edge is not None and edge.to == who for edge in edges)


def _in_windows(who: str, memory: bytes | None) -> list[str]:
    """Whether an open window of churn holds the customer, where no id stands, but a hash of it."""
    if memory is None:
        return []
    from online_model.forecasts.churn import customer_keys  # noqa: PLC0415 - river takes its time
    from online_model.forecasts.churn_memory import ChurnMemoryError, waiting_in  # noqa: PLC0415

    try:
        held = np.isin(customer_keys([who]), waiting_in(memory)).any()
    except ChurnMemoryError as error:
        return [f"{error}: whether the customer is in one can not be shown"]
    return ["a churn forecast whose outcome is awaited: is a worker running that leads?"] if held else []


def _in_sums(deployment: Deployment, partitions: int) -> tuple[list[str], list[str]]:
    """Whether the published sums are those of the rows there are: exact where they count customers and money."""
    published = deployment.state.sums()
    wrong = []
    compared = customers = 0
    for partition in range(partitions):
        if partition not in published:
            continue
        figures = merged([published[partition]], 1)
        sizes, net, rows = _of_rows(deployment, partition)
        compared += 1
        customers += rows
        if figures.sizes != sizes or figures.net_spend != net or _votes(figures) > rows:
            wrong.append(
                f"the sums of partition {partition} count {sum(figures.sizes.values()):,} customers, its rows are"
                f" {sum(sizes.values()):,}: unless events are coming in just now, a worker has to publish them anew"
            )
    return wrong, [f"the sums of {compared} partitions count the {customers:,} customers there are, and their money"]


def _votes(figures: ShopFigures) -> int:
    return 0 if figures.sums is None else round(float(figures.sums.cells[:, 0].sum()))


def _of_rows(deployment: Deployment, partition: int) -> tuple[dict[int, int], dict[int, int], int]:
    """Customers and net spend by segment, and all customers of a partition, from its rows."""
    sizes: dict[int, int] = {}
    net: dict[int, int] = {}
    rows = 0
    for records in read_records(deployment.state, [partition]):
        header = records.header
        rows += len(records)
        spent = (header["spend"] - header["refunds"]).tolist()
        for segment, amount in zip(header["segment"].tolist(), spent, strict=True):
            if segment != NO_SEGMENT:
                sizes[segment] = sizes.get(segment, 0) + 1
                net[segment] = net.get(segment, 0) + amount
    return sizes, net, rows


def _in_keys(sought: Sought, everywhere: Iterable[tuple[str, bytes]], proof: Proof) -> None:
    """Go through every byte of every key, whatever it is for."""
    who = sought.customer_id.encode()
    looked = 0
    places: dict[str, None] = {}
    for place, value in everywhere:
        looked += 1
        named = value == who and (place == CUSTOMER_KEY or _BY_CUSTOMER.search(place))
        if named or sought.stands_in(value):
            places.setdefault(place)
    proof.left += [f"the id stands in {place}" for place in places]
    how = "" if sought.distinctive else ", where they name customers: an id as short, or a number, may stand elsewhere"
    proof.shown.append(f"{looked:,} keys, fields and values were read{how}")


def _on_logs(sought: Sought, deployment: Deployment, proof: Proof, now: int, *, drop: bool) -> None:
    names = log_names(deployment.settings)
    letters = DeadLetters(deployment)
    proof.logs += [
        _scanned(sought, deployment, names.events),
        _scanned(sought, deployment, names.changes),
        _letters_of(sought, deployment, letters, proof, now, drop=drop),
    ]


def _scanned(sought: Sought, deployment: Deployment, log: str) -> LogTraces:
    records, newest = 0, MISSING_TIME
    for batch in deployment.logs.scan(log):
        for value, at in zip(batch.values, batch.log_times, strict=True):
            if value is not None and sought.names(value):
                records += 1
                newest = max(newest, at)
    return _kept(deployment, log, records, newest)


def _letters_of(
    sought: Sought, deployment: Deployment, letters: DeadLetters, proof: Proof, now: int, *, drop: bool
) -> LogTraces:
    """Dead letters of the customer: they can not be taken off their log, but nobody is to replay them."""
    log = log_names(deployment.settings).dead_letters
    records, newest, still_open = 0, MISSING_TIME, 0
    writer = deployment.logs.writer() if drop else None
    try:
        settling = None if writer is None else Settling(writer, log, "dropped", now)
        for letter in letters.letters():
            ours = _is_of(sought, letter)
            if ours:
                records += 1
                newest = max(newest, letter.log_time)
                still_open += letter.fate == "open"
            if settling is not None:
                (settling.settle if ours and letter.fate == "open" else settling.leave)(letter.id)
        if settling is not None:
            settling.flush()
            proof.dropped, still_open = settling.settled, 0
    finally:
        if writer is not None:
            writer.close(deployment.settings.session_timeout.seconds)
    if still_open:
        proof.left.append(f"{still_open} dead letters that are open, and could be replayed")
    return _kept(deployment, log, records, newest)


def _is_of(sought: Sought, letter: Letter) -> bool:
    value = letter.content.bytes
    return sought.names(value) or sought.stands_in(value)


def _kept(deployment: Deployment, log: str, records: int, newest: int) -> LogTraces:
    if not records:
        return LogTraces(log, 0, None, "")
    logs = deployment.logs
    if isinstance(logs, RedisLogs) and log == log_names(deployment.settings).events:
        return LogTraces(log, records, newest, "a worker has read them and lets go of them, in seconds")
    retention = logs.retention_ms(log)
    return LogTraces(log, records, newest, "for ever" if retention is None else rfc3339(newest + retention * 1000))
