"""The report for people."""

from collections.abc import Mapping
from typing import Any, Final

from benchmarks.recommendation.cases import TARGETS

_TITLES: Final = {"all": "all products", "new": "products new to the customer"}


def show(report: Mapping[str, Any]) -> None:
    """Print tables: per target the mean over cuts, then NDCG@10 by cut, cold customers, prequential."""
    for target in TARGETS:
        print(f"{_TITLES[target]:30} {'NDCG@10':>8} {'95 %':>15} {'recall':>8} {'hits':>8} {'ours − it':>20}")
        for name, one in report[target].items():
            cells = (_cell(one["ndcg@10"]), _range(one), _cell(one["recall@10"]), _cell(one["hit_rate"]))
            print(f"{name:30} " + "{:>8} {:>15} {:>8} {:>8}".format(*cells) + f" {_gap(one.get('ours_minus')):>20}")
        print()
    for cut, one in report["cuts"].items():
        print(f"{cut}: {one['customers']} customers, {one['customers_with_new']} with something new")
        for target in TARGETS:
            said = ", ".join(f"{name} {_cell(figures['ndcg@10'])}" for name, figures in one[target].items())
            print(f"  {target}: {said}")
    cold = report["cold"]
    said = ", ".join(f"{name} {_cell(one['ndcg@10'])}" for name, one in cold.items() if name != "customers")
    print(f"\n{cold['customers']} cold customers: {said}")
    asked = report["prequential"]
    print(f"prequential: {asked['orders']} orders of {asked['days']} days, {asked['cold_orders']} of cold customers")
    for part in (*TARGETS, "cold"):
        said = ", ".join(f"{name} {_cell(one and one['ndcg@10'])} {_range(one)}" for name, one in asked[part].items())
        print(f"  {part}: {said}")
    worse = ", ".join(report["significantly_worse_than"]) or "none"
    print(f"\nsignificantly worse than: {worse}; seconds: {report['seconds']}")


def _cell(value: float | None) -> str:
    return "–" if value is None else f"{value:.4f}"


def _range(one: Mapping[str, Any] | None) -> str:
    return "–" if not one or one.get("ndcg@10") is None else f"{one['low']:.4f}–{one['high']:.4f}"


def _gap(one: Mapping[str, Any] | None) -> str:
    return "" if one is None else f"{one['ndcg@10']:+.4f} ±{(one['high'] - one['low']) / 2:.4f}"
