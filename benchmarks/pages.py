"""The pages in Chromium with many customers behind them: how soon the first one tells numbers, how fluid the map is.

One process of `livesegments web` on a log in Redis, a worker that has made customers of a history, and a browser
without a cache. A speed on a shared machine means little: `load` says how busy it was.

    python -m benchmarks.pages [--customers N] [--visits N] [--json]

Needs Chromium (Debian: apt-get install chromium) and Playwright; Redis is found as in tests.
"""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import numpy as np
from playwright.sync_api import Browser, Page, sync_playwright

from benchmarks.api import BATCH, add_json_argument, publish, serving, tell
from tests.servers import redis_server

DAYS: Final = 300
"""Of history."""
PATIENCE: Final = 60_000
"""Milliseconds."""
GESTURE_STEPS: Final = 90

# Runs before the page's own scripts: when the number of customers is first there, and each frame's time.
_WATCH: Final = """
window.told = null; window.frames = [];
(function tick(at) {
  window.frames.push(at);
  const number = document.querySelector("#now-customers .number-value");
  if (window.told === null && number && /[0-9]/.test(number.textContent)) window.told = performance.now();
  requestAnimationFrame(tick);
})(0);
"""


@dataclass(frozen=True)
class Frames:
    """While somebody moves about on the map."""

    per_s: float
    """Half of the frames came at this rate or a higher one."""
    p95_ms: float
    worst_ms: float


@dataclass(frozen=True)
class Figures:
    """What `--json` prints."""

    customers: int
    first_page_ms: float
    """From the navigation to the numbers on Now, without a cache: median."""
    first_page_worst_ms: float
    again_ms: float
    """The same with what the browser has kept: median."""
    kilobytes: float
    """Over the wire for the first page, figures and their library included."""
    points: int
    map_ms: float
    """From the navigation to the points on the map, without a cache, the sample being fresh."""
    pan: Frames
    zoom: Frames
    load: float
    """Processes that wanted to run, over the last minute."""


def history(customers: int, now: datetime) -> Iterator[bytes]:
    """A batch of purchases at a time, in time order: some customers buy often, some once."""
    rng = np.random.default_rng(1)
    counts = rng.geometric(np.where(rng.random(customers) < 0.2, 0.25, 0.75))
    who = np.repeat(np.arange(customers), counts)
    days = rng.uniform(0, DAYS, len(who)) * np.repeat(rng.choice([0.2, 0.6, 1.0], customers), counts)
    prices = np.round(np.exp(rng.normal(2.5, 0.8, len(who))), 2)
    order = np.argsort(-days, kind="stable")
    for start in range(0, len(order), BATCH):
        yield json.dumps(
            [
                {
                    "type": "purchase",
                    "event_id": f"e{n}",
                    "customer_id": f"c{who[n]}",
                    "occurred_at": (now - timedelta(days=float(days[n]), minutes=1)).isoformat(),
                    "order_id": f"o{n}",
                    "lines": [{"item_id": f"i{n % 2000}", "quantity": 1 + n % 4, "unit_price": float(prices[n])}],
                    "currency": "GBP",
                }
                for n in order[start : start + BATCH].tolist()
            ]
        ).encode()


def whole(bodies: Sequence[bytes]) -> list[bytes]:
    """Without the last batch where it is no full one, as `publish` counts."""
    return list(bodies[:-1]) if len(bodies) > 1 else list(bodies)


def visit(browser: Browser, url: str) -> tuple[float, float, float]:
    """Milliseconds until the numbers are told without a cache and with it, and the kilobytes that it took."""
    context = browser.new_context(viewport={"width": 1280, "height": 900}, bypass_csp=True)
    try:
        page = context.new_page()
        network = context.new_cdp_session(page)
        network.send("Network.enable")
        received: list[float] = []
        network.on("Network.loadingFinished", lambda told: received.append(told["encodedDataLength"]))
        page.add_init_script(_WATCH)
        first = _told(page, f"{url}/app/")
        page.wait_for_selector("#now-history .scatterlayer", state="attached", timeout=PATIENCE)
        kilobytes = sum(received) / 1e3
        return first, _told(page, f"{url}/app/"), kilobytes
    finally:
        context.close()


