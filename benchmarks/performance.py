"""Runs the benchmarks of speed, and writes what they printed into docs/performance.md, with plots beside it.

    python -m benchmarks.performance [--runs N] [--only NAME]… [--page]

What each benchmark printed is kept in docs/figures, so that the page can be written again (`--page`), or one benchmark
run anew, on another machine, too. Nothing on the page comes from anywhere else.
"""

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from benchmarks.drawing import bars, line
from benchmarks.machine import machine, versions

ROOT: Final = Path(__file__).parents[1]
KEPT: Final = ROOT / "docs" / "figures"
PAGE: Final = ROOT / "docs" / "performance.md"
PICTURES: Final = ROOT / "docs" / "pictures"

Results = Mapping[str, Mapping[str, Any]]
"""By benchmark: `figures` (a list, one entry a line that it printed), `machine`, `at`, `runs`, `seconds`."""


def _commands(runs: int) -> dict[str, list[str]]:
    """What is run of each benchmark. A million customers take minutes: they are measured once."""
    return {
        "throughput": ["--repeat", str(runs)],
        "freshness": [
            *("--rate", "1000", "--rate", "2000", "--rate", "5000", "--rate", "70%"),
            *("--seconds", "20", "--repeat", str(runs)),
        ],
        "scale": [],
        "backlog": ["--minutes", "4", "--repeat", str(runs)],
        "views": ["--repeat", str(runs)],
    }


NAMES: Final = tuple(_commands(1))


def measure(name: str, runs: int) -> None:
    """Run one benchmark, and keep what it prints. Raises SystemExit where it fails."""
    command = [sys.executable, "-m", f"benchmarks.{name}", *_commands(runs)[name], "--json"]
    here, began = machine(), time.monotonic()
    print("$", *command[1:], flush=True)
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=False)  # noqa: S603 - our own
    if done.returncode:
        raise SystemExit(f"benchmarks.{name} failed")
    keep(name, [json.loads(text) for text in done.stdout.splitlines()], here, runs, time.monotonic() - began)


def keep(name: str, figures: Sequence[Any], here: Mapping[str, Any], runs: int, seconds: float) -> None:
    """Keep what a benchmark printed."""
    KEPT.mkdir(parents=True, exist_ok=True)
    result = {
        "figures": figures,
        "machine": here,
        "versions": versions(),
        "at": datetime.now(UTC).strftime("%Y-%m-%d %H:%M"),
        "runs": 1 if name == "scale" else runs,
        "seconds": round(seconds),
    }
    (KEPT / f"{name}.json").write_text(json.dumps(result, indent=1) + "\n")


def kept() -> dict[str, dict[str, Any]]:
    """What there is."""
    files = [(name, KEPT / f"{name}.json") for name in NAMES]
    return {name: json.loads(file.read_text()) for name, file in files if file.exists()}


# ---- what it must show ----


def _first(name: str, figure: str, **where: Any) -> Callable[[Results], float | None]:
    """A figure of the first entry that fits; None where nothing was measured."""

    def look(results: Results) -> float | None:
        for entry in results.get(name, {}).get("figures", ()):
            if all(entry.get(key) == value for key, value in where.items()) and figure in entry:
                value: float = entry[figure]
                return value
        return None

    return look


def _times_10k(results: Results) -> float | None:
    """What an event of a customer of its own takes with a million customers, by what it takes with 10,000."""
    few, many = (_first("scale", "us_per_event_alone", customers=number)(results) for number in (10_000, 1_000_000))
    return None if few is None or many is None else round(many / few, 2)


_AT_2000: Final = {"rate": 2_000}
_MILLION: Final = {"customers": 1_000_000}
TARGETS: Final[tuple[tuple[str, Callable[[Results], float | None], str, float], ...]] = (
    *(
        (f"{title}, {who}", _first("throughput", prefix + name), "≥", target)
        for title, name, target in (
            ("Events per second, times the naive loop", "times_naive", 14),
            ("… share of kafka-python's raw poll", "share_of_raw_poll", 0.45),
            ("… times Quix Streams, which only counts", "times_quix", 2),
            ("… times Faust, which only counts", "times_faust", 20),
            ("… times Bytewax, which only counts", "times_bytewax", 0.75),
        )
        for who, prefix in (("two workers on the two cores", "workers_"), ("one worker", ""))
    ),
    ("Oldest dirty view when the log is read, s", _first("throughput", "oldest_dirty_view_s"), "≤", 10),
    ("Views per second, full recommendations", _first("views", "views_per_s"), "≥", 25_000),
    ("2,000 purchases a second: half readable within, ms", _first("freshness", "p50_ms", **_AT_2000), "≤", 20),
    ("… 99 % within, ms", _first("freshness", "p99_ms", **_AT_2000), "≤", 100),
    ("… 99.9 % within, ms", _first("freshness", "p999_ms", **_AT_2000), "≤", 250),
    ("A million customers: worker, MiB", _first("scale", "worker_mib", **_MILLION), "≤", 1_228.8),
    ("… Redis with views, MiB", _first("scale", "redis_mib", **_MILLION), "≤", 2_252.8),
    ("… load, s", _first("scale", "load_s", **_MILLION), "≤", 20),
    ("… sweep, s", _first("scale", "sweep_s", **_MILLION), "≤", 5),
    ("… throughput, share of that with 10,000", _first("scale", "throughput_vs_10k", **_MILLION), "≥", 0.7),
    ("… an event of a customer of its own, by that with 10,000", _times_10k, "≤", 1),
)


