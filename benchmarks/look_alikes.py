"""How well those most like an audience are found: half of it is hidden, and looked for among everybody else.

The table goes through the real worker in memory. Audiences are buyers of an item (every tenth of the 200 that most
bought), those who gave something back, those who bought in one month, and three regions of the space of features: its
end, its middle, both ends. Half of the members (four times, drawn anew) are hidden; of the customers that a way puts
first, as many as are hidden, how many are hidden ones? Told as a multiple of what chance would find.

    python -m benchmarks.look_alikes FILE [--setting features=recency,frequency,monetary,tenure] [--json]
"""

import argparse
import json
import logging
import sys
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import msgspec
import numpy as np
import structlog

from benchmarks.in_time_order import Population, ReplayError, TimeOrdered, in_slices, segments_only
from benchmarks.table_argument import add_table_arguments, read_table, settings_for
from contracts.errors import LivesegmentsError
from contracts.times import DAY, MINUTE
from livesegments.parts import worker_settings
from livesegments.settings import Settings
from online_model.arrays import Floats, Integers
from online_model.look_alikes import Likeness
from online_model.metric import Metric
from producer.message import Message

SLICE: Final = 20_000
MONTH: Final = 30 * DAY
ITEMS: Final = 200
EVERY_ITEM: Final = 10
DRAWS: Final = 4
LEAST: Final = 80
"""Members without whom an audience is left out."""
SAMPLE: Final = 1_000
_SELDOM: Final = {"review_interval_event": "365d", "k_interval_event": "365d"}

Way = Callable[[Metric, Floats, Floats, Floats], Floats]
"""(metric, known members, sample of others, everybody) -> score of everybody, the higher the liker."""


class _Line(msgspec.Struct):
    item_id: str


class _Event(msgspec.Struct):
    type: str
    customer_id: str
    lines: list[_Line] = []


def _scaled(metric: Metric, X: Floats) -> Floats:
    return np.nan_to_num((X - metric.means) * np.sqrt(metric.precisions))


def _centroid(metric: Metric, members: Floats, _others: Floats, everybody: Floats) -> Floats:
    return -np.asarray(((_scaled(metric, everybody) - _scaled(metric, members).mean(axis=0)) ** 2).sum(axis=1))


def _nearest(k: int) -> Way:
    def scores(metric: Metric, members: Floats, _others: Floats, everybody: Floats) -> Floats:
        known = _scaled(metric, members[:SAMPLE])
        squared = ((_scaled(metric, everybody)[:, np.newaxis] - known) ** 2).sum(axis=2)
        nearest = np.partition(squared, min(k, len(known)) - 1, axis=1)[:, :k]
        return np.asarray(-np.sqrt(nearest).mean(axis=1))

    return scores


def _logistic(metric: Metric, members: Floats, others: Floats, everybody: Floats) -> Floats:
    return Likeness.learn(metric, members, others).scores(everybody)


WAYS: Final[Mapping[str, Way]] = {
    "distance to the centroid": _centroid,
    "mean distance to the 5 nearest": _nearest(5),
    "mean distance to the 25 nearest": _nearest(25),
    "logistic, with squares": _logistic,
}


def audiences(messages: Sequence[Message], population: Population) -> dict[str, list[Integers]]:
    """Places of members by kind of audience."""
    place = {who: number for number, who in enumerate(population.ids)}
    items: dict[str, set[int]] = defaultdict(set)
    months: dict[int, set[int]] = defaultdict(set)
    back: set[int] = set()
    for message in messages:
        event = msgspec.json.decode(message.value, type=_Event)
        who = place.get(event.customer_id)
        if who is None:
            continue
        if event.type == "return":
            back.add(who)
        elif event.type == "purchase":
            months[message.occurred_at // MONTH].add(who)
            for line in event.lines:
                items[line.item_id].add(who)
    head = sorted(items.values(), key=lambda who: (-len(who), min(who)))[:ITEMS:EVERY_ITEM]
    Z = _scaled(population.model.metric, population.X)
    first, last = Z[:, 0], Z[:, min(2, Z.shape[1] - 1)]  # recency and money, as features are by default
    found = {
        "bought an item": [_places(one) for one in head],
        "gave something back": [_places(back)],
        "bought in one month": [_places(one) for one in months.values()],
        "end of the space": [np.flatnonzero((first < 0) & (last > 1))],
        "middle of the space": [np.flatnonzero((np.abs(first) < 0.5) & (np.abs(last) < 0.5))],
        "both ends of the space": [np.flatnonzero((first > 1.3) | (last > 1.3))],
    }
    return {name: [one for one in some if len(one) >= LEAST] for name, some in found.items()}


def _places(who: set[int]) -> Integers:
    return np.array(sorted(who), np.int64)


def lift(way: Way, members: Integers, population: Population, draw: np.random.Generator) -> float:
    """Hidden members among those put first, as a multiple of what chance would find."""
    X, metric = population.X, population.model.metric
    mixed = draw.permutation(members)
    known, hidden = mixed[: len(mixed) // 2], mixed[len(mixed) // 2 :]
    rest = np.setdiff1d(np.arange(len(X)), known)
    scores = way(metric, X[known], X[draw.permutation(rest)[:10_000]], X)
    scores[known] = -np.inf
    first = np.argsort(-scores, kind="stable")[: len(hidden)]
    return float(np.isin(first, hidden).mean() / (len(hidden) / len(rest)))


def measure(messages: Sequence[Message], settings: Settings) -> dict[str, Any]:
    """The lifts by way and kind of audience. Raises ReplayError."""
    log_time = messages[-1].occurred_at + MINUTE
    with TimeOrdered(segments_only(worker_settings(settings)), log_time=log_time) as deployment:
        for part in in_slices(messages, SLICE, MONTH):
            deployment.publish(part)
        population = deployment.population()
    if population is None:
        raise ReplayError("there is too little in the table to learn segments from")
    kinds = {name: some for name, some in audiences(messages, population).items() if some}
    lifts = {
        way: {
            kind: [lift(score, one, population, np.random.default_rng(seed)) for one in some for seed in range(DRAWS)]
            for kind, some in kinds.items()
        }
        for way, score in WAYS.items()
    }
    return {
        "customers": len(population.ids),
        "features": list(population.model.features),
        "audiences": {kind: len(some) for kind, some in kinds.items()},
        "lift": {
            way: {kind: round(float(np.mean(some)), 2) for kind, some in by_kind.items()}
            | {"mean of kinds": round(float(np.mean([np.mean(some) for some in by_kind.values()])), 2)}
            for way, by_kind in lifts.items()
        },
    }


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.look_alikes", description=__doc__)
    add_table_arguments(parser)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    given = parser.parse_args(arguments)
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    try:
        table = read_table(given)
        settings = settings_for(table, given, **_SELDOM)
        report = measure(sorted(table, key=lambda one: one.occurred_at), settings)
    except LivesegmentsError as error:
        sys.stderr.write(f"benchmarks.look_alikes: {error}\n")
        return 1
    if given.json:
        print(json.dumps(report))
        return 0
    print(f"{report['customers']:,} customers; features {', '.join(report['features'])}; times as good as chance")
    for way, by_kind in report["lift"].items():
        print(f"{way}: {', '.join(f'{kind} {value}' for kind, value in by_kind.items())}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
