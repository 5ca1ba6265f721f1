"""Campaigns with a known effect, many times: whether intervals hold it, and whether what was promised is seen.

A made shop of which everything is known: customers differ in how often they buy (gamma) and what an order is worth
(lognormal), orders differ about that, and one in twenty is given back in part. Half a year is played, rows are made of
it, and from these alone the smallest detectable effects are worked out. Then a campaign is played over and over, with
new groups and new purchases each time: with no effect, with the effect on money that is said to be detectable, and
with the one on who orders. FILE, a table as `replay` reads it, adds real money: everybody spends what they did spend
in the days after a date, groups are drawn anew each time, and who bought nothing may be made to buy.

    python -m benchmarks.campaign --json
    python -m benchmarks.campaign online_retail.parquet --on 2011-06-01
"""

import argparse
import itertools
import json
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from functools import partial
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from benchmarks.forecast.truth import Truth
from benchmarks.table_argument import add_table_arguments, read_table
from consumer.layout import HEAD, HEADER, MISSING_TIME, ORDERS_HALF_LIFE, RECENT_HALF_LIFE
from contracts.errors import LivesegmentsError
from contracts.money import MILLIONTHS
from contracts.times import DAY
from livesegments.campaigns.effect import conversion_effect, detectable_conversion, detectable_spend, spend_effect
from livesegments.campaigns.recent import Recent, RecentRows, recent_behaviour, spend_before

RUNS: Final = 200
CUSTOMERS: Final = 20_000
CONTROL: Final = 0.1
DAYS: Final = 28
HISTORY: Final = 180
_RECENT_DAYS: Final = RECENT_HALF_LIFE / DAY
_BEGIN: Final = 20_000 * DAY
_BLOCK: Final = 7
_BLOCKS: Final = 52

Floats = npt.NDArray[np.float64]
Booleans = npt.NDArray[np.bool_]
Played = tuple[Booleans, Floats]
"""Who ordered, and net spend per customer, (customers,)."""


@dataclass(frozen=True, slots=True)
class Shop:
    """Customers of whom everything is known, (customers,)."""

    rate: Floats
    """Orders a day."""
    value: Floats
    """What an order is worth in the mean, before what is given back."""
    within: float = 0.6
    """Standard deviation of the logarithm of an order's value about the customer's own."""
    given_back: float = 0.05
    """Share of orders that are given back, by half in the mean."""

    @classmethod
    def made(cls, customers: int, rng: np.random.Generator) -> "Shop":
        """Four orders a year in the mean, of 45 in the mean: of a tenth of the customers comes half of the money."""
        return cls(rng.gamma(0.9, 4.0 / 365 / 0.9, customers), rng.lognormal(np.log(35), 0.7, customers))

    @property
    def worth(self) -> Floats:
        """Net spend expected of an order."""
        worth: Floats = self.value * np.exp(self.within**2 / 2) * (1 - self.given_back / 2)
        return worth

    def orders(
        self, days: float, rng: np.random.Generator, more: Floats
    ) -> tuple[npt.NDArray[np.int64], Floats, Floats]:
        """Of each order in so many days: whose, when, net; `more` times as many as usual, by customer."""
        who = np.repeat(np.arange(len(self.rate)), rng.poisson(self.rate * days * more))
        back = np.where(rng.random(len(who)) < self.given_back, rng.random(len(who)), 0.0)
        net = self.value[who] * rng.lognormal(0.0, self.within, len(who)) * (1 - back)
        return who, rng.uniform(0, days, len(who)), net

    def play(self, treated: Booleans, rng: np.random.Generator, lift: float) -> Played:
        """A campaign that makes the treated order so many times more often."""
        who, _, net = self.orders(DAYS, rng, np.where(treated, 1 + lift, 1.0))
        count = len(self.rate)
        return np.bincount(who, minlength=count) > 0, np.asarray(np.bincount(who, net, count), np.float64)

    def effects(self, lift: float) -> tuple[float, float]:
        """What that does to the share who order, and to net spend per customer."""
        rises = np.exp(-self.rate * DAYS) - np.exp(-self.rate * DAYS * (1 + lift))
        return float(rises.mean()), float((self.rate * DAYS * lift * self.worth).mean())

    def lift_for(self, wanted: float, which: int) -> float:
        """The lift whose effect, on orders (0) or spend (1), is the wanted one."""
        low, high = 0.0, 100.0
        for _ in range(60):
            middle = (low + high) / 2
            low, high = (low, middle) if self.effects(middle)[which] >= wanted else (middle, high)
        return high


