"""What rows must be where ids belong together: a batch join in plain Python over everything that was ever said.

Deliberately knows nothing of partitions, of hand-overs, or of the order in which anything arrived.
"""

from collections.abc import Iterable, Mapping

from contracts.events import Alias, Event
from contracts.times import to_micros
from tests.against_oracle import wrong_columns
from tests.oracle import Oracle, OracleRow, event_hash

Edges = Mapping[str, tuple[tuple[int, int], str]]
"""By id, its newest alias: (time, hash of the event's id), and whose it is; empty: its own."""


def newest_aliases(events: Iterable[Event]) -> Edges:
    """Of each id the alias that holds."""
    found: dict[str, tuple[tuple[int, int], str]] = {}
    for event in events:
        if isinstance(event, Alias):
            to = "" if event.alias_of in {None, event.customer_id} else event.alias_of
            order = to_micros(event.occurred_at), event_hash(event.event_id)
            if event.customer_id not in found or order > found[event.customer_id][0]:
                found[event.customer_id] = order, to
    return found


def customer_of(who: str, edges: Edges) -> str:
    """Whom an id belongs to in the end; of a circle it is the one that was joined last."""
    path = [who]
    while (to := edges.get(path[-1], ((), ""))[1]) and to not in path:
        path.append(to)
    if not to:
        return path[-1]
    return max(path[path.index(to) :], key=lambda one: (edges[one][0], one))


def members_of(who: str, edges: Edges) -> set[str]:
    """An id with all that are joined to it, directly or over others."""
    found = {who}
    while more := {one for one, (_, to) in edges.items() if to in found} - found:
        found |= more
    return found


def joined(rows: Iterable[OracleRow]) -> OracleRow:
    """One row that had all their events."""
    rows = list(rows)

    def among(name, choose):
        return choose((getattr(row, name) for row in rows if getattr(row, name) is not None), default=None)

    one = OracleRow(
        first_at=among("first_at", min),
        last_at=among("last_at", max),
        newest_at=among("newest_at", max),
        seen_at=among("seen_at", max),
        days=set().union(*(row.days for row in rows)),
        lines=sorted(line for row in rows for line in row.lines)[-100:],
        counted=[counted for row in rows for counted in row.counted],
        **{
            name: sum(getattr(row, name) for row in rows) for name in ("spend", "refunds", "units", "orders", "returns")
        },
    )
    for row in rows:
        for name, value in row.attributes.items():
            if name not in one.attributes or one.attributes[name][:2] < value[:2]:
                one.attributes[name] = value
    return one


def customers(own: Oracle, edges: Edges) -> dict[str, OracleRow]:
    """The row of each customer, from what each id did by itself."""
    groups: dict[str, list[OracleRow]] = {}
    for who, row in own.rows.items():
        groups.setdefault(customer_of(who, edges), []).append(row)
    return {who: joined(rows) for who, rows in groups.items()}


def wrong_customers(rows: Mapping[str, dict], expected: Mapping[str, OracleRow]) -> list[str]:
    """What is not as it should be, in sentences. Which ids of events a row knows is its own affair, as are floors."""
    wrong = [f"no row of {who}" for who in expected.keys() - rows.keys()]
    wrong += [f"a row of {who} that should not be" for who in rows.keys() - expected.keys()]
    for who in expected.keys() & rows.keys():
        names = wrong_columns(rows[who], expected[who], without={"ids", "erase_floor", "closed_floor"})
        wrong += [f"{who}: {one}" for one in names]
    return wrong