def verdicts(results: Results) -> list[str]:
    """A line of a table for each target."""
    found = ["| what | target | measured | |", "|---|---|---|---|"]
    for title, look, relation, target in TARGETS:
        value = look(results)
        reached = value is not None and (value >= target if relation == "≥" else value <= target)
        verdict = "not measured" if value is None else "reached" if reached else "**not reached**"
        found.append(f"| {title} | {relation} {target:,g} | {'–' if value is None else f'{value:,g}'} | {verdict} |")
    return found


# ---- the page ----


def _table(rows: Sequence[Mapping[str, Any]], columns: Sequence[str]) -> list[str]:
    lines = [f"| {' | '.join(columns)} |", f"|{'---|' * len(columns)}"]
    for row in rows:
        cells = [f"{value:,}" if isinstance(value, int | float) else str(value) for value in map(row.get, columns)]
        lines.append(f"| {' | '.join('–' if cell == 'None' else cell for cell in cells)} |")
    return lines


def _run_of(result: Mapping[str, Any], name: str) -> str:
    here, runs = result["machine"], result["runs"]
    return (
        f"`python -m benchmarks.{name}`: {'medians of ' if runs > 1 else ''}{runs} run{'s' if runs > 1 else ''},"
        f" {result['at']} UTC, {result['seconds']} s, load of the machine before it {here['load']}."
    )


def _throughput(result: Mapping[str, Any]) -> list[str]:
    (figures,) = result["figures"]
    sources = [("The synthetic shop", figures)]
    table = figures.get("table", {})
    if "skipped" in table:
        sources.append((f"Online Retail: left out, {table['skipped']}", {}))
    elif table:
        sources.append(("Online Retail", table))
    lines = ["## Events per second", "", _run_of(result, "throughput"), ""]
    lines += ["![Events per second, the synthetic shop](pictures/performance-throughput.svg)", ""]
    for title, one in sources:
        lines += [f"### {title}", ""]
        if one:
            lines += [f"{one['events']:,} events of {one['event_bytes']} bytes, {one['customers']:,} buyers.", ""]
            lines += _table([{"what": name, "events/s": speed} for name, speed in speeds(one)], ("what", "events/s"))
            lines += [f"\n{name.removesuffix('_skipped')}: {one[name]}" for name in one if name.endswith("_skipped")]
            lines += ["", f"Oldest dirty view when the last event is in its row: {one['oldest_dirty_view_s']} s; no"]
            lines += [f"view is dirty {one['views_up_to_date_s']} s later. Processor seconds for a million events:", ""]
            stages = one["processor_s_per_million"] | {"in all": one["processor_s_per_million_in_all"]}
            stages["kafka-python's raw poll, for comparison"] = one["raw_poll_processor_s_per_million"]
            lines += _table([{"stage": name, "s": value} for name, value in stages.items()], ("stage", "s"))
            lines.append("")
    return lines


def speeds(figures: Mapping[str, Any]) -> list[tuple[str, float]]:
    """Who reads how many events a second, in the same rounds."""
    titles = {
        "raw_poll": "kafka-python's raw poll",
        "bytewax": "Bytewax, counting",
        "": "livesegments, one worker",
        "workers": "livesegments, two workers",
        "quix": "Quix Streams, counting",
        "naive": "naive loop",
        "faust": "Faust, counting",
    }
    names = {f"{name}_events_per_s" if name else "events_per_s": title for name, title in titles.items()}
    return sorted(
        ((title, figures[name]) for name, title in names.items() if name in figures), key=lambda pair: -pair[1]
    )


def _freshness(result: Mapping[str, Any]) -> list[str]:
    columns = ("rate", "views", "missing", "p50_ms", "p99_ms", "p999_ms", "max_ms", "producer_late_ms")
    done = ("sweeps", "reviews", "item_reviews", "forecast_reviews")
    rows = result["figures"]
    return [
        "## From a purchase that is due to the buyer's view in Redis",
        "",
        _run_of(result, "freshness"),
        f"The worker's maximum was {rows[0]['maximum']:,} events a second. What ran meanwhile stands at the right.",
        "",
        *_table(rows, columns + done),
        "",
    ]


