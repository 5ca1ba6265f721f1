"""How good recommendations are while a table streams in: beside recommenders trained in batch on the same purchases.

The table is replayed in time order through the real worker, in memory. At each cut every customer's view is read as an
app reads it, and held against the customer's first later order: its products (`all`), and those that the customer had
never bought (`new`). Beside it, from the same kept histories, with the same blend of buying again and popularity, and
each tuned with the same number of trials on cuts before the first that is judged: implicit's ALS and BM25, EASE, own
history; and what sold most in 30 days. Nothing of ours is tuned here.

    python -m benchmarks.recommendation FILE --cut 2011-09-20T12:26 2011-10-12T12:26 2011-11-02T12:26 --json
"""

import argparse
import json
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

import numpy as np
import structlog

from benchmarks.in_time_order import ReplayError, TimeOrdered
from benchmarks.recommendation.blend import Blender
from benchmarks.recommendation.cases import TARGETS, Orders, order_of
from benchmarks.recommendation.models import IMPLICIT, MODELS, Model, check_installed
from benchmarks.recommendation.report import OURS, Cut, Report
from benchmarks.recommendation.show import show
from benchmarks.recommendation.stream import Judged, Stream, popular_30_days
from benchmarks.recommendation.tuning import BLENDS, FITS, OWN_HISTORY, Budget, Choices, Tuner, lists
from benchmarks.table_argument import add_table_arguments, read_table, settings_for
from contracts.catalog import CatalogItem
from contracts.errors import LivesegmentsError
from contracts.times import DAY, MINUTE, rfc3339, to_micros
from livesegments.parts import worker_settings
from livesegments.settings import Settings
from producer.message import Message
from recommender.non_products import NonProducts
from recommender.reader import CustomerReader

POPULAR: Final = "popular_30_days"
_CUTS: Final = (0.75, 0.85, 0.92)
"""Where nothing is said: after these shares of the events."""
_TUNING: Final = (1 / 2, 2 / 3, 5 / 6)
"""Of the time between the first event and the first cut that is judged."""


_SELDOM: Final = {"item_review_interval_event": "7d", "review_interval_event": "7d", "k_interval_event": "28d"}
"""How often what is learnt is learnt anew: daily, as by default, most of a replay's time would go there."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What is measured when. Times in microseconds UTC."""

    cuts: Sequence[int]
    """Rising."""
    tuning: Sequence[int]
    days: Sequence[int]
    """Days since 1970 whose every order is predicted."""
    models: Sequence[Model]
    budget: Budget
    most: int
    """Events that the worker gets at once."""


def measure(messages: Sequence[Message], settings: Settings, catalogue: Sequence[CatalogItem], plan: Plan) -> Any:
    """Replay, tune, judge: the report as one object. Raises ReplayError."""
    products = NonProducts(settings.non_products)
    withheld = {item.item_id for item in catalogue if not item.offered}

    def is_product(item: str) -> bool:
        return item not in withheld and not products.matches(item)

    orders = Orders(one for message in messages if (one := order_of(message, is_product)) is not None)
    seconds = Seconds()
    log_time = max(message.occurred_at for message in messages) + MINUTE
    known = [item for item in catalogue if not item.offered or item.since is None]
    with TimeOrdered(worker_settings(settings), log_time=log_time, catalogue=known) as deployment:
        reader = CustomerReader(deployment.views, prefix=settings.key_prefix)
        stream = Stream(
            deployment,
            reader,
            orders,
            items=(item for item in catalogue if item.offered),
            is_product=is_product,
            tuning=plan.tuning,
            cuts=plan.cuts,
            days=plan.days,
            most=plan.most,
        )
        stream.run(messages)
        refused = deployment.worker.figures.dead_letters
    if refused:
        said = ", ".join(f"{count} {reason}" for reason, count in refused.items())
        raise ReplayError(f"{refused.total()} events could not be used ({said}); look at the table with `replay` first")
    seconds.end("stream")
    _complain(stream)
    tuned = _tune(Tuner(stream.tuning, plan.budget), plan.models, seconds)
    report = Report([_cut(judged, tuned) for judged in stream.judged], stream.asked, plan.budget.seed).figures()
    seconds.end("judging")
    return {
        **report,
        "tuning": {
            "cuts": {rfc3339(one.cut): len(one.customers) for one in stream.tuning},
            "trials": plan.budget.fits * plan.budget.blends,
            "fits": plan.budget.fits,
            "chosen": {
                name: {target: choice.described() for target, choice in choices.items()}
                for name, choices in tuned.items()
            },
        },
        "events": len(messages),
        "customers": len(orders.customers),
        "seconds": round(seconds.total, 1),
        "cpu_seconds": round(time.process_time(), 1),
        "seconds_by_part": seconds.parts,
    }


