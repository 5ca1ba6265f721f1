"""How good forecasts are while a table streams in: purchase models at a cut, churn learned online, and rivals.

The table goes through the real worker in time order, in memory; everything that is forecast comes from its rows. At
the end of `--calibrate-until` BG/NBD, MBG/NBD and Gamma-Gamma are fitted, in weeks, by purchase days (UTC), and held
against the rest of the table. Churn (no purchase within `--churn-days`) is learned from the first day on; forecasts
made after the cut are judged, beside those of a batch model that is trained again every 28 days on all labels matured
by then.

    python -m benchmarks.forecast FILE --calibrate-until 2011-06-30 --json
    python -m benchmarks.forecast CDNOW.txt.gz --no-header --map customer_id=1 --map occurred_at=3 --map quantity=4 \
        --map amount=5 --calibrate-until 1997-09-30 --plot weeks.svg
    python -m benchmarks.forecast --known-lifetimes      # no table: intervals, and seconds for a million customers
    python -m benchmarks.forecast --pass 1000000         # no table: a worker's pass over so many rows, and its steps
"""

import argparse
import json
import sys
import time
from collections.abc import Sequence
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, Final

import structlog

from benchmarks.forecast import holdout, known, passes, plot
from benchmarks.forecast.churn_run import ChurnRun
from benchmarks.forecast.holdout import MONTH_DAYS
from benchmarks.forecast.rivals import REFIT_DAYS, SNAPSHOT_DAYS, Batch, naive_orders
from benchmarks.forecast.show import show
from benchmarks.forecast.stream import Rows, by_day
from benchmarks.forecast.truth import Truth
from benchmarks.in_time_order import ReplayError, TimeOrdered, segments_only
from benchmarks.table_argument import add_table_arguments, read_table, settings_for
from contracts.errors import LivesegmentsError
from contracts.times import DAY, MINUTE, rfc3339, to_micros
from livesegments.parts import worker_settings
from livesegments.settings import Settings
from online_model.forecasts.churn import WINDOW_DAYS, Churn
from online_model.forecasts.orders_ahead import expected_orders
from online_model.forecasts.purchases import DAYS_PER_WEEK
from producer.message import Message

_SELDOM: Final = {"review_interval_event": "365d", "k_interval_event": "365d"}
"""How often segments are reviewed: forecasts do not depend on them."""


def measure(messages: Sequence[Message], settings: Settings, given: argparse.Namespace) -> dict[str, Any]:
    """Stream the table, fit at the cut, judge: the report as one object. Raises LivesegmentsError."""
    truth = Truth(messages)
    cut = _day(given.calibrate_until)
    if not truth.first_day <= cut < truth.last_day:
        first, last = (rfc3339(day * DAY)[:10] for day in (truth.first_day, truth.last_day))
        raise ReplayError(f"--calibrate-until {given.calibrate_until}: expected a day from {first} to before {last}")
    seen_from = None if given.seen_from is None else _day(given.seen_from) * DAY
    batch = Batch(truth, given.churn_days, given.seed)
    run = ChurnRun(Churn(given.seed, given.churn_days), batch, cut)
    report: dict[str, Any] = {}
    months: list[dict[str, Any]] = []
    latest: holdout.Fits | None = None
    log_time = max(message.occurred_at for message in messages) + MINUTE
    began = time.perf_counter()
    with TimeOrdered(segments_only(worker_settings(settings)), log_time=log_time) as deployment:
        for rows in by_day(deployment, messages, truth.last_day, given.slice):
            since = rows.day - (cut + 1)
            if since == 0:
                latest = holdout.fit(rows, seen_from)
                report = _at_cut(rows, latest, truth, batch, given.churn_days)
            elif latest is not None and since % REFIT_DAYS == 0:
                latest = holdout.refit(rows, seen_from, latest)
            if since >= 0 and since % REFIT_DAYS == 0:
                batch.refit(rows.day)
            if latest is not None and since % MONTH_DAYS == 0 and rows.day + MONTH_DAYS <= truth.last_day + 1:
                months.append(holdout.month(holdout.refit(rows, seen_from, latest), truth))
            run.day(rows, latest)
            if (rows.day - truth.first_day) % SNAPSHOT_DAYS == 0:
                batch.see(rows)
        refused = deployment.worker.figures.dead_letters
    if refused:
        said = ", ".join(f"{count} {reason}" for reason, count in refused.items())
        raise ReplayError(f"{refused.total()} events could not be used ({said}); look at the table with `replay` first")
    churn = run.report(given.seed)
    return {**report, **churn, "months": months, "events": len(messages), "seconds": time.perf_counter() - began}


