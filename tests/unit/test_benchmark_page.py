"""docs/performance.md: what benchmarks print, what is reached of what they are to show, and plots."""

import json
import xml.etree.ElementTree as ET

import pytest

from benchmarks import performance
from benchmarks.drawing import bars, line

MACHINE = {"processor": "Some CPU", "cores": 2, "memory_gib": 8.0, "system": "Linux 6.1", "load": 0.3}
THROUGHPUT = {
    "events": 1_000,
    "customers": 90,
    "event_bytes": 360,
    "events_per_s": 50_000,
    "naive_events_per_s": 5_000,
    "raw_poll_events_per_s": 200_000,
    "times_naive": 10.0,
    "workers_events_per_s": 80_000,
    "workers_times_naive": 16.0,
    "workers_share_of_raw_poll": 0.4,
    "workers_times_quix": 4.0,
    "share_of_raw_poll": 0.25,
    "quix_events_per_s": 20_000,
    "times_quix": 2.5,
    "faust_skipped": "no wheel",
    "oldest_dirty_view_s": 1.5,
    "views_up_to_date_s": 0.5,
    "processor_s_per_million": {"poll": 3.0, "decode": 2.0},
    "processor_s_per_million_in_all": 5.0,
    "raw_poll_processor_s_per_million": 4.5,
    "table": {"skipped": "there is no table"},
}
SCALE = [
    {"customers": 10_000, "items": 100, "worker_mib": 200.0, "throughput_vs_10k": 1.0},
    {"customers": 1_000_000, "items": 100, "worker_mib": 2_000.0, "throughput_vs_10k": 0.8, "load_s": 20.0},
    {"customers": 10_000_000, "extrapolated": True, "worker_mib": 20_000.0},
]
BACKLOG = {
    "events_per_s": 9_000,
    "views_up_to_date_s": None,
    "looks": [[0.0, None, 0.0], [1.0, 500, 2.5], [2.0, 0, 0.1]],
}


@pytest.fixture
def results(tmp_path, monkeypatch):
    monkeypatch.setattr(performance, "KEPT", tmp_path)
    for name, figures in (("throughput", [THROUGHPUT]), ("scale", SCALE), ("backlog", [BACKLOG])):
        performance.keep(name, figures, MACHINE, 5, 60.2)
    return performance.kept()


def test_what_is_kept_is_what_was_printed(results):
    assert results["throughput"]["figures"] == [json.loads(json.dumps(THROUGHPUT))]
    assert list(results) == ["throughput", "scale", "backlog"]
    assert [result["runs"] for result in results.values()] == [5, 1, 5]


def test_each_target_is_reached_or_not_or_not_measured(results):
    lines = {
        text.split(" | ")[0].lstrip("| …"): text.rstrip(" |").rpartition("| ")[2]
        for text in performance.verdicts(results)
    }
    assert lines["Events per second, times the naive loop, one worker"] == "**not reached**"
    assert lines["Events per second, times the naive loop, two workers on the two cores"] == "reached"
    assert lines["times Quix Streams, which only counts, one worker"] == "reached"
    assert lines["times Faust, which only counts, one worker"] == "not measured"
    assert lines["A million customers: worker, MiB"] == "**not reached**"
    assert lines["load, s"] == "reached"
    assert lines["99 % within, ms"] == "not measured"


def test_the_page_says_on_what_it_ran_and_what_was_left_out(results):
    page = performance.page(results)
    assert "Some CPU, 2 cores, 8.0 GiB, Linux 6.1" in page
    assert "kafka-python 3" in page
    assert "faust: no wheel" in page
    assert "Online Retail: left out, there is no table" in page
    assert "| livesegments, one worker | 50,000 |" in page
    assert "extrapolated from the two before it, not measured" in page
    assert "medians of 5 runs" in page
    for name in performance.pictures(results):
        assert f"(pictures/{name})" in page


def test_it_says_of_each_machine_what_ran_there(results):
    other = {**results["scale"], "machine": {**MACHINE, "processor": "Another CPU"}, "at": "2020-01-01 00:00"}
    page = performance.page({**results, "scale": other})
    assert "- throughput, backlog: Some CPU, 2 cores" in page
    assert "- scale: Another CPU, 2 cores" in page


def test_the_page_that_is_published_is_what_its_figures_make():
    published = performance.kept()
    assert performance.PAGE.read_text() == performance.page(published)
    for name, picture in performance.pictures(published).items():
        assert (performance.PICTURES / name).read_text() == picture


def test_the_readme_tells_what_was_measured_last():
    readme = (performance.ROOT / "README.md").read_text()
    published = performance.kept()
    (shop,), at_2000 = published["throughput"]["figures"], published["freshness"]["figures"][1]
    retail = shop["table"]

    for figure in ("events_per_s", "workers_events_per_s", "naive_events_per_s", "raw_poll_events_per_s"):
        assert f"{hundreds(shop[figure])}, {hundreds(retail[figure])}" in readme, figure
    assert at_2000["rate"] == 2_000
    assert f"half within {at_2000['p50_ms']:.0f} ms, 99 % within {at_2000['p99_ms']:.0f} ms" in readme


def hundreds(figure):
    return f"{round(figure, -2):,}"


def test_plots_are_svg_whose_longest_bar_is_the_largest_value(results):
    for picture in performance.pictures(results).values():
        assert ET.fromstring(picture).tag.endswith("svg")
    plot = ET.fromstring(bars("<Speeds>", [("ours & theirs", 3.0), ("b", 6.0)], "b"))
    widths = [float(bar.get("width")) for bar in plot.iter("{http://www.w3.org/2000/svg}rect")]
    assert widths[1] == pytest.approx(2 * widths[0])
    path = ET.fromstring(line("age", [(0.0, 0.0), (1.0, 4.0), (2.0, 0.0)], "s")).find(
        "{http://www.w3.org/2000/svg}path"
    )
    assert path.get("d").split("L")[1].split(",")[1].strip() == "16.0"