class Seconds:
    """How long each part took."""

    def __init__(self) -> None:
        self.parts: dict[str, float] = {}
        self._began = self._from = time.perf_counter()

    def end(self, part: str) -> None:
        """A part is done; the next begins."""
        now = time.perf_counter()
        self.parts[part], self._from = round(now - self._from, 1), now

    @property
    def total(self) -> float:
        """Since the beginning."""
        return time.perf_counter() - self._began


def _tune(tuner: Tuner, models: Sequence[Model], seconds: Seconds) -> dict[str, Choices]:
    """By recommender; those without a blend are bare."""
    blended, bare = {}, {}
    for model in models:
        blended[model.name], bare[f"{model.name}_bare"] = tuner.tune(model)
        seconds.end(f"tuning {model.name}")
    blended[OWN_HISTORY], alone = tuner.tune_own_history()
    bare[f"{OWN_HISTORY}_bare"] = {"all": alone["all"]}  # it knows nothing of what is new
    seconds.end(f"tuning {OWN_HISTORY}")
    return {**blended, **bare}


def _cut(judged: Judged, tuned: Mapping[str, Choices]) -> Cut:
    inputs = judged.case.inputs
    found = {OURS: judged.ours, **{name: lists(choices, judged.case) for name, choices in tuned.items()}}
    found[POPULAR] = {target: popular_30_days(inputs, judged.case.rows, target) for target in TARGETS}
    nobody = Blender(inputs, np.zeros(1, np.int64))  # of somebody unknown there is nothing to go by but popularity
    cold = {POPULAR: popular_30_days(inputs, np.zeros(1, np.int64), "all")}
    for name, choices in tuned.items():
        if choices["all"].blend.popular:
            share = inputs.popularity(choices["all"].blend.popular_days * DAY)
            cold[name] = nobody.everybody(share, new=False)
    same = {name: np.repeat(one, len(judged.case.cold), axis=0) for name, one in cold.items()}
    return Cut(judged, found, {OURS: judged.cold, **same})


def _complain(stream: Stream) -> None:
    """Raise ReplayError where a figure would be one of nobody."""
    for what, cases in (("--tune-cut", stream.tuning), ("--cut", [one.case for one in stream.judged])):
        for one in cases:
            if not (one.truth["new"].counts > 0).any():
                raise ReplayError(
                    f"{what} {rfc3339(one.cut)}: no customer who bought before it bought anything new after it; choose"
                    f" another moment ({len(one.customers)} bought again)"
                )


def default_cuts(messages: Sequence[Message]) -> list[int]:
    """After 75, 85 and 92 % of the events."""
    return sorted({messages[int(share * len(messages))].occurred_at for share in _CUTS})


def tuning_cuts(start: int, first: int) -> list[int]:
    """At 1/2, 2/3 and 5/6 of the time between the first event and the first cut that is judged."""
    return sorted({start + int(share * (first - start)) for share in _TUNING})