def _at_cut(rows: Rows, fits: holdout.Fits, truth: Truth, batch: Batch, days: int) -> dict[str, Any]:
    """Parameters, and what they say of the hold-out. The paper's model stands first, by the paper's names."""
    found = holdout.parameters(fits)
    ahead = truth.last_day + 1 - rows.day

    def forecasts(horizon: int) -> dict[str, Any]:
        models = {
            family.replace("/", "_"): expected_orders(one.model, rows.purchases, horizon / DAYS_PER_WEEK)
            for family, one in fits.lifetimes.items()
        }
        return models | {"naive": naive_orders(rows, days, horizon)}

    window = min(days, ahead)
    by_batch = batch.orders(rows) if window == days else None
    soon = forecasts(window) | ({} if by_batch is None else {"batch": by_batch})
    actual = truth.purchase_days(rows.customers, rows.day, rows.day + window)
    total = truth.purchase_days(rows.customers, rows.day, rows.day + ahead)
    paper = {name: found["bg_nbd"][name] for name in ("r", "alpha", "a", "b", "log_likelihood")}
    return {
        **paper,
        "models": found,
        "customers": len(rows.customers),
        "holdout_days": ahead,
        "holdout_by_frequency": holdout.by_frequency(rows, total, forecasts(ahead)),
        f"next_{window}_days_by_frequency": holdout.by_frequency(rows, actual, soon),
        "weeks": holdout.weeks(fits, truth),
    }


def _day(moment: date) -> int:
    return to_micros(datetime(moment.year, moment.month, moment.day, tzinfo=UTC)) // DAY


def _rounded(value: Any) -> Any:
    if isinstance(value, float):
        return round(value, 4)
    if isinstance(value, dict):
        return {name: _rounded(one) for name, one in value.items()}
    return [_rounded(one) for one in value] if isinstance(value, list | tuple) else value


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.forecast",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_table_arguments(parser, optional=True)
    parser.add_argument("--calibrate-until", type=date.fromisoformat, metavar="DATE", help="the last day that is known")
    parser.add_argument(
        "--seen-from", type=date.fromisoformat, metavar="DATE", help="do not fit to whose first purchase lies before"
    )
    parser.add_argument("--churn-days", type=int, default=WINDOW_DAYS, metavar="N", help="no purchase within: left")
    parser.add_argument("--known-lifetimes", action="store_true", help="a synthetic shop instead of FILE")
    parser.add_argument(
        "--pass", type=int, metavar="N", dest="rows", help="a worker's pass over the forecasts of N customers"
    )
    parser.add_argument("--plot", type=Path, metavar="FILE", help="expected and actual purchases by week, as SVG")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--slice", type=int, default=100, metavar="N", help="events that the worker gets at once")
    parser.add_argument("--json", action="store_true", help="print one JSON object and nothing else")
    return parser


def _check(parser: argparse.ArgumentParser, given: argparse.Namespace) -> None:
    if given.known_lifetimes + (given.file is not None) + (given.rows is not None) != 1:
        parser.error("expected FILE, or --known-lifetimes, or --pass N")
    if given.rows is not None and given.rows < passes.LEAST:
        parser.error(f"--pass: expected {passes.LEAST} customers at least")
    if given.file is not None and given.calibrate_until is None:
        parser.error("--calibrate-until: expected a date such as 2011-06-30")
    if given.slice < 1 or given.churn_days < 1:
        parser.error("--slice and --churn-days: expected 1 at least")


def main(arguments: Sequence[str] | None = None) -> int:
    """Parse the command line and print the figures; 2 for what the user can act on."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(40))
    parser = _parser()
    given = parser.parse_args(arguments)
    _check(parser, given)
    try:
        if given.known_lifetimes:
            figures = known.report(given.seed)
        elif given.rows is not None:
            figures = passes.report(given.seed, given.rows)
        else:
            table = read_table(given)
            settings = settings_for(table, given, **_SELDOM)
            figures = measure(list(table), settings, given)
            if given.plot is not None:
                title = f"{given.file.name}: repeat purchases of customers known on {given.calibrate_until}"
                plot.write(given.plot, figures["weeks"], title)
    except LivesegmentsError as error:
        print(error, file=sys.stderr)
        return 2
    figures = _rounded(figures)
    if given.json:
        print(json.dumps(figures))
    else:
        show(figures)
    return 0


if __name__ == "__main__":
    sys.exit(main())