def rows_of(shop: Shop, rng: np.random.Generator) -> RecentRows:
    """Rows after HISTORY days."""
    count = len(shop.rate)
    who, when, net = shop.orders(HISTORY, rng, np.ones(count))
    order = np.lexsort((when, who))
    who, net = who[order], net[order]
    at = _BEGIN + (when[order] * DAY).astype(np.int64)
    header = np.zeros(count, HEADER)
    for name in ("first_at", "last_at", "newest_at"):
        header[name] = MISSING_TIME
    newest = np.full(count, MISSING_TIME)
    np.maximum.at(newest, who, at)
    header["newest_at"] = header["last_at"] = newest
    header["orders"] = np.bincount(who, minlength=count)
    header["spend"] = np.round(np.bincount(who, net, minlength=count) * MILLIONTHS)
    age = (newest[who] - at).astype(np.float64)
    header["net_decayed"] = np.bincount(who, net * np.exp2(-age / ORDERS_HALF_LIFE), minlength=count)
    header["recent_net"] = np.bincount(who, net * np.exp2(-age / RECENT_HALF_LIFE), minlength=count)
    heads = np.zeros(len(who), HEAD)
    heads["at"], heads["lines"] = at, 1
    edges = np.searchsorted(who, np.arange(count + 1)).tolist()
    return RecentRows(header, [heads[a:b].tobytes() for a, b in itertools.pairwise(edges)])


def judge(
    play: Callable[[Booleans, np.random.Generator], Played],
    before: Floats,
    truth: tuple[float, float],
    *,
    runs: int,
    seed: int,
) -> dict[str, Any]:
    """Play a campaign so often, and count how often each interval holds the truth, and leaves 0 out above it."""
    held, clear, widths = np.zeros((runs, 2)), np.zeros((runs, 2)), np.zeros((runs, 2))
    for run in range(runs):
        rng = np.random.default_rng((seed, run))
        treated = rng.random(len(before)) >= CONTROL
        ordered, spend = play(treated, rng)
        shares = [(int(ordered[group].sum()), int(group.sum())) for group in (treated, ~treated)]
        found = (conversion_effect(*shares), spend_effect(spend, before, treated))
        for place, (one, true) in enumerate(zip(found, truth, strict=True)):
            held[run, place] = one.low <= true <= one.high
            clear[run, place] = one.clear if true == 0 else one.low > 0
            widths[run, place] = one.high - one.low
    return {
        name: {
            "true": truth[place],
            "covered": float(held[:, place].mean()),
            "called_significant": float(clear[:, place].mean()),
            "interval_width": float(widths[:, place].mean()),
        }
        for place, name in enumerate(("conversion", "net_spend"))
    }


