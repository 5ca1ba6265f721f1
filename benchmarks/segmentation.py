"""How good segments are while a table streams in: beside batch clustering, and beside other online algorithms.

The table is replayed in time order through the real worker, in memory, with the event clock and reviews inline. At ten
checkpoints (deciles of the events) and at the end, everybody's `cluster` is compared with scikit-learn's KMeans: 20
restarts, the same customers, the same k, the same metric. No server is needed, and no timing decides anything but
`seconds`: the same table and seed give the same figures.

    python -m benchmarks.segmentation FILE [--map FIELD=COLUMN] [--features a,b] [--k 5] [--seed 1] [--json]
"""

import argparse
import json
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Final

import numpy as np
import structlog

from benchmarks.calmness import Events, ids_reused, kept, moves_between_segments, moves_by_cause, unexplained
from benchmarks.clusterings import Compared, Row, compare, rows
from benchmarks.in_time_order import ReplayError, TimeOrdered, in_slices, kind_of, segments_only
from benchmarks.table_argument import add_table_arguments, read_table, settings_for
from contracts.errors import LivesegmentsError
from contracts.times import DAY, MINUTE
from livesegments.parts import worker_settings
from livesegments.settings import Settings
from producer.message import Message

CHECKPOINTS: Final = 10


@dataclass
class Replayed:
    """What was seen on the way and at the end."""

    checkpoints: list[Compared | None] = field(default_factory=list)
    """None before there was a model."""
    final: Compared | None = None
    rivals: list[Row] = field(default_factory=list)
    figures: dict[str, Any] = field(default_factory=dict)


def replay(messages: Sequence[Message], settings: Settings, *, most: int, rivals: bool = True) -> Replayed:
    """Replay messages, sorted by time, in slices of at most so many. Raises ReplayError."""
    marks = [len(messages) * number // CHECKPOINTS for number in range(1, CHECKPOINTS + 1)]
    seen, seconds, seed = Replayed(), 0.0, settings.model_seed
    log_time = max(message.occurred_at for message in messages) + MINUTE
    with TimeOrdered(segments_only(worker_settings(settings)), log_time=log_time) as deployment:
        for start, end in zip([0, *marks], marks, strict=False):
            began = time.perf_counter()
            for part in in_slices(messages[start:end], most, DAY):
                deployment.publish(part)
            seconds += time.perf_counter() - began
            population = deployment.population()
            last = end == len(messages)
            seen.checkpoints.append(None if population is None else compare(population, seed, silhouettes=last))
        _complain(deployment, settings)
        population, seen.final = deployment.population(), seen.checkpoints[-1]
        assert population is not None
        assert seen.final is not None
        if rivals:
            seen.rivals = rows(population, seen.final, deployment.touched, seed)
        seen.figures = _figures(deployment, messages) | {"customers": len(population.ids), "k": population.model.k}
    seen.figures["seconds"] = round(seconds, 2)
    return seen


def report(seen: Replayed) -> dict[str, Any]:
    """The figures as one flat object, and `comparisons` as a list of objects."""
    assert seen.final is not None
    ratios = [one.inertia_ratio for one in seen.checkpoints if one is not None]
    river = [row.inertia_ratio for row in seen.rivals if row.name.startswith("river KMeans") and row.inertia_ratio]
    figures = {
        "inertia_ratio_median": float(np.median(ratios)),
        "inertia_ratio_worst": max(ratios),
        "inertia_ratio_final": seen.final.inertia_ratio,
        "river_inertia_ratio_final": min(river, default=None),
        "ari": seen.final.ari,
        "silhouette": seen.final.silhouette,
        "silhouette_batch": seen.final.silhouette_batch,
        **seen.figures,
        "inertia_ratios": [None if one is None else one.inertia_ratio for one in seen.checkpoints],
        "comparisons": [asdict(row) for row in seen.rivals],
    }
    return {name: _rounded(value) for name, value in figures.items()}


def _figures(deployment: TimeOrdered, messages: Sequence[Message]) -> dict[str, Any]:
    moves = deployment.moves()
    events = Events(
        [kind_of(message) for message in messages],
        [message.key.decode() for message in messages],
        [message.occurred_at for message in messages],
    )
    calendar = sorted({message.occurred_at // DAY for message in messages})
    customers, models = len(set(events.customers)), deployment.models()
    return {
        "moves_per_customer": moves_between_segments(moves) / customers,
        "moves_by_cause": moves_by_cause(moves),
        "model_versions": deployment.versions,
        "moves_unexplained": unexplained(moves, events, models),
        "ids_reused": ids_reused(models),
        **kept(moves, events, calendar),
        "events": len(messages),
    }


def _complain(deployment: TimeOrdered, settings: Settings) -> None:
    """Raise ReplayError where what was measured would not be the table."""
    refused = deployment.worker.figures.dead_letters
    if refused:
        said = ", ".join(f"{count} {reason}" for reason, count in refused.items())
        raise ReplayError(f"{refused.total()} events could not be used ({said}); look at the table with `replay` first")
    if deployment.versions == 0:
        raise ReplayError(
            f"no segments were learnt: {len(deployment.worker.memory.store)} customers are too few, or differ too"
            f" little in {', '.join(settings.features)}, for k = {settings.k} (first_model_buyers ="
            f" {settings.first_model_buyers}); set another --k or --features"
        )


def _rounded(value: Any) -> Any:
    if isinstance(value, float):
        return round(value, 4)
    if isinstance(value, dict):
        return {name: _rounded(one) for name, one in value.items()}
    return [_rounded(one) for one in value] if isinstance(value, list) else value


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.segmentation",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_table_arguments(parser)
    parser.add_argument("--features", help="names joined by commas; the service's own by default")
    parser.add_argument("--k", help="how many segments")
    parser.add_argument("--seed", help="of the model and of what it is compared with")
    parser.add_argument("--slice", type=int, default=100, metavar="N", help="events that the worker gets at once")
    parser.add_argument("--no-comparisons", action="store_true", help="leave river and the other algorithms out")
    parser.add_argument("--json", action="store_true", help="print one JSON object and nothing else")
    return parser


def _show(figures: dict[str, Any]) -> None:
    for name, value in figures.items():
        if name != "comparisons":
            print(f"{name:28} {value}")
    if not figures["comparisons"]:
        return
    print(f"\n{'beside batch k-means':32} {'clusters':>8} {'inertia':>8} {'ARI':>8} {'silh.':>8} {'seconds':>8}")
    for row in figures["comparisons"]:
        cells = (row[name] for name in ("clusters", "inertia_ratio", "ari", "silhouette", "seconds"))
        print(f"{row['name']:32} " + " ".join(f"{'–' if cell is None else cell:>8}" for cell in cells))


def main(arguments: Sequence[str] | None = None) -> int:
    """Parse the command line and print the figures; 2 for what the user can act on."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(40))
    parser = _parser()
    given = parser.parse_args(arguments)
    if given.slice < 1:
        parser.error("--slice: expected 1 at least")
    try:
        table = read_table(given)
        settings = settings_for(table, given, k=given.k, features=given.features, model_seed=given.seed)
        figures = report(replay(list(table), settings, most=given.slice, rivals=not given.no_comparisons))
    except LivesegmentsError as error:
        print(error, file=sys.stderr)
        return 2
    if given.json:
        print(json.dumps(figures))
    else:
        _show(figures)
    return 0


if __name__ == "__main__":
    sys.exit(main())