def _scale(result: Mapping[str, Any]) -> list[str]:
    columns = (
        *("customers", "worker_mib", "worker_most_mib", "redis_mib", "load_s", "sweep_s", "views_s"),
        *("us_per_event_alone", "events_per_s", "throughput_vs_10k", "events_per_s_rewriting", "hand_over_pause_s"),
    )
    rows = result["figures"]
    lines = ["## Many customers", "", _run_of(result, "scale"), f"{rows[0]['items']:,} items.", ""]
    lines += [
        *_table(rows, columns),
        "",
        "`events_per_s_rewriting`: from the moment on that Redis rewrites its append-only file, as it does whenever",
        "that has doubled; `events_per_s` and `throughput_vs_10k` while it does not. `worker_mib` and `redis_mib` are",
        "those before the events, with all views written. `us_per_event_alone` is what an event takes in small steps,",
        "where (nearly) each is of a customer of its own. In a worker's own steps, of up to 20,000 events, eight",
        "of them change one row where there are 10,000 customers, and 1.1 where there are 100,000.",
        "",
    ]
    if rows[-1].get("extrapolated"):
        lines += ["The last line is extrapolated from the two before it, not measured.", ""]
    return lines


def _backlog(result: Mapping[str, Any]) -> list[str]:
    (figures,) = result["figures"]
    names = [name for name in figures if name not in {"looks", "runs"}]
    return [
        "## After a backlog",
        "",
        _run_of(result, "backlog"),
        "",
        "![Events that wait](pictures/performance-backlog-rows.svg)",
        "![Age of the oldest dirty view, seconds](pictures/performance-backlog-views.svg)",
        "",
        *_table([{"what": name, "": figures[name]} for name in names], ("what", "")),
        "",
    ]


def _views(result: Mapping[str, Any]) -> list[str]:
    (figures,) = result["figures"]
    lines = ["## Views", "", _run_of(result, "views"), ""]
    return [*lines, *_table([{"what": name, "": value} for name, value in figures.items()], ("what", "")), ""]


_SECTIONS: Final = {
    "throughput": _throughput,
    "freshness": _freshness,
    "scale": _scale,
    "backlog": _backlog,
    "views": _views,
}


def _ran_on(results: Results) -> list[str]:
    """On what which benchmarks ran: one line where it was the same for all."""
    names: dict[str, list[str]] = {}
    for name, result in sorted(results.items(), key=lambda pair: pair[1]["at"], reverse=True):
        here = result["machine"]
        with_what = ", ".join(f"{package} {number}" for package, number in result["versions"].items())
        where = f"{here['processor']}, {here['cores']} cores, {here['memory_gib']} GiB, {here['system']}"
        names.setdefault(f"{where}. {with_what}.", []).append(name)
    if len(names) == 1:
        return list(names)
    return [f"- {', '.join(those)}: {ran_on}" for ran_on, those in names.items()]


def page(results: Results) -> str:
    """The page as Markdown."""
    lines = [
        "# Performance",
        "",
        "Written by `make bench`; every figure is what a benchmark printed. Broker, Redis and whatever publishes share",
        "the machine with what is measured, so that the ratios say more than the speeds.",
        "",
        *_ran_on(results),
        "",
        "## What it is to show",
        "",
        *verdicts(results),
        "",
    ]
    for name, section in _SECTIONS.items():
        if name in results:
            lines += section(results[name])
    return "\n".join(lines).rstrip() + "\n"


def pictures(results: Results) -> dict[str, str]:
    """SVG by file name."""
    found = {}
    if "throughput" in results:
        (figures,) = results["throughput"]["figures"]
        plot = bars("Events per second", speeds(figures), "livesegments")
        found["performance-throughput.svg"] = plot
    if "backlog" in results:
        looks = results["backlog"]["figures"][0]["looks"]
        waiting = [(seconds, count) for seconds, count, _ in looks if count is not None]
        found["performance-backlog-rows.svg"] = line("Events that wait", waiting, "events that wait")
        ages = [(seconds, age) for seconds, _, age in looks]
        found["performance-backlog-views.svg"] = line("Oldest dirty view", ages, "s: age of the oldest dirty view")
    return found


def main() -> None:
    """Measure, and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=5, help="of each, of which medians are taken")
    parser.add_argument("--only", action="append", choices=NAMES, help="measure this one anew; again for several")
    parser.add_argument("--page", action="store_true", help="measure nothing: write the page again")
    arguments = parser.parse_args()
    for name in () if arguments.page else arguments.only or NAMES:
        measure(name, arguments.runs)
    results = kept()
    if not results:
        raise SystemExit("nothing was measured yet")
    PAGE.write_text(page(results))
    for name, picture in pictures(results).items():
        (PICTURES / name).write_text(picture)
    print(f"wrote {PAGE.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
