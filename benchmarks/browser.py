"""Measure the page that needs no server, in Debian's Chromium on one core: `make docs` before.

Processor seconds are those of all of the browser's processes, and of what serves it.
"""

import argparse
import os
import shutil
import threading
import time
from collections.abc import Callable
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

ROOT = Path(__file__).parents[1]
TICKS = os.sysconf("SC_CLK_TCK")
SLIDE = """async () => {
  const [slider, after] = ["slider-yaw", "after"].map((id) => document.getElementById(id));
  const before = after.toDataURL();
  slider.value = slider.value > 0 ? -1 : 1;
  slider.dispatchEvent(new Event("input"));
  while (after.toDataURL() === before) await new Promise((resolve) => setTimeout(resolve, 5));
}"""


class Quiet(SimpleHTTPRequestHandler):
    """Serves without a log."""

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


def processor_seconds() -> float:
    """Return what this process and its descendants have computed."""
    parents, ticks = {}, {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rpartition(")")[2].split()
        except OSError:  # it has ended
            continue
        number = int(path.parent.name)
        parents[number], ticks[number] = int(fields[1]), int(fields[11]) + int(fields[12])
    ours = {os.getpid()}
    for _ in range(20):  # generations
        ours |= {number for number, parent in parents.items() if parent in ours}
    return sum(ticks.get(number, 0) for number in ours) / TICKS


def measured(what: str, act: Callable[[], object]) -> None:
    """Print how long something takes."""
    wall, processor = time.perf_counter(), processor_seconds()
    act()
    wall, processor = time.perf_counter() - wall, processor_seconds() - processor
    print(f"{what:40} {wall:8.2f} s  {processor:8.2f} s", flush=True)


def find(page: Page, number: int) -> None:
    """Invert an example by five steps."""
    page.get_by_role("button", name=f"Portrait {number}", exact=True).click()
    page.get_by_text("Found in").wait_for()
    page.evaluate("document.getElementById('status').textContent = ''")


def main() -> None:
    """Print wall and processor time of what a visitor waits for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cores", type=int, default=1, help="that the browser has")
    options = parser.parse_args()
    measure(ROOT / "build/try", options.cores)


def measure(folder: Path, count: int) -> None:
    """Serve a page to a browser on so many cores, and print what it takes."""
    cores = sorted(os.sched_getaffinity(0))[-count:]
    os.sched_setaffinity(0, cores)
    handler = partial(Quiet, directory=folder)
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server, sync_playwright() as driver:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        browser = driver.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox"]
        )
        page = browser.new_page()
        page.set_default_timeout(300_000)
        print(f"{len(cores)} core(s), load average {os.getloadavg()[0]:.1f}")
        print(f"{'':40} {'wall':>8}    {'processor':>8}")
        for visit in ("first visit", "second visit"):
            page.goto(f"http://127.0.0.1:{server.server_port}")
            page.get_by_text("Preparing").wait_for()
            loading = page.locator("#loading")
            measured(f"{visit}: weights to ready", partial(loading.wait_for, state="hidden"))
            for number in (1, 2, 3):
                measured(f"{visit}: five steps, portrait {number}", partial(find, page, number))
            for _ in range(3 * page.locator("#slider-yaw").count()):
                measured(f"{visit}: slider to picture", partial(page.evaluate, SLIDE))
        browser.close()
        server.shutdown()


if __name__ == "__main__":
    main()
