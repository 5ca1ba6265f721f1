"""What is left over holds against the oracle and against itself: rows, published changes, history.

Each function returns what is wrong, in sentences; nothing wrong is an empty list.
"""

import itertools
import json
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence

import numpy as np

from consumer.layout import ID
from contracts.documents import NO_SEGMENT, HistoryDay
from contracts.times import DAY
from tests.deployment import DECAYED, EXACT
from tests.oracle import Oracle, OracleRow

_MAPPED_DAYS = 64
_DECAY = {
    "orders_decayed": (365, {"money": False, "purchases_only": True}),
    "net_decayed": (365, {"money": True}),
    "recent_net": (90, {"money": True}),
}
assert set(_DECAY) == set(DECAYED)


def wrong_rows(rows: Mapping[str, dict], oracle: Oracle) -> list[str]:
    """Exact columns are the oracle's bit for bit, decayed ones to 1e-9 of the sum of absolute contributions."""
    wrong = [f"no row of {who}" for who in oracle.rows.keys() - rows.keys()]
    wrong += [f"a row of {who} that should not be" for who in rows.keys() - oracle.rows.keys()]
    for who in oracle.rows.keys() & rows.keys():
        wrong += [f"{who}: {one}" for one in wrong_columns(rows[who], oracle.rows[who])]
    return wrong


def wrong_columns(got: Mapping, expected: OracleRow, without: Collection[str] = ()) -> Iterable[str]:
    """What is not as it should be in one row, in sentences; some columns may be left out."""
    exact = {name: getattr(expected, name) for name in EXACT if name not in {"day_map", "purchase_days"}}
    exact["purchase_days"] = len(expected.days)
    newest = (expected.newest_at or 0) // DAY
    exact["day_map"] = sum(1 << newest - day for day in expected.days if newest - day < _MAPPED_DAYS)
    exact["lines"] = [(item, quantity) for _, _, _, item, quantity in expected.lines]
    exact["ids"] = expected.ids
    exact["attributes"] = {name: value for name, (_, _, value) in expected.attributes.items()}
    for name, want in exact.items():
        if name in without:
            continue
        found = np.frombuffer(got[name], ID).tolist() if name == "ids" else got[name]
        if found != want:
            yield f"{name} is {found}, not {want}"
    for name, (days, kind) in _DECAY.items():
        value, magnitude = expected.decayed(days * DAY, **kind) if expected.counted else (0.0, 0.0)
        if not abs(got[name] - value) <= 1e-9 * magnitude:
            yield f"{name} is {got[name]}, not {value}"


def wrong_changes(changes: Mapping[str, Sequence[bytes]], segments: Mapping[str, int]) -> list[str]:
    """One id has one content, and each customer's changes lead, without a gap, to the segment of the row.

    `changes` are all contents by id, `segments` those of all rows. Whoever was erased begins anew.
    """
    wrong = [f"{change_id} has {len(set(told))} contents" for change_id, told in changes.items() if len(set(told)) > 1]
    paths: dict[str, list[tuple]] = defaultdict(list)
    for change_id, told in changes.items():
        change = json.loads(told[0])
        partition, _, seq, n = change_id.rsplit("-", 3)
        paths[change["customer_id"]].append(((partition, int(seq), int(n)), change["from"], change["to"]))
    for who, path in paths.items():
        path.sort()
        if path[0][1] is not None:
            wrong.append(f"{who}: the first change is from {path[0][1]}")
        wrong += [
            f"{who}: from {after[1]} in change {after[0]}, but the one before went to {before[2]}"
            for before, after in itertools.pairwise(path)
            if after[1] not in {before[2], None}
        ]
        if who in segments and segments[who] != path[-1][2]:
            wrong.append(f"{who} is in {segments[who]}, and was last told to be in {path[-1][2]}")
    placed = {who for who, segment in segments.items() if segment != NO_SEGMENT}
    return wrong + [f"{who} is in a segment, and no change told of it" for who in placed - paths.keys()]


def wrong_history(history: Iterable[bytes], changes: Mapping[str, Sequence[bytes]]) -> list[str]:
    """Every published change stands in the matrix of one day, once."""
    told: Counter = Counter()
    for document in history:
        for move in HistoryDay.model_validate_json(document).moves:
            if move.cause != "erased":
                told[move.from_segment, move.to_segment, move.cause] += move.customers
    published: Counter = Counter()
    for contents in changes.values():
        change = json.loads(contents[0])
        published[change["from"], change["to"], change["cause"]] += 1
    return [
        f"{went}: {told[went]} in the history, {published[went]} published"
        for went in told.keys() | published.keys()
        if told[went] != published[went]
    ]
