"""What the report costs at full size: 8 regimes, 10 seeds, 20 generations (tests/full_size.py).

`python -m bench.report` writes bench/report.json: the size of the page, the seconds of CPU that writing it took, and in
headless Chromium the milliseconds to its first contentful paint, of its longest task while it loads and while it is
scrolled from end to end, from a click to a receipt, and of CPU of its main thread until it was loaded, which says the
same on a busy machine. A few minutes."""

import contextlib
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

from bench.machine import machine
from herdbook.files import write_json
from herdbook.layout import REPORT
from stages import report
from tests import full_size
from tests.flows.browser import browser

SHAPE = (8, 10, 20)  # regimes, seeds, generations
FOUND = Path("bench/report.json")
TIMES = 3
_SCREEN_PIXELS = 900
_TASKS = """
const done = arguments[arguments.length - 1];
new PerformanceObserver((list) => done(Math.max(0, ...list.getEntries().map((entry) => entry.duration))))
  .observe({ type: "longtask", buffered: true });
setTimeout(() => done(0), 500);
"""
_RECEIPT = """
const begun = performance.now(), done = arguments[arguments.length - 1];
document.querySelector(".glance button").click();
requestAnimationFrame(() => requestAnimationFrame(() => done(performance.now() - begun)));
"""


def viewed(page: Path) -> dict[str, float]:
    """One visit to a page, in milliseconds: first paint, its longest task, that of a scroll to its end, and a receipt."""
    with browser() as driver:
        driver.execute_cdp_cmd("Performance.enable", {"timeDomain": "threadTicks"})
        driver.get(page.as_uri())
        metrics = {one["name"]: one["value"] for one in driver.execute_cdp_cmd("Performance.getMetrics", {})["metrics"]}
        found = {"cpu_of_loading": 1000 * metrics["TaskDuration"]}
        found |= {"first_paint": driver.execute_script("return performance.getEntriesByName('first-contentful-paint')[0].startTime")}
        found["longest_task_of_loading"] = driver.execute_async_script(_TASKS)
        for top in range(0, driver.execute_script("return document.documentElement.scrollHeight"), _SCREEN_PIXELS):
            driver.execute_script("scrollTo({ top: arguments[0], behavior: 'instant' })", top)
            time.sleep(0.1)
        found["longest_task_of_all"] = driver.execute_async_script(_TASKS)
        found["receipt"] = driver.execute_async_script(_RECEIPT)
        assert driver.get_log("browser") == []
    return {name: round(value) for name, value in found.items()}


def measured(root: Path) -> dict[str, Any]:
    """All measurements of one page."""
    with contextlib.chdir(root):
        full_size.write(root, *SHAPE)
        begun = time.process_time()
        report.main([])
        seconds = time.process_time() - begun
        visits = [viewed(root / REPORT) for _ in range(TIMES)]
    medians = {name: statistics.median(visit[name] for visit in visits) for name in visits[0]}
    size = (root / REPORT).stat().st_size
    return {"page_mib": round(size / 2**20, 2), "cpu_seconds_to_write": round(seconds, 1), "milliseconds": medians}


def main() -> None:
    """Measure and write bench/report.json."""
    with tempfile.TemporaryDirectory() as folder:
        found = measured(Path(folder))
    names = ("num_regimes", "num_seeds", "num_generations")
    write_json(FOUND, {"machine": machine(), **dict(zip(names, SHAPE, strict=True)), **found})


if __name__ == "__main__":
    main()