def _told(page: Page, url: str) -> float:
    page.goto(url)
    page.wait_for_function("window.told !== null", timeout=PATIENCE)
    return float(page.evaluate("window.told"))


def look_at_the_map(browser: Browser, url: str) -> tuple[int, float, Frames, Frames]:
    """Points, milliseconds until they are there, and frames while it is panned and zoomed."""
    context = browser.new_context(viewport={"width": 1280, "height": 900}, bypass_csp=True)
    try:
        page = context.new_page()
        page.add_init_script(_WATCH)
        page.goto(f"{url}/app/map")
        points = page.locator("canvas.points")
        points.wait_for(state="attached", timeout=PATIENCE)
        page.wait_for_function("document.querySelector('canvas.points').dataset.points", timeout=PATIENCE)
        shown = float(page.evaluate("performance.now()"))
        count = int(points.get_attribute("data-points") or 0)
        page.locator('.modebar-btn[data-val="pan"]').click()
        box: Any = page.locator("#map-figure .nsewdrag").first.bounding_box()
        x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2

        def pan() -> None:
            page.mouse.move(x, y)
            page.mouse.down()
            for step in range(GESTURE_STEPS):
                page.mouse.move(x + 150 * np.sin(step / 10), y + 100 * np.cos(step / 13))
            page.mouse.up()

        def zoom() -> None:
            page.mouse.move(x, y)
            for step in range(GESTURE_STEPS):
                page.mouse.wheel(0, -40 if step % 30 < 15 else 40)

        return count, shown, _frames(page, pan), _frames(page, zoom)
    finally:
        context.close()


def _frames(page: Page, gesture: Any) -> Frames:
    page.evaluate("window.frames.length = 0")
    gesture()
    # Moves of the mouse are answered once they are handled, so all frames of the gesture are there.
    times = np.array(page.evaluate("window.frames"))
    between = np.diff(times)
    return Frames(
        round(1e3 / float(np.median(between)), 1),
        round(float(np.percentile(between, 95)), 1),
        round(float(between.max()), 1),
    )


def measure(customers: int, visits: int, redis_url: str) -> Figures:
    """All figures."""
    tag = f"bench-{uuid.uuid4().hex[:8]}"
    settings = [
        *("--redis-url", redis_url, "--log-url", redis_url, "--key-prefix", tag, "--log-prefix", f"{tag}-"),
        *("--group", tag, "--log-level", "warning"),
    ]
    quietly: dict[str, Any] = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    with serving([*settings[:-2], "--log-level", "info"]) as (url, _), sync_playwright() as playwright:
        publish(url, whole(list(history(customers, datetime.now(UTC)))))
        worker = [sys.executable, "-m", "livesegments", "worker", *settings, "--until-idle", "3s"]
        subprocess.run(worker, check=True, **quietly)  # noqa: S603
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
        try:
            visit(browser, url)
            found = [visit(browser, url) for _ in range(visits)]
            look_at_the_map(browser, url)
            time.sleep(0.1)
            points, map_ms, pan, zoom = look_at_the_map(browser, url)
        finally:
            browser.close()
        first, again, kilobytes = zip(*found, strict=True)
        return Figures(
            customers=customers,
            first_page_ms=round(statistics.median(first)),
            first_page_worst_ms=round(max(first)),
            again_ms=round(statistics.median(again)),
            kilobytes=round(statistics.median(kilobytes)),
            points=points,
            map_ms=round(map_ms),
            pan=pan,
            zoom=zoom,
            load=round(os.getloadavg()[0], 1),
        )


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--customers", type=int, default=100_000)
    parser.add_argument("--visits", type=int, default=5)
    add_json_argument(parser)
    asked = parser.parse_args()
    with redis_server() as redis_url:
        figures = asdict(measure(asked.customers, asked.visits, redis_url))
    tell(figures, asked.json)


if __name__ == "__main__":
    main()