def spread(days: Sequence[int], most: int) -> list[int]:
    """At most so many of the days, at equal distances."""
    if len(days) <= most:
        return list(days)
    return [days[place] for place in sorted({int((number + 0.5) * len(days) / most) for number in range(most)})]


def _moment(text: str) -> int:
    """A date or a time, in UTC unless it says another zone."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise ReplayError(f"{text!r} is no date or time such as 2011-11-02 or 2011-11-02T12:26") from None
    return to_micros(moment if moment.tzinfo else moment.replace(tzinfo=UTC))


def _plan(arguments: argparse.Namespace, messages: Sequence[Message]) -> Plan:
    start, end = messages[0].occurred_at, messages[-1].occurred_at
    cuts = sorted({_moment(text) for text in arguments.cut}) or default_cuts(messages)
    tuning = sorted({_moment(text) for text in arguments.tune_cut}) or tuning_cuts(start, cuts[0])
    for what, moments, last in (("--cut", cuts, end), ("--tune-cut", tuning, cuts[0])):
        for moment in moments:
            if not start < moment < last:
                raise ReplayError(f"{what} {rfc3339(moment)}: expected between {rfc3339(start)} and {rfc3339(last)}")
    models = [model for model in MODELS if model.name not in arguments.without]
    if "implicit" in arguments.without:
        models = [model for model in models if model.name not in IMPLICIT]
    check_installed(models)
    return Plan(
        cuts=cuts,
        tuning=tuning,
        days=spread(sorted({message.occurred_at // DAY for message in messages}), arguments.prequential_days),
        models=models,
        budget=Budget(fits=arguments.fits, blends=arguments.blends, seed=arguments.seed),
        most=arguments.slice,
    )


def _at_least(least: int) -> Callable[[str], int]:
    def number(text: str) -> int:
        value = int(text)
        if value < least:
            raise ValueError(text)
        return value

    number.__name__ = f"number of {least} at least"  # argparse says it
    return number


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.recommendation",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_table_arguments(parser)
    moments: dict[str, Any] = {"nargs": "+", "action": "extend", "default": [], "metavar": "TIME"}
    parser.add_argument("--cut", **moments, help="where ours is judged, in UTC; after 75, 85 and 92 %% of the events")
    parser.add_argument(
        "--tune-cut", **moments, help="where baselines are tuned; 1/2, 2/3, 5/6 of the way to the first"
    )
    parser.add_argument("--fits", type=_at_least(1), default=FITS, metavar="N", help="fits tried per baseline")
    parser.add_argument("--blends", type=_at_least(1), default=BLENDS, metavar="N", help="blends tried per fit")
    parser.add_argument(
        "--without", action="append", default=[], choices=["implicit", *(model.name for model in MODELS)]
    )
    parser.add_argument("--prequential-days", type=_at_least(0), default=40, metavar="N", help="whose orders are asked")
    parser.add_argument("--seed", type=_at_least(0), default=1, help="of trials, fits and intervals")
    parser.add_argument("--slice", type=_at_least(1), default=100, metavar="N", help="events the worker gets at once")
    parser.add_argument("--json", action="store_true", help="print one JSON object and nothing else")
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Parse the command line and print the report; 2 for what the user can act on."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(40))
    given = _parser().parse_args(arguments)
    try:
        table = read_table(given)
        messages = list(table)
        plan = _plan(given, messages)
        report = measure(messages, settings_for(table, given, **_SELDOM), table.items, plan)
    except LivesegmentsError as error:
        print(error, file=sys.stderr)
        return 2
    if given.json:
        print(json.dumps(rounded(report)))
    else:
        show(report)
    return 0


def rounded(value: Any) -> Any:
    """Every number of a report with four decimals."""
    if isinstance(value, float):
        return round(value, 4)
    if isinstance(value, dict):
        return {name: rounded(one) for name, one in value.items()}
    return [rounded(one) for one in value] if isinstance(value, list) else value


if __name__ == "__main__":
    sys.exit(main())