def made_shop(customers: int, runs: int, seed: int) -> dict[str, Any]:
    """No effect, the detectable one on spend, and the detectable one on who orders."""
    rng = np.random.default_rng((seed, runs, 1))
    shop = Shop.made(customers, rng)
    rows = rows_of(shop, rng)
    now = _BEGIN + HISTORY * DAY
    begun = time.perf_counter()
    recent = recent_behaviour(rows, now - DAYS * DAY)
    seconds = time.perf_counter() - begun
    before = spend_before(rows.header, now)
    groups = customers - round(customers * CONTROL), round(customers * CONTROL)
    rise = detectable_conversion(recent.buyers / recent.customers, *groups)
    more = detectable_spend(recent.unexplained, *groups)
    report: dict[str, Any] = {"expected": _expected(recent, rise, more), "seconds_for_expected": seconds}
    lifts = {"no_effect": 0.0, "detectable_spend": shop.lift_for(more, 1)}
    if rise is not None:
        lifts["detectable_conversion"] = shop.lift_for(rise, 0)
    for name, lift in lifts.items():
        truth = shop.effects(lift)
        report[name] = judge(partial(shop.play, lift=lift), before, truth, runs=runs, seed=seed)
    return report


def real_money(truth: Truth, on: int, customers: int, runs: int, seed: int) -> dict[str, Any]:
    """Customers of a table, drawn with replacement: what they spent, in groups of chance; then with more buyers."""
    rng = np.random.default_rng((seed, runs, 2))
    known = truth.purchase_days(truth.customers, truth.first_day, on) > 0
    who = [one for one, bought in zip(truth.customers, known.tolist(), strict=True) if bought]
    drawn = rng.choice(len(who), customers)
    spend = truth.net(who, on, on + DAYS)[drawn]
    ordered = (truth.purchase_days(who, on, on + DAYS) > 0)[drawn]
    before = np.zeros(len(who))
    for block in range(_BLOCKS):
        end = on - block * _BLOCK
        before += truth.net(who, end - _BLOCK, end) * 2 ** (-(block + 0.5) * _BLOCK / _RECENT_DAYS)
    before = before[drawn]
    groups = customers - round(customers * CONTROL), round(customers * CONTROL)
    rise = detectable_conversion(float(ordered.mean()), *groups) or 0.0
    orders = spend[ordered]

    def play(treated: Booleans, rng: np.random.Generator, share: float) -> Played:
        made = treated & ~ordered & (rng.random(customers) < share)
        return ordered | made, spend + np.where(made, rng.choice(orders, customers), 0.0)

    report: dict[str, Any] = {
        "customers_of_table": len(who),
        "conversion": float(ordered.mean()),
        "net_spend": float(spend.mean()),
        "deviation": float(spend.std()),
        "largest": float(spend.max()),
    }
    for name, more in (("no_effect", 0.0), ("detectable_conversion", rise)):
        share = more / (1 - float(ordered.mean()))
        # Whoever is not a buyer by themselves may be made one: on top of a return, at times.
        true = (more, more * float(orders.mean()))
        report[name] = judge(partial(play, share=share), before, true, runs=runs, seed=seed)
    return report


def _expected(recent: Recent, rise: float | None, more: float) -> dict[str, Any]:
    return {
        "conversion": recent.buyers / recent.customers,
        "net_spend": recent.mean,
        "deviation": recent.deviation,
        "told_by_spend_before": recent.told,
        "conversion_detectable": rise,
        "net_spend_detectable": more,
    }


def main(arguments: Sequence[str] | None = None) -> int:
    """Run it; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_table_arguments(parser, optional=True)
    parser.add_argument("--on", default="2011-06-01", help="the day (UTC) on which campaigns begin in FILE")
    parser.add_argument("--runs", type=int, default=RUNS)
    parser.add_argument("--customers", type=int, default=CUSTOMERS)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", action="store_true", help="one JSON object")
    given = parser.parse_args(arguments)
    try:
        report: dict[str, Any] = {"runs": given.runs, "customers": given.customers, "control": CONTROL, "days": DAYS}
        report["made_shop"] = made_shop(given.customers, given.runs, given.seed)
        if given.file is not None:
            on = (date.fromisoformat(given.on) - date(1970, 1, 1)).days
            truth = Truth(read_table(given))
            report["real_money"] = real_money(truth, on, given.customers, given.runs, given.seed)
    except LivesegmentsError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    sys.stdout.write(json.dumps(report, indent=None if given.json else 2) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
