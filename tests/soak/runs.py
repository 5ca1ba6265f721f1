"""The two runs: many kills, and a rebalance a minute."""

import json
import random
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from consumer.clock import wall_micros
from consumer.patience import Patience
from consumer.worker import Worker
from contracts.times import DAY
from livesegments.app import Deployment, create_logs, open_deployment, open_redis, open_worker
from livesegments.parts import keys, log_names
from tests.soak.feeding import Feeding
from tests.soak.fleet import Fleet
from tests.soak.gauge import Trend, of_process, of_redis, orphans, trend
from tests.soak.setting import PARTITIONS, environment_of, settings_of, values
from tests.soak.stream import HISTORY_DAYS, Stream
from tests.soak.verdict import judge

SETTLING_SECONDS = 300
"""For one worker to work off what is left."""
STUCK_SECONDS = 120
"""Without a kill for so long, something hangs."""
NOT_FLAT = {"at", "published", "redis_days_mb", "redis_rss_mb"}
"""Redis' resident memory holds the books of days, too."""
READING_SECONDS = 10.0
RARE_REVIEWS = {
    "review_interval_event": "5d",
    "k_interval_event": "30d",
    "item_review_interval_event": "30d",
    "item_review_growth": "1000",
    "blend_tuning": "false",
}
"""Each new leader starts a process for them, and there is a new leader every quarter of a minute."""
SHORTEST_LIFE, LONGEST_LIFE = 50, 5_000
"""Checkpoints; in between it is fitted to the time there is."""
WARM_UP = 0.25
"""Share of the run before figures are looked at."""
ORPHAN_SECONDS = 10
"""For children of killed workers to notice."""


@dataclass(frozen=True)
class Plan:
    """What is to be done, and where."""

    log_url: str
    redis_url: str
    tag: str
    folder: Path
    kills: int = 500
    minutes: float = 60
    rate: float = 250
    workers: int = 3
    customers: int = 1_500
    life: int = 300
    """Checkpoints that a worker lives at most, to begin with."""
    patience: float = 1.5
    """Times the minutes planned, after which nobody is killed any more."""
    seed: int = 1


@dataclass
class Scene:
    """A deployment with events coming in and nobody at work yet."""

    deployment: Deployment
    fleet: Fleet
    feeding: Feeding


@contextmanager
def _scene(plan: Plan, **more: str) -> Iterator[Scene]:
    chosen = values(log_url=plan.log_url, redis_url=plan.redis_url, tag=plan.tag, **more)
    days = HISTORY_DAYS + plan.minutes * 1.5 + 10
    stream = Stream(
        seed=plan.seed,
        start=wall_micros() - round(days * DAY),
        customers=plan.customers,
        rate=plan.rate,
        partitions=PARTITIONS,
    )
    with open_deployment(settings_of(chosen)) as deployment:
        create_logs(deployment.settings, deployment.logs)
        with closing(deployment.logs.writer()) as writer:
            feeding = Feeding(writer, log_names(deployment.settings).events, stream, plan.rate)
            feeding.history()
            with Fleet(environment_of(chosen), plan.folder) as fleet:
                yield Scene(deployment, fleet, feeding)


def kills(plan: Plan) -> dict:
    """Kill workers until there were enough kills; then let one finish, and look."""
    rng = random.Random(plan.seed)
    with _scene(plan, **RARE_REVIEWS, model_versions_kept="1000") as scene:
        fleet = scene.fleet
        began = last = told = time.monotonic()
        with scene.feeding:
            for place in range(plan.workers):
                fleet.start_mortal(place, rng, plan.life)
            life = plan.life
            while fleet.kills < plan.kills and (now := time.monotonic()) - began < plan.minutes * 60 * plan.patience:
                for place in fleet.bury():
                    last = now
                    behind = fleet.kills / plan.kills < (now - began) / (plan.minutes * 60)
                    life = min(max(life * (0.95 if behind else 1.05), SHORTEST_LIFE), LONGEST_LIFE)
                    fleet.start_mortal(place, rng, round(life))
                if now - last > STUCK_SECONDS:
                    fleet.surprises.append(f"nobody died for {STUCK_SECONDS} s: workers hang")
                    break
                if now - told > 60:
                    told = now
                    told_now = f"{fleet.kills} kills, {scene.feeding.published} events, life {life:.0f}"
                    say(f"{now - began:6.0f} s: {told_now}")
                time.sleep(0.05)
        seconds = time.monotonic() - began
        for place in list(fleet.members):
            fleet.leave(place)
        figures = {"kills": fleet.kills, "seconds": round(seconds), **_settled(scene.deployment)}
        left_over = _orphans(plan.tag)
        figures["surprises"] = fleet.surprises + [f"process {pid} outlives its worker" for pid in left_over]
    return _told(figures, enough=figures["kills"] >= plan.kills)


