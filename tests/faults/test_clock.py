"""The machine's clock jumps: rows do not hang on it, and nothing waits for it."""

import time

from contracts.times import DAY, HOUR
from tests.faults.scenario import Scenario, faulty


def test_a_clock_that_jumps_and_comes_back(kafka_bootstrap, redis_url, unique, fault_report, tmp_path):
    """A year ahead, then a year behind, then right again, under one of two workers."""
    wall = tmp_path / "wall"
    wall.write_text("0")
    deployment = faulty(f"kafka://{kafka_bootstrap}", redis_url, unique, clock="wall", sweep_interval_wall=HOUR)
    with Scenario(deployment) as shop:
        (jumping,) = shop.start(1, wall_file=str(wall))
        shop.start(1)
        shop.load()
        for days in (365, -365, 0):
            new = tmp_path / "new"
            new.write_text(str(days * DAY))
            new.replace(wall)
            shop.more_checkpoints(5)
        took = shop.recovered(time.monotonic())
        rows = shop.checked()
        assert jumping.exitcode is None
        fault_report(
            "the machine's clock of one of two workers a year ahead, then a year behind, then right",
            f"{rows} rows exact, checkpoints all the time",
            took,
        )