def rebalances(plan: Plan) -> dict:
    """A worker joins or leaves every minute, while others stay; read what all take, and see whether it grows."""
    readings: list[dict] = []
    leaving: list[float] = []
    with _scene(plan, model_versions_kept="20") as scene:
        fleet = scene.fleet
        for place in range(plan.workers):
            fleet.start(place)
        guest = plan.workers - 1
        began = time.monotonic()
        with scene.feeding, closing(open_redis(scene.deployment.settings)) as client:
            minute = 1
            while (now := time.monotonic() - began) < plan.minutes * 60:
                for place in fleet.bury():
                    fleet.start(place)
                if now >= minute * 60:
                    minute += 1
                    if guest in fleet.members:
                        leaving.append(fleet.leave(guest))
                    else:
                        fleet.start(guest)
                reading = {"at": round(now, 1), "published": scene.feeding.published}
                reading |= of_redis(client, keys(scene.deployment.settings), PARTITIONS)
                readings.append(reading | _of_workers(fleet, range(guest)))
                with (plan.folder / "readings.jsonl").open("a") as kept:
                    kept.write(f"{json.dumps(readings[-1])}\n")
                if len(readings) % 6 == 1:
                    say(str(readings[-1]))
                time.sleep(max(0.0, READING_SECONDS - (time.monotonic() - began - now)))
        leaving += [fleet.leave(place) for place in list(fleet.members)]
        figures = {"rebalances": minute - 1, "longest leave, seconds": round(max(leaving), 2)}
        figures |= _settled(scene.deployment)
        left_over = _orphans(plan.tag)
        figures["surprises"] = fleet.surprises + [f"process {pid} outlives its worker" for pid in left_over]
    trends = _trends([one for one in readings if one["at"] >= WARM_UP * plan.minutes * 60])
    figures["growing"] = sorted(name for name, found in trends.items() if not found.flat)
    figures["trends"] = {name: vars(found) for name, found in sorted(trends.items())}
    figures["readings"] = readings
    return _told(figures, enough=True)


def _of_workers(fleet: Fleet, places: Iterable[int]) -> dict[str, float]:
    """What those take who stay."""
    return {
        f"worker-{place} {name}": value
        for place in places
        if place in fleet.members
        for name, value in (of_process(fleet.members[place].process.pid) or {}).items()
    }


def _trends(readings: list[dict]) -> dict[str, Trend]:
    """Of every figure, told as a table."""
    trends = {}
    for name in sorted(set().union(*readings) - NOT_FLAT):
        some = [one for one in readings if name in one]
        found = trend([one["at"] for one in some], [one[name] for one in some])
        if found is not None:
            trends[name] = found
    say(f"\n{'after warm-up':28} {'mean':>14} {'least':>14} {'most':>14} {'per hour':>12}")
    for name, found in trends.items():
        say(f"{name:28} {found}")
    return trends


def say(line: str) -> None:
    """A line for whoever reads the end of it later."""
    print(line, flush=True)  # noqa: T201 - a programme for the terminal


def _settled(deployment: Deployment) -> dict:
    """Let one worker of ours work off what is left, and judge."""
    with open_worker(deployment, Patience(threading.Event())) as worker:
        idle = _run(worker)
        found = judge(deployment, worker)
    if not idle:
        found["wrong"]["rest"] = {"number": 1, "such as": [f"one worker was not done within {SETTLING_SECONDS} s"]}
    return found


def _run(worker: Worker) -> bool:
    guard = threading.Timer(SETTLING_SECONDS, worker.stop)
    guard.start()
    worker.run(until_idle=1.5)
    idle = guard.is_alive()
    guard.cancel()
    return idle


def _orphans(tag: str) -> list[int]:
    deadline = time.monotonic() + ORPHAN_SECONDS
    while (left_over := orphans(tag)) and time.monotonic() < deadline:
        time.sleep(0.2)
    return left_over


def _told(figures: dict, *, enough: bool) -> dict:
    figures["holds"] = enough and not (figures["wrong"] or figures["surprises"] or figures.get("growing"))
    for name, value in figures.items():
        if name not in {"trends", "readings"}:
            say(f"{name:28} {value}")
    say("EVERYTHING HOLDS" if figures["holds"] else "SOMETHING IS WRONG")
    return figures
